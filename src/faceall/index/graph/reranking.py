"""Search a graph of projected vectors, and compute the distances of its candidates from the vectors in the database."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from faceall.index.graph.graph import Graph
from faceall.index.graph.tuning import Searchable
from faceall.index.storage import stored
from faceall.index.storage.database import Storage
from faceall.index.storage.rows import Block
from faceall.index.storage.schema import Settings
from faceall.types import Float32Array, Int64Array, Matches

_MORE = 3  # candidates per neighbour whose distances are computed
_AT_LEAST = 30  # candidates
_PART = 4096  # candidates of several queries at a time: 8 MiB of 512-dimensional vectors


@dataclass(frozen=True)
class Reranked:
    """A graph of projected vectors that returns exact distances.

    The nearest vectors by the projected distance are candidates; the nearest of them by the exact distance are
    returned.
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
            candidates = np.sort(found.keys[start : start + step], axis=1)
            rows = self._stored(candidates[0] if len(candidates) == 1 else np.unique(candidates))
            for row, query in enumerate(queries[start : start + step]):
                own = rows if len(candidates) == 1 else _of_keys(rows, candidates[row])
                if len(own) < k:
                    return None
                difference = own.vectors - query
                exact = np.einsum("ij,ij->i", difference, difference)
                nearest = np.lexsort((own.keys, exact))[:k]
                keys[start + row], distances[start + row] = own.keys[nearest], exact[nearest]
        return Matches(keys, distances)

    def _stored(self, keys: Int64Array) -> Block:
        """Return the existing rows of ascending keys."""
        blocks = list(stored.chosen(self.storage, self.settings, keys))
        return blocks[0] if len(blocks) == 1 else Block.joined([Block.empty(self.graph.dimension), *blocks])


def _of_keys(rows: Block, keys: Int64Array) -> Block:
    """Return those of the rows, which are ascending, that have one of the ascending keys."""
    places = np.searchsorted(rows.keys, keys)
    places = places[places < len(rows)]
    places = np.unique(places[np.isin(rows.keys[places], keys)])
    return Block(rows.keys[places], rows.vectors[places])


def searchable(graph: Graph, storage: Storage, settings: Settings) -> Searchable:
    """Return the graph, with exact distances if its vectors are projected."""
    return graph if graph.projection is None else Reranked(graph, storage, settings)
