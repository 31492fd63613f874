"""How wide a graph search has to be for the recall that was wished, measured on the user's own vectors.

hnswlib's `ef`, the number of candidates, decides how many of the true neighbours are found. What it has to be depends
on the data: vectors of a few people lie in clumps and are found at once, vectors spread in all directions are not.
So it is measured: questions that look like unseen faces are made from pairs of neighbours, their true neighbours are
found by comparing everything, and the smallest `ef` is taken that finds enough of them.
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
"""The counts of neighbours for which the effort is measured; between and beyond them it is interpolated."""

SAMPLE = 400
"""Questions that are asked: a recall of 0.99 of ten neighbours is then known to about 0.002."""

_GROWTH = 1.5  # measured again when there are so many times more, or fewer, vectors
_LARGEST = 4096  # effort
_STEP = 1.15  # how exactly the effort is found
_PAIR = 2  # vectors that a question is made of


@dataclass(frozen=True)
class Tuning:
    """What was measured.

    recall       wished part of the true nearest, above 0 and below 1
    reached      the part of the FEW nearest that `effort` has found, of questions a little easier than new photos
    effort       candidates (hnswlib's ef) for FEW neighbours
    effort_many  candidates for MANY neighbours
    sample       how many questions were asked
    count        how many vectors there were
    """

    recall: float
    reached: float
    effort: int
    effort_many: int
    sample: int
    count: int

    @property
    def shortfall(self) -> str | None:
        """What is to be said where no effort reaches the recall that was wished; None where one does."""
        if self.reached >= self.recall:
            return None
        return (
            f"the graph finds {self.reached:.4f} of the nearest at most (ef {self.effort}), {self.recall:g} was wished:"
            " search with exact=True, or build it with more links (GraphOptions)"
        )

    def effort_for(self, k: int) -> int:
        """The candidates for k neighbours."""
        if k <= FEW:
            return self.effort
        share = min(1.0, math.log(k / FEW) / math.log(MANY / FEW))
        within = self.effort + share * (self.effort_many - self.effort)
        return math.ceil(max(within * max(1.0, k / MANY), k))

    def fits(self, recall: float, count: int) -> bool:
        """Whether it still holds for this wish and so many vectors."""
        return self.recall == recall and self.count / _GROWTH <= count <= self.count * _GROWTH


class Searchable(Protocol):
    """The part of a graph that is measured."""

    def search(self, queries: Float32Array, k: int, effort: int | None = None) -> Matches | None:
        """The k nearest of each query, None where the graph does not reach so many."""


def measure(
    graph: Searchable,
    questions: Float32Array,
    origins: Int64Array,
    read: Callable[[], Iterable[Block]],
    *,
    recall: float,
    count: int,
) -> Tuning | None:
    """Find the smallest efforts that reach `recall`; None where there are too few vectors or questions to tell.

    questions  (q, dimension), none of them a stored vector; see `unseen`
    origins    (q, 2) keys of the vectors that each was made of, which are too near to count as its neighbours
    read       gives all vectors as the graph holds them, in blocks
    recall     wished, above 0 and below 1
    count      how many vectors there are

    Questions that were made of stored vectors are easier than a new photo: about twice as many neighbours are missed
    there. So an effort counts as enough when, less the standard error, it misses half of what may be missed.
    """
    if count < 2 * MANY or not len(questions):
        return None
    truth = _without(exact.nearest(questions, read(), MANY + origins.shape[1]).keys, origins)
    enough = 1 - (1 - recall) / 2
    few, reached = _smallest(graph, questions, truth[:, :FEW], enough, FEW, count)
    part = max(1, len(questions) * FEW // MANY)  # MANY neighbours of fewer questions tell as much
    many, _ = _smallest(graph, questions[:part], truth[:part], enough, few, count)
    return Tuning(recall, reached, few, many, len(questions), count)


def _without(keys: Int64Array, unwanted: Int64Array) -> Int64Array:
    """The first of `keys` (q, k + u) in each row that are not in the row of `unwanted` (q, u): (q, k)."""
    stay = ~(keys[:, :, None] == unwanted[:, None, :]).any(axis=2)
    order = np.argsort(~stay, axis=1, kind="stable")[:, : keys.shape[1] - unwanted.shape[1]]
    return np.take_along_axis(keys, order, 1)


def unseen(vectors: Float32Array, neighbours: Float32Array, *, directions: bool) -> Float32Array:
    """Questions (q, dimension) that are distributed as new vectors of the same people would be.

    Half the sum of a vector and its neighbour keeps the person and half of the scatter's variance; half the
    difference of another such pair brings the other half back. Where people are clumps of equal scatter this is the
    distribution of a vector that was left out.

    vectors     (q, dimension), a random choice of those stored
    neighbours  (q, dimension), the nearest other one of each
    directions  whether all have unit length, so that the questions shall too
    """
    questions = (vectors + neighbours) / 2 + np.roll((vectors - neighbours) / 2, 1, axis=0)
    if directions:
        questions /= np.maximum(np.linalg.norm(questions, axis=1, keepdims=True), np.float32(1e-12))
    return np.asarray(questions, np.float32)


def _smallest(
    graph: Searchable, questions: Float32Array, truth: Int64Array, wished: float, least: int, count: int
) -> tuple[int, float]:
    """The smallest effort from `least` that finds enough of `truth` (q, k), and the part that it finds."""
    most = max(least, min(_LARGEST, count))
    low, high = 0, max(least, truth.shape[1])
    reached = 0.0
    while True:  # double until it is enough
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
    """The part of `truth` (q, k) that a search with this effort finds, and its standard error."""
    found = graph.search(questions, truth.shape[1] + _PAIR, max(effort, truth.shape[1] + _PAIR))
    if found is None:
        return 0.0, 0.0
    hits = (found.keys[:, :, None] == truth[:, None, :]).any(axis=1).mean(axis=1)
    return float(hits.mean()), float(hits.std() / math.sqrt(len(hits)))
