// Selectable tiles: click, shift and click, select all, Esc; and the bar for selected ones.

import { textFor } from "./texts.js";

export class Selection {
  /** The checked boxes of the tiles in `list`; `bar` shows while there are some. */
  constructor(list, bar) {
    this.list = list;
    this.bar = bar;
    this.selected = new Set(this.boxes.filter((box) => box.checked).map((box) => Number(box.value)));
    this.last = null; // the box that was changed last, from which a range begins
    list.addEventListener("click", (event) => {
      const box = event.target.closest(".tile-select input");
      if (box) this.change(box, event.shiftKey);
    });
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog");
      if (event.key === "Escape" && !typing && this.selected.size) this.clear();
    });
    this.show();
  }

  get boxes() {
    return [...this.list.querySelectorAll(".tile-select input")];
  }

  get ids() {
    return [...this.selected];
  }

  has(id) {
    return this.selected.has(id);
  }

  change(box, range) {
    const boxes = this.boxes;
    const ends = [boxes.indexOf(box), range && this.last ? boxes.indexOf(this.last) : -1].filter((place) => place >= 0);
    for (const one of boxes.slice(Math.min(...ends), Math.max(...ends) + 1)) {
      one.checked = box.checked;
      this.selected[box.checked ? "add" : "delete"](Number(one.value));
    }
    this.last = box;
    this.show();
  }

  add(ids) {
    for (const id of ids) this.selected.add(id);
    this.show();
  }

  clear() {
    this.selected.clear();
    this.show();
  }

  show() {
    for (const box of this.boxes) box.checked = this.selected.has(Number(box.value));
    this.list.classList.toggle("selecting", this.selected.size > 0);
    this.bar.hidden = !this.selected.size;
    document.getElementById("selected-text").textContent = textFor("script.selected", this.selected.size);
  }
}
