// The page Search: choose a photo, pick a face, set the threshold.

import { onSubmit, showMessage } from "./base.js";
import { onShot } from "./camera.js";
import { chooseMark, cutFace, fitLabels } from "./marks.js";
import { nameFace, rename } from "./naming.js";
import { isImage, onChoice, onDrop, onPaste } from "./picking.js";
import { askForPiece, explain } from "./request.js";
import { text, textFor } from "./texts.js";

const at = (id) => document.getElementById(id);
const form = at("search");
let photo = null; // the file to search with
let search = 0; // number of the latest search; results of older ones are dropped

if (form) {
  onDrop(at("drop"), takeFiles);
  onPaste(takeFiles);
  onChoice(at("file"), takeFiles);
  onShot(at("shoot"), takeFiles, () => showMessage(at("problem"), text("script.camera_failed")));
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const option of form.querySelectorAll('[name="by"], [name="k"], [name="since"], [name="until"]')) option.addEventListener("change", find);
}

function takeFiles(files) {
  const found = files.find(isImage);
  showMessage(at("problem"), found ? "" : text("script.not_image"));
  if (!found) return;
  photo = found;
  find();
}

async function find() {
  if (!photo) return;
  const number = ++search;
  const question = new FormData(form);
  question.set("file", photo, photo.name);
  showMessage(at("problem"), "");
  at("announce").textContent = text("script.searching");
  at("results").setAttribute("aria-busy", "true");
  try {
    const piece = await askForPiece(form.action, question);
    if (number === search) await show(piece);
  } catch (problem) {
    if (problem.code === undefined) throw problem;
    if (number !== search) return;
    at("announce").textContent = "";
    showMessage(at("problem"), explain(problem));
  } finally {
    if (number === search) at("results").setAttribute("aria-busy", "false");
  }
}

async function show(piece) {
  const results = at("results");
  results.innerHTML = piece; // from the server, which escapes names
  const shown = results.querySelector(".frame");
  if (shown) {
    setUpChoices(results, shown);
    setUpSlider(results);
    await showPhoto(shown);
    cutFaces(results, shown);
  }
  at("announce").textContent = results.querySelector("h2").textContent;
  results.querySelector("h2").focus({ preventScroll: true });
  results.scrollIntoView({ block: "start" });
}

async function showPhoto(shown) {
  const image = shown.querySelector("img");
  image.src = URL.createObjectURL(photo);
  await image.decode().catch(() => shown.classList.add("blank")); // a format that the browser cannot show
}

function setUpChoices(results, shown) {
  for (const choice of results.querySelectorAll(".choice input")) {
    choice.addEventListener("change", () => choose(results, shown));
  }
  for (const label of shown.querySelectorAll(".labels g")) {
    label.addEventListener("click", () => {
      results.querySelector(`.choice input[value="${label.dataset.at}"]`).checked = true;
      choose(results, shown);
    });
  }
  for (const form of results.querySelectorAll("[data-who]")) onSubmit(form, () => giveName(form));
  choose(results, shown);
}

/** Name a registered face that has no name, or its group, and search again. */
async function giveName(form) {
  const name = form.elements.name.value.trim();
  if (!name) return;
  const { person } = form.elements.name.dataset;
  if (person) await rename(person, name);
  else await nameFace(form.closest("[data-face]").dataset.face, name);
  await find();
}

function cutFaces(results, shown) {
  fitLabels(shown);
  if (shown.classList.contains("blank")) return;
  for (const choice of results.querySelectorAll(".choice")) {
    const box = choice.dataset.box.split(" ").map(Number);
    cutFace(choice.querySelector("canvas"), shown.querySelector("img"), box, Number(shown.dataset.width));
  }
}

function choose(results, shown) {
  const number = Number(results.querySelector('[name="chosen"]:checked')?.value ?? 0);
  for (const answer of results.querySelectorAll(".answer")) answer.hidden = Number(answer.dataset.face) !== number;
  chooseMark(shown, number);
}

function setUpSlider(results) {
  const slider = at("threshold");
  const levels = [...results.querySelectorAll("[data-level]")].map((level) => level.textContent);
  const apply = () => {
    at("threshold-text").textContent = levels[slider.value];
    slider.setAttribute("aria-valuetext", levels[slider.value]);
    for (const answer of results.querySelectorAll(".answer")) {
      sortMatches(answer, Number(slider.value));
      showLabel(results, answer);
    }
  };
  slider.addEventListener("input", apply);
  slider.addEventListener("change", () => {
    const strong = results.querySelectorAll(".answer:not([hidden]) [data-matches] > li").length;
    at("announce").textContent = textFor("script.results", strong);
  });
  apply();
}

/** Show the matches up to a level: 0 matches, 1 also possible ones, 2 all; the others as weaker ones. */
function sortMatches(answer, level) {
  const strong = answer.querySelector("[data-matches]");
  const weaker = answer.querySelector("[data-weaker]");
  const matches = [...answer.querySelectorAll(".match")].sort((a, b) => a.dataset.rank - b.dataset.rank || a.dataset.distance - b.dataset.distance);
  const near = matches.filter((match) => Number(match.dataset.rank) <= level);
  const far = matches.slice(near.length);
  strong.replaceChildren(...near);
  weaker.querySelector("ul").replaceChildren(...far);
  weaker.hidden = !far.length;
  weaker.querySelector("summary").textContent = textFor("script.weaker", far.length);
  answer.querySelector("[data-no-match]").hidden = near.length > 0;
}

/** Show the name of the best match at the face, in the list of faces and in the heading; a question mark if possible. */
function showLabel(results, answer) {
  const { name, rank } = answer.querySelector("[data-matches] > li")?.dataset ?? {};
  const known = name && rank !== "2";
  const label = known ? `${name}${rank === "1" ? "?" : ""}` : text("script.no_match");
  const { face } = answer.dataset;
  for (const place of [answer, results.querySelectorAll(".choice")[face]]) place.querySelector("[data-label]").textContent = label;
  results.querySelector(`.labels [data-at="${face}"] [data-label]`).textContent = known ? shortened(label) : "?";
}

/** A long name, so that it fits on a photo. */
function shortened(name) {
  return name.length > 30 ? `${name.slice(0, 29)}…` : name;
}
