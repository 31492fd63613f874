// Upload photos in batches and follow their registration.

import { ask, pause } from "./request.js";
import { root } from "./texts.js";
import { release } from "./upload-queue.js";

const MOST_FILES = 8;
const MOST_BYTES = 24 * 1024 * 1024;
const AT_ONCE = 2;
const JOBS = "faceall-jobs"; // in the storage of the tab
const MOST_TRIES = 20;

/** Divide cards {file | url, name, person, unnamed} into batches of one person, with files or URLs only. */
export function makeBatches(cards) {
  const batches = [];
  for (const card of cards) {
    const last = batches.at(-1);
    if (last && fits(last, card)) last.push(card);
    else batches.push([card]);
  }
  return batches;
}

/** Send batches, a few at once, until `stopped()`. Calls card.sending(), card.working(), card.finish(result), card.fail(problem). */
export async function sendBatches(batches, stopped) {
  const waiting = [...batches];
  const work = async () => {
    while (waiting.length && !stopped()) await sendBatch(waiting.shift());
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  for (const card of waiting.flat()) card.stop();
  await release(waiting.flat());
}

function fits(batch, card) {
  const bytes = batch.reduce((sum, { file }) => sum + (file?.size ?? 0), 0) + (card.file?.size ?? 0);
  return (
    batch.length < MOST_FILES && bytes <= MOST_BYTES &&
    batch[0].person === card.person && batch[0].unnamed === card.unnamed && !batch[0].file === !card.file
  );
}

async function sendBatch(cards) {
  for (const card of cards) card.sending();
  try {
    const job = await sendForm(cards);
    for (const card of cards) card.working();
    await release(cards);
    await followJob(job, cards);
  } catch (problem) {
    if (problem.code === undefined) throw problem;
    if (problem.status === 413 && cards.length > 1) for (const card of cards) await sendBatch([card]);
    else {
      for (const card of cards) card.fail(problem);
      if (problem.code !== "network") await release(cards); // what the network failed for is uploaded later
    }
  }
}

/** Send a batch; resolves to the id of the job, which this tab remembers, as soon as the server has the photos. */
export async function sendForm(batch) {
  const { job } = await post(formOf(batch));
  rememberJob(job.id);
  return job.id;
}

function formOf(cards) {
  const form = new FormData();
  if (cards[0].person) form.append("person", cards[0].person);
  if (cards[0].unnamed) form.append("unnamed", "true");
  for (const { file, url, name } of cards) file ? form.append("files", file, name) : form.append("urls", url);
  return form;
}

// A busy server says when to retry.
async function post(form) {
  for (let tries = 1; ; tries++) {
    try {
      return await ask("POST", "/register", form);
    } catch (problem) {
      if (![429, 503].includes(problem.status) || tries === MOST_TRIES) throw problem;
      await pause(problem.retryAfter);
    }
  }
}

/** The jobs of this tab whose names were not asked for yet: {id, total}. */
export async function rememberedJobs() {
  const jobs = await Promise.all(rememberedIds().map((id) => ask("GET", `/jobs/${id}`).catch(() => null)));
  const known = jobs.filter(Boolean);
  sessionStorage.setItem(JOBS, JSON.stringify(known.map(({ id }) => id)));
  return known;
}

/** Forget the jobs of this tab. */
export function forgetJobs() {
  sessionStorage.removeItem(JOBS);
}

function rememberJob(id) {
  sessionStorage.setItem(JOBS, JSON.stringify([...new Set([...rememberedIds(), id])]));
}

function rememberedIds() {
  return JSON.parse(sessionStorage.getItem(JOBS) ?? "[]");
}

/** Give each card its result. Results arrive in the order of the photos, numbered from 1. */
export async function followJob(id, cards) {
  rememberJob(id);
  const finish = (result, place) => cards[place].settled || cards[place].finish(result);
  await listen(id, finish);
  while (cards.some((card) => !card.settled)) {
    const job = await ask("GET", `/jobs/${id}`); // results that the events did not deliver
    job.results.forEach(finish);
    if (job.state === "done") break;
    await pause(1);
  }
}

// The browser resumes an interrupted stream; only a refused one ends here early.
function listen(id, finish) {
  return new Promise((ended) => {
    const events = new EventSource(`${root}/api/v1/jobs/${id}/events`);
    const end = () => {
      events.close();
      ended();
    };
    events.addEventListener("result", (event) => finish(JSON.parse(event.data), Number(event.lastEventId) - 1));
    events.addEventListener("done", end);
    events.addEventListener("error", () => events.readyState === EventSource.CLOSED && end());
  });
}
