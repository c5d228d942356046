// Shows a camera's stream in a <video> by Media Source Extensions, as close to now as the network allows.
//
// const player = new MsePlayer(video, "/live/door.ws", {onformat, onframe, onstate});
// player.close();
//
// onformat({codec, width, height, epoch, number})   before the first picture, and when it changes
// onframe({index, time, utc, epoch, number})        with each picture that is shown
// onstate(state, reason)                            "playing", "waiting" (tried again), "gone" (not tried again), or the camera's own
//
// What is sent is told in live/web/stream.py.

const HEAD = 24;
const KEPT = 4; // seconds behind the picture that are kept
const AWAY = 0.6; // seconds behind now from which on it is better to jump
const SETTLING = 1500; // milliseconds after a jump in which there is no other: a decoder begins anew at each
const MOST_AWAY = 4;
const QUIET = new Set([4403, 4404, 4410]);

export const canPlay = (codec = "avc1.42c01f") => {
  const source = window.ManagedMediaSource ?? window.MediaSource;
  return Boolean(source?.isTypeSupported(`video/mp4; codecs="${codec}"`));
};

export class MsePlayer {
  #video;
  #url;
  #told;
  #target;
  #socket = null;
  #source = null;
  #buffer = null;
  #codec = "";
  #format = null;
  #queue = [];
  #frames = []; // heads of pictures that were not shown yet, oldest first
  #newest = null; // media time of the last picture that came
  #away = AWAY; // grows where jumps do not help: a decoder that holds pictures back needs them
  #jumped = 0;
  #closed = false;
  #tries = 0;
  #timer = 0;

  constructor(video, url, {onformat, onframe, onstate, target = 0.06} = {}) {
    this.#video = video;
    this.#url = new URL(url, location.href.replace(/^http/, "ws"));
    this.#told = {onformat, onframe, onstate};
    this.#target = target;
    video.muted = true;
    video.playsInline = true;
    video.disableRemotePlayback = true;
    this.onVisible = () => document.hidden || this.#toNow();
    document.addEventListener("visibilitychange", this.onVisible);
    if (video.requestVideoFrameCallback) this.#watch();
    this.#open();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.onVisible);
    this.#socket?.close();
    this.#forget();
  }

  #open() {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({data}) => {
      if (this.#closed || socket !== this.#socket) return;
      if (typeof data === "string") this.#say(JSON.parse(data));
      else this.#take(data);
    };
    socket.onclose = ({code, reason}) => {
      if (this.#closed || socket !== this.#socket) return;
      this.#forget();
      const gone = QUIET.has(code);
      this.#told.onstate?.(gone ? "gone" : "waiting", reason);
      if (!gone) this.#again();
    };
  }

