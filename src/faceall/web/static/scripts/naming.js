// Rename people; a name that exists already may mean the same person.

import { confirmSame } from "./base.js";
import { ask } from "./request.js";

/** Rename a person; resolves to the id of the person with the name, or null if it was not confirmed. */
export async function rename(id, name) {
  try {
    return (await ask("PATCH", `/people/${id}`, { name })).id;
  } catch (problem) {
    if (problem.code !== "conflict") throw problem;
    const other = await findPerson(name);
    if (!other) throw problem;
    if (!(await confirmSame(other.name))) return null;
    await ask("POST", `/people/${id}/merge`, { into: other.id });
    return other.id;
  }
}

async function findPerson(name) {
  const { people } = await ask("GET", `/people?unnamed=all&limit=100&q=${encodeURIComponent(name)}`);
  return people.find((person) => person.name.normalize() === name.normalize());
}
