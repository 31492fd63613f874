"""Search the state of an index that `Memory.sync` returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from faceall.index.graph import exact
from faceall.index.graph.filtered import among
from faceall.index.graph.graph import Graph
from faceall.index.graph.reranking import searchable
from faceall.index.storage import schema, stored
from faceall.index.storage.database import Storage
from faceall.index.storage.rows import Block
from faceall.types import Float32Array, Int64Array, Matches


@dataclass(frozen=True)
class View:
    """The data of one search: the settings, and the vectors or the graph (neither: search the database).

    Attributes
    ----------
    storage : Storage
        The database.
    settings : Settings
        Its settings.
    exact_limit : int
        Number of vectors up to which a search compares all of them.
    matrix : Block, optional
        All vectors of a small index, or those of the graph file.
    graph : Graph, optional
        The graph of a large one.
    tail : Block, optional
        Vectors that are not in the graph (yet, after many were added at once), or not in its file.
    """

    storage: Storage
    settings: schema.Settings
    exact_limit: int
    matrix: Block | None = None
    graph: Graph | None = None
    tail: Block | None = None

    def search(
        self, queries: Float32Array, k: int, effort: int | None = None, only: Int64Array | None = None
    ) -> Matches:
        """Find the k nearest; exactly if the index is small, k is near its size or the graph finds too few.

        Parameters
        ----------
        queries : (q, dimension) float32
            The queries, at unit length for the metric "cosine".
        k : int
            Number of neighbours.
        effort : int, optional
            Candidates of the graph search.
        only : (n,) int64, optional
            Search only among these keys, ascending.

        Returns
        -------
        Matches
            Keys and squared L2 distances, nearest first.
        """
        if self.graph is None or k * 2 > self.graph.live or (only is not None and len(only) <= self.exact_limit):
            return self.search_exactly(queries, k, only)
        if only is not None:
            return among(
                lambda part, count: self._search_graph(part, count, effort),
                lambda part: self.search_exactly(part, k, only),
                queries,
                only,
                k,
                most=self.graph.live,
            )
        found = self._search_graph(queries, k, effort)
        return self.search_exactly(queries, k) if found is None else found

    def _search_graph(self, queries: Float32Array, k: int, effort: int | None) -> Matches | None:
        """Search the graph and the tail; None if the graph finds too few."""
        assert self.graph is not None
        found = searchable(self.graph, self.storage, self.settings).search(queries, k, effort)
        if found is None or self.tail is None:
            return found
        added_since = np.isin(found.keys, self.tail.keys)  # by another thread in the meantime
        found = Matches(found.keys, np.where(added_since, np.float32(np.inf), found.distances))
        return exact.merge(found, exact.nearest(queries, [self.tail], k), k)

    def search_exactly(self, queries: Float32Array, k: int, only: Int64Array | None = None) -> Matches:
        """Compare with all vectors, in memory or in the database as the calling thread sees it."""
        if self.matrix is not None:
            blocks = [self.matrix] if self.tail is None else [self.matrix, self.tail]
            return exact.nearest(queries, blocks if only is None else [block.among(only) for block in blocks], k)
        if only is not None:
            return exact.nearest(queries, stored.chosen(self.storage, self.settings, only), k)
        return exact.nearest(queries, stored.everything(self.storage, self.settings), k)
