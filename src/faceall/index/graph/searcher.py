"""What a process holds in memory to search: all vectors of a small index, the graph of a large one.

It follows the database and nothing else. A change, whether of this process or of another, is seen here once it is
committed: the rows that came and went since `generation` are read and applied.
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
"""Up to so many vectors all are compared; above, the graph is faster and its building pays."""

_COMPACT_SHARE = 4  # rebuild when more than one in four of the live number is a removed tombstone
_BUILD_AFTER = 64  # searches of a reader that cannot keep a graph: building takes as long as some hundred of them
_FRESH_SHARE = 100  # one in so many vectors is added to a graph as quickly as all are compared
_FRESH = 256  # added to a graph in no time
_TAIL_PART = 32  # vectors that are added to a graph before others may search it again
_TAIL_SECONDS = 0.05  # that one search spends on what the graph lacks
_TAIL_LIMIT = 50_000  # vectors that are kept beside the graph, compared one by one until it has taken them up
_LOG_LIMIT = 1_000  # removals that are remembered at least
_SAVE_ATTEMPTS = 5  # while other processes go on removing
_LATE_FILE = (0.05, 0.2, None)  # seconds to wait for another process that is just replacing the graph file


class _GraphWantedError(Exception):
    """A graph has to be built from all vectors before there is anything to bring up to date."""


class View(NamedTuple):
    """What one search uses: the settings, and the vectors or the graph (neither: look into the database).

    tail  what the graph lacks; empty but for a moment after many vectors came at once
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
        self._postponed = False  # whether there should be a graph in memory, and is none
        self._searches = 0  # since then
        self._builder: int | None = None  # the thread that builds a graph; others compare all vectors meanwhile
        self._built = threading.Condition(self._lock)
        self._apart = False  # whether a graph may be built while others have the lock
        self._fresh: Graph | None = None  # what it has built, for the next look into the database
        self.graph_file_stale = False  # whether the graph had to be built although there should have been a file

    @property
    def has_graph(self) -> bool:
        """Whether the graph is in memory."""
        return self._graph is not None

    def invalidate(self) -> None:
        """Look into the database before the next answer (it is notified when this process has committed)."""
        self._stamp = None

    def forget(self) -> None:
        """Let go of everything in memory: the next answer begins with the database."""
        with self._lock:
            self._stamp = self._settings = self._matrix = self._graph = None
            self._postponed = False

    def sync(self, *, exact: bool = False, wait: bool = False) -> View:
        """Catch up with the database; what is in memory then.

        Nothing is inside the thread's own transaction, nor where all of a large index shall be compared (`exact`),
        nor at the first searches of a reader for which there is no graph file, nor while another thread builds the
        graph, unless the caller wants to `wait` for it.
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
        """Make a graph of one state of the database, while others search, add and remove."""
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
        """What is in memory, after everything was applied that the database has and this lacks."""
        with self._lock:
            stamp = self._storage.stamp()
            self._searches += self._postponed
            if stamp == self._stamp and self._view and not (self._postponed and self._building_pays()):
                if self._view.tail is None:
                    return self._view
            else:
                self._view = None  # should reading fail halfway, look again the next time
                self._catch_up()
                self._stamp = stamp
            self._shorten_tail(_TAIL_SECONDS)
            assert self._settings is not None
            self._view = View(self._settings, self._matrix, self._graph, self._tail)
            return self._view

    def _settings_of_large(self) -> schema.Settings | None:
        """The settings of an index above the limit, None below it."""
        with self._storage.reading() as connection:
            if rows.count(connection) <= self.exact_limit:
                return None
            return schema.read(connection, self._storage.name)

    def _building_pays(self) -> bool:
        """Whether a graph is worth its building: it will be saved for the others, or it was missed often enough."""
        return not self._storage.read_only or self._searches >= _BUILD_AFTER

    def search(
        self, queries: Float32Array, view: View, k: int, effort: int | None = None, only: Int64Array | None = None
    ) -> Matches:
        """The k nearest; exact where the index is small, where k is near its size, and where the graph falls short.

        only  answers are among these keys, ascending; None: among all
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
        """The k nearest by the graph, and by comparing what it lacks; None where it does not reach so many."""
        assert view.graph is not None
        found = view.graph.search(queries, k, effort)
        if found is None or view.tail is None:
            return found
        added_since = np.isin(found.keys, view.tail.keys)  # by another thread, meanwhile
        found = Matches(found.keys, np.where(added_since, np.float32(np.inf), found.distances))
        return exact.merge(found, exact.nearest(queries, [view.tail], k), k)

    def search_exactly(self, queries: Float32Array, view: View, k: int, only: Int64Array | None = None) -> Matches:
        """The k nearest of all: those in memory, else those in the database as the calling thread sees it."""
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
        """Whether the graph file is another than the database says: another process may be replacing it right now."""
        folder = self._storage.folder
        if self._graph is not None or settings.graph is None or folder is None:
            return False
        return graph_file.digest(folder) not in (None, settings.graph)

    def _update(self, connection: sqlite3.Connection, settings: schema.Settings) -> None:
        seen = self._settings.generation if self._settings and not self._postponed else -1
        if settings.generation != seen and settings.dimension is not None:
            self._settings = None  # should reading fail halfway, start afresh the next time
            if seen < max(settings.log_floor, 0) or not self._can_follow(connection, seen):
                seen = self._begin(connection, settings)
            self._apply(connection, settings, seen)
        self._settings = settings

    def _can_follow(self, connection: sqlite3.Connection, seen: int) -> bool:
        """Whether what is in memory is worth bringing up to date, rather than being read again."""
        came, went = rows.changes_since(connection, seen)
        if self._graph is not None:
            return not self._needs_rebuild(self._graph, went)
        return self._matrix is not None and len(self._matrix) + came <= self.exact_limit

    def _needs_rebuild(self, graph: Graph, went: int) -> bool:
        """Whether so many tombstone are removed vectors that a new graph is better."""
        return graph.removed + went > max(self.exact_limit, graph.live // _COMPACT_SHARE)

    def _begin(self, connection: sqlite3.Connection, settings: schema.Settings) -> int:
        """Start from nothing, or from the graph file; the generation that this reflects."""
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
        """The graph that a thread has just built, if the database can still follow it."""
        fresh, self._fresh = self._fresh, None
        if fresh is None or fresh.dimension != settings.dimension:
            return None
        return fresh if settings.log_floor <= fresh.generation <= settings.generation else None

    def _load(self, settings: schema.Settings) -> Graph | None:
        """The graph of the file, None without a file or where it is not the one that was saved last."""
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
        """Remove at once; insert a few at once, all into a new graph, and leave many others to the next searches."""
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
        """Insert what the graph lacks, for so long at most."""
        deadline = time.monotonic() + seconds
        while self._graph is not None and self._tail is not None:
            part, rest = self._tail.split(_TAIL_PART)
            self._graph.add(part.keys, part.vectors)
            self._tail = rest if len(rest) else None
            if time.monotonic() >= deadline:
                return

    def save(self) -> None:
        """Write the graph file (or remove it, where the index is small), and forget removals that all may know."""
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
        """Catch up until the graph lacks nothing; others search in between."""
        while (view := self.sync(wait=True)).tail is not None:
            pass
        return view

    def _is_tuned(self, graph: Graph) -> bool:
        return graph.tuning is not None and graph.tuning.fits(self._options.recall, graph.live)

    def tune(self) -> Tuning | None:
        """Measure how wide searches of the graph must be for the wished recall, and use that from now on."""
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
        """Write and publish the graph file; False if another process has removed a vector, or that file, meanwhile."""
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
                return False  # the file would bring a removed face back to the disk
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
