"""How certain two sets of faces show one person: a logistic regression that is fitted to the answers of the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Float64Array: TypeAlias = npt.NDArray[np.float64]

START = np.array([0.0, 8.0, 0.3, 0.2, -0.5])
"""The weights without answers."""

_PRECISION = np.array([0.2, 0.05, 1.0, 1.0, 1.0])  # of the weights at the start


def features(distance: float, counts: Sequence[float] | Float64Array, limit: float) -> list[float]:
    """Return what the certainty depends on; the last one, how often the target was declined, is 0.

    Parameters
    ----------
    distance : float
        Mean squared L2 distance between a face of one set and a face of the other.
    counts : sequence of float
        The numbers of faces of both sets.
    limit : float
        Distance up to which a search matches.
    """
    return [1.0, 1 - distance / limit, float(np.log(min(counts))), float(np.log(max(counts))), 0.0]


def fitted(answers: Mapping[str, Any]) -> Float64Array:
    """Fit the weights to the answers: the maximum a posteriori by Newton's method, (5,) float64."""
    rows = np.array([row[:-1] for row in answers.get("said", [])], np.float64).reshape(-1, len(START))
    said = np.array([row[-1] for row in answers.get("said", [])], np.float64)
    weights = START.copy()
    for _ in range(12):
        expected = sigmoid(rows @ weights)
        gradient = rows.T @ (said - expected) - _PRECISION * (weights - START)
        curvature = (rows * (expected * (1 - expected))[:, None]).T @ rows + np.diag(_PRECISION)
        weights = weights + np.clip(np.linalg.solve(curvature, gradient), -3, 3)
    return weights


def sigmoid(values: Float64Array) -> Float64Array:
    """Return the logistic function."""
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))), np.float64)


def size_of(one: float, other: float) -> float:
    """Return the weight of a question about two sets of faces: the harmonic mean of their numbers.

    When two sets of one person are joined, or two of different people are divided, the sum of the faces' BCubed scores
    rises by at most so much.
    """
    return 2 * one * other / (one + other)
