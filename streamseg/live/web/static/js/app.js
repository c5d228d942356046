// The page: which view is shown, and what frames it. Addresses: #/ the wall, #/camera/NAME one large.

import * as api from "./api.js";
import { h, lasted, setText, toast } from "./dom.js";
import { Events } from "./events.js";
import { Large } from "./large.js";
import { Wall } from "./wall.js";
import { store } from "./store.js";

const main = document.getElementById("main");
const side = document.getElementById("side");
let view = null;
let about = { ways: ["jpeg"], effects: [], kept: false };

class WallView {
  title = "streamseg";

  constructor() {
    this.wall = new Wall();
    this.events = new Events(null, about);
    this.empty = h("div", { class: "empty", hidden: true }, h("h1", {}, "No cameras yet"), h("p", {}, "Add one, and it appears here and for everyone who has the page open."));
    this.heading = h("h1", { class: "hidden-text" }, "All cameras");
    this.element = [this.heading, this.wall.element, this.empty];
    this.side = h("div", { class: "side-inner" }, this.events.element);
    this.update();
  }

  update() {
    this.empty.hidden = store.cameras.size > 0 || !store.connected;
  }

  close() {
    this.wall.close();
    this.events.close();
  }
}

function route() {
  const [, where, name] = location.hash.match(/^#\/(camera)\/([^/]+)/) ?? [];
  view?.close();
  view = where ? new Large(decodeURIComponent(name), about) : new WallView();
  document.title = where ? `${decodeURIComponent(name)} – streamseg` : "streamseg";
  main.replaceChildren(...[view.element].flat());
  side.replaceChildren(view.side);
  if (route.before) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  route.before = true;
}

const health = document.getElementById("health");
const banner = document.getElementById("banner");

function showHealth() {
  const cameras = [...store.cameras.values()];
  const away = cameras.filter((camera) => ["lost", "failed"].includes(camera.state));
  banner.hidden = store.connected || !showHealth.once;
  if (store.connected) showHealth.once = true;
  else setText(banner, "The connection to streamseg is lost; trying again. What you see may be old.");
  if (!store.connected) return setText(health, "");
  const number = `${cameras.length} ${cameras.length === 1 ? "camera" : "cameras"}`;
  const names = away.map((camera) => camera.name).join(", ");
  const text = away.length ? `${number}, ${away.length} away: ${names}` : cameras.length ? `${number}, all well` : "no cameras";
  if (showHealth.text === text) return;
  showHealth.text = text;
  health.replaceChildren(...(away.length ? [`${number}, `, h("b", {}, `${away.length} away: ${names}`)] : [text]));
}

const THEMES = { auto: "Theme: as the system", dark: "Theme: dark", light: "Theme: light" };

function theme(chosen) {
  const light = matchMedia("(prefers-color-scheme: light)").matches;
  document.documentElement.dataset.theme = chosen === "auto" ? (light ? "light" : "dark") : chosen;
  document.querySelector("meta[name=theme-color]").content = getComputedStyle(document.documentElement).getPropertyValue("--back");
  const button = document.getElementById("theme");
  setText(button, { auto: "◐", dark: "☾", light: "☀" }[chosen]);
  button.setAttribute("aria-label", THEMES[chosen]);
  button.title = THEMES[chosen];
}

/** What this browser remembers; in private windows nothing. */
function remembered(key, value) {
  try {
    if (value !== undefined) localStorage.setItem(key, value);
    return localStorage.getItem(key);
  } catch {
    return value ?? null;
  }
}

function themes() {
  let chosen = remembered("theme") ?? "auto";
  if (!(chosen in THEMES)) chosen = "auto";
  theme(chosen);
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => theme(chosen));
  document.getElementById("theme").addEventListener("click", () => {
    const names = Object.keys(THEMES);
    chosen = names[(names.indexOf(chosen) + 1) % names.length];
    remembered("theme", chosen);
    theme(chosen);
  });
}

function addCamera() {
  const name = h("input", { type: "text", name: "name", required: true, autocomplete: "off", maxlength: "60", placeholder: "door" });
  const source = h("input", { type: "text", name: "source", required: true, autocomplete: "off", spellcheck: "false", placeholder: "rtsp://user:password@10.0.0.7/main" });
  const error = h("p", { class: "error", role: "alert" });
  const close = () => dialog.close();
  const save = h("button", { class: "main" }, "Add camera");
  const submit = async (event) => {
    event.preventDefault();
    save.disabled = true;
    setText(error, "");
    try {
      await api.add(name.value.trim(), { source: source.value.trim() });
      dialog.close();
      location.hash = `#/camera/${encodeURIComponent(name.value.trim())}`;
    } catch (problem) {
      setText(error, problem.message);
    } finally {
      save.disabled = false;
    }
  };
  const dialog = h(
    "dialog",
    { "aria-labelledby": "add-title", onclose: () => dialog.remove() },
    h(
      "form",
      { onsubmit: submit },
      h("h2", { id: "add-title" }, "Add a camera"),
      h("label", {}, "Name", name),
      h("label", {}, "Source", source),
      h("p", { class: "soft small" }, "An address (rtsp, http, rtmp, srt, udp), a device (0), or a film, as `streamseg live` takes it."),
      error,
      h("div", { class: "row" }, save, h("button", { type: "button", onclick: close }, "Cancel")),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}

async function start() {
  themes();
  document.getElementById("add").addEventListener("click", addCamera);
  store.addEventListener("cameras", () => view?.update?.());
  store.addEventListener("warning", ({ detail }) => toast(detail.camera ? `${detail.camera}: ${detail.text}` : detail.text));
  for (const kind of ["cameras", "connection", "second"]) store.addEventListener(kind, showHealth);
  for (let pause = 500; ; pause = Math.min(pause * 2, 8000)) {
    try {
      about = await api.about();
      break;
    } catch (problem) {
      banner.hidden = false;
      setText(banner, `${problem.message} Trying again in ${lasted(pause / 1000)}.`);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  banner.hidden = true;
  store.start();
  addEventListener("hashchange", route);
  route();
}

start();
