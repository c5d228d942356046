// What happened: newest first as it happens, and found again by words, camera and time.

import * as api from "./api.js";
import { clock, h, keyed } from "./dom.js";
import { store } from "./store.js";

const SHOWN = 60;
const SPANS = { "": "Any time", 900: "Last 15 minutes", 3600: "Last hour", 86400: "Last day", 604800: "Last week" };

export function sentence(event) {
  const who = event.name || `${event.class} ${event.track}`;
  const way = event.direction ? ` (${event.direction.replaceAll("_", " ")})` : "";
  const time = event.seconds === null || event.seconds === undefined ? "" : ` after ${event.seconds.toFixed(1)}\u00a0s`;
  return {
    count: `${who} was seen`,
    cross: `${who} crossed ${event.place}${way}`,
    enter: `${who} entered ${event.place}`,
    leave: `${who} left ${event.place}${time}`,
    dwell: `${who} stays in ${event.place}${time.replace("after", "for")}`,
    alert: `${who} came near too soon`,
    cut_in: `${who} cut in`,
    crossing: `${who} crossed the way ahead`,
    stop: `${event.track ? who : event.class} came to a stop`,
    near_miss: `${who} was nearly hit`,
    hidden: `${who} went behind another`,
    reappear: `${who} came out again`,
  }[event.kind] ?? `${who}: ${event.kind} ${event.place}`;
}

export class Events {
  #events = [];
  #timer = 0;
  #asked = 0;

  constructor(camera, about) {
    this.camera = camera;
    this.text = h("input", { type: "search", placeholder: about.kept ? "Search all that was kept" : "Search", "aria-label": "Search events", oninput: () => this.#soon() });
    this.span = h("select", { "aria-label": "Time", onchange: () => this.#load() }, Object.entries(SPANS).map(([value, words]) => h("option", { value }, words)));
    this.span.value = "";
    this.which = h("select", { "aria-label": "Camera", onchange: () => this.#load() });
    this.list = h("ol", { class: "events" });
    this.none = h("p", { class: "soft", role: "status" }, "Nothing yet.");
    const pair = camera === null ? h("div", { class: "pair" }, this.which, this.span) : this.span;
    this.element = h(
      "section",
      { class: "section", "aria-label": "Events" },
      h("h2", {}, "Events"),
      h("search", { class: "search" }, this.text, pair),
      this.none,
      this.list,
    );
    this.listener = ({ detail }) => this.#arrive(detail.event);
    this.names = () => this.#names();
    store.addEventListener("event", this.listener);
    store.addEventListener("cameras", this.names);
    store.addEventListener("connection", this.names);
    this.#names();
    this.#load();
  }

  close() {
    store.removeEventListener("event", this.listener);
    store.removeEventListener("cameras", this.names);
    store.removeEventListener("connection", this.names);
    clearTimeout(this.#timer);
  }

  #names() {
    if (this.connected === false && store.connected) this.#load(); // what happened meanwhile
    this.connected = store.connected;
    const names = ["", ...store.cameras.keys()];
    keyed(this.which, names, (name) => name, (name) => h("option", { value: name }, name || "All cameras"));
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#load(), 250);
  }

  get #plain() {
    return this.text.value.trim() === "" && this.span.value === "";
  }

  async #load() {
    const number = ++this.#asked;
    const wanted = {
      text: this.text.value.trim(),
      camera: this.camera ?? this.which.value,
      since: this.span.value ? (Date.now() / 1000 - Number(this.span.value)).toFixed(0) : "",
      limit: SHOWN,
    };
    try {
      const found = await api.events(wanted);
      if (number !== this.#asked) return;
      this.#events = found;
      this.#show(this.#plain ? "Nothing yet. What objects do at lines and zones appears here." : "Nothing found.");
    } catch (problem) {
      if (number === this.#asked) this.#show(problem.message, true);
    }
  }

  #arrive(event) {
    const camera = this.camera ?? this.which.value;
    if (camera && event.camera !== camera) return;
    if (!this.#plain) return this.#soon();
    if (this.#events.some((known) => known.id === event.id)) return;
    this.#events = [{ ...event, fresh: true }, ...this.#events].slice(0, SHOWN);
    this.#show("");
  }

  #show(words, always = false) {
    keyed(this.list, this.#events, (event) => event.id, (event) => this.#row(event));
    this.none.hidden = this.#events.length > 0 && !always;
    if (!this.none.hidden) this.none.textContent = words;
  }

  #row(event) {
    const image = event.thumbnail
      ? h("img", { src: api.url("api", "events", event.id, "thumbnail.jpg").href, alt: "", loading: "lazy", onerror: ({ target }) => target.replaceWith(h("span", { class: "no-picture" })) })
      : h("span", { class: "no-picture" });
    const where = this.camera === null ? h("a", { href: `#/camera/${encodeURIComponent(event.camera)}` }, event.camera) : null;
    const clip = event.clip ? h("a", { href: api.url("api", "events", event.id, "clip").href, target: "_blank" }, "film") : null;
    const when = h("time", { datetime: new Date(event.utc * 1000).toISOString() }, clock(event.utc));
    const dotted = [where, when, clip].filter(Boolean).flatMap((part, i) => (i ? [" · ", part] : [part]));
    const row = h("li", { class: event.fresh ? "event new" : "event" }, image, h("span", { class: "what" }, sentence(event)), h("span", { class: "when numbers" }, dotted));
    setTimeout(() => row.classList.remove("new"), 2000);
    return row;
  }
}
