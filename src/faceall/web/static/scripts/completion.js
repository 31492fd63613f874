// Completion of people's names: the names that fit what was typed, from the server.

import { root } from "./texts.js";

const WAIT = 120; // milliseconds after a key
let timer;
let latest = 0; // number of the latest request; answers of older ones are dropped

for (const event of ["focusin", "input"]) {
  document.addEventListener(event, ({ target }) => {
    if (!target.matches?.("input[list=names]")) return;
    clearTimeout(timer);
    timer = setTimeout(() => complete(target.value.trim()), WAIT);
  });
}

async function complete(typed) {
  const number = ++latest;
  const list = document.getElementById("names");
  const query = new URLSearchParams({ unnamed: "none", sort: "photos", limit: 20, ...(typed ? { q: typed } : {}) });
  const answer = await fetch(`${root}/api/v1/people?${query}`, { credentials: "same-origin" }).catch(() => null);
  if (!list || !answer?.ok) return;
  const { people } = await answer.json();
  if (number !== latest) return;
  list.replaceChildren(...people.map(({ name }) => Object.assign(document.createElement("option"), { value: name })));
}
