// The page Register: photos are shown, uploaded, and their faces outlined as results arrive.

import { showMessage } from "./base.js";
import { onShot } from "./camera.js";
import { Card } from "./card.js";
import { followJob, forgetJobs, makeBatches, rememberedJobs, sendBatches } from "./jobs.js";
import { isImage, onChoice, onDrop, onPaste } from "./picking.js";
import { askForNames } from "./proposals.js";
import { explain } from "./request.js";
import { text, textFor } from "./texts.js";
import { adopt, keep, kept, release } from "./upload-queue.js";

const at = (id) => document.getElementById(id);
const cards = [];
let stopped = false;
let running = 0;
let begun = 0; // when the present photos were chosen, and how many were done then
let doneBefore = 0;

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
at("only-problems").addEventListener("change", () => at("cards").classList.toggle("only-problems", at("only-problems").checked));

// The other pages go on with what the browser keeps; what it cannot keep is lost when the page is left.
addEventListener("beforeunload", (event) => {
  if (cards.some((card) => !card.settled && !card.sent && !card.kept)) event.preventDefault();
});
resumeJobs();
resumeUploads();

/** Show registrations that were started before the page was left, and ask for their names. */
async function resumeJobs() {
  const jobs = await rememberedJobs();
  if (!jobs.length) return;
  const followed = jobs.map((job) => {
    const old = Array.from({ length: job.total }, () => new Card(at("cards"), { name: "", sent: true, onSettled: showProgress }));
    cards.push(...old);
    return followJob(job.id, old);
  });
  await whileRunning(() => Promise.all(followed));
}

/** Go on with photos that were chosen before the page was left, and show those that were refused meanwhile. */
async function resumeUploads() {
  const entries = await kept();
  if (!entries.length) return;
  const old = entries.map((entry) => new Card(at("cards"), { ...entry, kept: true, onSettled: showProgress }));
  cards.push(...old);
  for (const [place, { problem }] of entries.entries()) if (problem) old[place].fail(problem);
  await release(old.filter((card) => card.settled));
  await adopt(entries.filter(({ problem }) => !problem));
  await whileRunning(() => sendBatches(makeBatches(old.filter((card) => !card.settled)), () => stopped));
}

/** Run `work` while photos are registered; at the end the names are asked for. */
async function whileRunning(work) {
  running++;
  begun = Date.now();
  doneBefore = cards.filter((card) => card.settled).length;
  at("progress").hidden = false;
  showProgress();
  try {
    await work();
  } finally {
    running--;
    showProgress();
  }
  if (running) return;
  const photos = [...new Set(cards.map((card) => card.photo).filter(Boolean))];
  try {
    await askForNames(photos, settled);
  } catch (problem) {
    if (problem.code === undefined) throw problem;
    showMessage(at("problem"), explain(problem));
    settled();
  }
}

/** The names were given or left out, and the faces are grouped. */
function settled() {
  forgetJobs();
  at("see-people").hidden = false;
}

function takeFiles(files) {
  const images = files.filter(isImage);
  const others = files.length - images.length;
  showMessage(at("problem"), !images.length ? text("script.no_photos") : others ? textFor("script.left_out", others) : "");
  const person = at("person").value.trim();
  take(images.map((file) => ({ file, name: pathOf(file), person, unnamed: !person }))); // names are asked for at the end
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
  at("see-people").hidden = true;
  at("group-text").textContent = "";
  const work = whileRunning(() => sendBatches(makeBatches(fresh), () => stopped));
  keep(fresh);
  at("photos-title").scrollIntoView({ block: "start" });
  await work;
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
  at("found-text").textContent = foundSoFar(done, total, over);
  at("stop").hidden = over;
}

/** How many faces were found so far, and how long the rest will take. */
function foundSoFar(done, total, over) {
  const faces = cards.reduce((sum, card) => sum + card.faces, 0);
  const parts = [textFor("common.faces", faces)];
  const people = new Set(cards.flatMap((card) => card.people)).size;
  if (people) parts.push(textFor("script.people_found", people));
  const fresh = done - doneBefore;
  if (!over && fresh >= 3) {
    const seconds = ((Date.now() - begun) / 1000 / fresh) * (total - done);
    parts.push(seconds < 60 ? text("script.less_than_a_minute") : textFor("script.minutes_left", Math.round(seconds / 60)));
  }
  return parts.join(" · ");
}
