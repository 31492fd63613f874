// The page History: undo changes; restore people from the bin or erase them for good.

import { attempt, onSubmit, openDialog } from "./base.js";
import { ask } from "./request.js";

const at = (id) => document.getElementById(id);
let erased = "";

function onEach(name, work) {
  for (const button of document.querySelectorAll(`[data-${name}]`)) {
    button.addEventListener("click", () => work(button.dataset[name]));
  }
}

const send = (path, body) =>
  attempt(async () => {
    await ask("POST", path, body);
    location.reload();
  });

onEach("undo", (change) => send("/history/undo", { change: Number(change) }));
onEach("restore", (person) => send("/bin/restore", { person }));
onEach("erase", (person) => {
  erased = person;
  openDialog(at("erase"));
});
onSubmit(at("erase-form"), async () => {
  await ask("POST", "/bin/erase", { person: erased });
  location.reload();
});
