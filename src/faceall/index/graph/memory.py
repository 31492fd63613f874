"""The memory of an index: all vectors of a small one, the graph of a large one.

It follows the database. Changes of this and of other processes become visible when they are committed: the rows
added and removed since `generation` are read and applied.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from faceall.index.graph import graph_file
from faceall.index.graph.graph import Graph, GraphOptions, how_to_install_graphs, why_no_graphs
from faceall.index.graph.hnsw_elements import VectorReader, is_loadable
from faceall.index.graph.projection import LEAST_DIMENSION, SHARE, Projection, principal_axes
from faceall.index.graph.view import View
from faceall.index.storage import rows, schema, stored
from faceall.index.storage.database import Storage
from faceall.index.storage.rows import Block
from faceall.types import Int64Array

_log = logging.getLogger(__name__)

EXACT_LIMIT = 10_000
"""Number of vectors up to which searches compare all of them; above, a graph is faster and worth building."""

LARGE = 100_000
"""Number of vectors from which an index that cannot use hnswlib says what is faster, and a graph is projected."""

_COMPACT_SHARE = 4  # rebuild if there are more tombstones than a quarter of the live vectors
_BUILD_AFTER = (
    64  # searches before a reader, which cannot save a graph, builds one: it takes as long as some hundred searches
)
_LOAD_AFTER = 32  # queries of a reader before it loads the graph: it takes as long as comparing them with all vectors
_FRESH_SHARE = 100  # adding 1 / 100 of the vectors to a graph takes as long as comparing all
_FRESH = 256  # vectors that are added to a graph at once
_TAIL_PART = 32  # vectors added to a graph at a time, between which others may search it
_TAIL_SECONDS = 0.05  # that one search spends on adding the tail to the graph
_TAIL_LIMIT = 50_000  # vectors of the tail, which are compared exactly until they are in the graph
_LATE_FILE = (0.05, 0.2, None)  # seconds to wait for another process that is replacing the graph file


class _GraphWantedError(Exception):
    """A graph has to be built from all vectors first."""


class Memory:
    """The vectors or the graph in memory, which follow the changes of one `Storage`."""

    def __init__(self, storage: Storage, options: GraphOptions, *, exact_limit: int = EXACT_LIMIT) -> None:
        self.storage = storage
        self.options = options
        self.only_plain = options.vectors == "float32"  # whether a graph of projected vectors is not used
        self.exact_limit = exact_limit
        self._lock = storage.read_lock
        self._stamp: int | None = None
        self._view: View | None = None
        self._settings: schema.Settings | None = None
        self._matrix: Block | None = None
        self._graph: Graph | None = None
        self._tail: Block | None = None
        self._postponed = False  # whether there is no graph in memory although there should be one
        self._deferred = False  # whether the vectors of the graph file are compared instead of loading the graph
        self._searches = self._queries = 0  # so far; a search has one or more queries
        self._builder: int | None = None  # the thread that builds a graph; others use exact search in the meantime
        self._built = threading.Condition(self._lock)
        self._apart = False  # whether a graph may be built while others hold the lock
        self._fresh: Graph | None = None  # the graph it has built, for the next update
        self.graph_file_stale = False  # whether the graph had to be built although there should be a file

    def needs_graph(self, count: int) -> bool:
        """Return whether so many vectors are searched with a graph: more than the limit, and hnswlib can be used."""
        return count > self.exact_limit and why_no_graphs() is None

    @property
    def graph(self) -> Graph | None:
        """The graph in memory, as it was at the last search."""
        return self._graph

    def invalidate(self) -> None:
        """Check the database before the next search; called when this process has committed."""
        self._stamp = None

    def forget(self) -> None:
        """Drop everything in memory; the next search reads the database."""
        with self._lock:
            self._stamp = self._settings = self._matrix = self._graph = None
            self._postponed = self._deferred = False

    def offer(self, graph: Graph) -> None:
        """Use `graph`, which may reflect an earlier state, instead of the one in memory."""
        with self._lock:
            self._fresh = graph
            self._stamp = self._settings = self._view = None

    def refuse_projection(self) -> None:
        """Drop a graph of projected vectors; the next search builds one of the vectors as they are."""
        self.only_plain = True
        self.forget()

    def sync(self, *, exact: bool = False, wait: bool = False, queries: int = 0) -> View:
        """Update the memory from the database and return it.

        The view has neither vectors nor a graph inside the thread's own transaction, for an exact search of a large
        index, for the first searches of a reader without a graph file, and while another thread builds the graph. For
        the first searches of a reader with one it has the vectors of that file.

        Parameters
        ----------
        exact : bool
            Whether the search compares all vectors.
        wait : bool
            Wait while another thread builds the graph.
        queries : int
            Number of vectors that are searched for.
        """
        if self.storage.in_transaction:
            return View(self.storage, schema.read(self.storage.connection, self.storage.name), self.exact_limit)
        if not exact and (view := self._unchanged()):
            return view
        with self._lock:
            self._searches += queries > 0
            self._queries += queries
        while True:
            with self._lock:
                if exact and (settings := self._settings_of_large()):
                    return View(self.storage, settings, self.exact_limit)
                if wait:
                    self._built.wait_for(lambda: self._builder is None)
                elif self._builder is not None and (settings := self._settings_of_large()):
                    return View(self.storage, settings, self.exact_limit)
                self._apart = self.storage.folder is not None and not self.storage.has_snapshot
                try:
                    return self._caught_up()
                except _GraphWantedError:
                    self._builder = threading.get_ident()
            self._build()

    def _unchanged(self) -> View | None:
        """Return the view of the last search if nothing was committed since and nothing is left to do."""
        with self._lock:
            view = self._view
            waiting = self._postponed or self._deferred or self._builder is not None
            if view is None or view.tail is not None or waiting:
                return None
            return view if self.storage.stamp() == self._stamp else None

    def follow_wholly(self) -> View:
        """Update until the graph is loaded and the tail is empty; others search in between."""
        with self._lock:
            self._queries = max(self._queries, _LOAD_AFTER + 1)
        while (view := self.sync(wait=True)).tail is not None:
            pass
        return view

    @contextmanager
    def held(self) -> Iterator[str]:
        """Add the tail to the graph and keep other threads from changing it; yield the metric."""
        with self._lock:
            self._shorten_tail(math.inf)
            yield self._settings.metric if self._settings else "l2"

    def _build(self) -> None:
        """Build a graph from a snapshot of the database, while others search, add and remove."""
        graph = None
        try:
            with stored.apart(self.storage) as (settings, count, blocks):
                assert settings.dimension is not None
                graph = self._new_graph(settings, count)
                for block in blocks:
                    graph.add(block.keys, block.vectors)
                graph.generation = settings.generation
        finally:
            with self._lock:
                self._builder, self._fresh = None, graph
                self._built.notify_all()

    def _new_graph(self, settings: schema.Settings, count: int) -> Graph:
        """Return an empty graph, of projected vectors if that is wanted and they keep nearly everything."""
        assert settings.dimension is not None
        projection = principal_axes(self.storage, settings) if self.projects(settings.dimension, count) else None
        return Graph(settings.dimension, self.options, capacity=count, projection=projection)

    def projects(self, dimension: int, count: int) -> bool:
        """Return whether a graph of so many vectors should have projected ones, if it finds enough with them."""
        if self.only_plain or self.storage.folder is None or self.options.search_effort is not None:
            return False
        if self.options.vectors == "projected":
            return dimension >= SHARE
        return count >= LARGE and dimension >= LEAST_DIMENSION

    def _caught_up(self) -> View:
        """Apply the changes in the database and return the view."""
        with self._lock:
            stamp = self.storage.stamp()
            if stamp == self._stamp and self._view and not self._graph_pays():
                if self._view.tail is None or self._deferred:
                    return self._view
            else:
                self._view = None  # if reading fails halfway, check again the next time
                self._catch_up()
                self._stamp = stamp
            self._shorten_tail(_TAIL_SECONDS)
            assert self._settings is not None
            self._view = View(self.storage, self._settings, self.exact_limit, self._matrix, self._graph, self._tail)
            return self._view

    def _settings_of_large(self) -> schema.Settings | None:
        """Return the settings of an index above the limit, None below it."""
        with self.storage.reading() as connection:
            if not self.needs_graph(rows.count(connection)):
                return None
            return schema.read(connection, self.storage.name)

    def _graph_pays(self) -> bool:
        """Return whether there is no graph in memory, but building or loading it has become worthwhile."""
        return (self._postponed and self._building_pays()) or (self._deferred and self._loading_pays())

    def _building_pays(self) -> bool:
        """Return whether building a graph is worthwhile: it can be saved, or there were enough searches without it."""
        return not self.storage.read_only or self._searches > _BUILD_AFTER

    def _loading_pays(self) -> bool:
        """Return whether loading the graph is worthwhile: it can be saved, or there were enough queries without it."""
        return not self.storage.read_only or self._queries > _LOAD_AFTER

    def _catch_up(self) -> None:
        for pause in _LATE_FILE:
            with self.storage.reading() as connection:
                settings = schema.read(connection, self.storage.name)
                if pause is None or not self._awaits_file(settings):
                    self._update(connection, settings)
                    return
            time.sleep(pause)

    def _awaits_file(self, settings: schema.Settings) -> bool:
        """Return whether the graph file differs from the database's checksum: another process may be replacing it."""
        folder = self.storage.folder
        if self._graph is not None or settings.graph is None or folder is None:
            return False
        return graph_file.digest(folder) not in (None, settings.graph)

    def _update(self, connection: sqlite3.Connection, settings: schema.Settings) -> None:
        afresh = self._postponed or self._graph_pays()
        seen = self._settings.generation if self._settings and not afresh else -1
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
        if self._deferred:
            return True
        return self._matrix is not None and not self.needs_graph(len(self._matrix) + came)

    def _needs_rebuild(self, graph: Graph, went: int) -> bool:
        """Return whether there are so many tombstones that a new graph is better."""
        return graph.removed + went > max(self.exact_limit, graph.live // _COMPACT_SHARE)

    def _begin(self, connection: sqlite3.Connection, settings: schema.Settings) -> int:
        """Start from nothing or from the graph file; return the generation that this reflects."""
        assert settings.dimension is not None
        self._matrix = self._graph = self._tail = None
        self._postponed = self._deferred = False
        count = rows.count(connection)
        if not self.needs_graph(count):
            if count >= LARGE and (reason := why_no_graphs()):
                _log.warning("%s: %s", self.storage.name, without_graphs(count, reason))
            self._matrix = Block(np.zeros(0, np.int64), np.zeros((0, settings.dimension), np.float32))
            return -1
        if not self._loading_pays() and (saved := self._read_saved(settings)):
            self._deferred, self._matrix = True, saved[0]
            return saved[1]
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
            graph = self._new_graph(settings, count)
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
        folder = self._folder_with_graph(settings)
        if folder is None:  # before a file is made in it: a reader may not be allowed to
            return None
        with graph_file.scratch_file(folder) as (path, file):
            found = self._unpack(settings, file)
            if found is None or not is_loadable(file, found[0].width):
                return None
            header, projection = found
            graph = Graph.load(
                path,
                header.dimension,
                self.options,
                live=header.count,
                generation=header.generation,
                projection=projection,
            )
        if graph is not None:
            graph.tuning = header.tuning
        return graph

    def _read_saved(self, settings: schema.Settings) -> tuple[Block, int] | None:
        """Read the vectors in the graph file and its generation; None if they are projected, or as for `_load`."""
        folder, dimension = self._folder_with_graph(settings), settings.dimension
        if folder is None or dimension is None or graph_file.kind(folder) != "float32":
            return None
        reader = VectorReader(dimension, graph_file.size(folder))
        found = self._unpack(settings, reader)
        vectors = reader.vectors()
        if found is None or vectors is None or len(vectors[0]) != found[0].count:
            return None
        return Block(*vectors), found[0].generation

    def _folder_with_graph(self, settings: schema.Settings) -> Path | None:
        """Return the folder if a graph was saved in it from which the database can be followed."""
        if settings.graph is None or settings.dimension is None or settings.graph_generation < settings.log_floor:
            return None
        return self.storage.folder

    def _unpack(
        self, settings: schema.Settings, target: graph_file.Target
    ) -> tuple[graph_file.Header, Projection | None] | None:
        """Copy the verified graph into `target`; None if there is none that can be used."""
        folder = self._folder_with_graph(settings)
        if folder is None or settings.graph is None:
            return None
        found = graph_file.unpack_verified(folder, settings.graph, target)
        if found is None or (found[0].dimension, found[0].metric) != (settings.dimension, settings.metric):
            return None
        return None if found[1] and self.only_plain else found

    def _apply(self, connection: sqlite3.Connection, settings: schema.Settings, seen: int) -> None:
        assert settings.dimension is not None
        removed = rows.removed_since(connection, seen)
        found = rows.added_since(connection, seen, settings.dimension, self.storage.name)
        came = stored.as_measured(found, settings)
        if self._graph is not None:
            self._bring_to_graph(self._graph, removed, came, settings)
        elif self._matrix is not None and self._deferred:  # without a copy of all vectors for a few new ones
            tail = self._tail or Block.empty(settings.dimension)
            self._matrix, tail = self._matrix.without(removed), Block.joined([tail.without(removed), *came])
            self._tail = tail if len(tail) else None
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


def without_graphs(count: int, reason: str) -> str:
    """Say that searches compare all of `count` vectors, why, and what makes them faster."""
    return (
        f"searches compare all {count:,} faces, because {reason}; "
        f"a graph is faster: {how_to_install_graphs(reason)} (hnswlib needs a C++ compiler)"
    )
