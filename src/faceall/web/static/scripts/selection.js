// Tiles with a box to tick, and the bar that appears when some are ticked.

import { textFor } from "./texts.js";

/** Watch the tiles of `list`; the bar `#selected` shows from `least` on. Gives a function for the ticked boxes. */
export function watchSelection(list, least) {
  const bar = document.getElementById("selected");
  const ticked = () => [...list.querySelectorAll(".tile-select input:checked")];
  const show = () => {
    const count = ticked().length;
    list.classList.toggle("selecting", count > 0);
    bar.hidden = count < least;
    document.getElementById("selected-text").textContent = textFor("script.selected", count);
  };
  list.addEventListener("change", show);
  show(); // the browser keeps ticks when a page is loaded again
  return ticked;
}
