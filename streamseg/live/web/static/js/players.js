// Moving pictures of one camera in one of three ways. Each shows what is newest, and tells `onpicture` of each picture.

import { MsePlayer, canPlay } from "../mse.js";
import { socketUrl, url } from "./api.js";

const FIRST = 7000;

const RETRY = 1500;

/** JPEGs over a WebSocket, each asked for when the last is shown: nothing piles up on a slow line. */
export class JpegPlayer {
  #socket = null;
  #stopped = true;
  #timer = 0;

  constructor(canvas, name, { width = 640, rate = 30, onpicture = () => {} } = {}) {
    Object.assign(this, { canvas, name, width, rate, onpicture });
    this.context = canvas.getContext("2d", { alpha: false });
  }

  start() {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#open();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = null;
  }

  #open() {
    const socket = (this.#socket = new WebSocket(socketUrl(["live", `${this.name}.jpeg.ws`], { width: this.width })));
    let about = {};
    let asked = 0;
    const next = () => {
      if (socket.readyState !== WebSocket.OPEN) return;
      asked = performance.now();
      socket.send("next");
    };
    socket.onopen = next;
    socket.onmessage = async ({ data }) => {
      if (typeof data === "string") return void (about = JSON.parse(data));
      const told = about;
      try {
        const picture = await createImageBitmap(data);
        if (this.#socket === socket) this.#show(picture, told);
        picture.close();
      } finally {
        this.#timer = setTimeout(next, Math.max(0, 1000 / this.rate - (performance.now() - asked)));
      }
    };
    socket.onclose = () => {
      if (this.#stopped || socket !== this.#socket) return;
      this.#timer = setTimeout(() => !this.#stopped && this.#open(), RETRY * (1 + Math.random()));
    };
  }

  #show(picture, about) {
    const { canvas } = this;
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
    }
    this.context.drawImage(picture, 0, 0);
    this.onpicture(about);
  }
}

export const can = {
  mse: () => canPlay(),
  webrtc: () => "RTCPeerConnection" in window,
  jpeg: () => true,
};

/** A player for a <video> by MSE or WebRTC; `onfail` says why where no picture comes. */
export class VideoPlayer {
  #player = null;
  #timer = 0;
  #told;

  constructor(way, video, name, { onpicture = () => {}, onfail = () => {} } = {}) {
    Object.assign(this, { way, video, name });
    this.#told = { onpicture, onfail };
  }

  async start() {
    const fail = (why) => {
      this.stop();
      this.#told.onfail(why);
    };
    const told = {
      onframe: () => {
        clearTimeout(this.#timer);
        this.#told.onpicture();
      },
      onstate: (state, reason) => state === "gone" && fail(reason || "it has ended"),
    };
    this.#timer = setTimeout(() => fail("no picture came"), FIRST);
    if (this.way === "mse") this.#player = new MsePlayer(this.video, socketUrl(["live", `${this.name}.ws`]), told);
    else {
      const timer = this.#timer;
      const { WhepPlayer } = await import("../whep.js");
      if (timer === this.#timer) this.#player = new WhepPlayer(this.video, url("live", this.name, "whep"), told);
    }
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#player?.close();
    this.#player = null;
  }
}
