// Names that folders and files suggest, asked after the photos were analysed; then the other faces are grouped.

import { attempt, copyOf } from "./base.js";
import { groupFaces } from "./grouping.js";
import { ask } from "./request.js";
import { root, text, textFor } from "./texts.js";

const at = (id) => document.getElementById(id);
let proposals = [];

/** Ask about the names of photos with some ids, then group the other faces; `settled()` is called at the end. */
export async function askForNames(photos, settled) {
  const found = photos.length ? (await ask("POST", "/names/proposals", { photos })).proposals : [];
  proposals = found.filter(({ person }) => person);
  const others = found.filter(({ person }) => !person);
  if (!proposals.length) return finish(settled);
  at("names-people").textContent = textFor("script.look_like_people", proposals.length);
  at("proposals").replaceChildren(...proposals.map(line));
  at("names-events").hidden = !others.length;
  at("names-events").textContent = textFor("script.look_like_events", others.length);
  at("events").textContent = others.map(({ source }) => source).join(", ");
  at("name-question").hidden = false;
  at("names-title").focus({ preventScroll: true });
  at("save-names").onclick = () => attempt(() => save(settled), at("name-question"));
  at("no-names").onclick = () => attempt(() => finish(settled), at("name-question"));
}

function line(proposal) {
  const item = copyOf("proposal").querySelector("li");
  item.querySelector("[data-keep]").textContent = text("script.keep_name", { name: proposal.name });
  item.querySelector("[name=name]").value = proposal.known ?? proposal.name;
  for (const face of proposal.shown) {
    const image = new Image(48, 48);
    image.className = "face";
    image.alt = "";
    image.src = `${root}/api/v1/faces/${face}/thumbnail`;
    item.querySelector("[data-faces]").append(image);
  }
  const about = [textFor("script.photo_count", proposal.faces.length)];
  if (proposal.known) about.push(text("script.known_name", { name: proposal.known }));
  item.querySelector("[data-about]").textContent = about.join(" · ");
  return item;
}

async function save(settled) {
  const lines = [...at("proposals").children];
  const names = proposals
    .map(({ faces }, place) => ({ faces, name: lines[place].querySelector("[name=name]").value.trim(), keep: lines[place].querySelector("[type=checkbox]").checked }))
    .filter(({ name, keep }) => keep && name);
  if (names.length) await ask("POST", "/names", { names: names.map(({ name, faces }) => ({ name, faces })) });
  await finish(settled);
}

async function finish(settled) {
  await groupFaces(at("group-text"));
  at("name-question").hidden = true;
  settled();
}
