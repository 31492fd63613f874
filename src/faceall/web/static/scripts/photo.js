// One photo: say who a face is, take it from a person, delete it or the photo.

import { attempt, onSubmit, openDialog } from "./base.js";
import { ask } from "./request.js";

const at = (id) => document.getElementById(id);
const photo = document.querySelector("[data-photo]").dataset.photo;
let going = null; // the face whose deletion is asked about

for (const item of document.querySelectorAll("[data-face]")) {
  const face = item.dataset.face;
  const form = item.querySelector("[data-who]");
  onSubmit(form, async (fields) => {
    await ask("PATCH", `/faces/${face}`, { person: fields.get("name").trim() });
    location.reload();
  });
  item.querySelector("[data-unassign]")?.addEventListener("click", () =>
    attempt(async () => {
      await ask("PATCH", `/faces/${face}`, { person: null });
      location.reload();
    }),
  );
  item.querySelector("[data-delete]").addEventListener("click", () => {
    going = face;
    openDialog(at("delete-face"));
  });
}

onSubmit(at("delete-face-form"), async () => {
  await ask("DELETE", `/faces/${going}`);
  location.assign(document.querySelectorAll("[data-face]").length > 1 ? `/photos/${photo}` : "/people");
});

onSubmit(at("delete-form"), async () => {
  await ask("DELETE", `/photos/${photo}`);
  location.assign("/people");
});