  #again() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), Math.min(5000, 250 * 2 ** this.#tries++) * (0.75 + Math.random() / 2));
  }

  #say(said) {
    if (said.type === "state") this.#told.onstate?.(said.state, said.reason);
    if (said.type !== "stream") return;
    this.#format = said;
    this.#told.onformat?.(said);
    if (!canPlay(said.codec)) {
      this.#told.onstate?.("gone", `this browser does not play ${said.codec}`);
      this.close();
      return;
    }
    this.#codec = said.codec;
    if (this.#source === null) this.#begin();
    else this.#queue.push({codec: said.codec});
  }

  #begin() {
    const source = new (window.ManagedMediaSource ?? window.MediaSource)();
    this.#source = source;
    this.#newest = null;
    const address = URL.createObjectURL(source);
    source.addEventListener(
      "sourceopen",
      () => {
        URL.revokeObjectURL(address);
        if (source !== this.#source) return;
        this.#buffer = source.addSourceBuffer(`video/mp4; codecs="${this.#codec}"`);
        this.#buffer.addEventListener("updateend", () => {
          this.#append();
          this.#follow();
        });
        this.#append();
      },
      {once: true},
    );
    this.#video.onerror = () => this.#restart();
    this.#video.src = address;
  }

  // What cannot be decoded, or be put into the buffer, ends a media source for good: begin anew.
  #restart() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#forget();
    if (!this.#closed) this.#again();
  }

  #forget() {
    this.#video.onerror = null;
    if (this.#source) {
      this.#video.removeAttribute("src");
      this.#video.load();
    }
    this.#source = this.#buffer = this.#newest = null;
    this.#queue = [];
    this.#frames = [];
  }

  #take(data) {
    const head = new DataView(data, 0, HEAD);
    const bytes = new Uint8Array(data, HEAD);
    if (head.getUint8(0) === 2) {
      const frame = {index: head.getUint32(4), time: head.getFloat64(8), utc: head.getFloat64(16)};
      this.#frames.push({...frame, epoch: this.#format.epoch, number: this.#format.number});
      if (this.#frames.length > 512) this.#frames.splice(0, 256);
      this.#newest = frame.time;
    }
    this.#queue.push({bytes});
    this.#append();
  }

  #append() {
    const buffer = this.#buffer;
    if (!buffer || buffer.updating || this.#source.readyState !== "open") return;
    try {
      if (this.#trim(KEPT * 3, KEPT) || this.#queue.length === 0) return;
      if (this.#queue[0].codec) {
        buffer.changeType(`video/mp4; codecs="${this.#queue.shift().codec}"`);
        return this.#append();
      }
      let count = this.#queue.findIndex((each) => each.codec);
      if (count < 0) count = this.#queue.length;
      const parts = this.#queue.slice(0, count).map((each) => each.bytes);
      buffer.appendBuffer(parts.length === 1 ? parts[0] : joined(parts));
      this.#queue.splice(0, count);
    } catch (error) {
      // The buffer is full: what was shown goes. Anything else cannot be mended.
      if (error.name !== "QuotaExceededError" || !this.#trim(1, 0.5)) this.#restart();
    }
  }

  #trim(above, kept) {
    const {buffered} = this.#buffer;
    const now = this.#video.currentTime;
    if (buffered.length === 0 || now - buffered.start(0) < above) return false;
    this.#buffer.remove(0, now - kept);
    return true;
  }

  // Keeps the playhead `target` behind the newest picture: a little faster or slower, or by a jump where it is far off.
  #follow() {
    const video = this.#video;
    if (this.#newest === null || !this.#buffer || video.readyState === 0) return;
    const {buffered} = video;
    // Where pictures paused there is a hole, in which a seek would wait for ever.
    const inHole = buffered.length > 0 && video.currentTime < buffered.start(buffered.length - 1);
    if (video.seeking && !inHole) return;
    const behind = this.#newest - video.currentTime;
    if (video.paused || inHole || Math.abs(behind) > this.#away) {
      const since = performance.now() - this.#jumped;
      if (!video.paused && !inHole && since < SETTLING) return;
      if (!video.paused && !inHole && since < 4 * SETTLING) this.#away = Math.min(MOST_AWAY, this.#away * 1.5);
      this.#toNow();
    } else video.playbackRate = 1 + Math.max(-0.1, Math.min(0.25, (behind - this.#target) * 1.5));
  }

  #toNow() {
    if (this.#newest === null || this.#video.readyState === 0) return;
    const {buffered} = this.#buffer;
    if (buffered.length === 0) return;
    const start = buffered.start(buffered.length - 1);
    this.#jumped = performance.now();
    this.#video.currentTime = Math.max(start, this.#newest - this.#target);
    if (this.#video.paused) this.#video.play().then(() => this.#told.onstate?.("playing", ""), () => {});
    this.#tries = 0;
  }

  #watch() {
    const shown = (_, {mediaTime}) => {
      if (this.#closed) return;
      while (this.#frames.length && this.#frames[0].time < mediaTime - 0.0005) this.#frames.shift();
      if (this.#frames.length && this.#frames[0].time < mediaTime + 0.0005) this.#told.onframe?.(this.#frames[0]);
      this.#video.requestVideoFrameCallback(shown);
    };
    this.#video.requestVideoFrameCallback(shown);
  }
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
