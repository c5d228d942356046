// Drawing on the picture, with the mouse, a finger or the keyboard: a line of two points, or an area of three and more.

import { h, s, setText } from "./dom.js";
import { UNITS } from "./stage.js";

export const KINDS = {
  lines: { one: "line", title: "Line", points: 2 },
  zones: { one: "zone", title: "Zone" },
  ignore: { one: "area to ignore", title: "Ignore" },
};
const CLOSE = 0.025;
const STEP = 0.01;

/** The tools under the picture, and what is being drawn. Only one thing at a time is. */
export class Drawing {
  #kind = null;
  #points = [];
  #cursor = null;
  #pressed = null;
  #dragging = -1;
  #done = null;

  constructor(view) {
    this.view = view;
    this.stage = view.stage;
    this.buttons = Object.fromEntries(
      Object.entries(KINDS).map(([kind, { title }]) => [kind, h("button", { type: "button", "aria-pressed": "false", onclick: () => this.toggle(kind) }, title)]),
    );
    this.hint = h("p", { class: "soft small", role: "status" });
    this.tools = h("div", { class: "row" }, h("span", { class: "soft" }, "Draw"), Object.values(this.buttons), this.hint);
    const { svg } = this.stage;
    svg.addEventListener("pointerdown", (event) => this.#down(event));
    svg.addEventListener("pointermove", (event) => this.#move(event));
    svg.addEventListener("pointerup", (event) => this.#up(event));
    svg.addEventListener("pointercancel", () => (this.#pressed = null));
    svg.addEventListener("dblclick", () => this.#kind && this.finish());
    this.keys = (event) => this.#key(event);
    document.addEventListener("keydown", this.keys);
  }

  get active() {
    return this.#kind !== null;
  }

  close() {
    document.removeEventListener("keydown", this.keys);
  }

  toggle(kind) {
    if (this.#kind === kind) this.stop();
    else this.begin(kind, [], (points) => this.view.places.form(kind, "", points));
  }

  /** Draw (or move the points of) one; `done` gets the points in fractions of the frame. */
  begin(kind, points, done) {
    this.stop();
    this.view.objects.follow(null);
    this.view.showCard(null);
    this.#kind = kind;
    this.#points = points.map((point) => [...point]);
    this.#done = done;
    this.#cursor = null;
    for (const [each, button] of Object.entries(this.buttons)) button.setAttribute("aria-pressed", String(each === kind));
    this.stage.lens.classList.add("drawing");
    this.stage.svg.setAttribute("tabindex", "0");
    this.stage.svg.setAttribute("role", "application");
    this.stage.svg.setAttribute("aria-label", `Draw a ${KINDS[kind].one}: arrow keys move, Space sets a point, Enter ends, Escape gives up`);
    this.stage.svg.focus({ preventScroll: true });
    this.stage.frame.scrollIntoView({ block: "nearest" });
    this.#show();
  }

  stop() {
    if (!this.active) return;
    this.#kind = this.#pressed = this.#cursor = null;
    this.#dragging = -1;
    this.#points = [];
    for (const button of Object.values(this.buttons)) button.setAttribute("aria-pressed", "false");
    this.stage.lens.classList.remove("drawing");
    for (const name of ["tabindex", "role", "aria-label"]) this.stage.svg.removeAttribute(name);
    this.stage.draftLayer.replaceChildren();
    setText(this.hint, "");
    this.view.places.update();
  }

  get #enough() {
    return this.#points.length >= (KINDS[this.#kind].points ?? 3);
  }

  finish() {
    if (!this.active) return;
    const points = this.#points.filter(([x, y], i) => i === 0 || Math.hypot(x - this.#points[i - 1][0], y - this.#points[i - 1][1]) > 0.003);
    this.#points = points;
    if (!this.#enough) return this.#show();
    const done = this.#done;
    const kept = points.map(([x, y]) => [round(x), round(y)]);
    this.stop();
    done(kept);
  }

  #add(point) {
    const { points } = KINDS[this.#kind];
    if (points && this.#points.length >= points) return;
    const [first] = this.#points;
    if (!points && this.#points.length > 2 && Math.hypot(point[0] - first[0], point[1] - first[1]) < CLOSE) return this.finish();
    this.#points.push(point);
    if (points && this.#points.length === points && this.#dragging < 0) this.finish();
    else this.#show();
  }

  #near(point) {
    return this.#points.findIndex(([x, y]) => Math.hypot(x - point[0], y - point[1]) < CLOSE);
  }

  #down(event) {
    if (!this.active || event.button > 0) return;
    event.preventDefault();
    this.stage.svg.setPointerCapture(event.pointerId);
    const point = this.stage.at(event);
    const near = this.#near(point);
    // The first point of an area closes it; any other is taken hold of.
    this.#dragging = near > 0 || (near === 0 && (this.#done.moves || this.#points.length < 3)) ? near : -1;
    this.#pressed = point;
    if (this.#dragging < 0 && !this.#done.moves) {
      this.#cursor = null;
      if (KINDS[this.#kind].points && this.#points.length === 0) {
        this.#points.push(point); // a line may be drawn in one stroke
        this.#show();
      }
    }
  }

  #move(event) {
    if (!this.active) return;
    const point = this.stage.at(event);
    if (this.#pressed && this.#dragging >= 0) this.#points[this.#dragging] = point;
    else this.#cursor = this.#done.moves ? null : point;
    this.#show();
  }

  #up(event) {
    if (!this.active || !this.#pressed) return;
    const point = this.stage.at(event);
    const moved = Math.hypot(point[0] - this.#pressed[0], point[1] - this.#pressed[1]) > CLOSE;
    const held = this.#dragging >= 0;
    const begun = KINDS[this.#kind].points === 2 && this.#points.length === 1 && this.#points[0] === this.#pressed;
    this.#pressed = null;
    this.#dragging = -1;
    if (held || this.#done.moves) this.#show();
    else if (!begun || moved) this.#add(point);
  }

  #key(event) {
    if (!this.active || event.target.closest?.("input, select, textarea, dialog")) return;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Escape") this.stop();
    else if (event.key === "Backspace" || event.key === "Delete") this.#points.pop();
    else if (event.target.closest?.("button, a")) return;
    else if (event.key === "Enter") return event.preventDefault(), this.finish();
    else if (event.key === " " && this.#cursor) this.#add([...this.#cursor]);
    else if (steps) {
      const size = event.shiftKey ? STEP * 5 : STEP;
      const [x, y] = this.#cursor ?? [0.5, 0.5];
      this.#cursor = [Math.min(1, Math.max(0, x + steps[0] * size)), Math.min(1, Math.max(0, y + steps[1] * size))];
    } else if (event.key === " ") this.#cursor = [0.5, 0.5];
    else return;
    event.preventDefault();
    if (this.active) this.#show();
  }

  #show() {
    if (!this.active) return;
    const kind = KINDS[this.#kind];
    const shown = [...this.#points, ...(this.#cursor && this.#points.length ? [this.#cursor] : [])];
    const tag = kind.points || shown.length < 3 ? "polyline" : "polygon";
    const { height } = this.stage;
    const draft = shown.length ? [s(tag, { class: kind.points ? "draft line" : "draft", points: this.stage.points(shown) })] : [];
    const dots = this.#points.map(([x, y]) => s("circle", { class: "handle", cx: x * UNITS, cy: y * height, r: 7 }));
    const [x, y] = this.#cursor ?? [];
    const cross = this.#cursor ? [s("path", { class: "cross", d: `M${x * UNITS - 14} ${y * height}h28M${x * UNITS} ${y * height - 14}v28` })] : [];
    this.stage.draftLayer.replaceChildren(...draft, ...dots, ...cross);
    const left = (kind.points ?? 3) - this.#points.length;
    const move = "Drag the points; Enter keeps them, Escape gives up.";
    const first = kind.points ? "Click both ends, or draw it in one stroke." : "Click the corners; click the first one again to close it.";
    setText(this.hint, this.#done.moves ? move : this.#points.length === 0 ? `${first} Or arrow keys and Space.` : left > 0 ? `${left} more ${left === 1 ? "point" : "points"}. Escape gives up.` : "Click the first point, or press Enter, to close it.");
  }
}

function round(value) {
  return Math.round(value * 1e4) / 1e4;
}
