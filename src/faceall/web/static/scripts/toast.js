// A toast after every change of people, with undo; the next page shows it, too.

import { language, root, text } from "./texts.js";

const KEY = "faceall-changed";
const CHANGES = /^\/(people|faces|names|cluster|bin\/restore)\b/;
const SECONDS = 12;
let timer;
let hiding;

/** Note that a request has changed people; the toast is shown now, and once more on the page that follows. */
export function noteChange(method, path) {
  if (method === "GET" || !CHANGES.test(path)) return;
  sessionStorage.setItem(KEY, String(Date.now()));
  clearTimeout(timer);
  timer = setTimeout(showToast, 150); // usually another page follows at once
}

/** Show what was changed last in this tab, if that is not long ago; the page Review has an undo of its own. */
export async function showToast() {
  const toast = document.getElementById("toast");
  const since = Date.now() - Number(sessionStorage.getItem(KEY) ?? 0);
  if (!toast || document.getElementById("review") || since > SECONDS * 1000) return;
  const answer = await fetch(`${root}/api/v1/history?limit=1`, { credentials: "same-origin" }).catch(() => null);
  const last = answer?.ok ? (await answer.json()).changes[0] : null;
  if (!last?.undoable || Date.now() - Date.parse(last.made) > 2 * SECONDS * 1000) return;
  const line = language.startsWith("en") ? last.text : text(`changes.${last.kind}`) || last.text;
  toast.querySelector("[data-text]").textContent = line.charAt(0).toUpperCase() + line.slice(1);
  toast.hidden = false;
  toast.querySelector("button").onclick = async () => {
    sessionStorage.removeItem(KEY);
    const undone = await fetch(`${root}/api/v1/history/undo`, {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ change: last.id }),
    });
    if (undone.ok) return location.reload();
    toast.querySelector("[data-text]").textContent = text("script.not_undone");
  };
  clearTimeout(hiding);
  hiding = setTimeout(() => {
    toast.hidden = true;
  }, SECONDS * 1000);
}
