// The page People: name groups, merge people, group faces without a name.

import { attempt, copyOf, onSubmit } from "./base.js";
import { groupFaces } from "./grouping.js";
import { rename } from "./naming.js";
import { ask } from "./request.js";
import { watchSelection } from "./selection.js";

const at = (id) => document.getElementById(id);
const list = at("people");

at("group").addEventListener("click", async () => {
  await attempt(async () => {
    if (await groupFaces(at("notice"))) location.assign(root + "/people?unnamed=only");
  });
});

for (const form of document.querySelectorAll("[data-who]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = form.elements.name.value.trim();
    const { person, face } = form.closest("li").dataset;
    const give = () => (person ? rename(person, name) : ask("PATCH", `/faces/${face}`, { person: name }));
    if (name) await attempt(async () => (await give()) && location.reload());
  });
}

if (list) {
  const checked = watchSelection(list, 2);
  at("merge-selected").addEventListener("click", () => offerNames(checked()));
  onSubmit(at("merge-form"), async (form) => {
    const into = Number(form.get("into"));
    const others = checked().map((box) => Number(box.value)).filter((id) => id !== into);
    for (const id of others) await ask("POST", `/people/${id}/merge`, { into });
    location.assign(`${root}/people/${into}`);
  });
}

/** Offer the names of the selected people, real names first. */
function offerNames(boxes) {
  const tiles = boxes.map((box) => box.closest("[data-person]"));
  tiles.sort((a, b) => Boolean(a.querySelector("[data-who]")) - Boolean(b.querySelector("[data-who]")));
  at("merge-names").replaceChildren();
  for (const [place, tile] of tiles.entries()) {
    const choice = copyOf("merge-name");
    choice.querySelector("input").value = tile.dataset.person;
    choice.querySelector("input").checked = place === 0;
    choice.querySelector("span").textContent = tile.dataset.name;
    at("merge-names").append(choice);
  }
}
