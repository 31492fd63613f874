"""Search a graph of projected vectors, and compute the distances of its candidates from the vectors in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from faceall.index.graph.graph import Graph
from faceall.index.graph.tuning import Searchable
from faceall.index.storage import stored
from faceall.index.storage.database import Storage
from faceall.index.storage.rows import Block
from faceall.index.storage.schema import Settings
from faceall.types import Float32Array, Int64Array, Matches

BoolArray: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]"

_MORE = 3  # candidates per neighbour whose distances are computed
_AT_LEAST = 30  # candidates
_ROUNDING = 1.0001  # factor on a limit for projected distances
_PART = 4096  # candidates of several queries at a time: 8 MiB of 512-dimensional vectors


@dataclass(frozen=True)
class Reranked:
    """A graph of projected vectors that returns exact distances.

    The nearest vectors by the projected distance are candidates; the nearest of them by the exact distance are
    returned. Queries and vectors may have any length.
    """

    graph: Graph
    storage: Storage
    settings: Settings

    def search(self, queries: Float32Array, k: int, effort: int | None = None) -> Matches | None:
        """Find the k nearest of each query; None if the graph finds fewer, or a candidate was removed meanwhile."""
        wanted = effort or self.graph.effort_for(k)
        count = min(max(_MORE * k, _AT_LEAST), max(wanted, k), self.graph.live)
        found = self.graph.search(queries, count, wanted)
        if found is None or not len(found):
            return found
        keys = np.empty((len(queries), k), np.int64)
        distances = np.empty((len(queries), k), np.float32)
        step = max(1, _PART // count)
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            exact = self._measured(queries[part], found.keys[part], found.distances[part], k)
            nearest = np.lexsort((found.keys[part], exact), axis=1)[:, :k]
            keys[part] = np.take_along_axis(found.keys[part], nearest, 1)
            distances[part] = np.take_along_axis(exact, nearest, 1)
        return Matches(keys, distances) if np.isfinite(distances).all() else None

    def _measured(self, queries: Float32Array, keys: Int64Array, projected: Float32Array, k: int) -> Float32Array:
        """Return the distances (q, c) of the candidates; infinity for those that are removed, or too far to matter.

        A projected distance is at most the exact one. So when k distances are known, a candidate whose projected
        distance is above all of them is none of the k nearest, and its vector need not be read.
        """
        exact = np.full(keys.shape, np.inf, np.float32)
        wanted = np.zeros(keys.shape, np.bool_)
        wanted[:, :k] = True
        self._measure(queries, keys, wanted, exact)
        limits = exact[:, :k].max(axis=1, keepdims=True) * _ROUNDING
        wanted = projected <= limits
        wanted[:, :k] = False
        if wanted.any():
            self._measure(queries, keys, wanted, exact)
        return exact

    def _measure(self, queries: Float32Array, keys: Int64Array, wanted: BoolArray, exact: Float32Array) -> None:
        """Set the distances of the wanted candidates that exist."""
        rows = self._stored(np.unique(keys[wanted]))
        if not len(rows):
            return
        for row, query in enumerate(queries):
            columns = np.flatnonzero(wanted[row])
            places = np.minimum(np.searchsorted(rows.keys, keys[row, columns]), len(rows) - 1)
            there = rows.keys[places] == keys[row, columns]
            difference = rows.vectors[places[there]] - query
            exact[row, columns[there]] = np.einsum("ij,ij->i", difference, difference)

    def _stored(self, keys: Int64Array) -> Block:
        """Return the existing rows of ascending keys."""
        blocks = list(stored.chosen(self.storage, self.settings, keys))
        return blocks[0] if len(blocks) == 1 else Block.joined([Block.empty(self.graph.dimension), *blocks])


def searchable(graph: Graph, storage: Storage, settings: Settings) -> Searchable:
    """Return the graph, with exact distances if its vectors are projected."""
    return graph if graph.projection is None else Reranked(graph, storage, settings)
