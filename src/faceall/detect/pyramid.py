"""The image pyramid: one picture in many sizes, packed on one canvas, so that one pass of a net sees them all.

+-----------+-------+
| level 0   |   1   |     a net that looks at 12 x 12 windows, 2 pixels apart, gives one cell for each window;
|           +---+---+     cells whose window lies across two levels belong to none
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
_GRID = 16  # canvas sides are multiples of this: few different sizes, so few to prepare for
_STRIP_PIXELS = 1 << 20
_FINER = 3


@dataclass(frozen=True)
class Level:
    """The picture at one size, and its place on the canvas, which is even."""

    width: int
    height: int
    x: int = 0
    y: int = 0


@dataclass(frozen=True, eq=False)
class Pyramid:
    """How a picture of one size is laid out.

    levels   the sizes, largest first
    width    of the canvas
    height   of the canvas
    owners   (rows, columns) int16, the level that each cell's window lies in, -1 where in none
    corners  (levels, 2) float32, x y of each level on the canvas
    scales   (levels,) float32, pixels of the level for each pixel of the picture
    """

    levels: tuple[Level, ...]
    width: int
    height: int
    owners: Array
    corners: Float32Array
    scales: Float32Array


@lru_cache(maxsize=16)
def plan_pyramid(width: int, height: int, min_face: float, factor: float) -> Pyramid:
    """Lay out the pyramid of a picture; it has no levels where the picture is smaller than the smallest face."""
    levels, canvas_width, canvas_height = _best_packing(_level_sizes(width, height, min_face, factor))
    owners = np.full((_cells(canvas_height), _cells(canvas_width)), -1, np.int16)
    for number, level in enumerate(levels):
        row, column = level.y // STRIDE, level.x // STRIDE
        owners[row : row + _cells(level.height), column : column + _cells(level.width)] = number
    corners = np.array([(level.x, level.y) for level in levels], np.float32).reshape(-1, 2)
    scales = (WINDOW / min_face * factor ** np.arange(len(levels))).astype(np.float32)
    return Pyramid(levels, canvas_width, canvas_height, owners, corners, scales)


def draw_pyramid(pictures: Sequence[Image], pyramid: Pyramid) -> Image:
    """The canvas (height, width, 3) uint8 with every level drawn on it; the rest is black.

    Odd sides get their last row or column twice.

    pictures  the picture and its halvings, (H, W, 3) uint8; each level is made from the smallest that is three times
              as large: the pixels are those of a direct reduction but for rounding, in a third of the time
    """
    canvas = np.zeros((pyramid.height, pyramid.width, 3), np.uint8)
    for level in pyramid.levels:
        source = next((p for p in reversed(pictures) if p.shape[1] >= _FINER * level.width), pictures[0])
        target = canvas[level.y : level.y + level.height, level.x : level.x + level.width]
        slightly = source.shape[1] < 2 * level.width  # then averaging gains nothing and takes six times as long
        method = cv2.INTER_LINEAR if slightly else cv2.INTER_AREA
        cv2.resize(source, (level.width, level.height), dst=target, interpolation=method)
        if level.width % STRIDE:
            canvas[level.y : level.y + level.height, level.x + level.width] = target[:, -1]
        if level.height % STRIDE:
            canvas[level.y + level.height, level.x : level.x + level.width] = target[-1]
    return canvas


def strips(pyramid: Pyramid) -> Iterator[tuple[int, int]]:
    """Cut a tall canvas into strips of about a million pixels: first and last row of each, for `net(canvas[a:b])`.

    They overlap by one window, so that every cell is in one of them, and are equally high.
    """
    height = max(_STRIP_PIXELS // pyramid.width // _GRID, 2) * _GRID
    if pyramid.height <= height:
        yield 0, pyramid.height
        return
    step = height - (WINDOW - STRIDE)
    for start in range(0, pyramid.height - (WINDOW - STRIDE), step):
        yield (start, start + height) if start + height <= pyramid.height else (pyramid.height - height, pyramid.height)


def _cells(pixels: int) -> int:
    """How many windows fit side by side; the last one may reach a pixel beyond an odd side."""
    return (pixels + pixels % STRIDE - WINDOW) // STRIDE + 1


def _level_sizes(width: int, height: int, min_face: float, factor: float) -> list[Level]:
    """Every size at which a face of `min_face` pixels or more can fill the window, largest first."""
    scale, sizes = WINDOW / min_face, []
    while min(width, height) * scale >= WINDOW:
        sizes.append(Level(int(width * scale), int(height * scale)))
        scale *= factor
    return sizes


def _best_packing(sizes: list[Level]) -> tuple[tuple[Level, ...], int, int]:
    """The places of all levels on the smallest canvas, of a few widths that are tried."""
    if not sizes:
        return (), WINDOW, WINDOW
    widths = {_round_up(sizes[0].width), *(_round_up(sizes[0].width + size.width + 1) for size in sizes[1:3])}
    packings = [_pack(sizes, width) for width in sorted(widths)]
    return min(packings, key=lambda packing: packing[1] * packing[2])


def _pack(sizes: list[Level], width: int) -> tuple[tuple[Level, ...], int, int]:
    """Place the levels one after the other, each as high up as it fits, leftmost first.

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
    """Where something `needed` pixels wide can stand: (y, x)."""
    for x, _ in skyline[:-1]:
        if x + needed <= width:
            yield max(y for (left, y), (right, _) in pairwise(skyline) if left < x + needed and right > x), x


def _raised(skyline: list[tuple[int, int]], start: int, end: int, y: int) -> list[tuple[int, int]]:
    """The skyline after something has been put on `start` .. `end` that reaches down to `y`."""
    behind = [height for x, height in skyline if x <= end][-1]
    kept = [(x, height) for x, height in skyline if x < start or x > end]
    return sorted([*kept, (start, y), (end, behind)])


def _round_up(pixels: int) -> int:
    return -(-pixels // _GRID) * _GRID
