"""Error rates of 1:1 verification with intervals over people.

References
----------
ISO/IEC 19795-1:2021, Biometric performance testing and reporting: FMR, FNMR, FTA, and the generalised rates that count
failures to acquire. FMR100, FMR1000 and FMR10000 are the FNMR at an FMR of at most 1 %, 0.1 % and 0.01 %, as in the
Fingerprint Verification Competitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from faceall.evaluate.curves import Bools, Float64Array, Interval, Roc, equal_error_rate, percentiles, roc, wilson
from faceall.evaluate.verification.resampling import ROUNDS, draw_people, pair_weights
from faceall.types import Int64Array

FMRS = (1e-2, 1e-3, 1e-4)
"""The false match rates at which misses are reported: FMR100, FMR1000, FMR10000."""

_MOST_POINTS = 400  # of a curve that is stored


@dataclass(frozen=True)
class OperatingPoint:
    """Misses at one false match rate per comparison.

    Attributes
    ----------
    name : str
        FMR100, FMR1000 or FMR10000.
    fmr : float
        The largest allowed share of accepted non-mated comparisons.
    threshold : float
        The largest squared L2 distance that keeps to it.
    fnmr : float
        False non-match rate: share of the mated comparisons beyond the threshold.
    interval : (float, float)
        95 % interval of the FNMR (bootstrap over people; the threshold is chosen again in every sample).
    frr : float
        False reject rate: like the FNMR, but mated pairs with a failure to acquire count as rejected.
    supported : bool
        Whether there are at least 1 / rate non-mated comparisons.
    """

    name: str
    fmr: float
    threshold: float
    fnmr: float
    interval: Interval
    frr: float
    supported: bool


@dataclass(frozen=True, eq=False)
class Verification:
    """Error rates of one model on labelled pairs.

    Attributes
    ----------
    failure_to_acquire : float
        FTA: share of the images without a vector.
    failure_to_acquire_interval : (float, float)
        Its 95 % interval (Wilson, over images).
    equal_error_rate : float
        EER: the rate at which FMR and FNMR are equal.
    equal_error_interval : (float, float)
        Its 95 % interval (bootstrap over people).
    points : tuple of OperatingPoint
        One per rate of `FMRS`.
    people : int
        Number of people.
    fmr, fnmr : (m,) float64
        The DET curve, FMR ascending.
    """

    failure_to_acquire: float
    failure_to_acquire_interval: Interval
    equal_error_rate: float
    equal_error_interval: Interval
    points: tuple[OperatingPoint, ...]
    people: int
    fmr: Float64Array
    fnmr: Float64Array

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "people": self.people,
            "fta": round(self.failure_to_acquire, 6),
            "fta_interval": _rounded(self.failure_to_acquire_interval),
            "eer": round(self.equal_error_rate, 6),
            "eer_interval": _rounded(self.equal_error_interval),
            "operating_points": [
                {
                    "name": point.name,
                    "fmr": point.fmr,
                    "distance": round(point.threshold, 6),
                    "fnmr": round(point.fnmr, 6),
                    "fnmr_interval": _rounded(point.interval),
                    "frr": round(point.frr, 6),
                    "supported": point.supported,
                }
                for point in self.points
            ],
            "det": {"fmr": self.fmr.round(6).tolist(), "fnmr": self.fnmr.round(6).tolist()},
        }


def _rounded(interval: Interval) -> list[float]:
    return [round(value, 6) for value in interval]


@dataclass(frozen=True)
class Acquisition:
    """What could not be compared.

    Attributes
    ----------
    images, failures : int
        Number of images, and of those without a vector.
    mated_pairs : int
        Number of mated pairs with such an image.
    """

    images: int
    failures: int
    mated_pairs: int


def measure_verification(
    distances: Float64Array,
    same: Bools,
    people: Int64Array,
    acquisition: Acquisition,
    *,
    rounds: int = ROUNDS,
) -> Verification:
    """Compute the error rates of compared pairs.

    Parameters
    ----------
    distances : (n,) float64
        Squared L2 distance of every compared pair.
    same : (n,) bool
        Which pairs are mated (show one person). Both kinds must occur.
    people : (n, 2) int64
        The people of every pair, from 0 (`label_people`).
    acquisition : Acquisition
        What could not be compared.
    rounds : int
        Number of bootstrap samples of people.

    Returns
    -------
    Verification
    """
    curve = roc(distances, same)
    samples = _sampled_curves(distances, same, people, rounds)
    mated, others = int(same.sum()), int((~same).sum())
    points = []
    for rate in FMRS:
        threshold, accepted = curve.at(rate)
        missed = 1 - accepted
        interval = percentiles([1 - sample.at(rate)[1] for sample in samples])
        rejected = (missed * mated + acquisition.mated_pairs) / (mated + acquisition.mated_pairs)
        supported = others * rate >= 1 - 1e-9
        name = f"FMR{round(1 / rate)}"
        points.append(OperatingPoint(name, rate, max(threshold, 0.0), missed, interval, rejected, supported))
    shown = _corners(curve)
    return Verification(
        failure_to_acquire=acquisition.failures / max(1, acquisition.images),
        failure_to_acquire_interval=wilson(acquisition.failures, acquisition.images),
        equal_error_rate=equal_error_rate(curve),
        equal_error_interval=percentiles([equal_error_rate(sample) for sample in samples]),
        points=tuple(points),
        people=len(np.unique(people)),
        fmr=curve.false_accept[shown],
        fnmr=1 - curve.true_accept[shown],
    )


def _sampled_curves(distances: Float64Array, same: Bools, people: Int64Array, rounds: int) -> list[Roc]:
    """Return the ROC of every bootstrap sample of people that has pairs of both kinds."""
    order = np.argsort(distances, kind="stable")
    values, truth, rows = distances[order], same[order], people[order]
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    curves = []
    for draw in draw_people(int(people.max()) + 1, rounds=rounds):
        weights = pair_weights(draw, rows, truth)
        right, wrong = np.cumsum(weights * truth)[last], np.cumsum(weights * ~truth)[last]
        if right[-1] > 0 and wrong[-1] > 0:
            shares = [np.append(0.0, part / part[-1]) for part in (wrong, right)]
            curves.append(Roc(np.append(-np.inf, values[last]), *shares))
    return curves or [roc(distances, same)]


def _corners(curve: Roc) -> Int64Array:
    """Return the points with the lowest FNMR of every FMR; of many, more at the low end."""
    corners = np.append(np.flatnonzero(np.diff(curve.false_accept) > 0), len(curve.false_accept) - 1)
    if len(corners) > _MOST_POINTS:
        places = np.geomspace(1, len(corners), _MOST_POINTS).round().astype(np.int64) - 1
        corners = corners[np.unique(places)]
    return np.asarray(corners, np.int64)
