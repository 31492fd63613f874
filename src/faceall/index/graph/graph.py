"""The nearest-neighbour graph in memory: the only module that calls hnswlib."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceall.index.graph.tuning import FEW, Tuning
from faceall.index.storage.locks import SharedLock
from faceall.types import Float32Array, Int64Array, Matches

_SMALLEST = 1024  # capacity
_EFFORT = 200  # while nothing was measured


@dataclass(frozen=True)
class GraphOptions:
    """How the graph is built and searched.

    recall         the part of the true nearest that a search shall find, above 0 and below 1: whenever the graph is
                   saved, the smallest `search_effort` that finds so many is measured on the vectors themselves
    links          per vector and layer (hnswlib's M)
    build_effort   candidates while inserting (ef_construction)
    search_effort  candidates while searching (ef); None: the measured ones
    threads        None: as many as the process may use

    Of the combinations of 12, 16, 24, 32 and 100, 200 the defaults of `links` and `build_effort` took the least time
    for an insertion and ten searches at a recall of 0.99, with 128 dimensions; with 512 they were within 6 % of that.
    """

    recall: float = 0.99
    links: int = 24
    build_effort: int = 100
    search_effort: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("links", 2), ("build_effort", 1), ("search_effort", 1), ("threads", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}, expected at least {least}")
        if not 0 < self.recall < 1:
            raise ValueError(f"recall is {self.recall}, expected a number above 0 and below 1")

    @property
    def thread_count(self) -> int:
        """How many threads hnswlib gets."""
        if self.threads:
            return self.threads
        allowed = getattr(os, "sched_getaffinity", None)
        return len(allowed(0)) if allowed else os.cpu_count() or 1


class Graph:
    """A hierarchical navigable small world over squared L2 distances.

    `generation` is the state of the database that it reflects; `live` its vectors that are not removed.
    Searches run at the same time; a change waits for them.
    """

    def __init__(self, dimension: int, options: GraphOptions, *, capacity: int = 0) -> None:
        self.dimension = dimension
        self.generation = -1
        self.live = 0
        self._options = options
        self._lock = SharedLock()
        self._graph = _new(dimension)
        self._graph.init_index(
            max_elements=max(capacity, _SMALLEST),
            M=options.links,
            ef_construction=options.build_effort,
        )
        self._configure(None)

    @classmethod
    def load(cls, path: Path, dimension: int, options: GraphOptions, *, live: int, generation: int) -> Graph | None:
        """The graph in hnswlib's own file format, None if this hnswlib refuses it.

        Only ever call this on bytes whose checksum was verified.
        """
        self = cls.__new__(cls)
        self.dimension, self.generation, self.live = dimension, generation, live
        self._options, self._lock = options, SharedLock()
        self._graph = _new(dimension)
        try:
            self._graph.load_index(str(path))
        except RuntimeError:  # another release of it wrote the file
            return None
        self._configure(None)
        return self

    def _configure(self, tuning: Tuning | None) -> None:
        self._tuning = tuning
        self._effort = self._options.search_effort or (tuning.effort if tuning else _EFFORT)
        self._graph.set_num_threads(self._options.thread_count)
        self._graph.set_ef(self._effort)

    @property
    def tuning(self) -> Tuning | None:
        """The measurement that decides how wide searches are, None while there is none."""
        return self._tuning

    @tuning.setter
    def tuning(self, tuning: Tuning | None) -> None:
        with self._lock.alone():
            self._configure(tuning)

    @property
    def removed(self) -> int:
        """How many removed vectors still take part in the graph as tombstone."""
        return int(self._graph.get_current_count()) - self.live

    def keys(self) -> Int64Array:
        """(n,) int64, the keys in no order, those of removed tombstone among them."""
        with self._lock.shared():
            return np.array(self._graph.get_ids_list(), np.int64)

    def add(self, keys: Int64Array, vectors: Float32Array) -> None:
        """Insert vectors (n, dimension) float32 under new or removed keys (n,)."""
        if not len(keys):
            return
        with self._lock.alone():
            needed = self._graph.get_current_count() + len(keys)
            if needed > self._graph.get_max_elements():
                self._graph.resize_index(max(needed, needed * 5 // 4))
            self._graph.add_items(vectors, keys)
            self.live += len(keys)

    def remove(self, keys: Int64Array) -> None:
        """Take keys (n,) out of all later answers; one that is not live, as damage can have it, is out already."""
        with self._lock.alone():
            for key in keys.tolist():
                with suppress(RuntimeError):
                    self._graph.mark_deleted(key)
                    self.live -= 1

    def effort_for(self, k: int) -> int:
        """How many candidates a search for k neighbours has if it names none."""
        if k <= FEW:
            return self._effort
        if self._tuning is None or self._options.search_effort:
            return max(self._effort, k * 3 // 2)
        return self._tuning.effort_for(k)

    def search(self, queries: Float32Array, k: int, effort: int | None = None) -> Matches | None:
        """The k nearest of each query (q, dimension), k <= live; None where the graph does not reach so many."""
        wanted = effort or self.effort_for(k)
        if wanted == self._effort:
            with self._lock.shared():
                return self._query(queries, k)
        if k <= self._effort < wanted <= self.live:  # a search for more finds as much as one with more candidates
            with self._lock.shared():
                found = self._query(queries, wanted)
            if found is not None:
                return Matches(found.keys[:, :k], found.distances[:, :k])
        with self._lock.alone():  # the effort is a setting of the whole graph
            self._graph.set_ef(max(wanted, k))
            try:
                return self._query(queries, k)
            finally:
                self._graph.set_ef(self._effort)

    def _query(self, queries: Float32Array, k: int) -> Matches | None:
        try:
            keys, distances = self._graph.knn_query(queries, k)
        except RuntimeError as error:
            if "contiguous 2D array" in str(error):  # hnswlib's way to say that it found fewer
                return None
            raise
        return Matches(keys.view(np.int64), distances)

    def save(self, path: Path) -> None:
        """Write hnswlib's own file format. Removed vectors are still in it: see `graph_file.scrub`."""
        with self._lock.shared():
            self._graph.save_index(str(path))


def _new(dimension: int) -> Any:
    import hnswlib  # late: small galleries never need it

    return hnswlib.Index(space="l2", dim=dimension)
