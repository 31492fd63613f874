"""Resample the people of labelled pairs: two pairs that share a person are not independent.

References
----------
A. B. Owen: The pigeonhole bootstrap. Annals of Applied Statistics 1 (2007): a pair of two people is drawn as often as
both are. The intervals are cautious.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from faceall.evaluate.curves import Bools, Float64Array
from faceall.evaluate.pairs import Pair
from faceall.types import Int64Array

ROUNDS = 500
"""Number of bootstrap samples."""


def label_people(pairs: Sequence[Pair]) -> Int64Array:
    """Assign a number to the person of every image of pairs.

    The list names them if its format does. Otherwise images that pairs of one person connect are those of one person.

    Parameters
    ----------
    pairs : sequence of Pair
        The pairs.

    Returns
    -------
    (n, 2) int64
        The people of the first and of the second image, from 0.
    """
    names = [[_name(pair, 0), _name(pair, 1)] for pair in pairs]
    leaders: dict[str, str] = {}

    def leader(name: str) -> str:
        while leaders.setdefault(name, name) != name:
            leaders[name] = name = leaders[leaders[name]]
        return name

    for (first, second), pair in zip(names, pairs, strict=True):
        if pair.same:
            leaders[leader(first)] = leader(second)
    numbers: dict[str, int] = {}
    rows = [[numbers.setdefault(leader(name), len(numbers)) for name in both] for both in names]
    return np.array(rows, np.int64).reshape(-1, 2)


def _name(pair: Pair, place: int) -> str:
    """Return the person of an image, or the image where that is not known."""
    if pair.people is not None:
        return f"person {pair.people[place]}"
    path: Path = (pair.first, pair.second)[place]
    return f"image {path}"


def draw_people(count: int, *, rounds: int = ROUNDS, seed: int = 0) -> Float64Array:
    """Draw `count` people with replacement; returns how often each was drawn, (rounds, count) float64."""
    random = np.random.default_rng(seed)
    return random.multinomial(count, np.full(count, 1 / count), size=rounds).astype(np.float64)


def pair_weights(draw: Float64Array, people: Int64Array, same: Bools) -> Float64Array:
    """Return how often each pair is in a sample of people.

    Parameters
    ----------
    draw : (p,) float64
        How often each person was drawn.
    people : (n, 2) int64
        The people of each pair.
    same : (n,) bool
        Which pairs show one person.

    Returns
    -------
    (n,) float64
    """
    first, second = draw[people[:, 0]], draw[people[:, 1]]
    return np.where(same, first, first * second)
