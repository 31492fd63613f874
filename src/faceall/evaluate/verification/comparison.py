"""Compare two models on the same pairs: paired tests of the difference of their error rates.

References
----------
Q. McNemar: Note on the sampling error of the difference between correlated proportions. Psychometrika 12 (1947); here
exact, by the binomial distribution.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceall.arguments import checked
from faceall.errors import EvaluationError
from faceall.evaluate.curves import Bools, Float64Array, Interval, Roc, equal_error_rate, percentiles, roc
from faceall.evaluate.pairs import Pair
from faceall.evaluate.verification.rates import FMRS
from faceall.evaluate.verification.resampling import ROUNDS, draw_people, pair_weights
from faceall.types import Int64Array

SIGNIFICANT = 0.05
"""A difference with a smaller p-value is called one."""

_FEWEST = 20  # common pairs of each kind


@dataclass(frozen=True, eq=False)
class StoredResult:
    """The distances of one model in an earlier report.

    Attributes
    ----------
    name : str
        The model.
    distances : dict
        Squared L2 distance of each pair, by `pair_key`.
    """

    name: str
    distances: dict[tuple[str, str, bool], float]


@dataclass(frozen=True)
class RateDifference:
    """The difference of one error rate between two models.

    Attributes
    ----------
    rate : str
        EER, or FMR100, FMR1000 (the FNMR at that false match rate).
    value, other : float
        The rates of the two models on the common pairs.
    interval : (float, float)
        95 % interval of `value - other` (bootstrap over people, the same samples for both models).
    p : float
        Two-sided p-value of the bootstrap.
    """

    rate: str
    value: float
    other: float
    interval: Interval
    p: float


@dataclass(frozen=True)
class PairedComparison:
    """Whether one model is better than another on the same pairs.

    Attributes
    ----------
    model, other : str
        The models.
    pairs : int
        Number of common pairs.
    differences : tuple of RateDifference
        The rates that the pairs support.
    only_model, only_other : int
        Number of pairs of one person that one of the models alone accepts at an FMR of 1 % per comparison.
    mcnemar_p : float
        Two-sided p-value of McNemar's exact test on these.
    better : str or None
        The model with the lower error rate at the strictest supported rate, if p is below 0.05.
    unit : {"pair", "search"}
        What was compared. Of searches, `pairs` is the number of searches of known people, and `only_model` and
        `only_other` count the known people of the first gallery that one model alone finds at an FPIR of 1 %.
    """

    model: str
    other: str
    pairs: int
    differences: tuple[RateDifference, ...]
    only_model: int
    only_other: int
    mcnemar_p: float
    better: str | None
    unit: str = "pair"

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def pair_key(pair: Pair) -> tuple[str, str, bool]:
    """Return what identifies a pair wherever the images are: folder and name of both, and the label."""
    return "/".join(pair.first.parts[-2:]), "/".join(pair.second.parts[-2:]), pair.same


def report_file(path: str | os.PathLike[str]) -> Path:
    """Return the JSON file of a report, given by itself or by its folder."""
    file = Path(path)
    return file / "evaluation.json" if file.is_dir() else file


@checked
def read_report(path: str | os.PathLike[str]) -> list[StoredResult]:
    """Read the distances in a report of `faceall evaluate --out`.

    Parameters
    ----------
    path : path-like
        evaluation.json, or the folder that contains it.

    Returns
    -------
    list of StoredResult
        One per model.

    Raises
    ------
    EvaluationError
        If it cannot be read or has no distances.
    """
    file = report_file(path)
    try:
        values = json.loads(file.read_bytes())
        keys = [(str(first), str(second), bool(same)) for first, second, same in values["compared"]]
        results = [
            StoredResult(str(model["model"]), dict(zip(keys, map(float, model["distances"]), strict=True)))
            for model in values["models"]
        ]
    except OSError as error:
        raise EvaluationError(f"{file}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{file}: has no distances of pairs; expected evaluation.json as faceall evaluate --out writes it for pairs"
        ) from error
    if not results:
        raise EvaluationError(f"{file}: has no models")
    return results


def compare_models(
    name: str,
    distances: Float64Array,
    pairs: Sequence[Pair],
    people: Int64Array,
    stored: StoredResult,
    *,
    rounds: int = ROUNDS,
) -> PairedComparison:
    """Compare a model with an earlier result on the pairs that both have.

    Parameters
    ----------
    name : str
        The model.
    distances : (n,) float64
        Its distances.
    pairs : sequence of Pair
        The pairs.
    people : (n, 2) int64
        Their people.
    stored : StoredResult
        The earlier result.
    rounds : int
        Number of bootstrap samples of people.

    Returns
    -------
    PairedComparison

    Raises
    ------
    EvaluationError
        If they have fewer than 20 pairs of a kind in common.
    """
    keys = [pair_key(pair) for pair in pairs]
    common = np.array([key in stored.distances for key in keys], bool)
    same = np.array([pair.same for pair in pairs])[common]
    if min(int(same.sum()), int((~same).sum())) < _FEWEST:
        raise EvaluationError(
            f"the report has {int(common.sum())} of these {len(pairs)} pairs, expected at least {_FEWEST} of each kind"
        )
    other = np.array([stored.distances[key] for key, kept in zip(keys, common, strict=True) if kept])
    both = np.stack([distances[common], other])
    rows = np.unique(people[common], return_inverse=True)[1].reshape(-1, 2)
    differences = _differences(both, same, rows, rounds)
    accepted = [values[same] <= roc(values, same).at(FMRS[0])[0] for values in both]
    only = int((accepted[0] & ~accepted[1]).sum()), int((accepted[1] & ~accepted[0]).sum())
    return PairedComparison(
        name,
        stored.name,
        int(common.sum()),
        differences,
        *only,
        mcnemar(*only),
        better_of(name, stored.name, differences),
    )


def _differences(both: Float64Array, same: Bools, people: Int64Array, rounds: int) -> tuple[RateDifference, ...]:
    """Compare the error rates of two rows of distances."""
    rates = [rate for rate in FMRS if (~same).sum() * rate >= 1 - 1e-9]
    names = ["EER", *(f"FMR{round(1 / rate)}" for rate in rates)]
    whole = [_rates(roc(values, same), rates) for values in both]
    drawn: list[Float64Array] = []
    sorters = [_Sorted(values, same) for values in both]
    for draw in draw_people(int(people.max()) + 1, rounds=rounds):
        weights = pair_weights(draw, people, same)
        if weights[same].sum() > 0 and weights[~same].sum() > 0:
            first, second = (_rates(sorter.curve(weights), rates) for sorter in sorters)
            drawn.append(first - second)
    samples = np.array(drawn)
    return tuple(
        RateDifference(
            names[place],
            float(whole[0][place]),
            float(whole[1][place]),
            percentiles(samples[:, place].tolist()),
            p_value(samples[:, place]),
        )
        for place in range(len(names))
    )


class _Sorted:
    """Labelled distances in ascending order."""

    def __init__(self, distances: Float64Array, same: Bools) -> None:
        self._order = np.argsort(distances, kind="stable")
        self._values, self._same = distances[self._order], same[self._order]
        self._last = np.append(np.flatnonzero(np.diff(self._values)), len(self._values) - 1)

    def curve(self, weights: Float64Array) -> Roc:
        """Return the ROC of weighted pairs."""
        ordered = weights[self._order]
        parts = [np.cumsum(ordered * kind)[self._last] for kind in (~self._same, self._same)]
        shares = [np.append(0.0, part / part[-1]) for part in parts]
        return Roc(np.append(-np.inf, self._values[self._last]), *shares)


def _rates(curve: Roc, rates: Sequence[float]) -> Float64Array:
    """Return the EER and the FNMR at false match rates."""
    return np.array([equal_error_rate(curve), *(1 - curve.at(rate)[1] for rate in rates)])


def p_value(samples: Float64Array) -> float:
    """Return the two-sided p-value of a bootstrap: twice the share of samples on the other side of zero."""
    count = len(samples) + 1
    return float(min(1.0, 2 * min((samples <= 0).sum() + 1, (samples >= 0).sum() + 1) / count))


def mcnemar(first: int, second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test for the numbers of discordant pairs."""
    total, least = first + second, min(first, second)
    tail = sum(math.comb(total, k) for k in range(least + 1))
    return float(min(1.0, 2 * tail / 2**total))


def better_of(model: str, other: str, differences: Sequence[RateDifference]) -> str | None:
    """Return the model with the significantly lower rate at the strictest supported rate."""
    last = differences[-1]
    if last.p >= SIGNIFICANT or last.value == last.other:
        return None
    return model if last.value < last.other else other
