// Tabs as screen readers and keyboards know them: one is in the order of Tab, arrows move between them.

import { h } from "./dom.js";

let number = 0;

export class Tabs {
  constructor(label, pages) {
    const id = `tabs-${++number}`;
    this.buttons = pages.map(([title], i) =>
      h("button", { type: "button", role: "tab", id: `${id}-tab-${i}`, "aria-controls": `${id}-page-${i}`, onclick: () => this.choose(i) }, title),
    );
    this.pages = pages.map(([, content], i) => h("div", { role: "tabpanel", id: `${id}-page-${i}`, "aria-labelledby": `${id}-tab-${i}` }, content));
    const list = h("div", { class: "tabs", role: "tablist", "aria-label": label, onkeydown: (event) => this.#key(event) }, this.buttons);
    this.element = h("div", { class: "section" }, list, this.pages);
    this.choose(0);
  }

  choose(index) {
    this.index = index;
    this.buttons.forEach((button, i) => {
      button.setAttribute("aria-selected", String(i === index));
      button.tabIndex = i === index ? 0 : -1;
      this.pages[i].hidden = i !== index;
    });
  }

  #key(event) {
    const count = this.buttons.length;
    const to = { ArrowRight: this.index + 1, ArrowLeft: this.index - 1 + count, Home: 0, End: count - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.choose(to % count);
    this.buttons[this.index].focus();
  }
}
