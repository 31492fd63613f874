"""Thresholds of searches: chosen for a false-positive identification rate from the size and people of the gallery."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from faceall.analysis.open_set import (
    FPIR,
    POSSIBLE_FACTOR,
    StrangerScores,
    comparisons,
    fit_scores,
    interval,
    nearest_others,
    scores_of_model,
)
from faceall.errors import ArgumentError
from faceall.gallery.store import Store
from faceall.gallery.thresholds import (
    MatchThreshold,
    NamedVectors,
    read_calibration,
    read_named_vectors,
    threshold_in_force,
)
from faceall.models import Manifest, known_scores
from faceall.native import ForkSafeLock

FEWEST_WITHOUT_MODEL = 20
"""Number of people from which a gallery's own scores are used alone, if those of the model are not known."""

_KEY = "decisions"
_MOST_PEOPLE = 1000
_MOST_FACES = 5
_LARGEST_RATE = 0.1  # of pairs: a rate beyond it says nothing about the tail
_CHANCE = 2.0  # squared L2 of unrelated unit vectors
_LARGE = 5000  # faces
_GROWTH = 1.25  # the scores are fitted again when the number of people has changed by this factor


@dataclass(frozen=True)
class FittedScores:
    """The distribution of strangers that was fitted to a gallery.

    Attributes
    ----------
    scores : StrangerScores
        Its parameters.
    people, faces : int
        Number of people with faces, and of their faces, when it was fitted.
    interval : (float, float)
        95 % interval of the threshold at which the FPIR is the target (squared L2); searches use a cautious one, in its
        lower half.
    """

    scores: StrangerScores
    people: int
    interval: tuple[float, float]
    faces: int = 0


def target_fpir(store: Store) -> float:
    """Return the false-positive identification rate that the gallery is set to."""
    values = store.setting(_KEY)
    fpir = values.get("fpir") if isinstance(values, dict) else None
    return float(fpir) if isinstance(fpir, int | float) and 0 < fpir < 1 else FPIR


def set_target_fpir(store: Store, fpir: float | None) -> None:
    """Set the false-positive identification rate of the gallery; None restores the default.

    Raises
    ------
    ArgumentError
        If the rate is not above 0 and at most 0.5.
    """
    if fpir is not None and not 0 < fpir <= 0.5:
        raise ArgumentError(f"fpir is {fpir:g}, expected a rate above 0, at most 0.5")
    store.put_setting(_KEY, None if fpir is None else {"fpir": fpir})


class Decisions:
    """The thresholds of one open gallery; the fitted scores are kept in memory."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._fitted: tuple[str, float, FittedScores] | None = None
        self._counted: tuple[float, tuple[int, int]] | None = None

    def threshold(self, store: Store, manifest: Manifest) -> MatchThreshold | None:
        """Return the threshold of a search.

        A calibration by pairs that was stored by the user counts first. Otherwise the threshold follows from the
        target FPIR; without a distribution for the model it needs at least 20 people, and is None with fewer.
        """
        calibration = read_calibration(store)
        if calibration is not None:
            return threshold_in_force(calibration, manifest)
        prior = prior_of(manifest)
        fpir, (people, faces) = target_fpir(store), self._count(store)
        if prior is None and people < FEWEST_WITHOUT_MODEL:
            return threshold_in_force(None, manifest)
        fitted = self._fit(store, prior, fpir, people, faces)
        compared = comparisons(people, faces)
        return MatchThreshold(
            fitted.scores.cautious_threshold(fpir, compared),
            None,
            "gallery" if fitted.scores.people else "model",
            possible=fitted.scores.cautious_threshold(min(POSSIBLE_FACTOR * fpir, 0.5), compared),
            fpir=fpir,
            people=people,
            interval=fitted.interval,
            margin=0.5 * fitted.scores.deviation,
        )

    def _count(self, store: Store) -> tuple[int, int]:
        """Count people and their faces; in a large gallery at most once a second."""
        now = time.monotonic()
        with self._lock:
            known = self._counted
            if known is None or known[1][1] < _LARGE or now - known[0] > 1:
                known = self._counted = now, store.people.assigned()
        return known[1]

    def _fit(self, store: Store, prior: StrangerScores | None, fpir: float, people: int, faces: int) -> FittedScores:
        """Return the fitted scores, fitted again if the gallery has grown or shrunk by a quarter."""
        with self._lock:
            known = self._fitted
            label = store.model or ""
            if known is None or known[:2] != (label, fpir) or not _close(known[2].people, people):
                known = label, fpir, fit_gallery(store, prior, fpir, people, faces)
                self._fitted = known
            fitted = known[2]
        then = fitted.scores.threshold(fpir, comparisons(fitted.people, fitted.faces))
        scale = fitted.scores.threshold(fpir, comparisons(people, faces)) - then
        low, high = fitted.interval
        return replace(fitted, interval=(low + scale, high + scale))


def prior_of(manifest: Manifest) -> StrangerScores | None:
    """Return the distribution of strangers of a model, from its scores or its pair threshold; None without either."""
    stated = known_scores(manifest)
    if stated is not None:
        return StrangerScores(stated.mean, stated.deviation, 0, stated.bend)
    limit, rate = manifest.match_threshold, manifest.match_threshold_false_accept_rate
    if limit is None or rate is None or rate > _LARGEST_RATE or limit >= _CHANCE:
        return None
    return scores_of_model(limit, rate)


def fit_gallery(store: Store, prior: StrangerScores | None, fpir: float, people: int, faces: int) -> FittedScores:
    """Fit the distribution of strangers to the people of a gallery, each left out once; at most 1,000 of them."""
    named = read_named_vectors(store, most_people=_MOST_PEOPLE, most_faces=_MOST_FACES)
    return fit_named(named, people, prior, fpir, faces=faces)


def fit_named(
    named: NamedVectors, people: int, prior: StrangerScores | None, fpir: float, *, faces: int | None = None
) -> FittedScores:
    """Fit the distribution of strangers to people.

    Parameters
    ----------
    named : NamedVectors
        The people, or a sample of them.
    people, faces : int
        Size of the gallery that the interval of the threshold holds for; by default one face per person.
    prior : StrangerScores or None
        The distribution of the model.
    fpir : float
        The target false-positive identification rate.
    """
    count = len(named.names)
    compared = comparisons(count, len(named.people)) * (1 - 1 / count) if count > 1 else 0.0
    maxima = nearest_others(named.vectors, named.people) if count > 1 else named.vectors[:0, :0].sum(axis=1)
    scores = fit_scores(maxima, compared, prior)
    size = comparisons(people, faces or people)
    bounds = interval(maxima, max(compared, 1.0), prior, lambda each: each.threshold(fpir, size))
    return FittedScores(scores, people, bounds, faces or people)


def _close(first: int, second: int) -> bool:
    """Return whether two numbers of people differ by less than the growth that needs a new fit."""
    low, high = sorted((max(first, 1), max(second, 1)))
    return high < low * _GROWTH or high - low < 2
