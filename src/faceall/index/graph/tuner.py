"""Measure the search effort of a graph on the stored vectors."""

from __future__ import annotations

import numpy as np

from faceall.index.graph import tuning
from faceall.index.graph.graph import Graph
from faceall.index.graph.reranking import searchable
from faceall.index.graph.tuning import Tuning
from faceall.index.storage import stored
from faceall.index.storage.database import Storage
from faceall.index.storage.rows import Block
from faceall.index.storage.schema import Settings
from faceall.types import Float32Array, Int64Array

_UNIT = 1e-3  # tolerance of the squared length of a unit vector


def tuned(storage: Storage, settings: Settings, graph: Graph, recall: float) -> Tuning | None:
    """Measure the search effort that `graph` needs for `recall`, while others search and write.

    Returns
    -------
    Tuning or None
        None if there are too few vectors.
    """
    chosen = sampled(storage, settings, graph, tuning.SAMPLE)
    questions, origins = _questions(storage, settings, graph, chosen)
    return tuning.measure(
        searchable(graph, storage, settings),
        questions,
        origins,
        lambda: stored.in_passing(storage, settings),
        recall=recall,
        count=graph.live,
    )


def sampled(storage: Storage, settings: Settings, graph: Graph, count: int) -> Block:
    """Return some of the vectors of `graph`, drawn at random, that still exist."""
    keys = graph.keys()
    chosen = np.random.default_rng(0).choice(keys, min(count, len(keys)), replace=False)
    return _collected(storage, settings, chosen)


def _questions(storage: Storage, settings: Settings, graph: Graph, chosen: Block) -> tuple[Float32Array, Int64Array]:
    """Return simulated unseen vectors and the keys each was made of; none if the graph has too few vectors."""
    found = graph.search(chosen.vectors, 2) if len(chosen) and graph.live > 1 else None
    if found is None:
        return np.zeros((0, graph.dimension), np.float32), np.zeros((0, 2), np.int64)
    others = np.where(found.keys[:, 0] == chosen.keys, found.keys[:, 1], found.keys[:, 0])
    partners = _collected(storage, settings, np.unique(others))
    place = np.searchsorted(partners.keys, others)
    there = np.isin(others, partners.keys)  # another process may have removed one in the meantime
    neighbours = partners.vectors[place[there]]
    directions = bool((abs(chosen.squares - 1) < _UNIT).all())
    origins = np.stack((chosen.keys[there], others[there]), axis=1)
    return tuning.unseen(chosen.vectors[there], neighbours, directions=directions), origins


def _collected(storage: Storage, settings: Settings, keys: Int64Array) -> Block:
    """Return the rows of `keys` that still exist, ordered by key."""
    return Block.joined([Block.empty(settings.dimension or 0), *stored.chosen(storage, settings, np.sort(keys))])
