// Lines, zones and ignored areas of a camera: drawn over the picture, listed, named, changed and taken away.

import { KINDS } from "./draw.js";
import { h, s, setText } from "./dom.js";
import { UNITS } from "./stage.js";

export class Places {
  constructor(view) {
    this.view = view;
    this.stage = view.stage;
    this.list = h("ul", { class: "list", "aria-label": "Lines, zones and ignored areas" });
    this.none = h("p", { class: "soft" }, "None yet. Draw one on the picture with the buttons below it.");
    this.error = h("p", { class: "error", role: "alert" });
    this.element = h("section", { class: "section" }, h("h2", {}, "Lines, zones, ignored areas"), this.none, this.list, this.error);
  }

  /** [kind, name, points in fractions, all options] of each. */
  get all() {
    const { options, camera } = this.view;
    return Object.keys(KINDS).flatMap((kind) =>
      Object.entries(setOf(options, kind)).map(([name, place]) => {
        const more = Array.isArray(place) ? { points: place } : place;
        return { kind, name, more, points: inFractions(more.points, camera) };
      }),
    );
  }

  update() {
    const all = this.all;
    this.none.hidden = all.length > 0;
    this.list.replaceChildren(
      ...all.map((place) =>
        h("li", { class: "list-row" },
          h("span", { class: "grow" }, place.name, h("span", { class: "soft small" }, ` ${describe(place)}`)),
          h("button", { type: "button", "aria-label": `Change ${place.name}`, onclick: () => this.form(place.kind, place.name, place.points, place.more) }, "Change"),
          h("button", { type: "button", class: "risky", "aria-label": `Delete ${place.name}`, onclick: () => this.#delete(place) }, "Delete"),
        ),
      ),
    );
    this.stage.placeLayer.replaceChildren(...all.flatMap((place) => this.#shape(place)));
  }

  #shape({ kind, name, points }) {
    const shape = s(kind === "lines" ? "polyline" : "polygon", { class: `place ${kind}`, points: this.stage.points(points) });
    const [x, y] = kind === "lines" ? [(points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2] : points[0];
    const text = s("text", { class: "place-name", x: x * UNITS + 6, y: Math.max(14, y * this.stage.height - 6) }, name);
    return [shape, text];
  }

  /** The card that names a place and says whom it is for. */
  form(kind, old, points, more = {}) {
    const names = new Set(this.all.filter((place) => place.name !== old).map((place) => place.name));
    const name = h("input", { type: "text", required: true, maxlength: "60", autocomplete: "off", value: old || free(KINDS[kind].one.split(" ")[0] === "area" ? "area" : KINDS[kind].one, names) });
    const error = h("p", { class: "error", role: "alert" });
    const fields = kind === "ignore" ? {} : this.#fields(kind, more);
    const save = async (event) => {
      event.preventDefault();
      const called = name.value.trim();
      if (names.has(called)) return setText(error, `There is “${called}” already.`);
      const problem = await this.#save(kind, old, called, { points, ...values(fields) });
      if (problem) setText(error, problem);
      else this.view.showCard(null);
    };
    const redraw = () => {
      const done = (moved) => this.form(kind, old, moved, more);
      done.moves = true;
      this.view.drawing.begin(kind, points, done);
    };
    const close = () => this.view.showCard(null);
    const title = old ? `Change ${old}` : `New ${KINDS[kind].one}`;
    const draft = s(kind === "lines" ? "polyline" : "polygon", { class: kind === "lines" ? "draft line" : "draft", points: this.stage.points(points) });
    this.stage.draftLayer.replaceChildren(draft);
    this.view.showCard(
      h("section", { class: "card", "aria-label": title, onkeydown: (event) => event.key === "Escape" && close() },
        h("form", { onsubmit: save },
          h("h2", {}, title),
          h("div", { class: "fields" }, h("label", {}, "Name", name), Object.values(fields).map((field) => field.element)),
          error,
          h("div", { class: "row" }, h("button", { class: "main" }, "Save"), h("button", { type: "button", onclick: redraw }, "Move points"), h("button", { type: "button", onclick: close }, "Cancel")),
        ),
      ),
    );
    name.select();
  }

  #fields(kind, more) {
    const classes = h("input", { type: "text", placeholder: "all", autocomplete: "off", value: [more.classes ?? []].flat().join(", "), list: "known-classes" });
    const known = h("datalist", { id: "known-classes" }, this.view.classes.map((each) => h("option", { value: each })));
    const fields = { classes: { element: h("label", {}, "Classes", classes, known), value: () => split(classes.value) } };
    if (kind === "lines") {
      const [first, second] = more.directions ?? ["", ""];
      const left = h("input", { type: "text", placeholder: "left to right", autocomplete: "off", value: first });
      const right = h("input", { type: "text", placeholder: "right to left", autocomplete: "off", value: second });
      const both = () => (left.value.trim() || right.value.trim() ? [left.value.trim() || "left_to_right", right.value.trim() || "right_to_left"] : undefined);
      fields.directions = { element: h("label", {}, "Left to right, seen from its first end, is called", left), value: both };
      fields.back = { element: h("label", {}, "Right to left is called", right), value: () => undefined };
    } else {
      const dwell = h("input", { type: "number", min: "0.1", step: "any", placeholder: "never", value: seconds(more.dwell) ?? "" });
      fields.dwell = { element: h("label", {}, "Report who stays longer than (seconds)", dwell), value: () => (dwell.value ? Number(dwell.value) : seconds(more.dwell) === null ? more.dwell : undefined) };
    }
    return fields;
  }

  async #save(kind, old, name, { points, ...more }) {
    const set = setOf(this.view.options, kind);
    delete set[old];
    const said = Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined));
    set[name] = Object.keys(said).length ? { points, ...said } : points;
    return this.#put(kind, set);
  }

