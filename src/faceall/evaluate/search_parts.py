"""Error rates of parts of open-set searches (groups of people, or ranges of a property) at one threshold.

References
----------
ISO/IEC 19795-1:2021 (FPIR, FNIR) and ISO/IEC 19795-10:2024, performance variation across demographic groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from faceall.evaluate.curves import Bools, Float64Array, Interval
from faceall.evaluate.search_comparison import SearchOutcomes
from faceall.evaluate.verification.groups import Ratio, finite_interval, worst_to_best
from faceall.evaluate.verification.resampling import ROUNDS, draw_people
from faceall.types import Int64Array

_SUPPORTING = 5  # named strangers that a rate needs at least
_RATES = (1e-3, 1e-2, 0.1)
_MISSING = -1.5  # similarities below it are those of searches without a face


@dataclass(frozen=True)
class SearchPart:
    """Error rates of a part of the searches, at a threshold that is the same for all parts.

    Attributes
    ----------
    name : str
        The group, or the range of values.
    known, strangers : int
        Number of people who were searched while they were in a gallery, and while they were not.
    fnir, fpir : float or None
        Share of the searches of known people that miss them, and of those of strangers that return a person; None
        without such searches.
    fnir_interval, fpir_interval : (float, float) or None
        95 % intervals (bootstrap over people).
    """

    name: str
    known: int
    fnir: float | None
    fnir_interval: Interval | None
    strangers: int
    fpir: float | None
    fpir_interval: Interval | None


@dataclass(frozen=True)
class PartedSearches:
    """Error rates of searches by group or by a property of the faces.

    Attributes
    ----------
    by : str
        "group" or the factor.
    threshold : float
        Squared L2 distance for all parts and galleries.
    fpir : float
        The false-positive identification rate of all searches together that it was chosen for.
    parts : tuple of SearchPart
        The parts.
    ratios : tuple of Ratio
        Worst to best group of FNIR and FPIR; empty for a factor.
    unknown : int
        Number of people whose searched images are in no part.
    """

    by: str
    threshold: float
    fpir: float
    parts: tuple[SearchPart, ...]
    ratios: tuple[Ratio, ...]
    unknown: int

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        values = asdict(self)
        return {"distance": values.pop("threshold"), **values}


def rates_of_searches(
    by: str,
    searches: SearchOutcomes,
    names: Sequence[str],
    known: Int64Array,
    strangers: Int64Array,
    *,
    rounds: int = ROUNDS,
) -> PartedSearches:
    """Measure the errors of the searches in each part, at one threshold.

    The threshold has the false-positive identification rate over all searches of strangers whose part is known, or of
    all strangers if none is. The intervals come from resampling the people who are searched.

    Parameters
    ----------
    by : str
        "group" or the factor.
    searches : SearchOutcomes
        The searches.
    names : sequence of str
        The parts.
    known, strangers : (p,) int64
        The part of each person, when known and when a stranger; -1 if there is none.
    rounds : int
        Number of bootstrap samples of people.
    """
    inside = _inside(searches)
    similarities = np.where(inside, 0.0, -np.inf)
    for gallery, outside in enumerate(~inside):
        similarities[gallery, outside] = searches.strangers[gallery]
    counted = ~inside & ((strangers >= 0) | (strangers < 0).all())
    rate = _supported(float(counted.sum(axis=1).mean()))
    limit = _limit(similarities[counted], rate)
    missed = np.zeros(len(searches.people))
    for gallery, members in enumerate(searches.galleries):
        missed[members] += ~(searches.first[gallery] & (searches.own[gallery] > limit))
    named = (~inside & (similarities > limit)).sum(axis=0).astype(np.float64)
    times = inside.sum(axis=0), (~inside).sum(axis=0)
    draws = draw_people(len(searches.people), rounds=rounds)
    parts, samples = [], []
    for number, name in enumerate(names):
        fnir = _Share(missed, times[0], known == number)
        fpir = _Share(named, times[1], strangers == number)
        drawn = fnir.samples(draws), fpir.samples(draws)
        parts.append(
            SearchPart(
                name,
                fnir.people,
                fnir.value,
                finite_interval(drawn[0]),
                fpir.people,
                fpir.value,
                finite_interval(drawn[1]),
            )
        )
        samples.append(drawn)
    return PartedSearches(
        by,
        float(2 - 2 * limit),
        rate,
        tuple(parts),
        _ratios(by, parts, samples),
        int(((known < 0) & (strangers < 0)).sum()),
    )


def _ratios(
    by: str, parts: Sequence[SearchPart], samples: Sequence[tuple[Float64Array, Float64Array]]
) -> tuple[Ratio, ...]:
    """Compare the worst with the best group by FNIR and by FPIR; nothing for a factor."""
    if by != "group":
        return ()
    names = [part.name for part in parts]
    rates = {"FNIR": [part.fnir for part in parts], "FPIR": [part.fpir for part in parts]}
    found = [
        worst_to_best(rate, names, values, [sample[place] for sample in samples])
        for place, (rate, values) in enumerate(rates.items())
    ]
    return tuple(ratio for ratio in found if ratio is not None)


class _Share:
    """A share of searches that fail, over some people; each is searched in several galleries."""

    def __init__(self, errors: Float64Array, times: Int64Array, among: Bools) -> None:
        self._errors, self._times = np.where(among, errors, 0.0), np.where(among, times, 0)
        self.people = int((self._times > 0).sum())
        total = int(self._times.sum())
        self.value = float(self._errors.sum()) / total if total else None

    def samples(self, draws: Float64Array) -> Float64Array:
        """Return the share in every sample of people; nan without searches."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((draws @ self._errors) / (draws @ self._times), np.float64)


def _inside(searches: SearchOutcomes) -> Bools:
    """Return who is in each gallery, (galleries, people)."""
    inside = np.zeros((len(searches.galleries), len(searches.people)), bool)
    np.put_along_axis(inside, searches.galleries, True, axis=1)
    return inside


def _supported(strangers: float) -> float:
    """Return the lowest rate that so many strangers per gallery can tell."""
    return next((rate for rate in _RATES if strangers * rate >= _SUPPORTING), _RATES[-1])


def _limit(similarities: Float64Array, rate: float) -> float:
    """Return the smallest similarity that at most a share of the searches exceed; never that of a missing face."""
    ordered = np.sort(similarities)[::-1]
    return max(float(ordered[min(int(rate * len(ordered) + 1e-9), len(ordered) - 1)]), _MISSING)
