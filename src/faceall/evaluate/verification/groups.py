"""Differences between groups of people, and by what is known of the faces, at one threshold.

References
----------
ISO/IEC 19795-10:2024, Quantifying biometric system performance variation across demographic groups.
P. Grother et al.: Face Recognition Vendor Test Part 3: Demographic Effects. NISTIR 8280 (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from faceall.errors import EvaluationError
from faceall.evaluate.curves import Bools, Float64Array, Interval, percentiles
from faceall.evaluate.verification.resampling import ROUNDS, draw_people
from faceall.types import Float32Array, Int64Array

_BINS = 4
_FEWEST = 20  # pairs in a bin
_MOST_IMAGES = 4000  # that are all compared with one another


@dataclass(frozen=True)
class PartRates:
    """Error rates of a part of the comparisons, at a threshold that is the same for all parts.

    Attributes
    ----------
    name : str
        The group, or the range of values.
    people : int
        Number of people.
    mated, non_mated : int
        Number of comparisons of one person and of two people.
    fmr, fnmr : float or None
        False match rate per comparison, false non-match rate; None without such comparisons.
    fmr_interval, fnmr_interval : (float, float) or None
        95 % intervals (bootstrap over people).
    """

    name: str
    people: int
    mated: int
    non_mated: int
    fmr: float | None
    fmr_interval: Interval | None
    fnmr: float | None
    fnmr_interval: Interval | None


@dataclass(frozen=True)
class Ratio:
    """The highest rate of a group divided by the lowest.

    Attributes
    ----------
    rate : str
        FMR or FNMR, of searches FNIR or FPIR.
    worst, best : str
        The groups.
    value : float or None
        The ratio; None if the lowest rate is 0.
    interval : (float, float or None)
        95 % interval (bootstrap over people); None for a bound that is infinite.
    """

    rate: str
    worst: str
    best: str
    value: float | None
    interval: tuple[float, float | None]


@dataclass(frozen=True)
class PartedRates:
    """Error rates by group or by a property of the faces.

    Attributes
    ----------
    by : str
        "group" or the factor.
    threshold : float
        Squared L2 distance for all parts.
    fmr : float
        The false match rate of all comparisons together that it was chosen for.
    all_comparisons : bool
        Whether every image was compared with every other one, or only as the list of pairs says.
    parts : tuple of PartRates
        The parts.
    ratios : tuple of Ratio
        Worst to best group of FMR and FNMR; empty for a factor.
    unknown : int
        Number of images (groups) or pairs (factors) that are in no part.
    """

    by: str
    threshold: float
    fmr: float
    all_comparisons: bool
    parts: tuple[PartRates, ...]
    ratios: tuple[Ratio, ...]
    unknown: int

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        values = asdict(self)
        return {"distance": values.pop("threshold"), **values}


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Comparisons of images.

    Attributes
    ----------
    images : (m, 2) int64
        The two images of each comparison.
    distances : (m,) float64
        Squared L2.
    all_comparisons : bool
        Whether every image is compared with every other one.
    """

    images: Int64Array
    distances: Float64Array
    all_comparisons: bool


def compare_all(vectors: Float32Array) -> Comparisons:
    """Compare every image with every other one, of more than 4,000 images those of a sample.

    Parameters
    ----------
    vectors : (n, D) float32
        Unit vectors.
    """
    rows = np.arange(len(vectors))
    if len(rows) > _MOST_IMAGES:
        rows = np.sort(np.random.default_rng(0).choice(rows, _MOST_IMAGES, replace=False))
    first, second = np.triu_indices(len(rows), 1)
    distances = np.maximum(2 - 2 * (vectors[rows] @ vectors[rows].T), 0)[first, second]
    return Comparisons(np.stack([rows[first], rows[second]], axis=1), distances.astype(np.float64), True)


def rates_by_group(
    compared: Comparisons, people: Int64Array, groups: Sequence[str | None], fmr: float, *, rounds: int = ROUNDS
) -> PartedRates:
    """Measure the errors of comparisons within each group, at one threshold.

    The threshold has the false match rate over all comparisons of two people whose groups are known, of one group or of
    two; a comparison counts for a group if both images are in it.

    Parameters
    ----------
    compared : Comparisons
        The comparisons.
    people : (n,) int64
        The person of each image.
    groups : sequence of str or None
        The group of each image; None if it is not known.
    fmr : float
        False match rate per comparison.
    rounds : int
        Number of bootstrap samples of people.

    Raises
    ------
    EvaluationError
        If no two people with a known group are compared.
    """
    names = sorted({group for group in groups if group is not None})
    labels = np.array([-1 if group is None else names.index(group) for group in groups], np.int64)
    keep = (labels[compared.images] >= 0).all(axis=1)
    images, distances = compared.images[keep], compared.distances[keep]
    used = np.unique(people[images], return_inverse=True)[1].reshape(-1, 2)
    others = used[:, 0] != used[:, 1]
    if not others.any():
        raise EvaluationError(
            "no two people with a group are compared: does the file name the images or people of DIR?"
        )
    threshold = float(np.quantile(distances[others], fmr, method="lower"))
    tables = []
    for group in range(len(names)):
        inside = (labels[images] == group).all(axis=1)
        tables.append(_Table(used[inside, 0], used[inside, 1], distances[inside] <= threshold))
    draws = draw_people(int(used.max()) + 1, rounds=rounds)
    samples = [table.rates(draws) for table in tables]
    parts = [
        _part(name, len(np.unique(people[labels == group])), table, sample)
        for group, (name, table, sample) in enumerate(zip(names, tables, samples, strict=True))
    ]
    rates = {"FMR": [part.fmr for part in parts], "FNMR": [part.fnmr for part in parts]}
    ratios = [
        ratio
        for place, (rate, values) in enumerate(rates.items())
        if (ratio := worst_to_best(rate, names, values, [sample[place] for sample in samples])) is not None
    ]
    unknown = int((labels < 0).sum())
    return PartedRates("group", threshold, fmr, compared.all_comparisons, tuple(parts), tuple(ratios), unknown)


