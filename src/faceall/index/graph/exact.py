"""Exact nearest neighbours by brute force in NumPy."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from faceall.index.storage.rows import Block
from faceall.types import Float32Array, Int64Array, Matches

_ROUNDING = 8 * float(np.finfo(np.float32).eps)  # of an estimate, for each dimension's square root
_CELLS = 4 << 20  # elements of the matrix of estimates at a time, 16 MiB

_UNTHREADED = 1 << 18  # elements of a matrix that OpenBLAS multiplies with a vector in one thread


def nearest(queries: Float32Array, blocks: Iterable[Block], k: int) -> Matches:
    """Find the k nearest rows of each query by comparing with all of them.

    Parameters
    ----------
    queries : (q, dimension) float32
        The queries.
    blocks : iterable of Block
        All rows.
    k : int
        Number of neighbours.

    Returns
    -------
    Matches
        Keys and squared L2 distances (q, min(k, rows)), nearest first; ties are ordered by key.
    """
    best = Matches(np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0), np.float32))
    for block in blocks:
        if len(block) and k and len(queries):
            best = merge(best, _nearest_in(queries, block, k), k)
    return best


def _nearest_in(queries: Float32Array, block: Block, k: int) -> Matches:
    count = min(k, len(block))
    keys = np.empty((len(queries), count), np.int64)
    distances = np.empty((len(queries), count), np.float32)
    step = max(1, _CELLS // len(block))
    for start in range(0, len(queries), step):
        part = queries[start : start + step]
        for row, candidates in enumerate(_candidates(part, block, count)):
            difference = block.vectors[candidates] - part[row]
            exact = np.einsum("ij,ij->i", difference, difference)
            order = np.lexsort((block.keys[candidates], exact))[:count]
            keys[start + row] = block.keys[candidates[order]]
            distances[start + row] = exact[order]
    return Matches(keys, distances)


def _candidates(queries: Float32Array, block: Block, k: int) -> Iterable[Int64Array]:
    """Return for each query the rows that can be among the k nearest.

    |q|^2 + |v|^2 - 2 q.v is fast (one matrix product) but loses precision if vectors are long and close together. So a
    row is a candidate if its estimate is within the rounding error of the k-th best; the caller computes the exact
    distances of the candidates.
    """
    lengths = np.einsum("ij,ij->i", queries, queries)
    estimates = _products(queries, block.vectors)
    estimates *= -2
    estimates += block.squares  # |q|^2 is the same for all rows
    limits = np.partition(estimates, k - 1, axis=1)[:, k - 1] if k < len(block) else estimates.max(axis=1)
    limits += _ROUNDING * math.sqrt(queries.shape[1]) * (lengths + block.largest_square)
    return (np.flatnonzero(estimates[row] <= limits[row]) for row in range(len(queries)))


def _products(queries: Float32Array, vectors: Float32Array) -> Float32Array:
    """Return the inner products (q, n), those of one query in the calling thread.

    A product with one query takes so little time that threads of BLAS which wait for a busy processor take far longer.
    """
    if len(queries) > 1:
        return queries @ vectors.T
    found = np.empty((1, len(vectors)), np.float32)
    step = max(1, _UNTHREADED // vectors.shape[1])
    for start in range(0, len(vectors), step):
        np.dot(vectors[start : start + step], queries[0], out=found[0, start : start + step])
    return found


def merge(first: Matches, second: Matches, k: int) -> Matches:
    """Return the k nearest of two results for the same queries that have no key in common."""
    if not first.keys.shape[1]:
        return second
    keys = np.concatenate((first.keys, second.keys), axis=1)
    distances = np.concatenate((first.distances, second.distances), axis=1)
    order = np.lexsort((keys, distances), axis=1)[:, :k]
    return Matches(np.take_along_axis(keys, order, 1), np.take_along_axis(distances, order, 1))
