// What is known of all cameras, kept true by the news: a page that lost its connection says so and shows no old figures.

import { socketUrl } from "./api.js";

const KEPT = 120;

class Store extends EventTarget {
  cameras = new Map();
  histories = new Map();
  connected = false;
  #wait = 500;
  #heard = 0;
  #socket = null;

  start() {
    this.#connect();
    setInterval(() => this.#check(), 1000);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && !this.connected) this.#connect();
    });
  }

  history(name) {
    return this.histories.get(name) ?? [];
  }

  #connect() {
    this.#socket?.close();
    const socket = (this.#socket = new WebSocket(socketUrl(["api", "news"])));
    socket.onopen = () => (this.#heard = performance.now());
    socket.onmessage = (message) => {
      if (socket === this.#socket) this.#hear(JSON.parse(message.data));
    };
    socket.onclose = () => {
      if (socket !== this.#socket) return;
      this.#lose();
      setTimeout(() => socket === this.#socket && this.#connect(), this.#wait * (0.75 + Math.random() / 2));
      this.#wait = Math.min(this.#wait * 1.7, 8000);
    };
  }

  /** A connection that says nothing, as after the sleep of a computer, is none: figures come every second. */
  #check() {
    if (this.connected && performance.now() - this.#heard > 5000) {
      this.#lose();
      this.#connect();
    }
    this.#tell("second");
  }

  #lose() {
    if (!this.connected) return;
    this.connected = false;
    this.#tell("connection");
  }

  #hear(news) {
    this.#heard = performance.now();
    this.#wait = 500;
    if (!this.connected) {
      this.connected = true;
      this.#tell("connection");
    }
    if (news.kind === "cameras") {
      const names = new Set(news.cameras.map((camera) => camera.name));
      for (const name of this.cameras.keys()) if (!names.has(name)) this.#forget(name);
      this.cameras = new Map(news.cameras.map((camera) => [camera.name, camera]));
      for (const camera of news.cameras) this.#remember(camera);
    } else if (news.kind === "camera") this.cameras.set(news.camera.name, news.camera);
    else if (news.kind === "removed") this.#forget(news.camera);
    else return this.#tell(news.kind, news);
    this.#tell("cameras");
  }

  #forget(name) {
    this.cameras.delete(name);
    this.histories.delete(name);
  }

  #remember(camera) {
    const history = this.histories.get(camera.name) ?? [];
    const skipped = Object.values(camera.skipped).reduce((sum, n) => sum + n, 0);
    const last = history.at(-1);
    const now = performance.now() / 1000;
    const passed = last ? now - last.time : 1;
    const shown = camera.state === "watching";
    history.push({
      time: now,
      skipped,
      rate: shown ? camera.rate : null,
      latency: shown ? camera.latency_ms.p95 ?? null : null,
      drops: shown && last ? Math.max(0, (skipped - last.skipped) / passed) : null,
      inView: shown ? Object.values(camera.now).reduce((sum, n) => sum + n, 0) : null,
    });
    if (history.length > KEPT) history.shift();
    this.histories.set(camera.name, history);
  }

  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}

export const store = new Store();
