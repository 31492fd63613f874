"""The nearest-neighbour graph in memory: the only module that calls hnswlib, which need not be installed."""

from __future__ import annotations

import importlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from faceall.cores import available_cores
from faceall.index.graph.projection import Projection
from faceall.index.graph.tuning import FEW, Tuning
from faceall.index.storage.locks import SharedLock
from faceall.native import native_call
from faceall.types import Float32Array, Int64Array, Matches

_SMALLEST = 1024  # initial capacity
_EFFORT = 200  # before the first measurement
NOT_INSTALLED = "hnswlib is not installed"
_VECTORS = ("auto", "float32", "projected")


@dataclass(frozen=True)
class GraphOptions:
    """How the graph is built and searched.

    Parameters
    ----------
    recall : float, default 0.99
        Share of the true nearest neighbours that a search should find, above 0 and below 1. When the graph is saved,
        the smallest `search_effort` that reaches it is measured on the stored vectors.
    links : int, default 24
        Links per vector and layer (hnswlib's M).
    build_effort : int, default 100
        Candidates while inserting (hnswlib's ef_construction).
    search_effort : int, optional
        Candidates while searching (hnswlib's ef). Default: the measured number.
    threads : int, optional
        Threads of hnswlib. Default: as many as the process may use.
    vectors : {"auto", "float32", "projected"}, default "auto"
        The vectors of the graph: as they are, or projected to a quarter of their dimensions, which takes a third of the
        memory. Results are exact in both cases: distances are computed from the vectors in the database. "projected" is
        used only if the measured recall is enough with it; "auto" tries it from 100,000 vectors of 256 dimensions on.

    Raises
    ------
    ValueError
        If an option is out of range.

    Notes
    -----
    Of `links` 12, 16, 24, 32 and `build_effort` 100, 200, the defaults took the least time for one insertion and ten
    searches at a recall of 0.99 in 128 dimensions; in 512 dimensions they were within 6 % of the best.
    """

    recall: float = 0.99
    links: int = 24
    build_effort: int = 100
    search_effort: int | None = None
    threads: int | None = None
    vectors: Literal["auto", "float32", "projected"] = "auto"

    def __post_init__(self) -> None:
        if self.vectors not in _VECTORS:
            raise ValueError(f"vectors is {self.vectors!r}, expected one of {', '.join(_VECTORS)}")
        for name, least in (("links", 2), ("build_effort", 1), ("search_effort", 1), ("threads", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}, expected at least {least}")
        if not 0 < self.recall < 1:
            raise ValueError(f"recall is {self.recall}, expected a number above 0 and below 1")

    @property
    def thread_count(self) -> int:
        """The number of threads for hnswlib."""
        if self.threads:
            return self.threads
        return available_cores()


class Graph:
    """A hierarchical navigable small world (HNSW) graph over squared L2 distances.

    Searches run concurrently; changes wait for them.

    Attributes
    ----------
    generation : int
        The generation of the database that the graph reflects.
    live : int
        Number of vectors that are not removed.
    projection : Projection or None
        Applied to vectors and queries; distances are then those of projected vectors.

    References
    ----------
    Malkov and Yashunin: Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
    World graphs. TPAMI 2020.
    """

    def __init__(
        self, dimension: int, options: GraphOptions, *, capacity: int = 0, projection: Projection | None = None
    ) -> None:
        self.dimension = dimension
        self.projection = projection
        self.generation = -1
        self.live = 0
        self._options = options
        self._lock = SharedLock()
        self._graph = _new(self.width)
        self._graph.init_index(
            max_elements=max(capacity, _SMALLEST),
            M=options.links,
            ef_construction=options.build_effort,
        )
        self._configure(None)

    @classmethod
    @native_call
    def load(
        cls,
        path: Path,
        dimension: int,
        options: GraphOptions,
        *,
        live: int,
        generation: int,
        projection: Projection | None = None,
    ) -> Graph | None:
        """Load a graph in hnswlib's file format; return None if this version of hnswlib refuses it.

        Call this only with a file whose checksum was verified, because hnswlib does not check its contents.
        """
        self = cls.__new__(cls)
        self.dimension, self.generation, self.live = dimension, generation, live
        self._options, self._lock, self.projection = options, SharedLock(), projection
        self._graph = _new(self.width)
        try:
            self._graph.load_index(str(path))
        except RuntimeError:  # another version of hnswlib wrote the file
            return None
        self._configure(None)
        return self

    def _configure(self, tuning: Tuning | None) -> None:
        self._tuning = tuning
        self._effort = self._options.search_effort or (tuning.effort if tuning else _EFFORT)
        self._graph.set_num_threads(self._options.thread_count)
        self._graph.set_ef(self._effort)

    @property
    def width(self) -> int:
        """Length of a vector in the graph."""
        return self.projection.reduced if self.projection else self.dimension

    @property
    def tuning(self) -> Tuning | None:
        """The measurement that sets the search effort, None before the first one."""
        return self._tuning

    @tuning.setter
    def tuning(self, tuning: Tuning | None) -> None:
        with self._lock.alone():
            self._configure(tuning)

    @property
    def removed(self) -> int:
        """The number of tombstones: removed vectors that are still part of the graph."""
        return int(self._graph.get_current_count()) - self.live

    @native_call
    def keys(self) -> Int64Array:
        """Return the keys (n,) int64 in any order, including those of tombstones."""
        with self._lock.shared():
            return np.array(self._graph.get_ids_list(), np.int64)

    @native_call
    def add(self, keys: Int64Array, vectors: Float32Array) -> None:
        """Insert vectors (n, dimension) float32 under new or removed keys (n,)."""
        if not len(keys):
            return
        with self._lock.alone():
            needed = self._graph.get_current_count() + len(keys)
            if needed > self._graph.get_max_elements():
                self._graph.resize_index(max(needed, needed * 5 // 4))
            self._graph.add_items(self.projection(vectors) if self.projection else vectors, keys)
            self.live += len(keys)

    @native_call
    def remove(self, keys: Int64Array) -> None:
        """Turn keys (n,) into tombstones, which searches do not return; keys that are not live are skipped."""
        with self._lock.alone():
            for key in keys.tolist():
                with suppress(RuntimeError):
                    self._graph.mark_deleted(key)
                    self.live -= 1

    def effort_for(self, k: int) -> int:
        """Return the default number of candidates of a search for k neighbours."""
        if k <= FEW:
            return self._effort
        if self._tuning is None or self._options.search_effort:
            return max(self._effort, k * 3 // 2)
        return self._tuning.effort_for(k)

    def search(self, queries: Float32Array, k: int, effort: int | None = None) -> Matches | None:
        """Find the k nearest vectors of each query.

        Parameters
        ----------
        queries : (q, dimension) float32
            The queries.
        k : int
            Number of neighbours, at most `live`.
        effort : int, optional
            Number of candidates (hnswlib's ef). Default: `effort_for(k)`.

        Returns
        -------
        Matches or None
            Keys and squared L2 distances (q, k); None if the graph finds fewer.
        """
        wanted = effort or self.effort_for(k)
        if wanted == self._effort:
            with self._lock.shared():
                return self._query(queries, k)
        if (
            k <= self._effort < wanted <= self.live
        ):  # a search for more neighbours is as good as one with more candidates
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

    @native_call
    def _query(self, queries: Float32Array, k: int) -> Matches | None:
        if self.projection is not None:
            queries = self.projection(queries)
        try:
            keys, distances = self._graph.knn_query(queries, k)
        except RuntimeError as error:
            if not _found_fewer(error):
                raise
            return None
        keys = keys.view(np.int64)
        keys.flags.writeable = distances.flags.writeable = False  # so that `Matches` need not make views of them
        return Matches(keys, distances)

    @native_call
    def save(self, path: Path) -> None:
        """Write the graph in hnswlib's file format; it still contains removed vectors, see `tombstones.scrub`."""
        with self._lock.shared():
            self._graph.save_index(str(path))


@cache
def why_no_graphs() -> str | None:
    """Return why hnswlib cannot be used, so that every search compares all vectors; None if it can be used.

    The first call imports hnswlib, which takes some milliseconds, so small indexes do not call this.
    """
    try:
        importlib.import_module("hnswlib")
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "hnswlib":
            return NOT_INSTALLED
        return f"hnswlib cannot be loaded ({' '.join(str(error).split())})"
    return None


def how_to_install_graphs(reason: str) -> str:
    """Return the command that installs hnswlib, or compiles it again if `why_no_graphs` is that it cannot be loaded."""
    if reason == NOT_INSTALLED:
        return 'pip install "faceall[graph]"'
    return "pip install --force-reinstall --no-deps --no-cache-dir hnswlib"


def _found_fewer(error: RuntimeError) -> bool:
    """Return whether a search of hnswlib found fewer than k neighbours."""
    return "contiguous 2D array" in str(error)


def _new(dimension: int) -> Any:
    import hnswlib  # imported late, because small galleries do not need it

    return hnswlib.Index(space="l2", dim=dimension)
