// The page of a person: rename, merge, move faces, delete with a receipt.

import { attempt, copyOf, onSubmit } from "./base.js";
import { findPerson, rename } from "./naming.js";
import { ask, RequestError } from "./request.js";
import { Selection } from "./selection.js";
import { language, nameOf, root, text } from "./texts.js";

const at = (id) => document.getElementById(id);
const person = at("person").dataset.person;
const selection = new Selection(at("faces"), at("selected"));

onSubmit(at("rename-form"), async (form) => {
  const id = await rename(person, form.get("name").trim());
  if (id) location.assign(`${root}/people/${id}`);
});

// Candidates are loaded when the dialog opens: the most similar people first, none chosen.
document.querySelector("[data-opens=merge]").addEventListener("click", async () => {
  const { people } = await ask("GET", `/people/${person}/similar?limit=24`);
  at("merge-people").replaceChildren(
    ...people.map((one) => {
      const choice = copyOf("merge-choice");
      choice.querySelector("input").value = one.id;
      if (one.cover) choice.querySelector("img").src = `${root}/api/v1/faces/${one.cover}/thumbnail`;
      choice.querySelector("span").textContent = nameOf(one);
      return choice;
    }),
  );
});

onSubmit(at("merge-form"), async (form) => {
  const name = form.get("other").trim();
  const into = name ? (await findPerson(name))?.id : Number(form.get("into"));
  if (!into) throw new RequestError("not_found", name ? text("script.no_such_name", { name }) : text("script.choose_a_person"), 404);
  await ask("POST", `/people/${person}/merge`, { into });
  location.assign(`${root}/people/${into}`);
});

onSubmit(at("details-form"), async (form) => {
  await ask("PATCH", `/people/${person}/details`, { born: form.get("born") || null, note: form.get("note").trim() || null });
  location.reload();
});

const changeFaces = (work) =>
  attempt(async () => {
    await work(selection.ids);
    location.reload();
  });

at("hide").addEventListener("click", () =>
  changeFaces(() => ask("POST", at("hide").dataset.hidden ? "/people/show" : "/people/hide", { people: [Number(person)] })),
);
at("not-this-person").addEventListener("click", () => changeFaces((faces) => ask("POST", "/faces/unassign", { faces })));
at("as-cover").addEventListener("click", () => changeFaces(([cover]) => ask("PATCH", `/people/${person}/details`, { cover })));
at("hide-faces").addEventListener("click", () => changeFaces((faces) => ask("POST", "/faces/hide", { faces })));
at("clear-selected").addEventListener("click", () => selection.clear());

onSubmit(at("split-form"), async (form) => {
  const faces = selection.ids;
  const to = form.get("to").trim() || null;
  const all = faces.length === at("faces").querySelectorAll(".tile-select input").length;
  const answer = await ask("POST", `/people/${person}/split`, { faces, to });
  location.assign(all && answer?.id ? `${root}/people/${answer.id}` : location.href);
});

at("discard").addEventListener("click", () =>
  attempt(async () => {
    await ask("POST", `/people/${person}/discard`);
    location.assign(`${root}/people`);
  }),
);

onSubmit(at("delete-form"), async () => {
  const receipt = await ask("DELETE", `/people/${person}`);
  at("delete").close();
  showReceipt(receipt);
});

function showReceipt({ removed, receipt: paper }) {
  const receipt = copyOf("receipt");
  const fill = (part, value) => {
    receipt.querySelector(`[data-${part}]`).textContent = value;
  };
  fill("name", at("person").dataset.name);
  fill("faces", removed.faces);
  fill("photos", removed.photos);
  fill("uploads", removed.uploads);
  fill("time", new Date(paper.time).toLocaleString(language));
  fill("id", paper.id);
  fill("sum", paper.sha256);
  receipt.querySelector("[data-gone]").hidden = paper.remaining !== 0;
  receipt.querySelector("[data-left]").hidden = paper.remaining === 0;
  const save = receipt.querySelector("[data-save]");
  save.href = URL.createObjectURL(new Blob([JSON.stringify(paper, null, 2)], { type: "application/json" }));
  save.download = `receipt-${paper.id}.json`;
  at("person").replaceChildren(receipt);
  at("person").querySelector("h1").focus();
  history.replaceState(null, "", `${root}/people`); // the page of this person no longer exists
}
