"""Search a graph among some keys only: request more neighbours and filter them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from faceall.types import Float32Array, Int64Array, Matches

_MORE = 1.5  # factor on the neighbours needed if the wanted keys were evenly distributed
_FURTHER = 4  # factor of the next request, if those were not enough
_DEEPEST = 2_000  # neighbours; beyond, comparing with all wanted keys is faster

Ask = Callable[[Float32Array, int], Matches | None]
"""queries (q, dimension), k -> the k nearest of each among all keys; None if the graph finds fewer."""

Compare = Callable[[Float32Array], Matches]
"""queries (q, dimension) -> the k nearest of each among the wanted keys, by exact search."""


def among(ask: Ask, compare: Compare, queries: Float32Array, only: Int64Array, k: int, *, most: int) -> Matches:
    """Find the k nearest vectors whose keys are in `only`.

    A query is finished as soon as k of its nearest neighbours are in `only`; no other wanted key can then be nearer,
    within the recall of the graph. The others request more neighbours, and finally use exact search.

    Parameters
    ----------
    ask : callable
        The search of the graph.
    compare : callable
        The exact search.
    queries : (q, dimension) float32
        The queries.
    only : (n,) int64
        The wanted keys, ascending.
    k : int
        Number of neighbours.
    most : int
        Number of vectors in the graph.

    Returns
    -------
    Matches
        (q, k), with fewer columns if fewer of the wanted keys exist.
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
        columns = found.keys.shape[1]  # fewer than k if `only` contains unknown keys
        keys[left, :columns], distances[left, :columns] = found.keys, found.distances
        return Matches(keys[:, :columns], distances[:, :columns])
    return Matches(keys, distances)


def _are_in(keys: Int64Array, ascending: Int64Array) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return which of `keys` are in a sorted array, which may be long."""
    place = np.searchsorted(ascending, keys)
    return np.asarray(ascending[np.minimum(place, len(ascending) - 1)] == keys)
