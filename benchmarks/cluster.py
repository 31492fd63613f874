"""Measure the quality of `faceall cluster` on a folder with one subfolder per person: pairwise and BCubed scores.

Every photo is registered without its name; then the faces are grouped, all at once or in parts as they would come in.
The primary face of each photo counts, the true person is its folder. Of the pairs that share a group, `pair precision`
is the part that is one person; of the pairs that are one person, `pair recall` is the part that shares a group.
BCubed asks the same of every face's own group and averages over the faces (Bagga and Baldwin 1998).

Usage: python benchmarks/cluster.py FOLDER [--models NAME ...] [--limits X ...] [--parts N] [--json FILE]
  FOLDER    one folder per person, as LFW has them
  --models  installed embedders, by folder or name; by default the one that is used by default
  --limits  the largest mean squared distance within a person; by default that of `faceall cluster`
  --parts   also register and group in so many parts, which shows what arriving in turn costs
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from measure import print_table, write_json

from faceall import Embedder, Gallery


def register(gallery: Gallery, photos: list[Path]) -> None:
    """Register photos whose paths do not reveal the person."""
    for _ in gallery.iter_register(photos, unnamed=True):
        pass


def true_people(gallery: Gallery) -> dict[int, str]:
    """Return the primary face of every photo and the person given by its folder."""
    return {face.face_id: face.path.parent.name for face in gallery.faces.find() if face.primary}


def groups_of(gallery: Gallery) -> dict[int, str | None]:
    """Return the person assigned to every face."""
    return {face.face_id: face.person for face in gallery.faces.find()}


def scores(truth: dict[int, str], found: dict[int, str | None]) -> dict[str, float]:
    """Compute pairwise and BCubed precision and recall; a single face is its own group."""
    labels = [(person, found[face] or face) for face, person in truth.items()]
    both = Counter(labels)
    people = Counter(person for person, _ in labels)
    groups = Counter(group for _, group in labels)
    together = sum(n * (n - 1) for n in both.values())
    precision = together / max(1, sum(n * (n - 1) for n in groups.values()))
    recall = together / max(1, sum(n * (n - 1) for n in people.values()))
    faces = len(labels)
    cubed_precision = sum(n * n / groups[group] for (_, group), n in both.items()) / faces
    cubed_recall = sum(n * n / people[person] for (person, _), n in both.items()) / faces
    return {
        "pair precision": precision,
        "pair recall": recall,
        "BCubed precision": cubed_precision,
        "BCubed recall": cubed_recall,
        "BCubed F": 2 * cubed_precision * cubed_recall / (cubed_precision + cubed_recall),
    }


def measured(title: str, gallery: Gallery, seconds: float) -> dict[str, Any]:
    """Return one row of the table."""
    found = groups_of(gallery)
    named = {person for person in found.values() if person is not None}
    return {
        "what": title,
        "faces": len(found),
        "groups": len(named),
        **scores(true_people(gallery), found),
        "seconds": seconds,
    }


def copied(gallery: Gallery, folder: Path) -> Path:
    """Copy the gallery to another folder."""
    gallery.index.backup(folder)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--models", nargs="+", metavar="NAME")
    parser.add_argument("--limits", type=float, nargs="+", metavar="X")
    parser.add_argument("--parts", type=int, metavar="N")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    photos = sorted(options.folder.rglob("*.jpg"))
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for model in options.models or [None]:
            embedder = Embedder(model)
            name = embedder.model.manifest.name
            with Gallery.open(Path(scratch) / name, embedder=embedder) as gallery:
                register(gallery, photos)
                for limit in options.limits or [None]:
                    folder = copied(gallery, Path(scratch) / f"{name}-{limit}")
                    with Gallery.open(folder, embedder=embedder) as trial:
                        start = time.perf_counter()
                        trial.people.cluster(threshold=limit)
                        title = f"{name}, limit {limit or 'default'}"
                        rows.append(measured(title, trial, time.perf_counter() - start))
                    shutil.rmtree(folder)
            if options.parts:
                with Gallery.open(Path(scratch) / f"{name}-parts", embedder=embedder) as gallery:
                    seconds = 0.0
                    for part in range(options.parts):
                        register(gallery, photos[part :: options.parts])
                        start = time.perf_counter()
                        gallery.people.cluster()
                        seconds += time.perf_counter() - start
                    rows.append(measured(f"{name}, in {options.parts} parts", gallery, seconds))
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
