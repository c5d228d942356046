// The large picture: a video or a canvas, an SVG over it in fractions of the frame, and a lens that can follow an object.

import { h, s } from "./dom.js";

/** Units of the SVG across the frame's width; its height follows the frame. */
export const UNITS = 1000;

export class Stage {
  ratio = 16 / 9;

  constructor(name) {
    this.canvas = h("canvas", { role: "img", "aria-label": `Picture of ${name}`, hidden: true });
    this.video = h("video", { muted: true, autoplay: true, playsInline: true, "aria-label": `Picture of ${name}`, hidden: true });
    this.video.muted = true;
    this.placeLayer = s("g");
    this.objectLayer = s("g");
    this.draftLayer = s("g");
    this.svg = s("svg", { preserveAspectRatio: "none" }, this.placeLayer, this.objectLayer, this.draftLayer);
    this.lens = h("div", { class: "lens" }, this.video, this.canvas, this.svg);
    this.note = h("button", { type: "button", class: "follow-note", hidden: true });
    this.frame = h("div", { class: "frame" }, this.lens, this.note);
    this.element = h("div", { class: "stage" }, this.frame);
    this.size(16, 9);
  }

  get height() {
    return UNITS / this.ratio;
  }

  size(width, height) {
    if (!width || !height || this.svg.getAttribute("viewBox") === `0 0 ${UNITS} ${(UNITS * height) / width}`) return;
    this.ratio = width / height;
    this.frame.style.setProperty("--ratio", this.ratio);
    this.svg.setAttribute("viewBox", `0 0 ${UNITS} ${(UNITS * height) / width}`);
  }

  show(way) {
    this.canvas.hidden = way !== "jpeg";
    this.video.hidden = way === "jpeg";
  }

  /** Where a pointer is, in fractions of the frame. */
  at(event) {
    const box = this.svg.getBoundingClientRect(); // the lens's zoom is in it
    const clamp = (value) => Math.min(1, Math.max(0, value));
    return [clamp((event.clientX - box.left) / box.width), clamp((event.clientY - box.top) / box.height)];
  }

  /** Fractions as points of the SVG. */
  points(fractions) {
    return fractions.map(([x, y]) => `${(x * UNITS).toFixed(1)},${(y * this.height).toFixed(1)}`).join(" ");
  }

  /** Look at a box (fractions), with room around it; null: at everything. */
  look(box) {
    if (box === null) return void (this.lens.style.transform = "");
    const [x0, y0, x1, y1] = box;
    const zoom = Math.max(1, Math.min(4, 0.55 / Math.max(x1 - x0, y1 - y0)));
    const place = (middle) => Math.min(0, Math.max(1 - zoom, 0.5 - middle * zoom)) * 100;
    this.lens.style.transform = `translate(${place((x0 + x1) / 2)}%, ${place((y0 + y1) / 2)}%) scale(${zoom})`;
  }
}
