"""Measure how many answers to `faceall people suggestions` sort a folder whose names are hidden.

Every photo of FOLDER (one subfolder per person) is registered without its name, only the primary face of each is kept,
and the faces are grouped once. Then the first suggestion is answered truthfully, again and again, until BCubed F
(see cluster.py) reaches the goal or nothing is suggested. A group counts as the person of most of its faces.

Usage: python benchmarks/suggestions.py FOLDER [--model NAME] [--goal 0.98] [--most N] [--share X ...] [--json FILE]
  --share   the limit of the first grouping, as a share of the default; a lower one makes purer and more groups
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from cluster import copied, groups_of, register, scores, true_people
from measure import print_table, write_json

from faceall import Embedder, Gallery


def person_of(gallery: Gallery, truth: dict[int, str], node: tuple[str, int]) -> str:
    """Return the true person of most faces of a person, group or single face."""
    kind, number = node
    faces = [number] if kind == "f" else [face.face_id for face in gallery.faces.find(person=number)]
    return Counter(truth[face] for face in faces).most_common(1)[0][0]


def answered(gallery: Gallery, goal: float, most: int) -> list[dict[str, Any]]:
    """Answer suggestions until the goal is reached (checked every 10 answers); return a row per 50 answers."""
    truth, rows = true_people(gallery), []
    yes, start = 0, time.perf_counter()
    for answers in range(most + 1):
        suggestions = gallery.people.suggestions(limit=1)
        last = answers == most or not suggestions
        if answers % 10 == 0 or last:
            found = scores(truth, groups_of(gallery))
        done = found["BCubed F"] >= goal or last
        if answers % 50 == 0 or done:
            seconds = time.perf_counter() - start
            rows.append({"answers": answers, "yes": yes, **found, "seconds": seconds})
            print(rows[-1], flush=True)
        if done:
            break
        one = suggestions[0]
        if one.within:  # a part of a person's faces: the most typical face of each
            same = truth[one.faces[0]] == truth[one.faces[1]]
        else:
            same = person_of(gallery, truth, one.subject) == person_of(gallery, truth, one.target)
        yes += same
        gallery.people.answer(one.id, "yes" if same else "no")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--model", metavar="NAME")
    parser.add_argument("--goal", type=float, default=0.98)
    parser.add_argument("--most", type=int, default=2000)
    parser.add_argument("--share", type=float, nargs="+", default=[1.0])
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as scratch,
        Gallery.open(Path(scratch) / "all", embedder=Embedder(options.model)) as gallery,
    ):
        register(gallery, sorted(options.folder.rglob("*.jpg")))
        if others := [face.face_id for face in gallery.faces.find() if not face.primary]:
            gallery.faces.remove(others)
        rows = []
        for share in options.share:
            with Gallery.open(
                copied(gallery, Path(scratch) / f"share-{share}"), embedder=Embedder(options.model)
            ) as one:
                one.people.cluster(threshold=share * one.people.cluster_threshold)
                rows += [{"share": share, **row} for row in answered(one, options.goal, options.most)]
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
