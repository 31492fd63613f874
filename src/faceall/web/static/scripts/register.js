// The page Register: photos are shown, uploaded, and their faces outlined as results arrive.

import { attempt, showMessage } from "./base.js";
import { onShot } from "./camera.js";
import { Card } from "./card.js";
import { groupFaces } from "./grouping.js";
import { followJob, makeBatches, sendBatches, unfinishedJobs } from "./jobs.js";
import { isImage, onChoice, onDrop, onPaste } from "./picking.js";
import { text, textFor } from "./texts.js";

const at = (id) => document.getElementById(id);
const cards = [];
let stopped = false;
let running = 0;

onDrop(at("drop"), takeFiles);
onPaste(takeFiles);
onChoice(at("files"), takeFiles);
onChoice(at("folder"), takeFiles);
onShot(at("shoot"), takeFiles, () => showMessage(at("problem"), text("script.camera_failed")));

at("addresses").hidden = true;
at("paste").addEventListener("click", () => {
  at("addresses").hidden = !at("addresses").hidden;
  at("paste").setAttribute("aria-expanded", String(!at("addresses").hidden));
  if (!at("addresses").hidden) at("urls").focus();
});
at("add-urls").addEventListener("click", takeAddresses);
at("register").addEventListener("submit", (event) => {
  event.preventDefault();
  takeAddresses();
});
at("stop").addEventListener("click", () => {
  stopped = true;
});
at("group").addEventListener("click", () => attempt(() => groupFaces(at("group-text"))));

// What is being uploaded is lost when the page is left; what was uploaded goes on in the server.
addEventListener("beforeunload", (event) => {
  if (cards.some((card) => !card.settled && !card.sent)) event.preventDefault();
});
resumeJobs();

/** Show registrations that were started before the page was left. */
async function resumeJobs() {
  const jobs = await unfinishedJobs();
  for (const job of jobs) {
    const old = Array.from({ length: job.total }, () => new Card(at("cards"), { name: "", sent: true, onSettled: showProgress }));
    cards.push(...old);
    at("progress").hidden = false;
    showProgress();
    followJob(job.id, old);
  }
}

function takeFiles(files) {
  const images = files.filter(isImage);
  const others = files.length - images.length;
  showMessage(at("problem"), !images.length ? text("script.no_photos") : others ? textFor("script.left_out", others) : "");
  const person = at("person").value.trim();
  const unnamed = !at("by-name").checked;
  take(images.map((file) => ({ file, name: pathOf(file), person, unnamed })));
}

function takeAddresses() {
  const lines = at("urls").value.split(/\s+/).filter(Boolean);
  const wrong = lines.filter((line) => !/^https?:\/\/\S+$/i.test(line));
  if (wrong.length || !lines.length) {
    showMessage(at("problem"), wrong.length ? text("script.bad_addresses", { addresses: wrong.join(" ") }) : text("script.empty"));
    return;
  }
  showMessage(at("problem"), "");
  at("urls").value = "";
  take([...new Set(lines)].map((url) => ({ url, name: url, person: at("person").value.trim() })));
}

/** A file's name with its folders, which may contain the name of a person. */
function pathOf(file) {
  return file.path || file.webkitRelativePath || file.name;
}

async function take(wanted) {
  if (!wanted.length) return;
  const fresh = wanted.map((one) => new Card(at("cards"), { ...one, onSettled: showProgress }));
  cards.push(...fresh);
  stopped = false;
  running++;
  at("progress").hidden = false;
  showProgress();
  at("photos-title").scrollIntoView({ block: "start" });
  try {
    await sendBatches(makeBatches(fresh), () => stopped);
  } finally {
    running--;
    showProgress();
  }
}

function showProgress() {
  const done = cards.filter((card) => card.settled).length;
  const bad = cards.filter((card) => card.bad).length;
  const total = cards.length;
  const over = done === total && !running;
  at("progress-bar").max = total;
  at("progress-bar").value = done;
  at("progress-text").textContent = over
    ? bad ? textFor("script.finished_problems", bad, { total }) : textFor("script.finished", total)
    : bad ? textFor("script.progress_problems", bad, { done, total }) : text("script.progress", { done, total });
  at("stop").hidden = over;
  at("see-people").hidden = at("group").hidden = !over;
}
