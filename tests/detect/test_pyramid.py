"""The pyramid: sizes, packing without overlap, and which cell belongs to which level."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from faceall.detect.crops import halvings
from faceall.detect.pyramid import STRIDE, WINDOW, draw_pyramid, plan_pyramid, strips
from faceall.types import Image

SIZES = [(250, 250), (1200, 630), (37, 501), (20, 20), (21, 400), (3000, 41), (641, 479)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_levels_shrink_by_the_factor(width: int, height: int) -> None:
    """The first level shows the smallest face at 12 pixels; each next is smaller by the factor; the last still fits."""
    levels = plan_pyramid(width, height, 20, 0.709).levels
    expected = [0.6 * 0.709**n for n in range(30) if min(width, height) * 0.6 * 0.709**n >= WINDOW]
    assert [(level.width, level.height) for level in levels] == [(int(width * s), int(height * s)) for s in expected]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_levels_do_not_overlap(width: int, height: int) -> None:
    """Every level lies on the canvas at an even place, and no pixel belongs to two."""
    pyramid = plan_pyramid(width, height, 20, 0.709)
    used = np.zeros((pyramid.height, pyramid.width), int)
    for level in pyramid.levels:
        assert level.x % STRIDE == level.y % STRIDE == 0
        part = used[level.y : level.y + level.height, level.x : level.x + level.width]
        assert part.shape == (level.height, level.width)
        part += 1
    assert used.max() == 1


def test_packing_wastes_little() -> None:
    """On images of usual shapes at least 70 % of the canvas shows something."""
    for width, height in [(250, 250), (640, 480), (1200, 630), (1920, 1080), (3000, 4000)]:
        pyramid = plan_pyramid(width, height, 20, 0.709)
        shown = sum(level.width * level.height for level in pyramid.levels)
        assert shown / (pyramid.width * pyramid.height) > 0.7, (width, height)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_cell_belongs_to_the_level_of_its_window(width: int, height: int) -> None:
    """A cell has the level that its whole window lies in (one pixel beyond an odd side is allowed), else none."""
    pyramid = plan_pyramid(width, height, 20, 0.709)
    expected = np.full_like(pyramid.owners, -1)
    for row, column in np.ndindex(*expected.shape):
        x, y = STRIDE * column, STRIDE * row
        for number, level in enumerate(pyramid.levels):
            inside = level.x <= x and level.y <= y
            right, bottom = (math.ceil(end / 2) * 2 for end in (level.x + level.width, level.y + level.height))
            if inside and x + WINDOW <= right and y + WINDOW <= bottom:
                expected[row, column] = number
    np.testing.assert_array_equal(pyramid.owners, expected)


def test_too_small_images_have_no_levels() -> None:
    """Where no window fits there is no level, and nothing fails."""
    for size in [(1, 1), (19, 19), (2, 3000), (3000, 2)]:
        assert plan_pyramid(*size, 20, 0.709).levels == ()


def test_drawn_levels_are_reduced_images(astronaut: Image) -> None:
    """Every level is the image reduced: like a direct reduction by area, to a few gray values."""
    pyramid = plan_pyramid(512, 512, 20, 0.709)
    canvas = draw_pyramid(halvings(astronaut), pyramid)
    for level in pyramid.levels:
        drawn = canvas[level.y : level.y + level.height, level.x : level.x + level.width].astype(int)
        direct = cv2.resize(astronaut, (level.width, level.height), interpolation=cv2.INTER_AREA)
        assert np.abs(drawn - direct).mean() < 2.5, level


def test_odd_levels_have_their_last_row_twice() -> None:
    """The pixel that the last window of an odd side reaches beyond it repeats the last one of the level."""
    image = np.random.default_rng(2).integers(1, 256, (250, 250, 3), np.uint8)
    pyramid = plan_pyramid(250, 250, 20, 0.709)
    canvas = draw_pyramid(halvings(image), pyramid)
    odd = [level for level in pyramid.levels if level.width % 2]
    assert odd
    for level in odd:
        column = canvas[level.y : level.y + level.height, level.x + level.width - 1 : level.x + level.width + 1]
        np.testing.assert_array_equal(column[:, 0], column[:, 1])


@pytest.mark.parametrize(("width", "height"), [(250, 250), (1200, 630), (2000, 9000), (9000, 2000), (12000, 9000)])
def test_strips_hold_every_cell(width: int, height: int) -> None:
    """Every row of cells is in some strip; strips are equally high and of bounded size."""
    pyramid = plan_pyramid(width, height, 20, 0.709)
    found = list(strips(pyramid))
    assert len({end - start for start, end in found}) == 1
    assert max((end - start) * pyramid.width for start, end in found) <= 1.1 * (1 << 20) or len(found) == 1
    rows: set[int] = set()
    for start, end in found:
        assert start % STRIDE == 0
        assert 0 <= start < end <= pyramid.height
        rows |= set(range(start // STRIDE, start // STRIDE + (end - start - WINDOW) // STRIDE + 1))
    assert rows == set(range((pyramid.height - WINDOW) // STRIDE + 1))
