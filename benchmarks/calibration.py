"""Compare the calibrated threshold of searches with the truth, for galleries of several sizes.

A gallery has the first photo of N random people; the threshold for the target FPIR is estimated from them and from the
model's scores. The truth: the share of all other people (their first photo) who get a name, and the share of the
gallery's people with a second photo who are not found. Both are measured at the estimate and at the cautious threshold
that searches use. `beyond` is the share of galleries whose FPIR is above 1.5 times the target, `inside` the share whose
95 % interval of the threshold contains the exact threshold for the strangers.

Usage: python benchmarks/calibration.py FOLDER [--model NAME ...] [--people N ...] [--fpir R] [--repeat R] [--cache DIR]
  FOLDER  one folder per person
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from measure import print_table, write_json
from people import load

from faceall import Embedder
from faceall.gallery import NamedVectors
from faceall.gallery.decisions import fit_named, prior_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", nargs="+", default=[None])
    parser.add_argument("--people", type=int, nargs="+", default=[5, 20, 100, 900])
    parser.add_argument("--fpir", type=float, default=0.01)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = []
    for model in options.model:
        faces = load(options.folder, model, options.cache)
        prior = prior_of(Embedder(model).model.manifest)
        starts = np.searchsorted(faces.people, np.arange(faces.people[-1] + 2))
        several = np.diff(starts) > 1
        for size in options.people:
            random = np.random.default_rng(0)
            found = []
            for _ in range(options.repeat):
                chosen = np.sort(random.choice(len(several), size, replace=False))
                vectors = faces.vectors[starts[chosen]]
                named = NamedVectors(tuple(map(str, chosen)), np.arange(size, dtype=np.int64), vectors)
                fitted = fit_named(named, size, prior, options.fpir)
                limits = [
                    fitted.scores.threshold(options.fpir, size),
                    fitted.scores.cautious_threshold(options.fpir, size),
                ]
                others = faces.vectors[starts[np.setdiff1d(np.arange(len(several)), chosen)]]
                strangers = 2 - 2 * (others @ vectors.T).max(axis=1)
                own = np.flatnonzero(several[chosen])
                known = 2 - 2 * faces.vectors[starts[chosen[own]] + 1] @ vectors.T
                right = known.argmin(axis=1) == own
                exact = float(np.quantile(strangers, options.fpir))
                low, high = fitted.interval
                rates = [
                    ((strangers <= limit).mean(), 1 - (right & (known.min(axis=1) <= limit)).mean()) for limit in limits
                ]
                found.append((*limits, high - low, low <= exact <= high, *rates[0], *rates[1]))
            table = np.array(found, np.float64)
            means = np.nanmean(table, axis=0).tolist()
            beyond = (table[:, [4, 6]] > 1.5 * options.fpir).mean(axis=0).tolist()
            row = {"model": faces.name, "people": size, "estimate": means[0], "spread": float(table[:, 0].std())}
            row |= {"interval width": means[2], "inside": means[3]}
            row |= {"FPIR": means[4], "beyond": beyond[0], "FNIR": means[5]}
            row |= {"cautious": means[1], "its FPIR": means[6], "its beyond": beyond[1], "its FNIR": means[7]}
            rows.append(row)
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
