"""Compare two models on the same open-set searches: paired tests of the difference of their FNIR."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from faceall.arguments import checked
from faceall.errors import EvaluationError
from faceall.evaluate.curves import Bools, Float64Array, percentiles
from faceall.evaluate.verification.comparison import (
    PairedComparison,
    RateDifference,
    better_of,
    mcnemar,
    p_value,
    report_file,
)
from faceall.evaluate.verification.resampling import draw_people
from faceall.types import Int64Array

_ROUNDS = 300
_RATES = (0.1, 0.01, 0.001)
_MCNEMAR = 0.01  # FPIR


@dataclass(frozen=True, eq=False)
class SearchOutcomes:
    """The searches of one model in random galleries.

    Attributes
    ----------
    people : tuple of str
        All people of the folder.
    galleries : (r, g) int64
        The people of each gallery.
    own : (r, g) float64
        Similarity of each of them to their enrolled image.
    first : (r, g) bool
        Whether no other person is nearer.
    strangers : (r, p - g) float64
        Highest similarity of every other person, in ascending order of people.
    """

    people: tuple[str, ...]
    galleries: Int64Array
    own: Float64Array
    first: Bools
    strangers: Float64Array

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "people": list(self.people),
            "galleries": self.galleries.tolist(),
            "own": self.own.round(6).tolist(),
            "first": self.first.tolist(),
            "strangers": self.strangers.round(6).tolist(),
        }

    def found(self, gallery: int, fpir: float, weights: Float64Array) -> Bools:
        """Return which people of a gallery are found at the threshold for an FPIR over weighted strangers."""
        outside = np.ones(len(self.people), bool)
        outside[self.galleries[gallery]] = False
        order = np.argsort(-self.strangers[gallery], kind="stable")
        passed = np.cumsum(weights[outside][order])
        beyond = min(int(np.searchsorted(passed, fpir * passed[-1] + 1e-9, side="right")), len(order) - 1)
        return np.asarray(self.first[gallery] & (self.own[gallery] > self.strangers[gallery][order[beyond]]))

    def misses(self, rates: Sequence[float], weights: Float64Array) -> Float64Array:
        """Return the FNIR at each rate, averaged over the galleries, with weighted people."""
        values = np.zeros(len(rates))
        for gallery, members in enumerate(self.galleries):
            shares = weights[members] / max(weights[members].sum(), 1e-12)
            values += [1 - float((shares * self.found(gallery, rate, weights)).sum()) for rate in rates]
        return values / len(self.galleries)


@checked
def read_searches(path: str | os.PathLike[str]) -> list[tuple[str, SearchOutcomes]]:
    """Read the searches in an open-set report of `faceall evaluate --out`.

    Parameters
    ----------
    path : path-like
        evaluation.json, or the folder that contains it.

    Returns
    -------
    list of (str, SearchOutcomes)
        Every model and its searches.

    Raises
    ------
    EvaluationError
        If it cannot be read or has no searches.
    """
    file = report_file(path)
    try:
        models = json.loads(file.read_bytes())["models"]
        return [(str(model["model"]), _outcomes(model["searches"])) for model in models]
    except OSError as error:
        raise EvaluationError(f"{file}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{file}: has no searches; expected evaluation.json as faceall evaluate --protocol open-set --out writes it"
        ) from error


def _outcomes(values: dict[str, Any]) -> SearchOutcomes:
    """Return the searches of a report; raise ValueError if their parts do not fit together."""
    found = SearchOutcomes(
        tuple(map(str, values["people"])),
        np.array(values["galleries"], np.int64),
        np.array(values["own"], np.float64),
        np.array(values["first"], bool),
        np.array(values["strangers"], np.float64),
    )
    rounds, size = found.galleries.shape
    outside = len(found.people) - size
    if found.own.shape != found.first.shape or found.own.shape != (rounds, size) or not rounds or not size:
        raise ValueError("the searches do not fit together")
    if found.strangers.shape != (rounds, outside) or not 0 <= found.galleries.min() <= found.galleries.max() < len(
        found.people
    ):
        raise ValueError("the strangers do not fit the galleries")
    return found


def compare_searches(
    name: str, outcomes: SearchOutcomes, other_name: str, other: SearchOutcomes, *, rounds: int = _ROUNDS
) -> PairedComparison:
    """Compare the FNIR of two models in the same galleries.

    Parameters
    ----------
    name, other_name : str
        The models.
    outcomes, other : SearchOutcomes
        Their searches.
    rounds : int
        Number of bootstrap samples of people, the same for both models.

    Returns
    -------
    PairedComparison

    Raises
    ------
    EvaluationError
        If the galleries differ.
    """
    if outcomes.people != other.people or not np.array_equal(outcomes.galleries, other.galleries):
        raise EvaluationError(
            "the report has other people or galleries; evaluate the same folder with the same --people and --repeat"
        )
    count = len(outcomes.people)
    rates = [rate for rate in _RATES if outcomes.strangers.shape[1] * rate >= 1 - 1e-9]
    equal = np.ones(count)
    values, others = outcomes.misses(rates, equal), other.misses(rates, equal)
    samples = np.array(
        [outcomes.misses(rates, draw) - other.misses(rates, draw) for draw in draw_people(count, rounds=rounds)]
    )
    differences = tuple(
        RateDifference(
            f"FNIR @ FPIR {rate:.1%}",
            float(values[place]),
            float(others[place]),
            percentiles(samples[:, place].tolist()),
            p_value(samples[:, place]),
        )
        for place, rate in enumerate(rates)
    )
    one, two = (side.found(0, _MCNEMAR, equal) for side in (outcomes, other))
    only = int((one & ~two).sum()), int((two & ~one).sum())
    searches = int(outcomes.galleries.size)
    better = better_of(name, other_name, differences)
    return PairedComparison(name, other_name, searches, differences, *only, mcnemar(*only), better, "search")
