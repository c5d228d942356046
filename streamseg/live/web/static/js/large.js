// One camera, large: its picture, what can be clicked and drawn on it, its figures, its settings.

import * as api from "./api.js";
import { Drawing } from "./draw.js";
import { h, lasted, setText, toast } from "./dom.js";
import { Events } from "./events.js";
import { Objects } from "./objects.js";
import { Places } from "./places.js";
import { JpegPlayer, VideoPlayer, can } from "./players.js";
import { Figures } from "./plots.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { store } from "./store.js";
import { Tabs } from "./tabs.js";
import { Away, Wall, awayWords, stateWord } from "./wall.js";

const WAYS = { auto: "Picture: automatic", mse: "H.264 (MSE)", webrtc: "WebRTC", jpeg: "Single pictures (JPEG)" };
const STILL = 4000;
let chosenWay = "auto";

export class Large {
  #player = null;
  #failed = new Set();
  #shown = performance.now();
  #closed = false;

  constructor(name, about) {
    this.name = name;
    this.about = about;
    this.options = {};
    this.drawn = [];
    this.classes = [];
    this.stage = new Stage(name);
    this.away = new Away();
    this.still = h("span", { class: "still-note", hidden: true });
    this.stage.frame.append(this.away.element, this.still);
    this.card = h("div", { class: "card-place" });
    this.figures = new Figures();
    this.objects = new Objects(this);
    this.places = new Places(this);
    this.drawing = new Drawing(this);
    this.settings = new Settings(this);
    this.events = new Events(name, about);
    this.wall = new Wall({ strip: true, without: name });
    this.element = h("div", { class: "large" }, this.#head(), this.stage.element, this.#tools(), this.card, this.figures.element, this.figures.more, this.wall.element);
    this.tabs = new Tabs("About this camera", [
      ["In view", this.objects.element],
      ["Settings", h("div", { class: "section-group" }, this.places.element, this.settings.element)],
      ["Events", this.events.element],
    ]);
    this.side = h("div", { class: "side-inner" }, this.tabs.element);
    this.listener = () => this.update();
    for (const kind of ["cameras", "connection", "second"]) store.addEventListener(kind, this.listener);
    document.addEventListener("visibilitychange", this.listener);
    this.load();
    this.update();
  }

  #head() {
    this.dot = h("span", { class: "dot" });
    this.word = h("span");
    this.way = h("select", { "aria-label": "How the picture comes", onchange: () => this.#choose(this.way.value) });
    const ways = ["auto", ...this.about.ways.filter((way) => way in WAYS)];
    this.way.append(...ways.map((way) => h("option", { value: way }, WAYS[way])));
    this.way.value = ways.includes(chosenWay) ? chosenWay : "auto";
    this.pauseButton = h("button", { type: "button", onclick: () => this.#pauseOrResume() }, "Pause");
    return h(
      "div",
      { class: "large-head" },
      h("a", { class: "button", href: "#/", "aria-label": "All cameras" }, "←", h("span", { class: "wide-only" }, "Cameras")),
      h("h1", {}, this.name),
      h("span", { class: "pill" }, this.dot, this.word),
      h("span", { class: "push" }, this.pauseButton),
    );
  }

  #tools() {
    this.drawing.tools.append(
      h("span", { class: "push row" },
        h("div", {}, this.way),
        h("a", { class: "button", href: api.url("live", `${this.name}.jpg`).href + "?width=1920", download: `${this.name}.jpg` }, "Snapshot"),
        document.fullscreenEnabled ? h("button", { type: "button", onclick: () => this.stage.element.requestFullscreen() }, "Full screen") : "",
      ),
    );
    return this.drawing.tools;
  }

  get camera() {
    return store.cameras.get(this.name);
  }

  /** What it runs with, and which classes it knows. */
  async load() {
    try {
      const [found, seen] = await Promise.all([api.camera(this.name), api.instances(this.name)]);
      if (this.#closed) return;
      this.classes = seen.classes;
      this.#take(found);
    } catch (problem) {
      if (!this.#closed) toast(problem.message, true);
    }
  }

  /** Change options; gives null, or why not. */
  async change(options) {
    try {
      this.#take(await api.change(this.name, options));
      return null;
    } catch (problem) {
      return problem.message;
    }
  }

  #take({ options, drawn }) {
    this.options = options;
    this.drawn = drawn;
    this.places.update();
    this.settings.update();
    this.objects.update();
  }

  /** Show a card under the picture in place of what was there; `focus` moves there. */
  showCard(element, focus = true) {
    this.card.replaceChildren(...(element ? [element] : []));
    if (!element) return void this.stage.draftLayer.replaceChildren();
    if (focus) element.querySelector("input, select, button")?.focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest" });
  }

  update() {
    const camera = this.camera;
    if (!camera) {
      if (store.connected) this.#gone();
      else this.away.update(["Connecting", "", false]);
      return;
    }
    const words = awayWords(camera);
    this.dot.className = `dot ${store.connected ? camera.state : ""}`;
    setText(this.word, store.connected ? stateWord(camera.state) : "No connection");
    setText(this.pauseButton, { paused: "Resume", failed: "Try again", lost: "Pause" }[camera.state] ?? "Pause");
    this.figures.update(camera, store.history(this.name), store.connected);
    this.away.update(words);
    this.stage.lens.hidden = words !== null;
    this.stage.size(camera.width, camera.height);
    if (words === null && !document.hidden) this.#play();
    else if (!document.pictureInPictureElement) this.#halt();
    if (words === null && !this.classes.length) this.#askClasses();
    const still = performance.now() - this.#shown;
    this.still.hidden = words !== null || still < STILL;
    if (!this.still.hidden) setText(this.still, `This picture stands still for ${lasted(still / 1000)}`);
  }

  #askedAt = 0;

  #askClasses() {
    if (performance.now() - this.#askedAt < 3000) return;
    this.#askedAt = performance.now();
    api.instances(this.name).then((seen) => {
      this.classes = seen.classes;
      if (seen.classes.length && !this.#closed) this.settings.update();
    }, () => {});
  }

  #play() {
    if (this.#player) return;
    const wanted = this.way.value === "auto" ? ["mse", "jpeg"] : [this.way.value, "jpeg"];
    const way = wanted.find((each) => can[each]() && !this.#failed.has(each) && (each === "jpeg" || this.about.ways.includes(each)));
    const told = { onpicture: () => (this.#shown = performance.now()), onfail: (why) => this.#fail(way, why) };
    this.#shown = performance.now();
    this.stage.show(way);
    if (way === "jpeg") this.#player = new JpegPlayer(this.stage.canvas, this.name, { width: this.#width(), ...told });
    else this.#player = new VideoPlayer(way, this.stage.video, this.name, told);
    this.#player.start();
    this.objects.start();
  }

  #width() {
    return Math.min(1920, Math.round(this.stage.frame.clientWidth * Math.min(2, devicePixelRatio)) || 1280);
  }

  #halt() {
    this.#player?.stop();
    this.#player = null;
    this.#shown = performance.now();
    this.objects.stop();
  }

  #fail(way, why) {
    this.#failed.add(way);
    this.#player = null;
    if (this.way.value === way) toast(`${WAYS[way]} does not work here (${why}); single pictures are shown`);
    this.update();
  }

  #choose(way) {
    chosenWay = way;
    this.#failed.clear();
    this.#halt();
    this.update();
  }

  async #pauseOrResume() {
    this.pauseButton.disabled = true;
    try {
      await (["paused", "failed"].includes(this.camera?.state) ? api.resume(this.name) : api.pause(this.name));
    } catch (problem) {
      toast(problem.message, true);
    } finally {
      this.pauseButton.disabled = false;
    }
  }

  #gone() {
    this.#halt();
    this.stage.lens.hidden = true;
    this.away.update([`There is no camera “${this.name}”`, "It was removed, or never was.", true]);
    setText(this.word, "Gone");
    this.dot.className = "dot";
  }

  close() {
    this.#closed = true;
    this.#halt();
    this.wall.close();
    this.events.close();
    this.drawing.close();
    for (const kind of ["cameras", "connection", "second"]) store.removeEventListener(kind, this.listener);
    document.removeEventListener("visibilitychange", this.listener);
  }
}
