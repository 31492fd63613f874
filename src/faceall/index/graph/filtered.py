"""The nearest among some keys, by a graph that knows nothing of them: ask for more neighbours and pick."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from faceall.types import Float32Array, Int64Array, Matches

_MORE = 1.5  # times the neighbours that an even spread of the wanted keys would take
_FURTHER = 4  # times as many where that was not enough
_DEEPEST = 2_000  # neighbours; comparing is quicker then

Ask = Callable[[Float32Array, int], Matches | None]
"""queries (q, dimension), k -> the k nearest of each among all keys; None where the graph does not reach so many."""

Compare = Callable[[Float32Array], Matches]
"""queries (q, dimension) -> the k nearest of each among the wanted keys, by comparing with each of them."""


def among(ask: Ask, compare: Compare, queries: Float32Array, only: Int64Array, k: int, *, most: int) -> Matches:
    """The k nearest whose key is one of `only`, ascending.

    A query is answered as soon as k of its nearest neighbours are among `only`: then no other one of these can be
    nearer, as far as the graph finds what is near. Queries that see too few are asked for more, and compared at last.
    most  how many neighbours there are at all
    """
    keys = np.empty((len(queries), k), np.int64)
    distances = np.empty((len(queries), k), np.float32)
    left = np.arange(len(queries))
    depth = int(k * _MORE * max(1.0, most / len(only))) + k
    while len(left) and depth <= min(_DEEPEST, most // 2):
        found = ask(queries[left], depth)
        if found is None:
            break
        wanted = _are_in(found.keys, only)
        enough = wanted.sum(axis=1) >= k
        first = np.argsort(~wanted[enough], axis=1, kind="stable")[:, :k]
        keys[left[enough]] = np.take_along_axis(found.keys[enough], first, 1)
        distances[left[enough]] = np.take_along_axis(found.distances[enough], first, 1)
        left, depth = left[~enough], depth * _FURTHER
    if len(left):
        found = compare(queries[left])
        columns = found.keys.shape[1]  # fewer than k where `only` names vectors that are not there
        keys[left, :columns], distances[left, :columns] = found.keys, found.distances
        return Matches(keys[:, :columns], distances[:, :columns])
    return Matches(keys, distances)


def _are_in(keys: Int64Array, ascending: Int64Array) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which of `keys` are in the other array, which may be long."""
    place = np.searchsorted(ascending, keys)
    return np.asarray(ascending[np.minimum(place, len(ascending) - 1)] == keys)
