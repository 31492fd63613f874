// The page People: search, sort and scroll through people; name groups, merge and unname people.

import { attempt, copyOf, onSubmit, openDialog } from "./base.js";
import { groupFaces } from "./grouping.js";
import { nameFace, rename } from "./naming.js";
import { isNear, whenNear } from "./near.js";
import { PeopleList } from "./people-list.js";
import { ask } from "./request.js";
import { Selection } from "./selection.js";
import { root } from "./texts.js";

const NEAR = 400; // pixels from the window within which faces are loaded
const at = (id) => document.getElementById(id);

at("group").addEventListener("click", async () => {
  await attempt(async () => {
    if (await groupFaces(at("notice"))) location.assign(root + "/people?unnamed=only");
  });
});

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-who]");
  if (!form) return;
  event.preventDefault();
  const name = form.elements.name.value.trim();
  const { person, face } = form.closest("li").dataset;
  const give = () => (person ? rename(person, name) : nameFace(face, name));
  if (name) await attempt(async () => (await give()) && location.reload());
});

if (at("people")) {
  const selection = new Selection(at("people"), at("selected"));
  const list = new PeopleList(at("people"), selection);
  at("select-all").addEventListener("click", () => attempt(() => list.selectAll()));
  at("clear-selected").addEventListener("click", () => selection.clear());
  at("merge-selected").addEventListener("click", () =>
    attempt(async () => {
      offerNames(await list.records(selection.ids));
      openDialog(at("merge"));
    }),
  );
  at("photos-selected").addEventListener("click", () => {
    location.assign(`${root}/photos?${selection.ids.map((id) => `with=${id}`).join("&")}`);
  });
  for (const what of ["hide", "show"]) {
    at(`${what}-selected`)?.addEventListener("click", () =>
      attempt(async () => {
        await ask("POST", `/people/${what}`, { people: selection.ids });
        location.reload();
      }),
    );
  }
  at("unname-selected").addEventListener("click", () =>
    attempt(async () => {
      await ask("POST", "/people/unname", { people: selection.ids });
      location.reload();
    }),
  );
  onSubmit(at("merge-form"), async (form) => {
    const into = Number(form.get("into"));
    await mergeAll(selection.ids, into);
    location.assign(`${root}/people/${into}`);
  });
  onSubmit(at("name-form"), async (form) => {
    const [first, ...others] = selection.ids;
    const id = await rename(first, form.get("name").trim());
    if (!id) return;
    await mergeAll(others, id);
    location.assign(`${root}/people/${id}`);
  });
}

async function mergeAll(ids, into) {
  const people = ids.filter((id) => id !== into);
  if (people.length) await ask("POST", "/people/merge", { people, into });
}

// Faces without a person: pages are added while the end of the list is near.
const more = at("more-faces");
if (more) {
  let loading = false;
  const grow = async () => {
    if (loading) return;
    loading = true;
    try {
      while (isNear(more, NEAR) && (await addFaces()));
    } finally {
      loading = false;
    }
  };
  whenNear(more, NEAR, grow);
}

/** Add the next page of faces; resolves to whether the server had one. The link `more` stays for another try. */
async function addFaces() {
  const answer = await fetch(more.href, { credentials: "same-origin" });
  if (!answer.ok) return false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  at("unassigned-faces").append(...page.querySelectorAll("#unassigned-faces > li"));
  const next = page.getElementById("more-faces");
  more.hidden = !next;
  if (next) more.href = next.href;
  return true;
}

/** Offer the selected people to choose whose name is kept: those with a name and many photos first, none chosen. */
function offerNames(people) {
  at("merge-names").replaceChildren();
  for (const person of people.sort((a, b) => a.unnamed - b.unnamed || b.photos - a.photos)) {
    const choice = copyOf("merge-name");
    choice.querySelector("input").value = person.id;
    choice.querySelector("img").src = person.image;
    choice.querySelector("span").textContent = person.shown;
    at("merge-names").append(choice);
  }
}
