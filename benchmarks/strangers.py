"""Search strangers and known people in a large gallery with the default decision, as `faceall search` does.

The people of FOLDER whose names begin with a letter of --strangers are left out of the gallery; their first photo is
searched. Of every other person with two photos or more, the second photo is searched, and the rest is in the gallery.
Printed: how many strangers are named (a match), at the estimate of the threshold and at the cautious one that searches
use; the share of known people who are found; and, with --list, the strangers who are named, and their names.

Usage: python benchmarks/strangers.py FOLDER [--strangers AB] [--model NAME ...] [--list] [--cache DIR] [--json FILE]
  FOLDER  one folder per person
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from fusion import are_poor
from measure import print_table, write_json
from people import People, load_all

from faceall import Embedder
from faceall.analysis.open_set import comparisons, person_similarities
from faceall.gallery import MatchThreshold, NamedVectors
from faceall.gallery.decisions import fit_named, prior_of

FPIR = 0.01


@dataclass(frozen=True, eq=False)
class Searches:
    """Distances (q, p) to every person, the right person of each query (-1: a stranger), and which queries are poor."""

    distances: npt.NDArray[np.float32]
    right: npt.NDArray[np.int64]
    poor: npt.NDArray[np.bool_]

    def matches(self, threshold: MatchThreshold) -> npt.NDArray[np.int64]:
        """Return the person that each query is a match with, -1 without one."""
        nearest = np.sort(self.distances, axis=1)[:, :2].tolist()
        sure = np.array([threshold.decide(first, second) == "match" for first, second in nearest])
        return np.where(sure & ~self.poor, self.distances.argmin(axis=1), -1)


def search(faces: People, letters: str, model: str | None) -> tuple[Searches, dict[str, MatchThreshold], list[str]]:
    """Fill the gallery and search; return the searches, both thresholds, and the names of the gallery."""
    outside = np.array([name[0] in letters for name in faces.folders])
    counts, first = np.bincount(faces.people), np.searchsorted(faces.people, np.arange(len(faces.folders)))
    strangers, known = first[outside], first[~outside & (counts > 1)] + 1
    kept = ~outside[faces.people]
    kept[known] = False
    members, people = np.unique(faces.people[kept], return_inverse=True)
    names = [faces.folders[member] for member in members]
    vectors = faces.vectors[kept]
    named = NamedVectors(tuple(names), people.astype(np.int64), vectors)
    fitted = fit_named(named, len(names), prior_of(Embedder(model).model.manifest), FPIR, faces=len(people))
    size, margin = comparisons(len(names), len(people)), 0.5 * fitted.scores.deviation
    thresholds = {
        "estimate": MatchThreshold(fitted.scores.threshold(FPIR, size), None, "gallery", margin=margin),
        "cautious": MatchThreshold(fitted.scores.cautious_threshold(FPIR, size), None, "gallery", margin=margin),
    }
    queries = np.concatenate([strangers, known])
    distances = 2 - 2 * person_similarities(faces.vectors[queries], vectors, people.astype(np.int64))
    right = np.concatenate([np.full(len(strangers), -1), np.searchsorted(members, faces.people[known])])
    return Searches(distances, right, are_poor(faces.quality)[queries]), thresholds, names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--strangers", default="AB", metavar="LETTERS")
    parser.add_argument("--model", nargs="+", default=[None])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--json")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for model, faces in zip(options.model, load_all(options.folder, options.model, options.cache), strict=True):
        found, thresholds, names = search(faces, options.strangers, model)
        row: dict[str, Any] = {"model": faces.name, "people": len(names), "strangers": int((found.right < 0).sum())}
        for name, threshold in thresholds.items():
            matched = found.matches(threshold)
            of_strangers = matched[found.right < 0]
            known = found.right >= 0
            row |= {name: threshold.distance, f"{name}: named": int((of_strangers >= 0).sum())}
            row[f"{name}: found"] = float((matched[known] == found.right[known]).mean())
        rows.append(row)
        if options.list:
            who = [folder for folder in faces.folders if folder[0] in options.strangers]
            for number in np.flatnonzero(of_strangers >= 0):
                print(f"{faces.name}: {who[number]} named {names[of_strangers[number]]}")
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
