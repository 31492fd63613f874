"""Compare rules for people with several photos: FNIR at an FPIR of 1 % and 0.1 %.

A gallery has N random people with k photos each; one other photo of each is searched, and the first photo of all
other people. Every rule gets its exact threshold. Means of R galleries.

Rules: nearest face; mean of the best 2; trimmed mean (best three quarters); mean of all; template (mean vector);
template weighted by quality (size times sharpness); mean of nearest face and template, which `faceall search` uses;
template with Z-norm (against the other people of the gallery), S-norm (symmetric) and adaptive S-norm (50 nearest).

With --steps, instead: what each step of the decision changes, one after the other: the nearest face; + template (the
mean of nearest face and template); + normalisation (S-norm against the gallery); + quality, without and with
normalisation: a query that is small, blurred, turned away or cut off is never a match, so a known person is missed and
a stranger is not named.

Usage: python benchmarks/fusion.py FOLDER [--steps] [--model NAME ...] [--people N ...] [--photos K ...] [--repeat R]
           [--cache DIR]
  FOLDER  one folder per person, several photos each
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from measure import print_table, write_json
from people import People, load_all

from faceall.analysis.open_set import person_similarities
from faceall.analysis.quality import MAX_CUT, MAX_TURN, MIN_SHARPNESS, MIN_SIZE

RATES = (0.01, 0.001)
COHORT = 50
Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Enrolled:
    """A gallery: vectors (n, D), their people ascending, and the weight of each face by its quality."""

    vectors: Array
    people: npt.NDArray[np.int64]
    weights: Array

    def templates(self, weights: Array | None = None) -> Array:
        """Return the unit mean vector of every person, (p, D)."""
        weighted = self.vectors if weights is None else self.vectors * weights[:, None]
        sums = np.add.reduceat(weighted, np.searchsorted(self.people, np.arange(self.people[-1] + 1)), axis=0)
        return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True), np.float32)

    def ranked(self, queries: Array) -> Array:
        """Return the similarities to the k faces of every person, descending, (q, p, k)."""
        count = self.people[-1] + 1
        return -np.sort(-(queries @ self.vectors.T).reshape(len(queries), count, -1), axis=2)


def z_norm(scores: Array, templates: Array, cohort: int | None) -> Array:
    """Normalise the scores of every person by those of the other people of the gallery."""
    mutual = templates @ templates.T
    np.fill_diagonal(mutual, -np.inf)
    near = -np.sort(-mutual, axis=1)[:, : cohort or len(templates) - 1]
    near = near[:, : len(templates) - 1]
    return np.asarray((scores - near.mean(axis=1)) / near.std(axis=1), np.float32)


def s_norm(scores: Array, templates: Array, cohort: int | None) -> Array:
    """Average the Z-norm with the normalisation by the query's own scores."""
    near = -np.sort(-scores, axis=1)[:, 1 : (cohort or scores.shape[1]) + 1]
    own = (scores - near.mean(axis=1, keepdims=True)) / near.std(axis=1, keepdims=True)
    return np.asarray((z_norm(scores, templates, cohort) + own) / 2, np.float32)


