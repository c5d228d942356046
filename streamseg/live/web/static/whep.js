// Shows a camera's stream in a <video> by WebRTC (WHEP).
//
// const player = new WhepPlayer(video, "/live/door/whep", {onstate});
// player.close();
//
// onstate(state, reason)   "playing", "waiting" (tried again), "gone" (not tried again)
// onframe({rtp})           with each picture that is shown; what its frame was is not known here

export class WhepPlayer {
  #video;
  #url;
  #told;
  #connection = null;
  #session = "";
  #closed = false;
  #tries = 0;
  #timer = 0;

  constructor(video, url, {onstate, onframe} = {}) {
    this.#video = video;
    this.#url = new URL(url, location.href);
    this.#told = {onstate, onframe};
    video.muted = true;
    video.playsInline = true;
    video.autoplay = true;
    if (onframe && video.requestVideoFrameCallback) this.#watch();
    this.#open();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#end();
    this.#video.srcObject = null;
  }

  async #open() {
    const connection = new RTCPeerConnection();
    this.#connection = connection;
    const {receiver} = connection.addTransceiver("video", {direction: "recvonly"});
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
    connection.ontrack = ({track}) => (this.#video.srcObject = new MediaStream([track]));
    connection.onconnectionstatechange = () => {
      if (connection !== this.#connection) return;
      const state = connection.connectionState;
      if (state === "connected") {
        this.#tries = 0;
        this.#told.onstate?.("playing", "");
        this.#video.play().catch(() => {});
      } else if (["failed", "disconnected", "closed"].includes(state)) this.#again("the connection was lost");
    };
    try {
      await connection.setLocalDescription(await connection.createOffer());
      await gathered(connection, 500);
      const answer = await fetch(this.#url, {
        method: "POST",
        headers: {"Content-Type": "application/sdp"},
        body: connection.localDescription.sdp,
      });
      const text = await answer.text();
      if (this.#closed || connection !== this.#connection) return;
      if (answer.status !== 201) {
        if ([400, 404, 415, 501].includes(answer.status)) {
          this.#end();
          this.#told.onstate?.("gone", text.trim());
        } else this.#again(text.trim());
        return;
      }
      this.#session = new URL(answer.headers.get("Location"), this.#url).href;
      await connection.setRemoteDescription({type: "answer", sdp: text});
    } catch (error) {
      if (!this.#closed && connection === this.#connection) this.#again(String(error));
    }
  }

  #again(reason) {
    this.#end();
    if (this.#closed) return;
    this.#told.onstate?.("waiting", reason);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), Math.min(5000, 250 * 2 ** this.#tries++) * (0.75 + Math.random() / 2));
  }

  #end() {
    const connection = this.#connection;
    this.#connection = null;
    connection?.close();
    if (this.#session) fetch(this.#session, {method: "DELETE", keepalive: true}).catch(() => {});
    this.#session = "";
  }

  #watch() {
    const shown = (_, {rtpTimestamp}) => {
      if (this.#closed) return;
      this.#told.onframe({rtp: rtpTimestamp});
      this.#video.requestVideoFrameCallback(shown);
    };
    this.#video.requestVideoFrameCallback(shown);
  }
}

// All candidates have to be in the offer; those of the local network are there at once.
function gathered(connection, most) {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((done) => {
    setTimeout(done, most);
    connection.addEventListener("icegatheringstatechange", () => connection.iceGatheringState === "complete" && done());
  });
}
