"""The nearest-neighbour graph in memory: the only module that calls hnswlib."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceall.index.locks import SharedLock
from faceall.types import Float32Array, Int64Array, Matches

_SMALLEST = 1024  # capacity


@dataclass(frozen=True)
class GraphOptions:
    """How the graph is built and searched.

    links            per vector and layer (hnswlib's M)
    build_effort     candidates while inserting (ef_construction)
    search_effort    candidates while searching (ef); more finds more and takes longer
    threads          None: as many as the process may use

    The defaults find 0.9998 of the ten nearest of 20,000 clustered unit vectors of 128 numbers and 0.995 of 512
    numbers; with links = 16 it is 0.9988 and 0.992.
    """

    links: int = 24
    build_effort: int = 200
    search_effort: int = 200
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("links", 2), ("build_effort", 1), ("search_effort", 1), ("threads", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}, expected at least {least}")

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
        self._effort = options.search_effort
        self._graph = _new(dimension)
        self._graph.init_index(
            max_elements=max(capacity, _SMALLEST), M=options.links, ef_construction=options.build_effort
        )
        self._configure()

    @classmethod
    def load(cls, path: Path, dimension: int, options: GraphOptions, *, live: int, generation: int) -> Graph | None:
        """The graph in hnswlib's own file format, None if this hnswlib refuses it.

        Only ever call this on bytes whose checksum was verified.
        """
        self = cls.__new__(cls)
        self.dimension, self.generation, self.live = dimension, generation, live
        self._options, self._effort, self._lock = options, options.search_effort, SharedLock()
        self._graph = _new(dimension)
        try:
            self._graph.load_index(str(path))
        except RuntimeError:  # another release of it wrote the file
            return None
        self._configure()
        return self

    def _configure(self) -> None:
        self._graph.set_num_threads(self._options.thread_count)
        self._graph.set_ef(self._effort)

    @property
    def removed(self) -> int:
        """How many removed vectors still take part in the graph as way-points."""
        return int(self._graph.get_current_count()) - self.live

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
        """Take live keys (n,) out of all later answers."""
        with self._lock.alone():
            for key in keys.tolist():
                self._graph.mark_deleted(key)
            self.live -= len(keys)

    def search(self, queries: Float32Array, k: int, effort: int | None = None) -> Matches | None:
        """The k nearest of each query (q, dimension), k <= live; None where the graph does not reach so many."""
        wanted = max(effort or self._effort, k * 3 // 2)
        if wanted == self._effort:
            with self._lock.shared():
                return self._query(queries, k)
        with self._lock.alone():  # the effort is a setting of the whole graph
            self._graph.set_ef(wanted)
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
        return Matches(keys.astype(np.int64), distances)

    def save(self, path: Path) -> None:
        """Write hnswlib's own file format. Removed vectors are still in it: see `graph_file.scrub`."""
        with self._lock.shared():
            self._graph.save_index(str(path))


def _new(dimension: int) -> Any:
    import hnswlib  # late: small galleries never need it

    return hnswlib.Index(space="l2", dim=dimension)
