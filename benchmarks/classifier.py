"""Compare `faceall.Classifier` with the gallery's own decision on the same random galleries.

A gallery has N random people with k photos each. Their other photos (at most three) and the first photo of each
other person are searched. Both sides calibrate themselves on the gallery's people alone.

Columns: rank 1, the share of searches of known people whose person comes first; FNIR at the exact threshold for an FPIR
of 1 %; FPIR and FNIR at the calibrated threshold (target 1 %).

Usage: python benchmarks/classifier.py FOLDER [--model NAME ...] [--people N ...] [--photos K ...] [--repeat R]
           [--cache DIR] [--json FILE]
  FOLDER  one folder per person, several photos each
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from measure import print_table, write_json
from people import People, load

from faceall import Classifier, Embedder
from faceall.analysis.open_set import comparisons, fit_scores, nearest_others, person_similarities
from faceall.classify import LabelledVectors
from faceall.classify.fitting import KINDS, person_scores
from faceall.gallery.decisions import prior_of

TARGET = 0.01
QUERIES = 3
Array = npt.NDArray[np.float64]


class Trial:
    """One random gallery: rows of the enrolled faces, of known and of strangers' queries."""

    def __init__(self, faces: People, size: int, photos: int, random: np.random.Generator) -> None:
        starts = np.searchsorted(faces.people, np.arange(faces.people[-1] + 2))
        counts = np.diff(starts)
        chosen = np.sort(random.choice(np.flatnonzero(counts > photos), size, replace=False))
        enrolled = [np.arange(starts[person], starts[person] + photos) for person in chosen]
        known = [np.arange(starts[p] + photos, min(starts[p + 1], starts[p] + photos + QUERIES)) for p in chosen]
        self.enrolled = np.concatenate(enrolled)
        self.labels = np.repeat(np.arange(size), photos)
        self.known = np.concatenate(known)
        self.own = np.repeat(np.arange(size), [len(rows) for rows in known])
        self.strangers = starts[np.setdiff1d(np.arange(len(counts)), chosen)]


def rates(known: Array, own: Array, strangers: Array, threshold: float) -> dict[str, float]:
    """Compute the rates from the scores of known people (q, p) and the highest ones of strangers."""
    first = known.argmax(axis=1) == own
    best = known.max(axis=1)
    ordered = np.sort(strangers)[::-1]
    exact = ordered[int(TARGET * len(ordered))]
    return {
        "rank 1": float(first.mean()),
        "FNIR at FPIR 1 %": float(1 - (first & (best > exact)).mean()),
        "FPIR": float((strangers >= threshold).mean()),
        "FNIR": float(1 - (first & (best >= threshold)).mean()),
    }


def of_gallery(faces: People, trial: Trial, prior: Any) -> dict[str, float]:
    """Measure the decision of a gallery."""
    vectors = faces.vectors[trial.enrolled]
    known = person_similarities(faces.vectors[trial.known], vectors, trial.labels)
    strangers = person_similarities(faces.vectors[trial.strangers], vectors, trial.labels).max(axis=1)
    size = trial.labels[-1] + 1
    compared = comparisons(size, len(vectors))
    fitted = fit_scores(nearest_others(vectors, trial.labels), compared * (1 - 1 / size), prior)
    return rates(known, trial.own, strangers, fitted.similarity(TARGET, compared))


def of_classifier(faces: People, trial: Trial, kind: Any) -> dict[str, float]:
    """Measure a classifier."""
    names = tuple(map(str, range(trial.labels[-1] + 1)))
    data = LabelledVectors(names, trial.labels, faces.vectors[trial.enrolled], faces.name)
    start = time.perf_counter()
    made = Classifier.train(data, kind=kind, fpir=TARGET, fewest_faces=1)
    seconds = time.perf_counter() - start
    known, strangers = (
        person_scores(faces.vectors[rows], made.weights, made.bias, kind) for rows in (trial.known, trial.strangers)
    )
    threshold = np.inf if made.match is None else made.match
    return rates(known, trial.own, strangers.max(axis=1), threshold) | {"seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", nargs="+", default=[None])
    parser.add_argument("--people", type=int, nargs="+", default=[100])
    parser.add_argument("--photos", type=int, nargs="+", default=[2, 5])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = []
    for model in options.model:
        faces = load(options.folder, model, options.cache)
        prior = prior_of(Embedder(model).model.manifest)
        for size in options.people:
            for photos in options.photos:
                random = np.random.default_rng(0)
                trials = [Trial(faces, size, photos, random) for _ in range(options.repeat)]
                methods = {"gallery": lambda trial: of_gallery(faces, trial, prior)}  # noqa: B023
                methods |= {kind: lambda trial, kind=kind: of_classifier(faces, trial, kind) for kind in KINDS}  # noqa: B023
                for name, measure in methods.items():
                    found = [measure(trial) for trial in trials]
                    means = {key: float(np.mean([row[key] for row in found])) for key in found[0]}
                    row = {"model": faces.name, "people": size, "photos": photos, "method": name}
                    rows.append(row | {"seconds": 0.0} | means)
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
