"""Image pyramid: one image at many sizes, packed on one canvas so that one pass of a net covers them all.

+-----------+-------+
| level 0   |   1   |     a net with 12 x 12 windows and a stride of 2 pixels outputs one cell per window;
|           +---+---+     a cell whose window overlaps two levels belongs to none
|           | 2 | 3 |
+-----------+---+---+
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np

from faceall.types import Array, Float32Array, Image

WINDOW, STRIDE = 12, 2
_GRID = 16  # canvas sides are multiples of this, so that engines prepare for few different sizes
_STRIP_PIXELS = 1 << 20
_FINER = 2.5


@dataclass(frozen=True)
class Level:
    """One size of the image, and its position on the canvas (even coordinates)."""

    width: int
    height: int
    x: int = 0
    y: int = 0


@dataclass(frozen=True, eq=False)
class Pyramid:
    """The layout of the pyramid of an image.

    Attributes
    ----------
    levels : tuple of Level
        Largest first.
    width, height : int
        Size of the canvas in pixels.
    owners : (rows, columns) int16
        The level that contains the window of each cell, -1 for none.
    corners : (levels, 2) float32
        x, y of each level on the canvas.
    scales : (levels,) float32
        Pixels of the level per pixel of the image.
    """

    levels: tuple[Level, ...]
    width: int
    height: int
    owners: Array
    corners: Float32Array
    scales: Float32Array


@lru_cache(maxsize=16)
def plan_pyramid(width: int, height: int, min_face: float, factor: float) -> Pyramid:
    """Lay out the pyramid of an image.

    Parameters
    ----------
    width, height : int
        Size of the image in pixels.
    min_face : float
        Side of the smallest face in pixels.
    factor : float
        Ratio of one level to the next, below 1.

    Returns
    -------
    Pyramid
        Without levels if the image is smaller than the smallest face.
    """
    levels, canvas_width, canvas_height = _best_packing(_level_sizes(width, height, min_face, factor))
    owners = np.full((_cells(canvas_height), _cells(canvas_width)), -1, np.int16)
    for number, level in enumerate(levels):
        row, column = level.y // STRIDE, level.x // STRIDE
        owners[row : row + _cells(level.height), column : column + _cells(level.width)] = number
    corners = np.array([(level.x, level.y) for level in levels], np.float32).reshape(-1, 2)
    scales = (WINDOW / min_face * factor ** np.arange(len(levels))).astype(np.float32)
    return Pyramid(levels, canvas_width, canvas_height, owners, corners, scales)


def draw_pyramid(scaled_images: Sequence[Image], pyramid: Pyramid) -> Image:
    """Draw every level on the canvas; the rest is black, and odd sides repeat their last row or column.

    Parameters
    ----------
    scaled_images : sequence of (h, w, 3) uint8
        The image and its halvings. A level is made from the smallest that is two and a half times as large: the pixels
        differ little from those of a direct reduction, in a third of the time.
    pyramid : Pyramid
        The layout.

    Returns
    -------
    (height, width, 3) uint8
    """
    canvas = np.zeros((pyramid.height, pyramid.width, 3), np.uint8)
    for level in pyramid.levels:
        source = next((p for p in reversed(scaled_images) if p.shape[1] >= _FINER * level.width), scaled_images[0])
        target = canvas[level.y : level.y + level.height, level.x : level.x + level.width]
        similar = source.shape[1] < 2 * level.width  # then averaging gains nothing and takes six times as long
        method = cv2.INTER_LINEAR if similar else cv2.INTER_AREA
        cv2.resize(source, (level.width, level.height), dst=target, interpolation=method)
        if level.width % STRIDE:
            canvas[level.y : level.y + level.height, level.x + level.width] = target[:, -1]
        if level.height % STRIDE:
            canvas[level.y + level.height, level.x : level.x + level.width] = target[-1]
    return canvas


def strips(pyramid: Pyramid) -> Iterator[tuple[int, int]]:
    """Cut a tall canvas into strips of at most about a million pixels.

    Strips are equally high and overlap by one window or little more, so that every cell lies in one of them.

    Yields
    ------
    (start, end) : tuple of int
        The rows of a strip, for `net(canvas[start:end])`.
    """
    most = max(_STRIP_PIXELS // pyramid.width // _GRID, 2) * _GRID
    if pyramid.height <= most:
        yield 0, pyramid.height
        return
    shared = WINDOW - STRIDE
    count = -(-(pyramid.height - shared) // (most - shared))
    height = min(_round_up(-(-(pyramid.height - shared) // count) + shared), most)
    for start in range(0, pyramid.height - shared, height - shared):
        start = min(start, pyramid.height - height)
        yield start, start + height


def _cells(pixels: int) -> int:
    """Return how many windows fit side by side; the last one may extend one pixel beyond an odd side."""
    return (pixels + pixels % STRIDE - WINDOW) // STRIDE + 1


def _level_sizes(width: int, height: int, min_face: float, factor: float) -> list[Level]:
    """Return every size at which a face of at least `min_face` pixels can fill the window, largest first."""
    scale, sizes = WINDOW / min_face, []
    while min(width, height) * scale >= WINDOW:
        sizes.append(Level(int(width * scale), int(height * scale)))
        scale *= factor
    return sizes


def _best_packing(sizes: list[Level]) -> tuple[tuple[Level, ...], int, int]:
    """Place all levels on the smallest canvas among a few widths."""
    if not sizes:
        return (), WINDOW, WINDOW
    widths = {_round_up(sizes[0].width), *(_round_up(sizes[0].width + size.width + 1) for size in sizes[1:3])}
    packings = [_pack(sizes, width) for width in sorted(widths)]
    return min(packings, key=lambda packing: packing[1] * packing[2])


def _pack(sizes: list[Level], width: int) -> tuple[tuple[Level, ...], int, int]:
    """Place the levels one after the other, each as high as it fits, leftmost first (skyline packing).

    The skyline is a list of (x, y): from x on, the canvas is free below y.
    """
    skyline, placed = [(0, 0), (width, 0)], []
    for size in sizes:
        even_width, even_height = size.width + size.width % 2, size.height + size.height % 2
        y, x = min(_spots(skyline, even_width, width))
        placed.append(Level(size.width, size.height, x, y))
        skyline = _raised(skyline, x, x + even_width, y + even_height)
    return tuple(placed), width, _round_up(max(level.y + level.height for level in placed))


def _spots(skyline: list[tuple[int, int]], needed: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield the positions (y, x) with space for `needed` pixels of width."""
    for x, _ in skyline[:-1]:
        if x + needed <= width:
            yield max(y for (left, y), (right, _) in pairwise(skyline) if left < x + needed and right > x), x


def _raised(skyline: list[tuple[int, int]], start: int, end: int, y: int) -> list[tuple[int, int]]:
    """Return the skyline after `start` to `end` has been filled down to `y`."""
    behind = [height for x, height in skyline if x <= end][-1]
    kept = [(x, height) for x, height in skyline if x < start or x > end]
    return sorted([*kept, (start, y), (end, behind)])


def _round_up(pixels: int) -> int:
    """Round up to a multiple of the grid."""
    return -(-pixels // _GRID) * _GRID
