// The page of a photo: name, unassign and delete faces, delete the photo.

import { attempt, onSubmit, openDialog } from "./base.js";
import { ask } from "./request.js";
import { root } from "./texts.js";

const at = (id) => document.getElementById(id);
const photo = document.querySelector("[data-photo]").dataset.photo;
let faceToDelete = null; // while its deletion is confirmed

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
    faceToDelete = face;
    openDialog(at("delete-face"));
  });
}

onSubmit(at("delete-face-form"), async () => {
  await ask("DELETE", `/faces/${faceToDelete}`);
  location.assign(document.querySelectorAll("[data-face]").length > 1 ? `${root}/photos/${photo}` : `${root}/people`);
});

onSubmit(at("delete-form"), async () => {
  await ask("DELETE", `/photos/${photo}`);
  location.assign(root + "/people");
});
