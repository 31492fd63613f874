"""Find all pairs of near vectors in one pass, which is quicker than one search of the index per vector.

Up to EXACT vectors every pair is compared. Above that, vectors are divided into cells around the centres of a k-means
on a sample; each vector is compared with the members of the PROBES cells whose centres are nearest, as in an inverted
file.

References
----------
H. Jégou, M. Douze, C. Schmid: Product Quantization for Nearest Neighbor Search. IEEE TPAMI 33 (2011), for the
inverted file.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from faceall.types import Array, Float32Array, Int64Array

EXACT = 30_000
"""Vectors up to which every pair is compared."""
PROBES = 48
_MEMBERS = 200
"""Mean number of vectors in a cell."""
_SAMPLE = 40_000
_ROUNDS = 4
_BLOCK = 512
_MOST_PAIRS = 1 << 23
"""Pairs that are collected before each vector's farthest ones are dropped."""

Pairs = tuple[Int64Array, Float32Array]
"""Rows (m, 2) and squared distances (m,)."""


def near_pairs(vectors: Float32Array, queries: Int64Array, limit: float, k: int) -> Pairs:
    """Return the pairs of a query with a vector within `limit`, at most the k nearest of each query.

    Parameters
    ----------
    vectors : (n, D) float32
        Unit vectors.
    queries : (q,) int64
        Rows of the vectors whose neighbours are wanted.
    limit : float
        The largest squared L2 distance.
    k : int
        The most pairs of one query.

    Returns
    -------
    (m, 2) int64 and (m,) float32
        Pairs (query, other) of rows, and their squared distances.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    found = _Nearest(limit, k)
    if len(vectors) <= EXACT:
        for start in range(0, len(queries), _BLOCK):
            found.compare(vectors, queries[start : start + _BLOCK], np.arange(len(vectors)))
    else:
        for asking, members in _cells(vectors, queries):
            for start in range(0, len(asking), 4 * _BLOCK):
                found.compare(vectors, asking[start : start + 4 * _BLOCK], members)
    return found.pairs()


class _Nearest:
    """The nearest pairs of each query so far."""

    def __init__(self, limit: float, k: int) -> None:
        self.least = 1 - limit / 2  # the similarity at the limit
        self.k = k
        self.parts: list[tuple[Int64Array, Int64Array, Float32Array]] = []
        self.count = 0

    def compare(self, vectors: Float32Array, queries: Int64Array, others: Int64Array) -> None:
        """Compare some queries with some vectors."""
        scores = vectors[queries] @ vectors[others].T
        rows, columns = np.divmod(np.flatnonzero(scores >= self.least), len(others))
        if len(rows) > 2 * self.k * len(queries):
            best = np.argpartition(-scores, min(self.k, len(others) - 1), axis=1)[:, : self.k + 1]
            rows, columns = np.repeat(np.arange(len(queries)), best.shape[1]), best.reshape(-1)
            near = scores[rows, columns] >= self.least
            rows, columns = rows[near], columns[near]
        first, second = queries[rows], others[columns]
        other = first != second
        self.parts.append((first[other], second[other], scores[rows[other], columns[other]]))
        self.count += len(first)
        if self.count > _MOST_PAIRS:
            self._compact()

    def _compact(self) -> None:
        first, second, scores = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        order = np.lexsort((second, -scores, first))
        first, second, scores = first[order], second[order], scores[order]
        starts = np.flatnonzero(np.concatenate([[True], first[1:] != first[:-1]])) if len(first) else np.zeros(0, int)
        ranks = np.arange(len(first)) - np.repeat(starts, np.diff(np.append(starts, len(first))))
        keep = ranks < self.k
        self.parts = [(first[keep], second[keep], scores[keep])]
        self.count = int(keep.sum())

    def pairs(self) -> Pairs:
        """Return the pairs, by query and then by distance."""
        if not self.parts:
            return np.empty((0, 2), np.int64), np.empty(0, np.float32)
        self._compact()
        ((first, second, scores),) = self.parts
        return np.stack([first, second], axis=1), np.maximum(2 - 2 * scores, 0).astype(np.float32)


def _cells(vectors: Float32Array, queries: Int64Array) -> Iterator[tuple[Int64Array, Int64Array]]:
    """Yield for each cell the queries that probe it, and its members."""
    centres = _centres(vectors, max(len(vectors) // _MEMBERS, PROBES))
    home, _ = _nearest_centres(vectors, centres, 1)
    probed, _ = _nearest_centres(vectors[queries], centres, PROBES)
    members = _grouped(home.reshape(-1), np.arange(len(vectors)), len(centres))
    asking = _grouped(probed.reshape(-1), np.repeat(queries, PROBES), len(centres))
    for cell in range(len(centres)):
        if len(members[cell]) and len(asking[cell]):
            yield asking[cell], members[cell]


def _centres(vectors: Float32Array, count: int) -> Float32Array:
    """Return the centres of a spherical k-means on a sample, (count, D)."""
    random = np.random.default_rng(0)
    sample = vectors[random.permutation(len(vectors))[: max(_SAMPLE, 20 * count)]]
    centres = sample[:count].copy()
    for _ in range(_ROUNDS):
        nearest, _ = _nearest_centres(sample, centres, 1)
        for cell, rows in enumerate(_grouped(nearest.reshape(-1), np.arange(len(sample)), count)):
            if len(rows):
                total = sample[rows].sum(axis=0)
                centres[cell] = total / max(float(np.linalg.norm(total)), 1e-12)
    return centres


def _nearest_centres(vectors: Float32Array, centres: Float32Array, count: int) -> tuple[Int64Array, Float32Array]:
    """Return the nearest centres of each vector, (n, count), in no order, and their similarities."""
    found, similar = np.empty((len(vectors), count), np.int64), np.empty((len(vectors), count), np.float32)
    for start in range(0, len(vectors), 4 * _BLOCK):
        scores = vectors[start : start + 4 * _BLOCK] @ centres.T
        best = np.argpartition(-scores, count - 1, axis=1)[:, :count] if count > 1 else scores.argmax(axis=1)[:, None]
        found[start : start + 4 * _BLOCK] = best
        similar[start : start + 4 * _BLOCK] = np.take_along_axis(scores, best, axis=1)
    return found, similar


def _grouped(cells: Array, rows: Array, count: int) -> list[Int64Array]:
    """Return the rows of each cell."""
    order = np.argsort(cells, kind="stable")
    return np.split(rows[order], np.searchsorted(cells[order], np.arange(1, count)))
