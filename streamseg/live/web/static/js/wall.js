// Tiles: one camera each, small pictures a few times a second, only while they can be seen.

import { counted, h, keyed, lasted, setText } from "./dom.js";
import { JpegPlayer } from "./players.js";
import { store } from "./store.js";

const STILL = 4000;

const WORDS = {
  starting: "Starting",
  watching: "Watching",
  lost: "No picture",
  failed: "Cannot be watched",
  paused: "Paused",
  stopped: "Stopped",
};

export const stateWord = (state) => WORDS[state] ?? state;

/** What to say of a camera without a picture: [headline, reason, whether it is a problem]; null: there is a picture. */
export function awayWords(camera) {
  if (!store.connected) return ["No connection to streamseg", "trying again", true];
  if (camera.state === "watching") return null;
  const age = Date.now() / 1000 - camera.since_utc;
  const at = new Date(camera.since_utc * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const since = age < 86400 ? `since ${at}, ${lasted(age)}` : `for ${lasted(age)}`;
  if (camera.state === "lost") return [`No picture ${since}`, `${camera.reason || "the camera is away"}; trying again`, true];
  if (camera.state === "failed") return [`Cannot be watched ${since}`, camera.reason, true];
  if (camera.state === "paused") return ["Paused", since, false];
  if (camera.state === "stopped") return ["Stopped", since, false];
  return ["Starting", camera.reason, false];
}

/** The cover over a picture that is none. */
export class Away {
  constructor() {
    this.headline = h("b");
    this.reason = h("span");
    this.element = h("div", { class: "away", hidden: true }, this.headline, this.reason);
  }

  update(words) {
    this.element.hidden = words === null;
    if (words === null) return;
    setText(this.headline, words[0]);
    setText(this.reason, words[1]);
    this.element.classList.toggle("problem", words[2]);
  }
}

class Tile {
  #visible = false;
  #shown = performance.now();

  constructor(name, { width, rate }) {
    this.name = name;
    this.canvas = h("canvas", { role: "img", "aria-label": `Picture of ${name}` });
    this.away = new Away();
    this.still = h("span", { class: "still-note", hidden: true });
    this.dot = h("span", { class: "dot", "aria-hidden": "true" });
    this.state = h("span", { class: "hidden-text" });
    this.seen = h("span");
    this.figures = h("span", { class: "figures numbers" });
    this.link = h(
      "a",
      { href: `#/camera/${encodeURIComponent(name)}` },
      this.canvas,
      this.away.element,
      this.still,
      h("span", { class: "caption" }, h("strong", {}, this.dot, name), this.state, this.seen, this.figures),
    );
    this.element = h("li", { class: "tile" }, this.link);
    this.player = new JpegPlayer(this.canvas, name, { width, rate, onpicture: () => (this.#shown = performance.now()) });
  }

  set visible(visible) {
    this.#visible = visible;
    this.update();
  }

  update() {
    const camera = store.cameras.get(this.name);
    if (!camera) return;
    const words = awayWords(camera);
    if (this.#visible && words === null && !document.hidden) this.player.start();
    else {
      this.player.stop();
      this.#shown = performance.now();
    }
    this.away.update(words);
    this.canvas.hidden = words !== null;
    this.dot.className = `dot ${store.connected ? camera.state : ""}`;
    setText(this.state, stateWord(camera.state));
    setText(this.seen, words === null ? counted(camera.now) : "");
    const latency = camera.latency_ms.p95;
    setText(this.figures, words === null ? `${camera.rate.toFixed(1)} fps${latency === undefined ? "" : ` · ${Math.round(latency)} ms`}` : "");
    const still = (performance.now() - this.#shown) / 1000;
    this.still.hidden = words !== null || still * 1000 < STILL;
    if (!this.still.hidden) setText(this.still, `stands still for ${lasted(still)}`);
  }
}

/** All cameras, or all but one as a strip. */
export class Wall {
  #tiles = new Map();

  constructor({ strip = false, without = null } = {}) {
    this.without = without;
    this.options = strip ? { width: 320, rate: 3 } : { width: 640, rate: 10 };
    this.element = h("ul", { class: strip ? "strip" : "wall", "aria-label": strip ? "Other cameras" : "Cameras" });
    this.observer = new IntersectionObserver((entries) => {
      for (const entry of entries) this.#tiles.get(entry.target.dataset.key)?.tile(entry.isIntersecting);
    });
    this.listener = () => this.update();
    for (const kind of ["cameras", "connection", "second"]) store.addEventListener(kind, this.listener);
    document.addEventListener("visibilitychange", this.listener);
    this.update();
  }

  update() {
    const cameras = [...store.cameras.values()].filter((camera) => camera.name !== this.without);
    this.element.dataset.count = cameras.length;
    keyed(this.element, cameras, (camera) => camera.name, ({ name }) => this.#make(name));
    for (const [name, { tile, stop }] of this.#tiles) {
      if (store.cameras.has(name) && name !== this.without) tile();
      else {
        stop();
        this.#tiles.delete(name);
      }
    }
  }

  #make(name) {
    const made = new Tile(name, this.options);
    this.#tiles.set(name, {
      tile: (visible) => (visible === undefined ? made.update() : (made.visible = visible)),
      stop: () => made.player.stop(),
    });
    this.observer.observe(made.element);
    return made.element;
  }

  close() {
    this.observer.disconnect();
    for (const kind of ["cameras", "connection", "second"]) store.removeEventListener(kind, this.listener);
    document.removeEventListener("visibilitychange", this.listener);
    for (const { stop } of this.#tiles.values()) stop();
  }
}
