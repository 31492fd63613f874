"""Search from memory: all vectors of a small index, the graph of a large one.

The memory follows the database. Changes of this and of other processes become visible when they are committed: the rows
added and removed since `generation` are read and applied.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from faceall.errors import IndexFileError
from faceall.index.graph import exact, graph_file
from faceall.index.graph.filtered import among
from faceall.index.graph.graph import Graph, GraphOptions
from faceall.index.graph.hnsw_elements import is_loadable
from faceall.index.graph.tuner import tuned
from faceall.index.graph.tuning import Tuning
from faceall.index.storage import rows, schema, stored
from faceall.index.storage.database import Storage
from faceall.index.storage.rows import Block
from faceall.types import Float32Array, Int64Array, Matches

_log = logging.getLogger(__name__)

EXACT_LIMIT = 10_000
"""Number of vectors up to which searches compare all of them; above, a graph is faster and worth building."""

_COMPACT_SHARE = 4  # rebuild if there are more tombstones than a quarter of the live vectors
_BUILD_AFTER = (
    64  # searches before a reader, which cannot save a graph, builds one: it takes as long as some hundred searches
)
_FRESH_SHARE = 100  # adding 1 / 100 of the vectors to a graph takes as long as comparing all
_FRESH = 256  # vectors that are added to a graph at once
_TAIL_PART = 32  # vectors added to a graph at a time, between which others may search it
_TAIL_SECONDS = 0.05  # that one search spends on adding the tail to the graph
_TAIL_LIMIT = 50_000  # vectors of the tail, which are compared exactly until they are in the graph
_LOG_LIMIT = 1_000  # removals that the log keeps at least
_SAVE_ATTEMPTS = 5  # while other processes keep removing
_LATE_FILE = (0.05, 0.2, None)  # seconds to wait for another process that is replacing the graph file


class _GraphWantedError(Exception):
    """A graph has to be built from all vectors first."""


class View(NamedTuple):
    """The data of one search: the settings, and the vectors or the graph (neither: search the database).

    `tail` has the vectors that are not in the graph yet, after many were added at once.
    """

    settings: schema.Settings
    matrix: Block | None
    graph: Graph | None
    tail: Block | None = None


class Searcher:
    """Follows one `Storage` and answers from memory."""

    def __init__(self, storage: Storage, options: GraphOptions, *, exact_limit: int = EXACT_LIMIT) -> None:
        self._storage = storage
        self._options = options
        self.exact_limit = exact_limit
        self._lock = storage.read_lock
        self._stamp: int | None = None
        self._view: View | None = None
        self._settings: schema.Settings | None = None
        self._matrix: Block | None = None
        self._graph: Graph | None = None
        self._tail: Block | None = None
        self._postponed = False  # whether there is no graph in memory although there should be one
        self._searches = 0  # since then
        self._builder: int | None = None  # the thread that builds a graph; others use exact search in the meantime
        self._built = threading.Condition(self._lock)
        self._apart = False  # whether a graph may be built while others hold the lock
        self._fresh: Graph | None = None  # the graph it has built, for the next update
        self.graph_file_stale = False  # whether the graph had to be built although there should be a file

    @property
    def has_graph(self) -> bool:
        """Whether the graph is in memory."""
        return self._graph is not None

    def invalidate(self) -> None:
        """Check the database before the next search; called when this process has committed."""
        self._stamp = None

    def forget(self) -> None:
        """Drop everything in memory; the next search reads the database."""
        with self._lock:
            self._stamp = self._settings = self._matrix = self._graph = None
            self._postponed = False

    def sync(self, *, exact: bool = False, wait: bool = False) -> View:
        """Update the memory from the database and return it.

        The view has neither vectors nor a graph inside the thread's own transaction, for an exact search of a large
        index, for the first searches of a reader without a graph file, and while another thread builds the graph.

        Parameters
        ----------
        exact : bool
            Whether the search compares all vectors.
        wait : bool
            Wait while another thread builds the graph.
        """
        if self._storage.in_transaction:
            return View(schema.read(self._storage.connection, self._storage.name), None, None)
        while True:
            with self._lock:
                if exact and (settings := self._settings_of_large()):
                    return View(settings, None, None)
                if wait:
                    self._built.wait_for(lambda: self._builder is None)
                elif self._builder is not None and (settings := self._settings_of_large()):
                    return View(settings, None, None)
                self._apart = self._storage.folder is not None and not self._storage.has_snapshot
                try:
                    return self._caught_up()
                except _GraphWantedError:
                    self._builder = threading.get_ident()
            self._build()

    def _build(self) -> None:
        """Build a graph from a snapshot of the database, while others search, add and remove."""
        graph = None
        try:
            with stored.apart(self._storage) as (settings, count, blocks):
                assert settings.dimension is not None
                graph = Graph(settings.dimension, self._options, capacity=count)
                for block in blocks:
                    graph.add(block.keys, block.vectors)
                graph.generation = settings.generation
        finally:
            with self._lock:
                self._builder, self._fresh = None, graph
                self._built.notify_all()

    def _caught_up(self) -> View:
        """Apply the changes in the database and return the view."""
        with self._lock:
            stamp = self._storage.stamp()
            self._searches += self._postponed
            if stamp == self._stamp and self._view and not (self._postponed and self._building_pays()):
                if self._view.tail is None:
                    return self._view
            else:
                self._view = None  # if reading fails halfway, check again the next time
                self._catch_up()
                self._stamp = stamp
            self._shorten_tail(_TAIL_SECONDS)
            assert self._settings is not None
            self._view = View(self._settings, self._matrix, self._graph, self._tail)
            return self._view

    def _settings_of_large(self) -> schema.Settings | None:
        """Return the settings of an index above the limit, None below it."""
        with self._storage.reading() as connection:
            if rows.count(connection) <= self.exact_limit:
                return None
            return schema.read(connection, self._storage.name)

    def _building_pays(self) -> bool:
        """Return whether building a graph is worthwhile: it can be saved, or there were enough searches without it."""
        return not self._storage.read_only or self._searches >= _BUILD_AFTER

    def search(
        self, queries: Float32Array, view: View, k: int, effort: int | None = None, only: Int64Array | None = None
    ) -> Matches:
        """Find the k nearest; exactly if the index is small, k is near its size or the graph finds too few.

        Parameters
        ----------
        queries : (q, dimension) float32
            The queries, at unit length for the metric "cosine".
        view : View
            The result of `sync`.
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
        if view.graph is None or k * 2 > view.graph.live or (only is not None and len(only) <= self.exact_limit):
            return self.search_exactly(queries, view, k, only)
        if only is not None:
            return among(
                lambda part, count: self._search_graph(part, view, count, effort),
                lambda part: self.search_exactly(part, view, k, only),
                queries,
                only,
                k,
                most=view.graph.live,
            )
        found = self._search_graph(queries, view, k, effort)
        return self.search_exactly(queries, view, k) if found is None else found

    def _search_graph(self, queries: Float32Array, view: View, k: int, effort: int | None) -> Matches | None:
        """Search the graph and the tail; None if the graph finds too few."""
        assert view.graph is not None
        found = view.graph.search(queries, k, effort)
        if found is None or view.tail is None:
            return found
        added_since = np.isin(found.keys, view.tail.keys)  # by another thread in the meantime
        found = Matches(found.keys, np.where(added_since, np.float32(np.inf), found.distances))
        return exact.merge(found, exact.nearest(queries, [view.tail], k), k)

    def search_exactly(self, queries: Float32Array, view: View, k: int, only: Int64Array | None = None) -> Matches:
        """Compare with all vectors, in memory or in the database as the calling thread sees it."""
        if view.matrix is not None:
            return exact.nearest(queries, [view.matrix if only is None else view.matrix.among(only)], k)
        if only is not None:
            return exact.nearest(queries, stored.chosen(self._storage, view.settings, only), k)
        return exact.nearest(queries, stored.everything(self._storage, view.settings), k)

    def _catch_up(self) -> None:
        for pause in _LATE_FILE:
            with self._storage.reading() as connection:
                settings = schema.read(connection, self._storage.name)
                if pause is None or not self._awaits_file(settings):
                    self._update(connection, settings)
                    return
            time.sleep(pause)

    def _awaits_file(self, settings: schema.Settings) -> bool:
        """Return whether the graph file differs from the database's checksum: another process may be replacing it."""
        folder = self._storage.folder
        if self._graph is not None or settings.graph is None or folder is None:
            return False
        return graph_file.digest(folder) not in (None, settings.graph)

    def _update(self, connection: sqlite3.Connection, settings: schema.Settings) -> None:
        seen = self._settings.generation if self._settings and not self._postponed else -1
        if settings.generation != seen and settings.dimension is not None:
            self._settings = None  # if reading fails halfway, start from nothing the next time
            if seen < max(settings.log_floor, 0) or not self._can_follow(connection, seen):
                seen = self._begin(connection, settings)
            self._apply(connection, settings, seen)
        self._settings = settings

    def _can_follow(self, connection: sqlite3.Connection, seen: int) -> bool:
        """Return whether updating the memory is better than reading everything again."""
        came, went = rows.changes_since(connection, seen)
        if self._graph is not None:
            return not self._needs_rebuild(self._graph, went)
        return self._matrix is not None and len(self._matrix) + came <= self.exact_limit

    def _needs_rebuild(self, graph: Graph, went: int) -> bool:
        """Return whether there are so many tombstones that a new graph is better."""
        return graph.removed + went > max(self.exact_limit, graph.live // _COMPACT_SHARE)

    def _begin(self, connection: sqlite3.Connection, settings: schema.Settings) -> int:
        """Start from nothing or from the graph file; return the generation that this reflects."""
        assert settings.dimension is not None
        self._matrix = self._graph = self._tail = None
        self._postponed = False
        count = rows.count(connection)
        if count <= self.exact_limit:
            self._matrix = Block(np.zeros(0, np.int64), np.zeros((0, settings.dimension), np.float32))
            return -1
        graph = fresh = self._take_fresh(settings)
        graph = graph or self._load(settings)
        self.graph_file_stale = graph is None or graph is fresh
        came, went = (count, 0) if graph is None else rows.changes_since(connection, graph.generation)
        needs_rebuild = graph is None or self._needs_rebuild(graph, went)
        if (needs_rebuild or came > max(_FRESH, count // _FRESH_SHARE)) and not self._building_pays():
            self._postponed = True
            return settings.generation
        if graph is None or needs_rebuild:
            if self._apart:
                raise _GraphWantedError
            graph = Graph(settings.dimension, self._options, capacity=count)
        self._graph = graph
        return graph.generation

    def _take_fresh(self, settings: schema.Settings) -> Graph | None:
        """Return the graph that a thread has just built, if the log of removals still reaches back to it."""
        fresh, self._fresh = self._fresh, None
        if fresh is None or fresh.dimension != settings.dimension:
            return None
        return fresh if settings.log_floor <= fresh.generation <= settings.generation else None

    def _load(self, settings: schema.Settings) -> Graph | None:
        """Load the graph file; None if there is none, or it is not the one that was saved last."""
        folder, dimension = self._storage.folder, settings.dimension
        if folder is None or dimension is None or settings.graph is None:
            return None
        if settings.graph_generation < settings.log_floor:
            return None
        with graph_file.scratch_file(folder) as (path, file):
            header = graph_file.unpack_verified(folder, settings.graph, file)
            if header is None or (header.dimension, header.metric) != (dimension, settings.metric):
                return None
            if not is_loadable(file, dimension):
                return None
            graph = Graph.load(path, dimension, self._options, live=header.count, generation=header.generation)
        if graph is not None:
            graph.tuning = header.tuning
        return graph

    def _apply(self, connection: sqlite3.Connection, settings: schema.Settings, seen: int) -> None:
        assert settings.dimension is not None
        removed = rows.removed_since(connection, seen)
        found = rows.added_since(connection, seen, settings.dimension, self._storage.name)
        came = stored.as_measured(found, settings)
        if self._graph is not None:
            self._bring_to_graph(self._graph, removed, came, settings)
        elif self._matrix is not None:
            self._matrix = Block.joined([self._matrix.without(removed), *came])

    def _bring_to_graph(
        self, graph: Graph, removed: Int64Array, came: Iterator[Block], settings: schema.Settings
    ) -> None:
        """Remove vectors; add a few (or all to a new graph) at once, and leave many to later searches as the tail."""
        tail = self._tail or Block.empty(graph.dimension)
        waiting = np.isin(removed, tail.keys)
        graph.remove(removed[~waiting])
        tail = tail.without(removed[waiting])
        for block in came:
            if graph.generation < 0 or len(tail) + len(block) > _TAIL_LIMIT or (not len(tail) and len(block) <= _FRESH):
                graph.add(block.keys, block.vectors)
            else:
                tail = Block.joined([tail, block])
        graph.generation = settings.generation
        self._tail = tail if len(tail) else None

    def _shorten_tail(self, seconds: float) -> None:
        """Add the tail to the graph, for at most `seconds`."""
        deadline = time.monotonic() + seconds
        while self._graph is not None and self._tail is not None:
            part, rest = self._tail.split(_TAIL_PART)
            self._graph.add(part.keys, part.vectors)
            self._tail = rest if len(rest) else None
            if time.monotonic() >= deadline:
                return

    def save(self) -> None:
        """Write the graph file, or remove it if the index is small, and shorten the log of removals."""
        for _ in range(_SAVE_ATTEMPTS):
            graph = self._follow_wholly().graph
            if graph is None:
                self._save_nothing()
                return
            if self._options.search_effort is None and not self._is_tuned(graph):
                self.tune()
            if self._save_graph(graph):
                return

    def _follow_wholly(self) -> View:
        """Update until the tail is empty; others search in between."""
        while (view := self.sync(wait=True)).tail is not None:
            pass
        return view

    def _is_tuned(self, graph: Graph) -> bool:
        return graph.tuning is not None and graph.tuning.fits(self._options.recall, graph.live)

    def tune(self) -> Tuning | None:
        """Measure the search effort for the wanted recall and use it from now on; None without a graph."""
        view = self._follow_wholly()
        if view.graph is None:
            return None
        view.graph.tuning = found = tuned(self._storage, view.settings, view.graph, self._options.recall)
        if found is not None and found.shortfall:
            _log.warning("%s: %s", self._storage.name, found.shortfall)
        return found

    def _save_nothing(self) -> None:
        folder = self._storage.folder
        if folder is None:
            return
        with self._storage.transaction() as connection:
            settings = schema.read(connection, self._storage.name)
            if rows.count(connection) > self.exact_limit:
                return  # another process has just made it large
            if settings.graph is not None:
                schema.write(connection, graph=None, graph_generation=0)
            graph_file.discard(folder)
            self._shorten_log(connection, settings, settings.generation)

    def _save_graph(self, graph: Graph) -> bool:
        """Write and publish the graph file; False if another process has removed a vector or that file meanwhile."""
        folder = self._storage.folder
        if folder is None:
            return True
        with graph_file.scratch_file(folder) as (path, file):
            with self._lock:  # no thread changes the graph now
                self._shorten_tail(math.inf)
                header, removed = self._header(graph), graph.removed
                graph.save(path)
            if removed and not graph_file.scrub(file, graph.dimension):
                raise IndexFileError(f"{folder}: this hnswlib writes an unknown format; use hnswlib 0.8")
            with graph_file.written(folder, header, file) as (temporary, digest):
                return self._publish(temporary, digest, header)

    def _header(self, graph: Graph) -> graph_file.Header:
        metric = self._settings.metric if self._settings else "l2"
        return graph_file.Header(graph.dimension, metric, graph.live, graph.generation, graph.tuning)

    def _publish(self, temporary: Path, digest: bytes, header: graph_file.Header) -> bool:
        folder = self._storage.folder
        assert folder is not None
        with self._storage.transaction() as connection:
            settings = schema.read(connection, self._storage.name)
            if rows.removed_since(connection, header.generation).size or header.generation < settings.log_floor:
                return False  # the file would contain a removed face
            if not graph_file.publish(temporary, folder):
                return False
            self.graph_file_stale = False
            schema.write(connection, graph=digest, graph_generation=header.generation)
            self._shorten_log(connection, settings, header.generation)
            return True

    def _shorten_log(self, connection: sqlite3.Connection, settings: schema.Settings, generation: int) -> None:
        if generation > settings.log_floor and rows.changes_since(connection, settings.log_floor)[1] > _LOG_LIMIT:
            rows.forget_removals(connection, generation)
            schema.write(connection, log_floor=generation)
