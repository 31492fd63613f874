// The page of a photo: name, unassign and delete faces, delete the photo.

import { attempt, onSubmit, openDialog } from "./base.js";
import { fitLabels } from "./marks.js";
import { setUpDrawing } from "./drawing.js";
import { nameFace } from "./naming.js";
import { ask } from "./request.js";
import { root, textFor } from "./texts.js";
import { Zoom } from "./zooming.js";

const at = (id) => document.getElementById(id);
const photo = document.querySelector("[data-photo]").dataset.photo;
let faceToDelete = null; // while its deletion is confirmed

for (const item of document.querySelectorAll("[data-face]")) {
  const face = item.dataset.face;
  const form = item.querySelector("[data-who]");
  onSubmit(form, async (fields) => {
    await nameFace(face, fields.get("name").trim());
    location.reload();
  });
  const hider = item.querySelector("[data-hide]");
  hider.addEventListener("click", () =>
    attempt(async () => {
      await ask("POST", `/faces/${hider.dataset.hide}`, { faces: [Number(face)] });
      location.reload();
    }),
  );
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

const frame = at("frame");
if (frame) {
  fitLabels(frame);
  const image = frame.querySelector("img");
  const zoom = new Zoom(frame, (scale) => {
    at("zoom-out").disabled = scale === 1;
    if (scale > 1 && image.dataset.large) [image.src, image.dataset.large] = [image.dataset.large, ""]; // sharp when enlarged
  });
  at("zoom").addEventListener("click", () => zoom.toggle());
  at("zoom-in").addEventListener("click", () => zoom.by(1.5));
  at("zoom-out").addEventListener("click", () => zoom.by(1 / 1.5));
  if (at("draw")) setUpDrawing(frame, at("draw"), at("draw-hint"), (box) =>
    attempt(async () => {
      const face = await ask("POST", `/photos/${photo}/faces`, { box });
      location.assign(`${root}/photos/${photo}?face=${face.id}`);
    }),
  );
  at("find-faces")?.addEventListener("click", () =>
    attempt(async () => {
      const { faces } = await ask("POST", `/photos/${photo}/find-faces`);
      if (faces.length) location.reload();
      else at("notice").textContent = textFor("script.faces_added", 0);
    }),
  );
  const faces = [...document.querySelectorAll("[data-face]")];
  for (const label of frame.querySelectorAll(".labels g")) {
    label.addEventListener("click", () => {
      const item = faces[label.dataset.at];
      item.scrollIntoView({ block: "nearest" });
      item.querySelector("details").open = true;
      item.querySelector("[name=name]").focus({ preventScroll: true });
    });
  }
}

// Back to where this photo was opened from: a search, a review, photos of several people.
const back = at("back");
const from = document.referrer && new URL(document.referrer);
const here = (path) => path.startsWith(`${root}/photos/`);
if (from?.origin === location.origin && !here(from.pathname)) sessionStorage.setItem("faceall-origin", from.pathname + from.search);
const origin = sessionStorage.getItem("faceall-origin");
if (back.dataset.back && from?.origin === location.origin && origin) {
  back.href = origin;
  back.textContent = back.dataset.back;
}
