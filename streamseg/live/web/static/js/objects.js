// What is in view: outlines that can be clicked, a list for keyboards and screen readers, and a card to name, follow or hide one.

import { socketUrl } from "./api.js";
import { h, keyed, s, setText } from "./dom.js";

const GONE = 3000;

export class Objects {
  #socket = null;
  #timer = 0;
  #seen = [];
  #chosen = null;
  #following = null;
  #seenAt = 0;
  #listedAt = 0;

  constructor(view) {
    this.view = view;
    this.stage = view.stage;
    this.list = h("ul", { class: "list", "aria-label": "Objects in view" });
    this.none = h("p", { class: "soft" }, "Nothing in view.");
    this.hidden = h("ul", { class: "list", "aria-label": "Hidden objects" });
    this.hiddenSection = h("section", { class: "section", hidden: true }, h("h3", {}, "Hidden"), this.hidden);
    this.element = h("section", { class: "section" }, h("p", { class: "soft small" }, "Click an object here or in the picture to name, follow or hide it."), this.none, this.list, this.hiddenSection);
    this.stage.note.addEventListener("click", () => this.follow(null));
  }

  start() {
    if (!this.#socket) this.#open();
  }

  stop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#take([]);
  }

  #open() {
    const socket = (this.#socket = new WebSocket(socketUrl(["live", `${this.view.name}.results.ws`])));
    socket.onopen = () => socket.send("next");
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      const result = JSON.parse(data);
      if (result.width) this.stage.size(result.width, result.height);
      this.#take(result.instances ?? []);
      socket.send("next");
    };
    socket.onclose = () => {
      if (socket !== this.#socket) return;
      this.#take([]);
      this.#timer = setTimeout(() => socket === this.#socket && this.#open(), 2000);
    };
  }

  called(object) {
    return object.name ? `${object.name} (${object.class} ${object.track})` : `${object.class} ${object.track}`;
  }

  #take(instances) {
    this.#seen = instances.filter((each) => each.track !== null);
    keyed(this.stage.objectLayer, this.#seen, (each) => each.track, (each) => this.#shape(each), (shape, each) => this.#place(shape, each));
    this.#look();
    const now = performance.now();
    if (now - this.#listedAt > 500 || !this.#seen.length) {
      this.#listedAt = now;
      this.#list();
    }
  }

  #shape(object) {
    const open = (event) => {
      event.preventDefault();
      this.choose(object.track);
    };
    const keys = (event) => (event.key === "Enter" || event.key === " ") && open(event);
    return s("polygon", { class: "object", tabindex: "-1", role: "button", onclick: open, onkeydown: keys });
  }

  #place(shape, object) {
    const [x0, y0, x1, y1] = object.box;
    shape.setAttribute("points", this.stage.points(object.outline ?? [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]));
    const label = this.called(object);
    if (shape.getAttribute("aria-label") !== label) {
      shape.setAttribute("aria-label", label);
      shape.replaceChildren(s("title", {}, label));
    }
    shape.classList.toggle("chosen", object.track === this.#chosen);
  }

  #list() {
    const make = (object) => {
      const name = h("span", { class: "grow" });
      const score = h("span", { class: "soft small numbers" });
      const swatch = h("span", { class: "swatch" });
      const button = h("button", { type: "button", onclick: () => this.choose(object.track) }, swatch, name, score);
      return Object.assign(h("li", {}, button), { parts: { button, name, score, swatch } });
    };
    const update = ({ parts }, object) => {
      setText(parts.name, this.called(object));
      setText(parts.score, object.score.toFixed(2));
      parts.swatch.style.background = object.colour;
      parts.button.setAttribute("aria-pressed", String(object.track === this.#chosen));
    };
    const ordered = [...this.#seen].sort((a, b) => a.track - b.track);
    keyed(this.list, ordered, (object) => object.track, make, update);
    this.none.hidden = ordered.length > 0;
  }

  /** A camera's options have changed. */
  update() {
    const hidden = this.view.options.hide ?? [];
    this.hiddenSection.hidden = hidden.length === 0;
    const names = this.view.options.names ?? {};
    keyed(this.hidden, hidden, (track) => track, (track) =>
      h("li", { class: "list-row" }, h("span", { class: "grow" }, names[track] ? `${names[track]} (${track})` : `track ${track}`), h("button", { type: "button", onclick: () => this.#show(track) }, "Show again")),
    );
  }

  choose(track) {
    const object = this.#seen.find((each) => each.track === track);
    if (!object || this.view.drawing.active) return;
    this.#chosen = track;
    this.#list();
    this.view.showCard(this.#card(object));
  }

  #card(object) {
    const { track } = object;
    const name = h("input", { type: "text", value: this.view.options.names?.[track] ?? "", maxlength: "100", autocomplete: "off" });
    const error = h("p", { class: "error", role: "alert" });
    const done = (problem) => (problem ? setText(error, problem) : this.#close());
    const save = async (event) => {
      event.preventDefault();
      done(await this.view.change({ names: changed(this.view.options.names, track, name.value.trim()) }));
    };
    const hide = async () => done(await this.view.change({ hide: [...new Set([...(this.view.options.hide ?? []), track])] }));
    const follow = () => {
      this.follow(track);
      this.#close();
    };
    const card = h(
      "section",
      { class: "card", "aria-label": `${object.class} ${track}`, onkeydown: (event) => event.key === "Escape" && this.#close() },
      h("div", { class: "card-head" }, h("span", { class: "swatch" }), h("h2", { class: "grow" }, `${object.class} ${track}`), h("button", { type: "button", class: "quiet", onclick: () => this.#close() }, "Close")),
      h("form", { class: "row", onsubmit: save }, h("label", { class: "grow" }, "Name", name), h("button", { class: "main" }, "Save name"), h("button", { type: "button", onclick: follow }, "Follow"), h("button", { type: "button", onclick: hide }, "Hide")),
      error,
    );
    card.querySelector(".swatch").style.background = object.colour;
    return card;
  }

  #close() {
    this.#chosen = null;
    this.view.showCard(null);
    this.#list();
  }

  async #show(track) {
    await this.view.change({ hide: (this.view.options.hide ?? []).filter((each) => each !== track) });
  }

  follow(track) {
    this.#following = track;
    this.#seenAt = performance.now();
    this.stage.note.hidden = track === null;
    if (track === null) this.stage.look(null);
    else this.#look();
  }

  #look() {
    if (this.#following === null) return;
    const object = this.#seen.find((each) => each.track === this.#following);
    if (object) {
      this.#seenAt = performance.now();
      this.stage.look(object.box);
      setText(this.stage.note, `Following ${this.called(object)} – stop`);
    } else if (performance.now() - this.#seenAt > GONE) {
      this.stage.look(null);
      setText(this.stage.note, `Track ${this.#following} is out of sight – stop following`);
    }
  }
}

function changed(names, track, name) {
  const all = { ...names };
  if (name) all[track] = name;
  else delete all[track];
  return all;
}

