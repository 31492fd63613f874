// Giving a person a name; a name that somebody has already may mean that they are the same.

import { confirmSame } from "./base.js";
import { ask } from "./request.js";

/** Rename a person; gives the id of the person who has the name afterwards, or null if the answer was no. */
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
