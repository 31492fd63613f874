"""Statistics of labelled pairs: ROC curve, area under it, equal error rate, and confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from faceall.arguments import checked

Float64Array: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Interval: TypeAlias = tuple[float, float]

CONFIDENCE = 0.95
ROUNDS = 1000
_NORMAL = 1.959963984540054  # standard deviations on each side that contain CONFIDENCE of a normal distribution
_BLOCK = 1 << 22  # values in memory per step of the bootstrap


@dataclass(frozen=True, eq=False)
class Roc:
    """Receiver operating characteristic of labelled pairs.

    Attributes
    ----------
    thresholds : (m,) float64
        Ascending, the first is -inf. Pairs with a distance up to and including the threshold are accepted.
    false_accept : (m,) float64
        Share of non-mated pairs (two people) that are accepted: the false match rate (FMR), 0 to 1.
    true_accept : (m,) float64
        Share of mated pairs (one person) that are accepted: 1 minus the false non-match rate (FNMR), 0 to 1.
    """

    thresholds: Float64Array
    false_accept: Float64Array
    true_accept: Float64Array

    def at(self, rate: float) -> tuple[float, float]:
        """Return the largest threshold with a false-accept rate of at most `rate`, and its true-accept rate."""
        place = int(np.searchsorted(self.false_accept, rate, side="right")) - 1
        return float(self.thresholds[place]), float(self.true_accept[place])


@checked
def roc(distances: npt.ArrayLike, same: npt.ArrayLike) -> Roc:
    """Compute the ROC of pairs, one point per distinct distance.

    Parameters
    ----------
    distances : (n,) array_like
        Smaller is more similar.
    same : (n,) array_like of bool
        Whether a pair shows one person. Both kinds must occur.

    Returns
    -------
    Roc
    """
    order = np.argsort(np.asarray(distances), kind="stable")
    values = np.asarray(distances, np.float64)[order]
    truth = np.asarray(same, bool)[order]
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)  # of each group of equal distances
    accepted, right = last + 1, np.cumsum(truth)[last]
    total = int(truth.sum())
    return Roc(
        np.concatenate([[-np.inf], values[last]]),
        np.concatenate([[0.0], (accepted - right) / (len(truth) - total)]),
        np.concatenate([[0.0], right / total]),
    )


@checked
def area_under(curve: Roc) -> float:
    """Return the area under a ROC: the probability that a mated pair is nearer than a non-mated one (ties half)."""
    steps = np.diff(curve.false_accept)
    return float(np.sum(steps * (curve.true_accept[1:] + curve.true_accept[:-1]) / 2))


@checked
def equal_error_rate(curve: Roc) -> float:
    """Return the equal error rate (FMR = FNMR), interpolated linearly between the points of the ROC."""
    excess = curve.false_accept - (1 - curve.true_accept)  # rises from -1 to 1
    after = int(np.argmax(excess >= 0))
    step = excess[after] - excess[after - 1]
    share = -excess[after - 1] / step
    return float(curve.false_accept[after - 1] + share * (curve.false_accept[after] - curve.false_accept[after - 1]))


@checked
def wilson(successes: float, total: int) -> Interval:
    """Compute the 95 % confidence interval of a proportion.

    Parameters
    ----------
    successes : float
        Number of successes.
    total : int
        Number of trials.

    Returns
    -------
    (low, high) : tuple of float

    References
    ----------
    E. B. Wilson: Probable Inference, the Law of Succession, and Statistical Inference. JASA 22 (1927).
    """
    if total == 0:
        return 0.0, 1.0
    share, square = successes / total, _NORMAL**2
    centre = (share + square / (2 * total)) / (1 + square / total)
    half = _NORMAL * math.sqrt(share * (1 - share) / total + square / (4 * total**2)) / (1 + square / total)
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == total else centre + half)


@checked
def bootstrap(
    distances: npt.ArrayLike, same: npt.ArrayLike, *, rounds: int = ROUNDS, seed: int = 0
) -> tuple[Interval, Interval]:
    """Compute 95 % intervals of the area under the ROC and of the equal error rate by resampling pairs.

    Mated and non-mated pairs are resampled separately, as many of each as there are; intervals are percentiles.

    Parameters
    ----------
    distances : (n,) array_like
        Smaller is more similar.
    same : (n,) array_like of bool
        Whether a pair shows one person.
    rounds : int
        Number of bootstrap samples.
    seed : int
        Seed of the random generator.

    Returns
    -------
    (area, equal_error_rate) : tuple of intervals

    References
    ----------
    B. Efron: Bootstrap Methods: Another Look at the Jackknife. Annals of Statistics 7 (1979).
    """
    order = np.argsort(np.asarray(distances), kind="stable")
    values, truth = np.asarray(distances, np.float64)[order], np.asarray(same, bool)[order]
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    random = np.random.default_rng(seed)
    areas, errors = [], []
    step = max(1, _BLOCK // len(values))
    for start in range(0, rounds, step):
        count = min(step, rounds - start)
        accepted = [_drawn(kind, random, count)[:, last] for kind in (~truth, truth)]
        for false_accept, true_accept in zip(*accepted, strict=True):
            drawn = Roc(values[last], np.append(0.0, false_accept), np.append(0.0, true_accept))
            areas.append(area_under(drawn))
            errors.append(equal_error_rate(drawn))
    return percentiles(areas), percentiles(errors)


def _drawn(kind: Bools, random: np.random.Generator, count: int) -> Float64Array:
    """Resample the pairs of one kind `count` times; returns the cumulative share at each position of the order."""
    places = np.flatnonzero(kind)
    weights = np.zeros((count, len(kind)))
    weights[:, places] = random.multinomial(len(places), np.full(len(places), 1 / len(places)), size=count)
    return np.asarray(np.minimum(np.cumsum(weights, axis=1) / len(places), 1.0))


def percentiles(values: Sequence[float]) -> Interval:
    """Return the central 95 % interval of bootstrap results."""
    low, high = np.percentile(np.asarray(values), [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return round(float(low), 9), round(float(high), 9)  # without rounding noise of the interpolation
