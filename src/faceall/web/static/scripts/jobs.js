// Sending pictures in small parcels and following what becomes of each.

import { ask, pause } from "./request.js";

const MOST_FILES = 8;
const MOST_BYTES = 24 * 1024 * 1024;
const AT_ONCE = 2;
const MOST_TRIES = 20;

/** Pack cards {file | url, name, person, unnamed} into parcels of one person and of files or addresses only. */
export function packParcels(cards) {
  const parcels = [];
  for (const card of cards) {
    const last = parcels.at(-1);
    if (last && fits(last, card)) last.push(card);
    else parcels.push([card]);
  }
  return parcels;
}

/** Send parcels, a few at once, until `stopped()`. Calls card.sending(), card.working(), card.finish(result), card.fail(problem). */
export async function sendParcels(parcels, stopped) {
  const waiting = [...parcels];
  const work = async () => {
    while (waiting.length && !stopped()) await sendParcel(waiting.shift());
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  for (const card of waiting.flat()) card.stop();
}

function fits(parcel, card) {
  const bytes = parcel.reduce((sum, { file }) => sum + (file?.size ?? 0), 0) + (card.file?.size ?? 0);
  return (
    parcel.length < MOST_FILES && bytes <= MOST_BYTES &&
    parcel[0].person === card.person && parcel[0].unnamed === card.unnamed && !parcel[0].file === !card.file
  );
}

async function sendParcel(cards) {
  for (const card of cards) card.sending();
  try {
    const { job } = await post(formOf(cards));
    for (const card of cards) card.working();
    await follow(job.id, cards);
  } catch (problem) {
    if (problem.code === undefined) throw problem;
    if (problem.status === 413 && cards.length > 1) for (const card of cards) await sendParcel([card]);
    else for (const card of cards) card.fail(problem);
  }
}

function formOf(cards) {
  const form = new FormData();
  if (cards[0].person) form.append("person", cards[0].person);
  if (cards[0].unnamed) form.append("unnamed", "true");
  for (const { file, url, name } of cards) file ? form.append("files", file, name) : form.append("urls", url);
  return form;
}

// A busy server says when to come again; the pictures wait here meanwhile.
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

// Results come in the order of the pictures, numbered from 1.
async function follow(id, cards) {
  const finish = (result, place) => cards[place].settled || cards[place].finish(result);
  await listen(id, finish);
  while (cards.some((card) => !card.settled)) {
    const job = await ask("GET", `/jobs/${id}`); // what the events did not tell
    job.results.forEach(finish);
    if (job.state === "done") break;
    await pause(1);
  }
}

// The browser takes up a broken stream again where it was; only one that is refused ends here early.
function listen(id, finish) {
  return new Promise((ended) => {
    const events = new EventSource(`/api/v1/jobs/${id}/events`);
    const end = () => {
      events.close();
      ended();
    };
    events.addEventListener("result", (event) => finish(JSON.parse(event.data), Number(event.lastEventId) - 1));
    events.addEventListener("done", end);
    events.addEventListener("error", () => events.readyState === EventSource.CLOSED && end());
  });
}
