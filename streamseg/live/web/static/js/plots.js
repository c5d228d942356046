// Small plots of the last two minutes, drawn as SVG, each with its newest value as text.

import { h, s, setText } from "./dom.js";

const WIDE = 120;
const HIGH = 34;

/** A figure with a plot. `show(value)` gives [number, unit] as text; null values are gaps. */
export class Plot {
  constructor(title, { warm = false } = {}) {
    this.title = title;
    this.value = h("dd", {}, "–");
    this.area = s("path", { class: "plot-area" });
    this.line = s("path", { class: "plot-line" });
    this.svg = s("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img" }, this.area, this.line);
    this.element = h("div", { class: warm ? "figure warm" : "figure" }, h("dt", {}, title), this.value, h("dd", { class: "plot" }, this.svg));
  }

  update(values, [text, unit]) {
    if (this.shown !== text + unit) {
      this.shown = text + unit;
      this.value.replaceChildren(text, ...(unit ? [h("small", {}, unit)] : []));
    }
    const known = values.filter((value) => value !== null);
    const top = Math.max(1e-9, ...known) * 1.15;
    const step = WIDE / 119;
    const offset = 120 - values.length;
    let line = "";
    let area = "";
    let run = [];
    const close = () => {
      if (run.length > 1) {
        const points = run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
        line += `M${points}`;
        area += `M${run[0][0].toFixed(1)} ${HIGH}L${points}L${run.at(-1)[0].toFixed(1)} ${HIGH}Z`;
      }
      run = [];
    };
    values.forEach((value, i) => (value === null ? close() : run.push([(offset + i) * step, HIGH - 1 - (value / top) * (HIGH - 3)])));
    close();
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", area);
    const range = known.length ? `, ${round(Math.min(...known))} to ${round(Math.max(...known))} over two minutes` : "";
    const label = `${this.title}: ${text} ${unit}${range}`;
    if (this.svg.getAttribute("aria-label") !== label) this.svg.setAttribute("aria-label", label);
  }
}

function round(value) {
  return value >= 10 ? Math.round(value) : Math.round(value * 10) / 10;
}

/** The four figures of a camera. */
export class Figures {
  constructor() {
    this.rate = new Plot("Frames");
    this.latency = new Plot("Latency, p95");
    this.drops = new Plot("Left out", { warm: true });
    this.view = new Plot("In view");
    this.element = h("dl", { class: "figures-row" }, [this.rate, this.latency, this.drops, this.view].map((plot) => plot.element));
    this.more = h("p", { class: "soft small numbers" });
  }

  update(camera, history, connected) {
    const on = connected && camera.state === "watching";
    const last = history.at(-1);
    const of = (key) => history.map((sample) => sample[key]);
    this.rate.update(of("rate"), on ? [camera.rate.toFixed(1), "a second"] : ["–", ""]);
    const latency = camera.latency_ms.p95;
    this.latency.update(of("latency"), on && latency !== undefined ? [Math.round(latency).toString(), "ms"] : ["–", ""]);
    this.drops.update(of("drops"), on && last?.drops !== null && last ? [round(last.drops).toString(), "a second"] : ["–", ""]);
    const now = Object.entries(camera.now).filter(([, n]) => n).map(([name, n]) => `${n} ${name}`).join(", ");
    this.view.update(of("inView"), on ? [now || "nothing", ""] : ["–", ""]);
    const reasons = Object.entries(camera.skipped).filter(([, n]) => n).map(([why, n]) => `${n} (${why})`).join(", ");
    const total = Object.entries(camera.total).filter(([, n]) => n).map(([name, n]) => `${n} ${name}`).join(", ");
    setText(
      this.more,
      [
        `${camera.captured} frames captured, ${camera.processed} shown`,
        camera.gated ? `${camera.gated} of them still, without the network` : "",
        camera.detect_every > 1 ? `the network looks at every ${camera.detect_every}th` : "",
        reasons && `left out: ${reasons}`,
        total && `counted: ${total}`,
        camera.reconnects ? `${camera.reconnects} reconnects` : "",
        camera.recording && `recording ${camera.recording}`,
      ].filter(Boolean).join(" · "),
    );
  }
}
