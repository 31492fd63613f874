"""Measure the search effort that a graph needs for the wanted recall, on the stored vectors.

hnswlib's `ef`, the number of candidates, decides how many of the true neighbours are found. The necessary number
depends on the data: vectors in dense clusters are found easily, vectors spread evenly are not. So it is measured:
queries that resemble unseen faces are made from pairs of neighbours, their true neighbours are found by exact search,
and the smallest `ef` that finds enough of them is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from faceall.index.graph import exact
from faceall.index.storage.rows import Block
from faceall.types import Float32Array, Int64Array, Matches

FEW, MANY = 10, 100
"""Counts of neighbours for which the effort is measured; for others it is inter- or extrapolated."""

SAMPLE = 400
"""Number of queries; the standard error of a recall of 0.99 for ten neighbours is then about 0.002."""

_GROWTH = 1.5  # factor on the number of vectors after which the effort is measured again
_LARGEST = 4096  # largest effort
_STEP = 1.15  # relative precision of the effort
_PAIR = 2  # vectors that a query is made of


@dataclass(frozen=True)
class Tuning:
    """The result of a measurement.

    Attributes
    ----------
    recall : float
        The wanted share of the true nearest neighbours, above 0 and below 1.
    reached : float
        The share of the 10 nearest that `effort` has found, for queries slightly easier than new photos.
    effort : int
        Candidates (hnswlib's ef) for 10 neighbours.
    effort_many : int
        Candidates for 100 neighbours.
    sample : int
        Number of queries.
    count : int
        Number of vectors.
    """

    recall: float
    reached: float
    effort: int
    effort_many: int
    sample: int
    count: int

    @property
    def shortfall(self) -> str | None:
        """A message if no effort reaches the wanted recall, otherwise None."""
        if self.reached >= self.recall:
            return None
        return (
            f"the graph finds {self.reached:.4f} of the nearest (ef {self.effort}), {self.recall:g} was requested;"
            " search with exact=True, or build it with more links (GraphOptions)"
        )

    def effort_for(self, k: int) -> int:
        """Return the number of candidates for k neighbours."""
        if k <= FEW:
            return self.effort
        share = min(1.0, math.log(k / FEW) / math.log(MANY / FEW))
        within = self.effort + share * (self.effort_many - self.effort)
        return math.ceil(max(within * max(1.0, k / MANY), k))

    def fits(self, recall: float, count: int) -> bool:
        """Return whether the measurement is valid for this recall and number of vectors."""
        return self.recall == recall and self.count / _GROWTH <= count <= self.count * _GROWTH


class Searchable(Protocol):
    """A graph that can be measured."""

    def search(self, queries: Float32Array, k: int, effort: int | None = None) -> Matches | None:
        """Find the k nearest of each query; None if the graph finds fewer."""


def measure(
    graph: Searchable,
    questions: Float32Array,
    origins: Int64Array,
    read: Callable[[], Iterable[Block]],
    *,
    recall: float,
    count: int,
) -> Tuning | None:
    """Find the smallest efforts that reach a recall.

    Queries made of stored vectors are easier than new photos, which miss about twice as many neighbours. So an effort
    is accepted if it misses at most half of the allowed share, minus the standard error.

    Parameters
    ----------
    graph : Searchable
        The graph.
    questions : (q, dimension) float32
        Queries that are not stored vectors; see `unseen`.
    origins : (q, 2) int64
        Keys of the vectors that each query was made of; they do not count as neighbours.
    read : callable
        Returns all vectors of the graph, in blocks.
    recall : float
        The wanted recall, above 0 and below 1.
    count : int
        Number of vectors.

    Returns
    -------
    Tuning or None
        None if there are too few vectors or queries.
    """
    if count < 2 * MANY or not len(questions):
        return None
    truth = _without(exact.nearest(questions, read(), MANY + origins.shape[1]).keys, origins)
    enough = 1 - (1 - recall) / 2
    few, reached = _smallest(graph, questions, truth[:, :FEW], enough, FEW, count)
    part = max(1, len(questions) * FEW // MANY)  # with MANY neighbours, fewer queries are as precise
    many, _ = _smallest(graph, questions[:part], truth[:part], enough, few, count)
    return Tuning(recall, reached, few, many, len(questions), count)


def _without(keys: Int64Array, unwanted: Int64Array) -> Int64Array:
    """Return the first (q, k) of `keys` (q, k + u) in each row that are not in the same row of `unwanted` (q, u)."""
    stay = ~(keys[:, :, None] == unwanted[:, None, :]).any(axis=2)
    order = np.argsort(~stay, axis=1, kind="stable")[:, : keys.shape[1] - unwanted.shape[1]]
    return np.take_along_axis(keys, order, 1)


def unseen(vectors: Float32Array, neighbours: Float32Array, *, directions: bool) -> Float32Array:
    """Make queries that are distributed like new vectors of the same people.

    The mean of a vector and its neighbour keeps the person and half of the variance within a person; half the
    difference of another such pair restores the other half. If people are clusters of equal variance, this is the
    distribution of a held-out vector.

    Parameters
    ----------
    vectors : (q, dimension) float32
        A random sample of the stored vectors.
    neighbours : (q, dimension) float32
        The nearest other vector of each.
    directions : bool
        Whether all vectors have unit length, so that the queries are normalised too.

    Returns
    -------
    (q, dimension) float32
        The queries.
    """
    questions = (vectors + neighbours) / 2 + np.roll((vectors - neighbours) / 2, 1, axis=0)
    if directions:
        questions /= np.maximum(np.linalg.norm(questions, axis=1, keepdims=True), np.float32(1e-12))
    return np.asarray(questions, np.float32)


def _smallest(
    graph: Searchable, questions: Float32Array, truth: Int64Array, wished: float, least: int, count: int
) -> tuple[int, float]:
    """Return the smallest effort from `least` that finds enough of `truth` (q, k), and its recall."""
    most = max(least, min(_LARGEST, count))
    low, high = 0, max(least, truth.shape[1])
    reached = 0.0
    while True:  # double until the recall is enough
        reached, error = _recall(graph, questions, truth, high)
        if reached - error >= wished or high >= most:
            break
        low, high = high, min(2 * high, most)
    while low and high > low * _STEP:
        middle = round(math.sqrt(low * high))
        if middle in (low, high):
            break
        found, error = _recall(graph, questions, truth, middle)
        if found - error >= wished:
            high, reached = middle, found
        else:
            low = middle
    return high, reached


def _recall(graph: Searchable, questions: Float32Array, truth: Int64Array, effort: int) -> tuple[float, float]:
    """Return the recall of `truth` (q, k) with an effort, and its standard error."""
    found = graph.search(questions, truth.shape[1] + _PAIR, max(effort, truth.shape[1] + _PAIR))
    if found is None:
        return 0.0, 0.0
    hits = (found.keys[:, :, None] == truth[:, None, :]).any(axis=1).mean(axis=1)
    return float(hits.mean()), float(hits.std() / math.sqrt(len(hits)))
