// What a camera looks for and what is drawn, changed while it runs. Each change is made at once, and says so where it cannot be.

import * as api from "./api.js";
import { h, setText, toast } from "./dom.js";

export class Settings {
  #timer = 0;

  constructor(view) {
    this.view = view;
    this.said = h("p", { class: "small soft", role: "status" });
    this.error = h("p", { class: "error", role: "alert" });
    this.classes = h("div", { class: "checks" });
    this.conf = h("input", { type: "range", min: "0.05", max: "0.95", step: "0.05", oninput: () => this.#shownConf(), onchange: () => this.#save({ conf: Number(this.conf.value) }) });
    this.confShown = h("output");
    this.confUsual = h("button", { type: "button", class: "quiet", onclick: () => this.#save({ conf: null }) }, "As usual");
    this.every = h("select", { onchange: () => this.#save({ detect_every: this.every.value === "auto" ? "auto" : Number(this.every.value) }) },
      ["auto", 1, 2, 3, 4, 5, 8].map((n) => h("option", { value: String(n) }, n === "auto" ? "as often as it can" : n === 1 ? "every frame" : `every ${n}th frame`)));
    this.rate = h("input", { type: "number", min: "0.1", step: "any", placeholder: "all", onchange: () => this.#save({ max_rate: this.rate.value ? Number(this.rate.value) : null }) });
    this.motion = h("input", { type: "checkbox", onchange: () => this.#save({ motion: this.motion.checked }) });
    this.effects = h("div", { class: "section" });
    this.kind = h("select", { "aria-label": "Effect to add" }, view.about.effects.map(({ name, does }) => h("option", { value: name, title: does }, name)));
    const cover = () => this.#cover();
    this.covered = h("input", { type: "text", placeholder: "none", autocomplete: "off", list: "settings-classes", onchange: cover });
    this.known = h("datalist", { id: "settings-classes" });
    this.cover = h("select", { onchange: cover }, ["paint", "pixelate", "blur"].map((fill) => h("option", { value: fill }, fill)));
    this.usual = h("button", { type: "button", class: "quiet", onclick: () => this.#save({ effects: null }) }, "As usual");
    const remove = h("button", { type: "button", class: "risky", onclick: () => this.#remove() }, "Remove this camera");
    this.element = h(
      "div",
      { class: "section-group" },
      h("section", { class: "section" }, h("h2", {}, "What it looks for"),
        h("fieldset", {}, h("legend", {}, "Classes"), this.classes),
        h("div", {}, h("label", {}, "Score that an object needs", h("div", { class: "range-row" }, this.conf, this.confShown)), this.confUsual),
        h("div", { class: "fields" }, h("label", {}, "The network looks at", this.every), h("label", {}, "Frames a second, at most", this.rate)),
        h("label", { class: "check" }, this.motion, "Rest the network while nothing moves")),
      h("section", { class: "section" }, h("h2", {}, "What is drawn"), this.effects,
        h("div", { class: "row" }, h("div", { class: "grow" }, this.kind), h("button", { type: "button", onclick: () => this.#addEffect() }, "Add effect"), this.usual)),
      h("section", { class: "section" }, h("h2", {}, "What nobody sees"),
        h("p", { class: "soft small" }, "Covered in all pictures, recordings and thumbnails, for everyone."),
        h("div", { class: "fields" }, h("label", {}, "Classes to cover", this.covered, this.known), h("label", {}, "Covered by", this.cover))),
      this.error,
      this.said,
      h("section", { class: "section" }, remove),
    );
  }

  #shownConf() {
    setText(this.confShown, Number(this.conf.value).toFixed(2));
  }

  update() {
    const { options, classes } = this.view;
    if (!this.element.contains(document.activeElement) || !this.classes.children.length) this.#showClasses(classes, options.classes);
    const conf = typeof options.conf === "number" ? options.conf : null;
    this.conf.value = conf ?? 0.5;
    this.confUsual.hidden = conf === null;
    if (conf === null) setText(this.confShown, "usual");
    else this.#shownConf();
    this.every.value = String(options.detect_every ?? "auto");
    this.known.replaceChildren(...classes.map((name) => h("option", { value: name })));
    const { privacy } = options;
    const section = typeof privacy === "string" || Array.isArray(privacy) ? { classes: privacy } : privacy ?? {};
    this.covered.value = section.classes === "off" ? "" : [section.classes ?? []].flat().join(", ");
    this.cover.value = section.fill ?? "paint";
    this.rate.value = options.max_rate ?? "";
    this.motion.checked = options.motion === true;
    this.#showEffects(this.view.drawn);
    this.usual.hidden = options.effects === undefined;
  }

  #showClasses(known, chosen) {
    const wanted = chosen === undefined || chosen === "all" ? null : new Set([typeof chosen === "string" ? chosen.split(",").map((name) => name.trim()) : chosen].flat());
    const names = [...new Set([...known, ...(wanted ?? [])])];
    const boxes = names.map((name) => h("input", { type: "checkbox", value: name, checked: wanted === null || wanted.has(name), onchange: () => save() }));
    const save = () => {
      const on = boxes.filter((box) => box.checked).map((box) => box.value);
      if (!on.length) return setText(this.error, "Choose one class at least; to rest a camera, pause it.");
      this.#save({ classes: on.length === names.length ? null : on });
    };
    this.classes.replaceChildren(...(names.length ? boxes.map((box) => h("label", { class: "check" }, box, box.value)) : [h("p", { class: "soft" }, "Known once the camera is watched.")]));
  }

  #showEffects(steps) {
    const open = new Set([...this.effects.querySelectorAll("details[open]")].map((each) => each.dataset.at));
    const focused = document.activeElement?.dataset?.field;
    const rows = steps.map((step, at) => this.#effect(steps, at, ...named(step), open.has(String(at))));
    this.effects.replaceChildren(...(rows.length ? rows : [h("p", { class: "soft" }, "Nothing: the picture as it is.")]));
    if (focused) this.effects.querySelector(`[data-field="${CSS.escape(focused)}"]`)?.focus();
  }

  #effect(steps, at, name, options, open) {
    const known = this.view.about.effects.find((each) => each.name === name);
    const put = (changed) => this.#save({ effects: steps.map((step, i) => (i === at ? { [name]: changed } : step)) });
    const drop = () => this.#save({ effects: steps.filter((_, i) => i !== at) });
    const fields = (known?.options ?? []).map((option) => this.#field(option, options, put, `${at}-${option.name}`));
    const details = h("details", { "data-at": String(at), open },
      h("summary", {}, name),
      known && h("p", { class: "soft small" }, known.does),
      h("div", { class: "fields" }, fields));
    return h("div", { class: "effect" }, details, h("button", { type: "button", class: "quiet", "aria-label": `Remove ${name}`, onclick: drop }, "Remove"));
  }

  #field({ name, type, choices, default: usual }, options, put, id) {
    const value = options[name] ?? usual;
    const set = (given) => {
      const changed = { ...options };
      if (given === null || given === usual) delete changed[name];
      else changed[name] = given;
      put(changed);
    };
    const common = { "data-field": id };
    const title = name.replaceAll("_", " ");
    if (type === "truth") return h("label", { class: "check" }, h("input", { type: "checkbox", checked: Boolean(value), onchange: (event) => set(event.target.checked), ...common }), title);
    if (type === "choice") {
      const select = h("select", { onchange: () => set(select.value), ...common }, choices.map((each) => h("option", { value: each }, String(each))));
      select.value = value;
      return h("label", {}, title, select);
    }
    if (type === "number") {
      return h("label", {}, title, h("input", { type: "number", step: "any", value: value ?? "", onchange: (event) => set(event.target.value === "" ? null : Number(event.target.value)), ...common }));
    }
    const words = type === "classes" ? [value ?? []].flat().join(", ") : value ?? "";
    const read = (text) => (type === "classes" ? (text.trim() ? text.split(",").map((each) => each.trim()).filter(Boolean) : null) : text || null);
    return h("label", {}, title, h("input", { type: "text", placeholder: type === "classes" ? "all" : "", value: words, autocomplete: "off", onchange: (event) => set(read(event.target.value)), ...common }));
  }

  #cover() {
    const { privacy } = this.view.options;
    const classes = this.covered.value.split(",").map((name) => name.trim()).filter(Boolean);
    const rest = typeof privacy === "object" && !Array.isArray(privacy) ? privacy : {};
    const named = classes.length === 1 && classes[0] === "all" ? "all" : classes;
    if (classes.length || privacy) this.#save({ privacy: classes.length ? { ...rest, classes: named, fill: this.cover.value } : null });
  }

  #addEffect() {
    this.#save({ effects: [...this.view.drawn, this.kind.value] });
  }

  async #save(options) {
    clearTimeout(this.#timer);
    setText(this.error, "");
    const problem = await this.view.change(options);
    setText(this.error, problem ?? "");
    setText(this.said, problem ? "" : "Saved.");
    if (problem) this.update();
    this.#timer = setTimeout(() => setText(this.said, ""), 2500);
  }

  #remove() {
    const { name } = this.view;
    const go = async () => {
      try {
        await api.remove(name);
        location.hash = "#/";
      } catch (problem) {
        toast(problem.message, true);
      }
      dialog.close();
    };
    const dialog = h("dialog", { "aria-labelledby": "remove-title", onclose: () => dialog.remove() },
      h("form", { onsubmit: (event) => event.preventDefault() },
        h("h2", { id: "remove-title" }, `Remove ${name}?`),
        h("p", {}, "Its recording is finished; it is watched no more, for everyone. In cameras.yaml it stays as it is."),
        h("div", { class: "row" }, h("button", { type: "button", class: "risky", onclick: go }, "Remove"), h("button", { type: "button", onclick: () => dialog.close() }, "Keep it"))));
    document.body.append(dialog);
    dialog.showModal();
  }
}

/** A step of a pipeline file as [name, options]. */
function named(step) {
  if (typeof step === "string") return [step, {}];
  const [[name, options]] = Object.entries(step);
  return [name, options ?? {}];
}
