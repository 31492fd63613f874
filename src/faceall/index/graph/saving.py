"""Save and tune the graph of an index."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from faceall.errors import IndexFileError
from faceall.index.graph import graph_file, tombstones
from faceall.index.graph.graph import Graph, why_no_graphs
from faceall.index.graph.memory import Memory
from faceall.index.graph.projecting import is_wanted, project
from faceall.index.graph.tuner import tuned
from faceall.index.graph.tuning import Tuning
from faceall.index.storage import rows, schema

_log = logging.getLogger(__name__)

_LOG_LIMIT = 1_000  # removals that the log keeps at least
_SAVE_ATTEMPTS = 5  # while other processes keep removing


def save(memory: Memory) -> None:
    """Write the graph file, or remove it if the index is small, and shorten the log of removals.

    Parameters
    ----------
    memory : Memory
        The memory of the index, which is updated first.

    Raises
    ------
    IndexFileError
        If the file cannot be written.
    """
    for _ in range(_SAVE_ATTEMPTS):
        graph = memory.follow_wholly().graph
        if graph is None:
            _save_nothing(memory)
            return
        if memory.options.search_effort is None and not _is_tuned(memory, graph):
            graph = _measured(memory, graph)
        if _save_graph(memory, graph):
            return


def _measured(memory: Memory, graph: Graph) -> Graph:
    """Return the graph to save, with its search effort: of projected vectors if that is wanted and good enough."""
    if is_wanted(memory, graph) and project(memory):
        graph = memory.follow_wholly().graph or graph
        if graph.projection is not None:
            return graph
    found = tune(memory)
    if graph.projection is not None and found is not None and found.shortfall:
        memory.refuse_projection()
        graph = memory.follow_wholly().graph or graph
        tune(memory)
    return graph


def remeasure(memory: Memory) -> None:
    """Let the next `save` measure a graph of whole vectors that should be projected, which shortens them."""
    graph = memory.follow_wholly().graph
    if graph is not None and is_wanted(memory, graph):
        graph.tuning = None


def tune(memory: Memory) -> Tuning | None:
    """Measure the search effort for the wanted recall and use it from now on.

    Parameters
    ----------
    memory : Memory
        The memory of the index, which is updated first.

    Returns
    -------
    Tuning or None
        None without a graph.
    """
    view = memory.follow_wholly()
    if view.graph is None:
        return None
    view.graph.tuning = found = tuned(memory.storage, view.settings, view.graph, memory.options.recall)
    if found is not None and found.shortfall:
        _log.warning("%s: %s", memory.storage.name, found.shortfall)
    return found


def _is_tuned(memory: Memory, graph: Graph) -> bool:
    return graph.tuning is not None and graph.tuning.fits(memory.options.recall, graph.live)


def _save_nothing(memory: Memory) -> None:
    folder = memory.storage.folder
    if folder is None:
        return
    with memory.storage.transaction() as connection:
        settings = schema.read(connection, memory.storage.name)
        if memory.needs_graph(rows.count(connection)):
            return  # another process has just made it large
        if _keeps_no_removed(memory, connection, settings) and why_no_graphs() is not None:
            return  # an installation with a usable hnswlib can still use the file
        if settings.graph is not None:
            schema.write(connection, graph=None, graph_generation=0)
        graph_file.discard(folder)
        _shorten_log(connection, settings, settings.generation)


def _keeps_no_removed(memory: Memory, connection: sqlite3.Connection, settings: schema.Settings) -> bool:
    """Return whether the graph file is the one that was saved last, and contains no removed vector."""
    folder = memory.storage.folder
    if folder is None or settings.graph is None or graph_file.is_stray(folder, settings.graph):
        return False
    is_complete = settings.graph_generation >= settings.log_floor
    return is_complete and not rows.removed_since(connection, settings.graph_generation).size


def _save_graph(memory: Memory, graph: Graph) -> bool:
    """Write and publish the graph file; False if another process has removed a vector or that file meanwhile."""
    folder = memory.storage.folder
    if folder is None:
        return True
    with graph_file.scratch_file(folder) as (path, file):
        with memory.held() as metric:
            reduced = graph.projection.reduced if graph.projection else None
            header = graph_file.Header(graph.dimension, metric, graph.live, graph.generation, graph.tuning, reduced)
            removed = graph.removed
            graph.save(path)
        if removed and not tombstones.scrub(file, graph.width):
            raise IndexFileError(f"{folder}: this hnswlib writes an unknown format; use hnswlib 0.8")
        with graph_file.written(folder, header, file, graph.projection) as (temporary, digest):
            return _publish(memory, temporary, digest, header)


def _publish(memory: Memory, temporary: Path, digest: bytes, header: graph_file.Header) -> bool:
    folder = memory.storage.folder
    assert folder is not None
    with memory.storage.transaction() as connection:
        settings = schema.read(connection, memory.storage.name)
        if rows.removed_since(connection, header.generation).size or header.generation < settings.log_floor:
            return False  # the file would contain a removed face
        if not graph_file.publish(temporary, folder):
            return False
        memory.graph_file_stale = False
        schema.write(connection, graph=digest, graph_generation=header.generation)
        _shorten_log(connection, settings, header.generation)
        return True


def _shorten_log(connection: sqlite3.Connection, settings: schema.Settings, generation: int) -> None:
    if generation > settings.log_floor and rows.changes_since(connection, settings.log_floor)[1] > _LOG_LIMIT:
        rows.forget_removals(connection, generation)
        schema.write(connection, log_floor=generation)
