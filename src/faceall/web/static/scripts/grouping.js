// Group the faces without a name.

import { ask } from "./request.js";
import { text, textFor } from "./texts.js";

/** Group the faces and report the result in `place`; resolves to the number of groups. */
export async function groupFaces(place) {
  place.textContent = text("script.grouping");
  try {
    const { clusters, joined } = await ask("POST", "/cluster", {});
    place.textContent = clusters ? textFor("script.grouped", clusters, { faces: joined }) : text("script.grouped_none");
    return clusters;
  } catch (problem) {
    place.textContent = "";
    throw problem;
  }
}