def rules() -> dict[str, Callable[[Array, Enrolled], Array]]:
    """Return the rules: (queries, gallery) -> scores (q, p)."""

    def template(queries: Array, gallery: Enrolled) -> Array:
        return queries @ gallery.templates().T

    return {
        "nearest face": lambda q, g: g.ranked(q)[:, :, 0],
        "mean of the best 2": lambda q, g: g.ranked(q)[:, :, :2].mean(axis=2),
        "trimmed mean": lambda q, g: g.ranked(q)[:, :, : -(-3 * g.ranked(q).shape[2] // 4)].mean(axis=2),
        "mean of all": lambda q, g: g.ranked(q).mean(axis=2),
        "template": template,
        "template by quality": lambda q, g: q @ g.templates(g.weights).T,
        "nearest and template": lambda q, g: person_similarities(q, g.vectors, g.people),
        "template, Z-norm": lambda q, g: z_norm(template(q, g), g.templates(), None),
        "template, S-norm": lambda q, g: s_norm(template(q, g), g.templates(), None),
        "template, adaptive S-norm": lambda q, g: s_norm(template(q, g), g.templates(), COHORT),
    }


def steps() -> dict[str, tuple[Callable[[Array, Enrolled], Array], bool]]:
    """Return the steps: the rule, and whether poor queries are never a match."""

    def nearest(queries: Array, gallery: Enrolled) -> Array:
        return gallery.ranked(queries)[:, :, 0]

    def fused(queries: Array, gallery: Enrolled) -> Array:
        return person_similarities(queries, gallery.vectors, gallery.people)

    def normalised(queries: Array, gallery: Enrolled) -> Array:
        return s_norm(fused(queries, gallery), gallery.templates(), None)

    return {
        "nearest face": (nearest, False),
        "+ template": (fused, False),
        "+ template + normalisation": (normalised, False),
        "+ template + quality (faceall)": (fused, True),
        "+ template + normalisation + quality": (normalised, True),
    }


@dataclass(frozen=True, eq=False)
class Trial:
    """A gallery, the queries of known people (in its order) and of strangers, and which queries are poor."""

    gallery: Enrolled
    known: Array
    strangers: Array
    poor_known: npt.NDArray[np.bool_]
    poor_strangers: npt.NDArray[np.bool_]

    def misses(self, rule: Callable[[Array, Enrolled], Array], *, judged: bool = False) -> list[float]:
        """Return the FNIR at each rate, with the exact threshold."""
        known, strangers = rule(self.known, self.gallery), rule(self.strangers, self.gallery)
        own = known[np.arange(len(known)), np.arange(len(known))]
        first = known.argmax(axis=1) == np.arange(len(known))
        highest = strangers.max(axis=1)
        if judged:
            first &= ~self.poor_known
            highest = np.where(self.poor_strangers, -np.inf, highest)
        best = np.sort(highest)[::-1]
        return [float(1 - (first & (own > best[int(rate * len(best))])).mean()) for rate in RATES]


def draw_trial(faces: People, size: int, photos: int, random: np.random.Generator) -> Trial:
    """Draw a gallery and its queries."""
    starts = np.searchsorted(faces.people, np.arange(faces.people[-1] + 2))
    counts = np.diff(starts)
    chosen = np.sort(random.choice(np.flatnonzero(counts > photos), size, replace=False))
    rows = np.concatenate([np.arange(starts[person], starts[person] + photos) for person in chosen])
    weights = np.maximum(faces.quality[rows, 0] * faces.quality[rows, 1], 1e-3)
    gallery = Enrolled(faces.vectors[rows], np.repeat(np.arange(size), photos), weights)
    known, strangers = starts[chosen] + photos, starts[np.setdiff1d(np.arange(len(counts)), chosen)]
    poor = are_poor(faces.quality)
    return Trial(gallery, faces.vectors[known], faces.vectors[strangers], poor[known], poor[strangers])


def are_poor(quality: Array) -> npt.NDArray[np.bool_]:
    """Return which faces have a note on their quality, as searches judge them."""
    size, sharp, turned, beyond = quality.T
    return (size < MIN_SIZE) | (sharp < MIN_SHARPNESS) | (turned > MAX_TURN) | (beyond > MAX_CUT)


def measure(trials: list[Trial], photos: int, *, by_steps: bool) -> dict[str, list[float]]:
    """Return the mean FNIRs of every rule or step."""
    if by_steps:
        found = {name: [one.misses(rule, judged=judged) for one in trials] for name, (rule, judged) in steps().items()}
    else:
        found = {
            name: [one.misses(rule) for one in trials]
            for name, rule in rules().items()
            if photos > 1 or name.startswith(("nearest face", "template, "))  # the others equal the nearest face
        }
    return {name: np.mean(values, axis=0).tolist() for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--model", nargs="+", default=[None])
    parser.add_argument("--people", type=int, nargs="+", default=[100])
    parser.add_argument("--photos", type=int, nargs="+", default=[3])
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = []
    for faces in load_all(options.folder, options.model, options.cache):
        for photos, size in product(options.photos, options.people):
            random = np.random.default_rng(0)
            trials = [draw_trial(faces, size, photos, random) for _ in range(options.repeat)]
            for name, means in measure(trials, photos, by_steps=options.steps).items():
                row = {"model": faces.name, "people": size, "photos": photos, "rule": name}
                rows.append(row | {"FNIR @ 1 %": means[0], "FNIR @ 0.1 %": means[1]})
    print_table(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
