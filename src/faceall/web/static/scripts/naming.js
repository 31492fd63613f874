// Name people and faces; a name that exists already, or differs in case or form only, may mean the same person.

import { confirmSame } from "./base.js";
import { ask } from "./request.js";

/** Rename a person; resolves to the id of the person with the name, or null if it was not confirmed. */
export async function rename(id, name) {
  const other = await findPerson(name);
  if (!other || other.id === Number(id)) return (await ask("PATCH", `/people/${id}`, { name })).id;
  if (!(await confirmSame(other.name))) return other.name.normalize() === name.normalize() ? null : (await ask("PATCH", `/people/${id}`, { name })).id;
  await ask("POST", `/people/${id}/merge`, { into: other.id });
  return other.id;
}

/** Assign a face to the person with a name; if a name differs in case or form only, that one may be meant. */
export async function nameFace(face, name) {
  const other = await findPerson(name);
  const meant = other && other.name.normalize() !== name.normalize() && (await confirmSame(other.name)) ? other.name : name;
  return ask("PATCH", `/faces/${face}`, { person: meant });
}

/** The person with a name, else one whose name differs in case or form only. */
export async function findPerson(name) {
  const { people } = await ask("GET", `/people?unnamed=none&limit=100&q=${encodeURIComponent(name)}`);
  const free = formFree(name);
  return people.find((one) => one.name.normalize() === name.normalize()) ?? people.find((one) => formFree(one.name) === free);
}

function formFree(name) {
  return name.normalize("NFKC").toLowerCase().replace(/[\s_\-\u2010-\u2015]+/g, " ").trim();
}