class _Table:
    """Counts of errors by the people of the comparisons."""

    def __init__(self, first: Int64Array, second: Int64Array, accepted: Bools) -> None:
        same = first == second
        self.mated, self.non_mated = int(same.sum()), int((~same).sum())
        self.rejected = int((same & ~accepted).sum())
        self.falsely_accepted = int((~same & accepted).sum())
        self._first, self._second = first, second
        self._wrong = np.flatnonzero(accepted != same)

    def rates(self, draws: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return FMR and FNMR of every sample of people, (rounds,) each; nan without comparisons."""
        same = self._first == self._second
        count = draws.shape[1]
        own = np.bincount(self._first[same], minlength=count)
        pairs = np.zeros((count, count))
        np.add.at(pairs, (self._first[~same], self._second[~same]), 1)
        wrong = np.zeros(len(same), bool)
        wrong[self._wrong] = True
        missed = np.bincount(self._first[same & wrong], minlength=count)
        confused = np.zeros((count, count))
        np.add.at(confused, (self._first[~same & wrong], self._second[~same & wrong]), 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            fmr = ((draws @ confused) * draws).sum(axis=1) / ((draws @ pairs) * draws).sum(axis=1)
            fnmr = (draws @ missed) / (draws @ own)
        return fmr, fnmr


def _part(name: str, people: int, table: _Table, sample: tuple[Float64Array, Float64Array]) -> PartRates:
    """Collect the rates of a group."""
    fmr = table.falsely_accepted / table.non_mated if table.non_mated else None
    fnmr = table.rejected / table.mated if table.mated else None
    intervals = [
        None if rate is None else finite_interval(drawn) for rate, drawn in zip((fmr, fnmr), sample, strict=True)
    ]
    return PartRates(name, people, table.mated, table.non_mated, fmr, intervals[0], fnmr, intervals[1])


def finite_interval(values: Float64Array) -> Interval | None:
    """Return the 95 % interval of bootstrap results, of which those without a value are nan; None if all are."""
    finite = values[np.isfinite(values)]
    return percentiles(finite.tolist()) if len(finite) else None


def worst_to_best(
    rate: str, names: Sequence[str], values: Sequence[float | None], samples: Sequence[Float64Array]
) -> Ratio | None:
    """Compare the groups with the highest and the lowest rate; None if fewer than two have the rate.

    Parameters
    ----------
    rate : str
        The name of the rate.
    names : sequence of str
        The groups.
    values : sequence of float or None
        The rate of each group.
    samples : sequence of (rounds,) float64
        The rate of each group in every bootstrap sample; nan without a value.
    """
    known = {place: value for place, value in enumerate(values) if value is not None}
    if len(known) < 2:
        return None
    worst, best = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
    drawn = np.stack([samples[place] for place in known])
    drawn = drawn[:, np.isfinite(drawn).all(axis=0)]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(drawn.max(axis=0) > 0, drawn.max(axis=0) / drawn.min(axis=0), 1.0)
    low, high = np.percentile(ratios, [2.5, 97.5], method="inverted_cdf") if ratios.size else (1.0, np.inf)
    return Ratio(
        rate,
        names[worst],
        names[best],
        known[worst] / known[best] if known[best] > 0 else None,
        (float(low), float(high) if np.isfinite(high) else None),
    )


def rates_by_value(
    factor: str, values: Float64Array, compared: Comparisons, people: Int64Array, fmr: float, *, rounds: int = ROUNDS
) -> PartedRates:
    """Measure the errors of comparisons by quarters of a value, at one threshold.

    Parameters
    ----------
    factor : str
        What the values are.
    values : (m,) float64
        One per comparison; nan if it is not known.
    compared : Comparisons
        The comparisons.
    people : (n,) int64
        The person of each image.
    fmr : float
        False match rate per comparison, over all comparisons of two people.
    rounds : int
        Number of bootstrap samples of people.
    """
    used = np.unique(people[compared.images], return_inverse=True)[1].reshape(-1, 2)
    same = used[:, 0] == used[:, 1]
    threshold = float(np.quantile(compared.distances[~same], fmr, method="lower"))
    known = np.isfinite(values)
    edges = quarters(values[known & same])
    draws = draw_people(int(used.max()) + 1, rounds=rounds)
    parts = []
    for place, (low, high) in enumerate(pairwise(edges)):
        above = values >= low if place else known
        below = values < high if place < len(edges) - 2 else known
        rows = np.flatnonzero(known & above & below)
        table = _Table(used[rows, 0], used[rows, 1], compared.distances[rows] <= threshold)
        parts.append(_part(f"{low:.3g} to {high:.3g}", len(np.unique(used[rows])), table, table.rates(draws)))
    return PartedRates(factor, threshold, fmr, compared.all_comparisons, tuple(parts), (), int((~known).sum()))


def quarters(values: Float64Array) -> list[float]:
    """Return the limits of quarters of values, fewer parts if there are few or equal values."""
    bins = min(_BINS, len(values) // _FEWEST)
    if not len(values):
        return []
    edges = np.unique(np.quantile(values, np.linspace(0, 1, max(1, bins) + 1)))
    return edges.tolist() if len(edges) > 1 else [float(edges[0]), float(edges[0])]
