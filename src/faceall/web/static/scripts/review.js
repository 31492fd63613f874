// The page Review: is this the same person? Answered by buttons, thumbs or the keys y, n, s and u.

import { attempt } from "./base.js";
import { ask } from "./request.js";
import { nameOf, root, text, textFor } from "./texts.js";

const at = (id) => document.getElementById(id);
const KEYS = { y: "yes", n: "no", s: "skip" };
const undoable = []; // changes of this visit
let current = null;
let busy = false;

async function next() {
  const { suggestions } = await ask("GET", "/suggestions?limit=1");
  current = suggestions[0] ?? null;
  at("review").hidden = !current;
  at("nothing").hidden = Boolean(current);
  at("undo-answer").disabled = undoable.length === 0;
  if (!current) return at("nothing").querySelector("h2").focus();
  at("question").textContent = current.target.person?.unnamed === false ? text("script.is_it", { name: current.target.name }) : text("script.same");
  at("certainty").textContent = text("script.certainty", { percent: Math.round(100 * current.certainty) });
  await Promise.all(["subject", "target"].map((side) => show(side, current[side])));
}

async function show(side, { person, face, faces }) {
  const place = document.querySelector(`[data-side=${side}]`);
  const name = person ? nameOf(person) : current.within ? text("script.part_of", { name: nameOf(current.target.person) }) : text("script.no_name");
  place.querySelector("[data-name]").textContent = name;
  place.querySelector("[data-count]").textContent = textFor("common.faces", faces);
  const image = place.querySelector(".large-face");
  image.src = `${root}/api/v1/faces/${face}/thumbnail`;
  image.alt = name;
  const { photo } = await ask("GET", `/faces/${face}`);
  place.querySelector("[data-photo]").href = `${root}/photos/${photo.id}?face=${face}`;
  const behind = place.querySelector(".behind");
  behind.src = `${root}/api/v1/photos/${photo.id}/image?max=640&face=${face}`;
  behind.alt = photo.name;
}

async function run(work) {
  if (busy) return;
  busy = true;
  try {
    await attempt(async () => {
      await work();
      await next();
    });
  } finally {
    busy = false;
  }
}

const say = (answer) =>
  run(async () => {
    if (!current) return;
    const { change } = await ask("POST", "/suggestions/answer", { id: current.id, answer });
    if (change) undoable.push(change.id);
  });

const undo = () =>
  run(async () => {
    const change = undoable.pop();
    if (change !== undefined) await ask("POST", "/history/undo", { change });
  });

for (const button of document.querySelectorAll("[data-say]")) button.addEventListener("click", () => say(button.dataset.say));
at("undo-answer").addEventListener("click", undo);
document.addEventListener(
  "keydown",
  (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select, dialog") || document.querySelector("dialog[open]")) return;
    if (KEYS[event.key] && current) say(KEYS[event.key]);
    else if (event.key === "u") undo();
    else return;
    event.stopImmediatePropagation(); // s leads to another page elsewhere
    event.preventDefault();
  },
  true,
);
run(async () => {});
