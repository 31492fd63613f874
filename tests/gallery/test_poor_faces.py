"""Poor faces: what makes a face poor, and that such faces found no groups and are no certain matches."""

from __future__ import annotations

import numpy as np

from faceall.analysis.open_set import StrangerScores
from faceall.analysis.quality import MIN_SIZE, is_poor
from faceall.gallery.people.clustering.clusters import _founded, _without_poor
from faceall.gallery.people.clustering.grouping import Group
from faceall.types import Face

FRONTAL = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)


def face(side: float, nose: float = 50.0) -> Face:
    """Make a face of a size, with the nose somewhere between the eyes."""
    points = FRONTAL.copy()
    points[2, 0] = nose
    return Face(np.array([0, 0, side, side], np.float32), 1.0, points)


def group(*members: int, owner: int | None = None) -> Group:
    """Make a group of rows."""
    return Group(list(members), owner, set(members), set(), np.zeros(2, np.float32))


def test_small_and_turned_faces_are_poor() -> None:
    """A frontal face of 100 pixels is good; one below the smallest size, or with the nose at an eye, is poor."""
    assert not is_poor(face(100))
    assert is_poor(face(MIN_SIZE - 1))
    assert is_poor(face(100, nose=70))


def test_an_imported_vector_is_not_poor() -> None:
    """Its box of one pixel says nothing of the face."""
    assert not is_poor(Face(np.array([0, 0, 1, 1], np.float32), 0.0, np.zeros((5, 2), np.float32)))


def test_poor_faces_join_only_when_close() -> None:
    """Edges between two poor faces go; with one poor face they stay up to the limit; others stay at any length."""
    pairs = np.array([[0, 1], [0, 2], [1, 2], [2, 3]], np.int64)
    distances = np.array([0.1, 0.1, 0.9, 0.9], np.float32)
    kept, lengths = _without_poor((pairs, distances), np.array([True, True, False, False]), 0.5)
    assert kept.tolist() == [[0, 2], [2, 3]]
    np.testing.assert_allclose(lengths, [0.1, 0.9])


def test_poor_faces_found_no_people() -> None:
    """A new group needs two good faces; one that exists already keeps its poor ones."""
    poor = np.array([False, False, True, True])
    assert [each.members for each in _founded(group(0, 2), poor)] == [[0], [2]]
    assert [each.members for each in _founded(group(0, 1, 2), poor)] == [[0, 1, 2]]
    assert [each.members for each in _founded(group(0, 3, owner=7), poor)] == [[0, 3]]


def test_the_limit_of_clusters_falls_with_the_number_of_faces() -> None:
    """More faces offer more wrong neighbours, so the same share of them needs a smaller limit."""
    scores = StrangerScores(0.0, 0.1, 300, 0.05)
    limits = [scores.threshold(0.1, faces) for faces in (10, 100, 10_000)]
    assert limits == sorted(limits, reverse=True)
