"""Box arithmetic. A box is x0, y0, x1, y1 in pixels; x1 and y1 are exclusive, so the width is x1 - x0."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

import cv2
import numpy as np

from faceall.types import Array, Float32Array, Int64Array

_FEW = 100  # boxes up to which OpenCV is faster
_PAIRS = 1 << 16  # of boxes that are compared at a time


class Overlap(Enum):
    """What the intersection of two boxes is divided by."""

    UNION = "union"
    """The area covered by either box (intersection over union)."""
    SMALLER = "smaller"
    """The area of the smaller box, so that a box inside another overlaps it completely."""


def areas(boxes: Array) -> Array:
    """Return the area of every box, (..., 4) -> (...); 0 for an inverted box."""
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def overlaps(first: Array, second: Array, overlap: Overlap = Overlap.UNION) -> Float32Array:
    """Compute the overlap of every box of one list with every box of another.

    Parameters
    ----------
    first : (N, 4)
        x0, y0, x1, y1.
    second : (M, 4)
        x0, y0, x1, y1.
    overlap : Overlap
        What the intersection is divided by.

    Returns
    -------
    (N, M) float32
        0 to 1. The overlap of a box without area is 0.
    """
    return _overlaps_of_pairs(first[:, None], second[None, :], overlap)


def _overlaps_of_pairs(first: Array, second: Array, overlap: Overlap) -> Float32Array:
    """Compute the overlap of each box (..., 4) with its partner."""
    shared = _shared_length(first, second, 0)
    shared *= _shared_length(first, second, 1)
    mine, theirs = areas(first), areas(second)
    whole = np.minimum(mine, theirs) if overlap is Overlap.SMALLER else mine + theirs
    if overlap is Overlap.UNION:
        whole -= shared
    np.maximum(whole, np.finfo(np.float32).tiny, out=whole)
    return np.asarray(shared / whole, np.float32)


def _shared_length(first: Array, second: Array, axis: int) -> Array:
    """Return how far each box (..., 4) extends along its partner on one axis."""
    far = np.minimum(first[..., axis + 2], second[..., axis + 2])
    far -= np.maximum(first[..., axis], second[..., axis])
    return np.asarray(np.maximum(far, 0, out=far))


def suppress(
    boxes: Array, scores: Array, limit: float, overlap: Overlap = Overlap.UNION, *, groups: Array | None = None
) -> Int64Array:
    """Keep the best box of every overlapping group (greedy non-maximum suppression).

    Parameters
    ----------
    boxes : (N, 4) float32
        x0, y0, x1, y1 in pixels.
    scores : (N,) float32
        Higher is better; of equal scores the first is better.
    limit : float
        Boxes that overlap a kept box by more than this are dropped.
    overlap : Overlap
        How the overlap is measured.
    groups : (N,) int, optional
        A number from 0 on for each box; boxes with different numbers do not drop each other.

    Returns
    -------
    (M,) int64
        Indices of the kept boxes, best first.
    """
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order]
    groups = np.zeros(len(order), np.int32) if groups is None else groups[order].astype(np.int32)
    if overlap is Overlap.UNION and 0 < len(order) <= _FEW:
        return order[_suppress_few(boxes, limit, groups)]
    return order[_suppress_many(boxes, limit, overlap, groups)]


def _suppress_few(boxes: Array, limit: float, groups: Array) -> Int64Array:
    """Suppress boxes (N, 4), best first, with OpenCV, which compares all of them: faster if they are few."""
    rectangles = boxes.astype(np.float64)
    rectangles[:, 2:] = np.maximum(rectangles[:, 2:] - rectangles[:, :2], 0)
    ranks = np.arange(len(boxes), 0, -1, dtype=np.float32)
    kept = cv2.dnn.NMSBoxesBatched(rectangles, ranks, groups, 0, limit)  # type: ignore[arg-type]  # takes arrays too
    return np.sort(np.asarray(kept, np.int64))


def _suppress_many(boxes: Array, limit: float, overlap: Overlap, groups: Array) -> Int64Array:
    """Suppress boxes (N, 4), best first: only those that share a pixel are compared.

    Each round decides at least the first undecided box; few rounds are needed because chains of overlapping boxes are
    short.
    """
    better, worse = (np.concatenate(parts) for parts in zip(*_dominating(boxes, limit, overlap, groups), strict=True))
    kept = np.ones(len(boxes), bool)
    while True:
        settled = np.ones(len(boxes), bool)
        settled[worse[kept[better]]] = False
        if np.array_equal(settled, kept):
            return np.flatnonzero(kept)
        kept = settled


def _dominating(boxes: Array, limit: float, overlap: Overlap, groups: Array) -> Iterator[tuple[Int64Array, Int64Array]]:
    """Yield the ranks of boxes (N, 4) of a group that overlap too much: of the better and of the worse one."""
    order = np.argsort(boxes[:, 0], kind="stable")
    places = np.arange(len(order))
    ends = np.searchsorted(boxes[order, 0], boxes[order, 2])  # boxes from there on begin to the right of this one
    counts = np.maximum(ends - places - 1, 0)
    parts = np.cumsum(counts) // _PAIRS
    yield np.zeros(0, np.int64), np.zeros(0, np.int64)
    for part in range(int(parts[-1]) + 1 if len(parts) else 0):
        chosen = parts == part
        first = np.repeat(places[chosen], counts[chosen])
        starts = np.cumsum(counts[chosen]) - counts[chosen]
        second = first + 1 + np.arange(len(first)) - np.repeat(starts, counts[chosen])
        first, second = order[first], order[second]
        close = np.minimum(boxes[first, 3], boxes[second, 3]) > np.maximum(boxes[first, 1], boxes[second, 1])
        close &= groups[first] == groups[second]
        first, second = first[close], second[close]
        large = _overlaps_of_pairs(boxes[first], boxes[second], overlap) > limit
        yield np.minimum(first, second)[large], np.maximum(first, second)[large]


def apply_offsets(boxes: Array, offsets: Array) -> Float32Array:
    """Move every edge by an offset relative to the size of the box (bounding-box regression).

    Parameters
    ----------
    boxes : (N, 4) float32
        x0, y0, x1, y1 in pixels.
    offsets : (N, 4) float32
        Offsets of x0, y0, x1, y1 in widths and heights of the box.

    Returns
    -------
    (N, 4) float32
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(boxes + offsets * np.hstack([sides, sides]), np.float32)


def place_points(boxes: Array, points: Array) -> Float32Array:
    """Convert landmarks relative to their box to pixels.

    Parameters
    ----------
    boxes : (N, 4) float32
        x0, y0, x1, y1 in pixels.
    points : (N, 10) float32
        Five x, then five y, 0 to 1 across the box.

    Returns
    -------
    (N, 5, 2) float32
        x, y in pixels.
    """
    corners, sides = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None]
    return np.asarray(corners + sides * points.reshape(-1, 2, 5).transpose(0, 2, 1), np.float32)


def to_square(boxes: Array) -> Float32Array:
    """Return the square around every box (N, 4) with the same centre and the longer side."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.asarray(np.hstack([centres - halves, centres + halves]), np.float32)


def are_usable(boxes: Array, width: int, height: int) -> Array:
    """Return which boxes (N, 4) are finite, at least one pixel wide and high, and touch an image of that size."""
    inside = (boxes[:, 0] < width) & (boxes[:, 1] < height) & (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
    large = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
    return np.asarray(inside & large & np.isfinite(boxes).all(axis=1))
