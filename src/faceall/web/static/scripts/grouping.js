// Grouping the faces that belong to nobody yet.

import { ask } from "./request.js";
import { text, textFor } from "./texts.js";

/** Let the server group them, and tell in `place` what came of it; gives how many people were made. */
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
