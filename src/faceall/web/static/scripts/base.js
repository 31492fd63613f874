// What every page does: the colour switch, buttons that open dialogs, forms within them.

import { explain } from "./request.js";
import { text } from "./texts.js";

const theme = document.getElementById("theme");
const root = document.documentElement;

// Without a choice the device decides; the button then offers the other set.
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

/** Open a dialog; when it closes, the browser gives the focus back. Resolves with how it was closed. */
export function openDialog(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  dialog.querySelector("input.input")?.select(); // typing replaces what stands there
  return new Promise((closed) => dialog.addEventListener("close", () => closed(dialog.returnValue), { once: true }));
}

/** Ask whether a name that is taken means the same person. */
export function confirmSame(name) {
  const dialog = document.getElementById("taken");
  dialog.querySelector("[data-text]").textContent = text("script.taken", { name });
  return openDialog(dialog).then((answer) => answer === "yes");
}

/** Run `work` when a form is sent; its buttons rest meanwhile, and a refusal is shown in it or in `#problem`. */
export function onSubmit(form, work) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await attempt(() => work(new FormData(form), form), form);
  });
}

/** Run `work` with a form's or page's buttons at rest; gives false when it was refused. */
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
    tell(notice, explain(problem));
    return false;
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

/** Show a line of text in a notice. */
export function tell(notice, line) {
  notice.textContent = line;
  notice.hidden = !line;
}

/** Copy the content of a <template>. */
export function copyOf(id) {
  return document.getElementById(id).content.cloneNode(true);
}
