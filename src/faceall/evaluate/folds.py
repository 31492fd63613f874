"""Ten-fold cross-validation of pairs, as in the LFW protocol and in facenet's `validate_on_lfw`.

References
----------
D. Sandberg: facenet (MIT), src/facenet.py, `calculate_roc` and `calculate_val`.
G. B. Huang et al.: Labeled Faces in the Wild. Technical report 07-49, University of Massachusetts (2007).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from faceall.arguments import checked
from faceall.evaluate.curves import (
    Bools,
    Float64Array,
    Interval,
    area_under,
    bootstrap,
    equal_error_rate,
    roc,
    wilson,
)
from faceall.types import Float32Array, Int64Array

FOLDS = 10
RATES = (1e-2, 1e-3)
"""The false-accept rates at which the share of accepted mated pairs is reported."""

Measure: TypeAlias = Literal["squared_l2", "angle"]
"""squared_l2: squared L2 distance of unit vectors, 0 to 4. angle: angle between them in units of pi, 0 to 1."""

MEASURES: tuple[Measure, ...] = get_args(Measure)
_GRIDS = {"squared_l2": np.arange(0, 4, 0.01), "angle": np.arange(0, 1, 0.0025)}


@dataclass(frozen=True)
class Validation:
    """Share of accepted mated pairs (VAL) at a false-accept rate (FAR), as defined by facenet.

    Attributes
    ----------
    wanted : float
        The false-accept rate for which each threshold was chosen on the other folds.
    value : float
        Mean share of accepted mated pairs over the folds, 0 to 1.
    deviation : float
        Standard deviation over the folds.
    interval : (float, float)
        95 % interval (Wilson, over the mated pairs).
    measured : float
        Share of non-mated pairs that the thresholds accept on their own fold.
    threshold : float
        Mean over the folds; pairs below it are accepted.
    supported : bool
        Whether there are enough non-mated pairs to distinguish the rate from zero.
    """

    wanted: float
    value: float
    deviation: float
    interval: Interval
    measured: float
    threshold: float
    supported: bool


@dataclass(frozen=True)
class Scores:
    """Results of one model with one distance measure.

    Attributes
    ----------
    accuracy, deviation : float
        Mean and standard deviation over the folds.
    accuracy_interval : (float, float)
        95 % interval (Wilson).
    threshold : float
        Mean over the folds.
    area, equal_error_rate : float
        Area under the ROC and equal error rate of all pairs.
    area_interval, equal_error_interval : (float, float)
        95 % intervals (bootstrap over pairs).
    validations : tuple of Validation
        One per rate of `RATES`.
    """

    accuracy: float
    deviation: float
    accuracy_interval: Interval
    threshold: float
    area: float
    area_interval: Interval
    equal_error_rate: float
    equal_error_interval: Interval
    validations: tuple[Validation, ...]


@checked
def assign_folds(same: npt.ArrayLike, sets: Sequence[int | None]) -> Int64Array:
    """Assign every pair to a fold.

    If the list is divided into sets with pairs of both kinds, these are the folds. Otherwise each kind is cut, in its
    order, into ten runs of equal length (fewer if a kind has fewer pairs).

    Parameters
    ----------
    same : (n,) array_like of bool
        Whether a pair shows one person.
    sets : sequence of int or None
        The set of each pair.

    Returns
    -------
    (n,) int64
        Fold numbers from 0.
    """
    truth = np.asarray(same, bool)
    if all(number is not None for number in sets):
        given = np.asarray(sets, np.int64)
        kinds = [set(given[truth].tolist()), set(given[~truth].tolist())]
        if kinds[0] == kinds[1] and len(kinds[0]) > 1:
            return np.unique(given, return_inverse=True)[1].astype(np.int64)
    members = [np.flatnonzero(truth), np.flatnonzero(~truth)]
    count = min(FOLDS, *map(len, members))
    folds = np.empty(len(truth), np.int64)
    for places in members:
        folds[places] = np.arange(len(places)) * count // len(places)
    return folds


def measure_distances(first: npt.ArrayLike, second: npt.ArrayLike, measure: Measure) -> Float64Array:
    """Compute the distance of each pair of rows, (n, D) and (n, D) -> (n,) float64."""
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if measure == "squared_l2":
        return np.asarray(((one - other) ** 2).sum(axis=1))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines = (one * other).sum(axis=1) / np.maximum(lengths, 1e-30)
    return np.asarray(np.arccos(np.clip(cosines, -1, 1)) / np.pi)


@checked
def score(
    first: Float32Array,
    second: Float32Array,
    same: Bools,
    folds: Int64Array,
    measure: Measure,
    *,
    subtract_mean: bool = False,
) -> Scores:
    """Compute all results for pairs of vectors.

    Parameters
    ----------
    first, second : (n, D) float32
        Unit vectors of the two images of every pair.
    same : (n,) bool
        Whether a pair shows one person.
    folds : (n,) int64
        The fold of each pair.
    measure : Measure
        The distance measure.
    subtract_mean : bool
        Subtract the mean vector of the other folds from each fold, as facenet's --subtract_mean does.

    Returns
    -------
    Scores
    """
    numbers = np.unique(folds)
    runs = [_Fold(first, second, same, folds != number, measure, subtract_mean) for number in numbers]
    chosen = [run.best_threshold() for run in runs]
    right = [run.right(threshold) for run, threshold in zip(runs, chosen, strict=True)]
    accuracies = [float(values.mean()) for values in right]
    mean = _mean_of(first, second) if subtract_mean else np.zeros(first.shape[1])
    everything = measure_distances(first - mean, second - mean, measure)
    curve = roc(everything, same)
    area_interval, error_interval = bootstrap(everything, same)
    return Scores(
        accuracy=float(np.mean(accuracies)),
        deviation=float(np.std(accuracies)),
        accuracy_interval=wilson(float(sum(values.sum() for values in right)), len(same)),
        threshold=float(np.mean(chosen)),
        area=area_under(curve),
        area_interval=area_interval,
        equal_error_rate=equal_error_rate(curve),
        equal_error_interval=error_interval,
        validations=tuple(_validate(runs, rate) for rate in RATES),
    )


def _mean_of(first: Float32Array, second: Float32Array) -> Float64Array:
    """Return the mean of all vectors."""
    return np.asarray(np.concatenate([first, second]).mean(axis=0, dtype=np.float64))


class _Fold:
    """The pairs to choose a threshold on, and the pairs to test it on."""

    def __init__(
        self,
        first: Float32Array,
        second: Float32Array,
        same: Bools,
        training: Bools,
        measure: Measure,
        subtract_mean: bool,
    ) -> None:
        mean = _mean_of(first[training], second[training]) if subtract_mean else np.zeros(first.shape[1])
        distances = measure_distances(first - mean, second - mean, measure)
        self._grid = _GRIDS[measure]
        self._training = [np.sort(distances[training & kind]) for kind in (same, ~same)]
        self._distances, self._same = distances[~training], same[~training]

    def best_threshold(self) -> float:
        """Return the first threshold of facenet's grid with the highest accuracy on the training pairs."""
        one, two = (np.searchsorted(values, self._grid, side="left") for values in self._training)  # number below
        return float(self._grid[np.argmax(one + len(self._training[1]) - two)])

    def right(self, threshold: float) -> Bools:
        """Return which pairs of the fold are classified correctly."""
        return np.asarray((self._distances < threshold) == self._same)

    def threshold_at(self, rate: float) -> float:
        """Return the largest threshold that accepts at most that share of the non-mated training pairs."""
        others = self._training[1]
        return float(others[min(_allowed(rate, len(others)), len(others) - 1)])

    def supports(self, rate: float) -> bool:
        """Return whether a single non-mated training pair is at most that share."""
        return _allowed(rate, len(self._training[1])) >= 1

    def accepted(self, threshold: float, *, same: bool) -> tuple[int, int]:
        """Return how many pairs of one kind in the fold are below the threshold, and how many there are."""
        values = self._distances[self._same == same]
        return int((values < threshold).sum()), len(values)


def _allowed(rate: float, count: int) -> int:
    """Return how many of `count` pairs a rate allows."""
    return math.floor(rate * count + 1e-9)


def _validate(runs: Sequence[_Fold], rate: float) -> Validation:
    """Compute VAL at one false-accept rate."""
    thresholds = [run.threshold_at(rate) for run in runs]
    paired = list(zip(runs, thresholds, strict=True))
    kept = [run.accepted(threshold, same=True) for run, threshold in paired]
    passed = [run.accepted(threshold, same=False) for run, threshold in paired]
    values = [number / total for number, total in kept]
    return Validation(
        wanted=rate,
        value=float(np.mean(values)),
        deviation=float(np.std(values)),
        interval=wilson(sum(number for number, _ in kept), sum(total for _, total in kept)),
        measured=float(np.mean([number / total for number, total in passed])),
        threshold=float(np.mean(thresholds)),
        supported=all(run.supports(rate) for run in runs),
    )
