// Go on with the upload of photos on any page, and show how many photos are not done.

import { makeBatches, sendForm } from "./jobs.js";
import { ask, pause } from "./request.js";
import { text, textFor } from "./texts.js";
import { adopt, kept, refuse, release } from "./upload-queue.js";

const chip = document.getElementById("working");
const RETRY = 5; // seconds after a network failure
let left = 0; // photos that are not uploaded

/** Upload what was left, unless the page Register does; keep the chip in the header up to date meanwhile. */
export async function goOn() {
  if (!chip) return;
  const entries = (await kept()).filter(({ problem }) => !problem);
  await adopt(entries);
  left = entries.length;
  if (left || !chip.hidden) showWork();
  for (const batch of makeBatches(entries)) await send(batch);
}

async function send(batch) {
  for (;;) {
    try {
      await sendForm(batch);
      await release(batch);
      break;
    } catch (problem) {
      if (problem.code === "network") await pause(RETRY);
      else if (problem.code === undefined || problem.status === 401) throw problem;
      else if (problem.status === 413 && batch.length > 1) {
        for (const entry of batch) await send([entry]);
        return;
      } else {
        for (const entry of batch) await refuse(entry, problem);
        break;
      }
    }
  }
  left -= batch.length;
}

async function showWork() {
  const { waiting } = await ask("GET", "/jobs").catch(() => ({ waiting: 0 }));
  const parts = [...(left ? [textFor("script.uploading", left)] : []), ...(waiting ? [textFor("script.registering", waiting)] : [])];
  chip.textContent = parts.join(" · ");
  chip.title = left ? text("script.uploading_hint") : "";
  chip.hidden = !parts.length;
  if (parts.length) setTimeout(showWork, 2000);
}
