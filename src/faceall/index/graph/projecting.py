"""Replace the graph in memory by one of projected vectors, if that finds enough of the nearest."""

from __future__ import annotations

import logging

from faceall.index.graph import graph_file
from faceall.index.graph.graph import Graph
from faceall.index.graph.memory import Memory
from faceall.index.graph.projection import SAMPLE, SHARE, Projection, project_graph
from faceall.index.graph.tuner import sampled, tuned
from faceall.index.storage.schema import Settings

_log = logging.getLogger(__name__)

_LEAST_KEPT = 0.5  # share of the variance below which projected vectors need not be measured
_LARGEST_EFFORT = 500  # above, searching vectors as they are is not slower


def is_wanted(memory: Memory, graph: Graph) -> bool:
    """Return whether the vectors of a graph should be projected, if the recall stays high enough."""
    return graph.projection is None and memory.projects(graph.dimension, graph.live)


def project(memory: Memory) -> bool:
    """Project the vectors of the graph in memory; return whether the recall is high enough with that.

    The links between the vectors stay those of the graph. Nothing changes if the recall is not high enough.
    """
    view = memory.follow_wholly()
    if view.graph is None:
        return False
    sample = sampled(memory.storage, view.settings, view.graph, SAMPLE)
    reduced = view.graph.dimension // SHARE
    if len(sample) <= reduced:
        return False
    projection = Projection.principal(sample.vectors, reduced)
    shorter = None
    if projection.kept(sample.vectors) >= _LEAST_KEPT:
        shorter = _measured_copy(memory, view.settings, view.graph, projection)
    if shorter is not None:
        memory.offer(shorter)
        return True
    _log.log(
        logging.WARNING if memory.options.vectors == "projected" else logging.DEBUG,
        "%s: a graph of projected vectors does not find enough of the nearest; it keeps the vectors as they are",
        memory.storage.name,
    )
    return False


def _measured_copy(memory: Memory, settings: Settings, graph: Graph, projection: Projection) -> Graph | None:
    """Return a copy of a graph with projected vectors and its search effort; None if it does not find enough."""
    shorter = _projected(memory, graph, projection)
    if shorter is None:
        return None
    found = tuned(memory.storage, settings, shorter, memory.options.recall)
    if found is None or found.shortfall or found.effort > _LARGEST_EFFORT:
        return None
    shorter.tuning = found
    return shorter


def _projected(memory: Memory, graph: Graph, projection: Projection) -> Graph | None:
    """Return a copy of a graph with projected vectors and the same links; None if hnswlib's format is unknown."""
    folder = memory.storage.folder
    assert folder is not None
    with graph_file.scratch_file(folder) as (path, target):
        with graph_file.scratch_file(folder) as (original, source):
            with memory.held():
                live, generation = graph.live, graph.generation
                graph.save(original)
            if not project_graph(source, target, projection):
                return None
        return Graph.load(
            path, graph.dimension, memory.options, live=live, generation=generation, projection=projection
        )
