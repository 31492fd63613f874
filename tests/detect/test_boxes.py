"""Boxes: every function against arithmetic done box by box."""

from __future__ import annotations

import numpy as np
import pytest

from faceall.detect.boxes import (
    Overlap,
    apply_offsets,
    are_usable,
    areas,
    overlaps,
    place_points,
    suppress,
    to_square,
)
from faceall.types import Array


def random_boxes(seed: int, count: int, spread: float = 100) -> tuple[Array, Array]:
    """Boxes (count, 4) that overlap a lot, and their scores; both float32."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, spread, (count, 2))
    boxes = np.hstack([corners, corners + rng.uniform(5, 60, (count, 2))]).astype(np.float32)
    return boxes, rng.uniform(0, 1, count).astype(np.float32)


def overlap_of_two(a: Array, b: Array, overlap: Overlap) -> float:
    """The overlap of two boxes, spelled out."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area_a, area_b = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    whole = min(area_a, area_b) if overlap is Overlap.SMALLER else area_a + area_b - width * height
    return float(width * height / whole)


def suppress_one_by_one(boxes: Array, scores: Array, limit: float, overlap: Overlap) -> list[int]:
    """Greedy suppression as its definition reads."""
    kept: list[int] = []
    for number in sorted(range(len(boxes)), key=lambda n: (-scores[n], n)):
        if all(overlap_of_two(boxes[number], boxes[other], overlap) <= limit for other in kept):
            kept.append(number)
    return kept


@pytest.mark.parametrize("overlap", list(Overlap))
@pytest.mark.parametrize("limit", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_suppress_is_the_greedy_choice(seed: int, limit: float, overlap: Overlap) -> None:
    """The vectorised rounds keep exactly what the box-by-box definition keeps, in the same order."""
    boxes, scores = random_boxes(seed, 150)
    assert suppress(boxes, scores, limit, overlap).tolist() == suppress_one_by_one(boxes, scores, limit, overlap)


@pytest.mark.parametrize("overlap", list(Overlap))
def test_suppress_agrees_across_blocks(overlap: Overlap) -> None:
    """More boxes than one block holds are suppressed as if there were no blocks."""
    boxes, scores = random_boxes(7, 700, spread=600)
    assert suppress(boxes, scores, 0.4, overlap).tolist() == suppress_one_by_one(boxes, scores, 0.4, overlap)


@pytest.mark.parametrize("count", [60, 700])
@pytest.mark.parametrize("overlap", list(Overlap))
def test_suppress_within_groups(count: int, overlap: Overlap) -> None:
    """Boxes of different groups do not drop each other, and the result is in the order of all scores."""
    boxes, scores = random_boxes(3, count)
    groups = np.arange(count) % 3
    expected = []
    for group in range(3):
        members = np.flatnonzero(groups == group)
        expected += members[suppress_one_by_one(boxes[members], scores[members], 0.4, overlap)].tolist()
    expected.sort(key=lambda number: (-scores[number], number))
    assert suppress(boxes, scores, 0.4, overlap, groups=groups).tolist() == expected


def test_suppress_forgives_neighbours_of_the_suppressed() -> None:
    """A beats B; C overlaps only B; so A and C both stay."""
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], np.float32)
    assert suppress(boxes, np.array([0.9, 0.8, 0.7], np.float32), 0.4).tolist() == [0, 2]


def test_suppress_prefers_the_first_of_equals() -> None:
    """Of equal scores the first box wins, so that results do not depend on the sorting algorithm."""
    boxes = np.tile(np.array([[0, 0, 10, 10]], np.float32), (5, 1))
    assert suppress(boxes, np.ones(5, np.float32), 0.5).tolist() == [0]


def test_suppress_of_nothing_is_nothing() -> None:
    """No boxes in, no boxes out."""
    assert suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.5).shape == (0,)


def test_suppress_resolves_a_long_chain() -> None:
    """In a chain where everyone overlaps the next, every second box stays, however long the chain is."""
    left = np.arange(600, dtype=np.float32) * 6
    boxes = np.stack([left, left * 0, left + 10, left * 0 + 10], axis=1)
    assert suppress(boxes, np.linspace(1, 0, 600, dtype=np.float32), 0.2).tolist() == list(range(0, 600, 2))


def test_smaller_overlap_drops_a_part_of_a_face() -> None:
    """A box within a better one is dropped by SMALLER and stays by UNION."""
    boxes, scores = np.array([[0, 0, 100, 100], [40, 40, 60, 60]], np.float32), np.array([0.9, 0.8], np.float32)
    assert suppress(boxes, scores, 0.7, Overlap.SMALLER).tolist() == [0]
    assert suppress(boxes, scores, 0.7, Overlap.UNION).tolist() == [0, 1]


@pytest.mark.parametrize("overlap", list(Overlap))
def test_overlaps_match_the_definition(overlap: Overlap) -> None:
    """Every entry of the matrix is the overlap of its two boxes."""
    (first, _), (second, _) = random_boxes(1, 20), random_boxes(2, 30)
    expected = [[overlap_of_two(a, b, overlap) for b in second] for a in first]
    np.testing.assert_allclose(overlaps(first, second, overlap), expected, rtol=1e-4, atol=1e-6)


def test_degenerate_boxes_overlap_nothing() -> None:
    """Boxes without area, or inside out, have no overlap, not even with themselves, and no area; nothing is NaN."""
    boxes = np.array([[5, 5, 5, 9], [9, 9, 1, 1], [0, 0, 10, 10]], np.float32)
    for overlap in Overlap:
        matrix = overlaps(boxes, boxes, overlap)
        assert matrix[:2].max() == 0
        assert matrix[2, 2] == pytest.approx(1)
    assert areas(boxes).tolist() == [0, 0, 100]


def test_offsets_move_edges_by_sides() -> None:
    """An offset of 0.1 moves a vertical edge by a tenth of the width, a horizontal one by a tenth of the height."""
    box, offsets = np.array([[10, 20, 30, 60]], np.float32), np.array([[0.1, -0.1, 0.5, 0.25]], np.float32)
    assert apply_offsets(box, offsets).tolist() == [[12, 16, 40, 70]]


def test_points_are_placed_within_the_box() -> None:
    """Five x and then five y, in proportion to the box, become five points in pixels."""
    points = np.array([[0, 1, 0.5, 0.25, 0.75, 0, 0, 0.5, 1, 1]], np.float32)
    placed = place_points(np.array([[10, 20, 30, 60]], np.float32), points)
    assert placed.tolist() == [[[10, 20], [30, 20], [20, 40], [15, 60], [25, 60]]]


def test_squares_keep_centre_and_longer_side() -> None:
    """The square has the box's centre and its longer side."""
    assert to_square(np.array([[0, 0, 10, 30], [5, 5, 25, 9]], np.float32)).tolist() == [
        [-10, 0, 20, 30],
        [5, -3, 25, 17],
    ]


def test_unusable_boxes_are_told() -> None:
    """Boxes off the image, below a pixel, inside out or not finite are not usable; one that juts out is."""
    boxes = [
        [0, 0, 9, 9],
        [-5, -5, 2, 2],
        [50, 0, 60, 10],
        [0, -9, 9, 0],
        [1, 1, 1.5, 9],
        [9, 9, 1, 1],
        [0, 0, np.nan, 9],
    ]
    usable = are_usable(np.array(boxes, np.float32), 50, 40)
    assert usable.tolist() == [True, True, False, False, False, False, False]
