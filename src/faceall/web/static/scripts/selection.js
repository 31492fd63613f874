// Selectable tiles, and the bar for selected ones.

import { textFor } from "./texts.js";

/** Watch the tiles of `list` and show the bar `#selected` from `least` on; returns a function for the checked boxes. */
export function watchSelection(list, least) {
  const bar = document.getElementById("selected");
  const checked = () => [...list.querySelectorAll(".tile-select input:checked")];
  const show = () => {
    const count = checked().length;
    list.classList.toggle("selecting", count > 0);
    bar.hidden = count < least;
    document.getElementById("selected-text").textContent = textFor("script.selected", count);
  };
  list.addEventListener("change", show);
  show(); // the browser restores checked boxes after a reload
  return checked;
}