  /** A file may have them in the section `events`, too: from there they would come back. */
  #put(kind, set) {
    const { events } = this.view.options;
    if (!events?.[kind]) return this.view.change({ [kind]: set });
    const { [kind]: _, ...rest } = events;
    return this.view.change({ [kind]: set, events: rest });
  }

  async #delete({ kind, name }) {
    const set = setOf(this.view.options, kind);
    delete set[name];
    setText(this.error, (await this.#put(kind, set)) ?? "");
  }
}

/** Those of a kind that count, as `live.plan` reads them. */
function setOf(options, kind) {
  const own = options[kind] ?? {};
  return { ...(Object.keys(own).length ? own : options.events?.[kind]) };
}

/** A time as a file may have it: 5, "5", "5s"; null for one of more parts. */
function seconds(time) {
  const [, number] = String(time ?? "").match(/^([\d.]+)\s*s?$/) ?? [];
  return number === undefined ? null : Number(number);
}

function values(fields) {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value()]));
}

function split(text) {
  const names = text.split(",").map((name) => name.trim()).filter((name) => name && name !== "all");
  return names.length ? names : undefined;
}

function free(word, names) {
  if (!names.has(word)) return word;
  for (let i = 2; ; i++) if (!names.has(`${word} ${i}`)) return `${word} ${i}`;
}

/** Points may be pixels of the frame: all that do not lie in 0..1. */
function inFractions(points, camera) {
  if (points.every((point) => point.every((value) => value <= 1))) return points;
  const { width = 1, height = 1 } = camera ?? {};
  return points.map(([x, y]) => [x / (width || 1), y / (height || 1)]);
}

function describe({ kind, more }) {
  const parts = [KINDS[kind].one];
  if (more.classes) parts.push([more.classes].flat().join(", "));
  if (more.directions) parts.push(more.directions.join(" / "));
  if (more.dwell) parts.push(`stays of ${seconds(more.dwell) ?? more.dwell} s`);
  return parts.join(" · ");
}
