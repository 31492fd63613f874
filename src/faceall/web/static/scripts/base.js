// Shared by all pages: theme switch, dialogs and their forms.

import "./completion.js";
import { explain } from "./request.js";
import { text } from "./texts.js";
import { showToast } from "./toast.js";
import { dropAll } from "./upload-queue.js";
import { goOn } from "./uploading.js";

const theme = document.getElementById("theme");
const root = document.documentElement;

// Without a choice the device decides; the button offers the other theme.
if (theme && !root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches) {
  theme.value = "light";
  theme.setAttribute("aria-label", theme.dataset.light);
}

for (const opener of document.querySelectorAll("[data-opens]")) {
  opener.addEventListener("click", () => openDialog(document.getElementById(opener.dataset.opens)));
}
for (const closer of document.querySelectorAll("[data-closes]")) {
  closer.addEventListener("click", () => closer.closest("dialog").close());
}

showToast();

// Uploads and registrations go on while other pages are visited; on the page Register its own script does that.
if (!document.getElementById("register")) goOn();
document.querySelector("[name=sign_out]")?.addEventListener("click", dropAll);

// Keyboard shortcuts, unless one types or a dialog is open. The dialog "shortcuts" lists them.
const PAGES = { r: "register", s: "search", p: "people", v: "review", t: "status" };
const CLICKS = { ArrowLeft: "#previous", ArrowRight: "#next", z: "#zoom", "?": "[data-opens=shortcuts]" };
document.addEventListener("keydown", (event) => {
  const busy = event.target.closest?.("input, textarea, select, dialog, summary, [contenteditable]") || document.querySelector("dialog[open]");
  if (busy || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    document.querySelector("input[type=search]")?.focus();
    event.preventDefault();
    return;
  }
  document.querySelector(PAGES[event.key] ? `[data-page=${PAGES[event.key]}]` : (CLICKS[event.key] ?? "#no-such-shortcut"))?.click();
});

/** Open a dialog; the browser restores the focus when it closes. Resolves to its return value. */
export function openDialog(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  dialog.querySelector("input.input")?.select(); // typing replaces the text
  return new Promise((closed) => dialog.addEventListener("close", () => closed(dialog.returnValue), { once: true }));
}

/** Confirm that a name that exists already means the same person. */
export function confirmSame(name) {
  const dialog = document.getElementById("taken");
  dialog.querySelector("[data-text]").textContent = text("script.taken", { name });
  return openDialog(dialog).then((answer) => answer === "yes");
}

/** Run `work` when a form is submitted; its buttons are disabled meanwhile, errors are shown in it or in `#problem`. */
export function onSubmit(form, work) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await attempt(() => work(new FormData(form), form), form);
  });
}

/** Run `work` with the buttons of a form or page disabled; resolves to false after an error. */
export async function attempt(work, area = document.body) {
  const notice = area.querySelector("[data-problem]") ?? document.getElementById("problem");
  const buttons = [...area.querySelectorAll("button")].filter((button) => !button.disabled);
  if (notice) notice.hidden = true;
  for (const button of buttons) button.disabled = true;
  try {
    await work();
    return true;
  } catch (problem) {
    if (problem.code === undefined || !notice) throw problem;
    showMessage(notice, explain(problem));
    return false;
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

/** Show a message. */
export function showMessage(notice, line) {
  notice.textContent = line;
  notice.hidden = !line;
}

/** Copy the content of a <template>. */
export function copyOf(id) {
  return document.getElementById(id).content.cloneNode(true);
}
