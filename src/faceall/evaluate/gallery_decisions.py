"""Calibrate the searches of a gallery for a false-positive identification rate (FPIR), on its own people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from faceall.analysis.open_set import comparisons, person_similarities
from faceall.arguments import checked
from faceall.errors import EvaluationError
from faceall.evaluate.calibration import MOST_FACES, MOST_PEOPLE, refuse_people_under_several_names
from faceall.evaluate.curves import Interval, wilson
from faceall.gallery import Gallery, NamedVectors
from faceall.gallery.decisions import fit_named, prior_of
from faceall.types import Array

FEWEST_PEOPLE = 20
"""Number of people from which a gallery can tell more than its model."""


@dataclass(frozen=True)
class SearchCalibration:
    """The threshold of searches for a false-positive identification rate.

    Attributes
    ----------
    fpir : float
        Target share of searches of strangers that name a person.
    threshold : float
        Squared L2 distance up to which a face matches: the FPIR is at most the target with a confidence of 80 %.
    interval : (float, float)
        95 % interval of the distance at which the FPIR is the target (bootstrap over people).
    fnir : float or None
        Share of people with several faces whose first face would not find them: their other faces are beyond the
        threshold, or another person is nearer. None if no person has two faces.
    fnir_interval : (float, float) or None
        Its 95 % interval (Wilson, over people).
    people, faces : int
        How many were compared.
    sampled : bool
        Whether the gallery has more.
    extrapolated : bool
        Whether the people are too few to observe the rate (fewer than 1 / rate), so that the threshold rests on the
        shape of the model's distribution.
    """

    fpir: float
    threshold: float
    interval: Interval
    fnir: float | None
    fnir_interval: Interval | None
    people: int
    faces: int
    sampled: bool
    extrapolated: bool = False


@checked
def calibrate_searches(gallery: Gallery, *, fpir: float = 0.01, model_manifest: Any = None) -> SearchCalibration:
    """Estimate the threshold of searches for a false-positive identification rate; nothing is stored.

    Every person is left out of the gallery once and searched for: whatever is found is a wrong name.

    Parameters
    ----------
    gallery : Gallery
        The gallery.
    fpir : float
        The target rate, above 0, at most 0.5.
    model_manifest : Manifest, optional
        The manifest of the gallery's model, whose own distribution supports small galleries.

    Returns
    -------
    SearchCalibration

    Raises
    ------
    EvaluationError
        If the rate is out of range, or the gallery has too few people or people under several names.
    """
    if not 0 < fpir <= 0.5:
        raise EvaluationError(f"the FPIR is {fpir:g}, expected above 0, at most 0.5")
    named = gallery.people.named_vectors(most_people=MOST_PEOPLE, most_faces=MOST_FACES)
    count = len(named.names)
    if count < FEWEST_PEOPLE:
        who = f"{count} {'person' if count == 1 else 'people'} with a name"
        raise EvaluationError(
            f"the gallery has {who}, at least {FEWEST_PEOPLE} are needed to measure an FPIR; until then searches use "
            "the scores of the model"
        )
    prior = None if model_manifest is None else prior_of(model_manifest)
    known = sum(person.faces for person in gallery.people if person.named)
    people = max(count, sum(person.faces > 0 for person in gallery.people))
    faces = max(len(named.people), sum(person.faces for person in gallery.people))
    refuse_people_under_several_names(named, prior)
    fitted = fit_named(named, people, prior, fpir, faces=faces)
    threshold = fitted.scores.cautious_threshold(fpir, comparisons(people, faces))
    missed = missed_people(named, threshold)
    return SearchCalibration(
        fpir=fpir,
        threshold=threshold,
        interval=fitted.interval,
        fnir=float(missed.mean()) if len(missed) else None,
        fnir_interval=wilson(float(missed.sum()), len(missed)) if len(missed) else None,
        people=count,
        faces=len(named.people),
        sampled=known > len(named.people),
        extrapolated=count * fpir < 1 - 1e-9,
    )


def missed_people(named: NamedVectors, threshold: float) -> Array:
    """Search the first face of every person among all other faces.

    Returns
    -------
    (p,) bool
        For the people with several faces, whether the search fails: no person or another one is found.
    """
    first = np.flatnonzero(np.diff(named.people, prepend=-1))
    counts = np.bincount(named.people, minlength=len(named.names))
    missed = []
    for row in first[counts[named.people[first]] > 1]:
        others = np.delete(np.arange(len(named.people)), row)
        query = named.vectors[row : row + 1]
        similarities = person_similarities(query, named.vectors[others], named.people[others])[0]
        nearest = int(np.argmax(similarities))
        missed.append(nearest != named.people[row] or 2 - 2 * similarities[nearest] > threshold)
    return np.array(missed, bool)
