"""Clusters from the graph of near neighbours, compared with average linkage over all pairs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from faceall.gallery.people.clustering.grouping import Group, group_faces
from faceall.types import Float32Array, Int64Array


def crowd(people: int, each: int, *, spread: float, seed: int, size: int = 32) -> tuple[Float32Array, list[int]]:
    """Return unit vectors of several people with several faces each, and the person of each."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(people, size))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = np.repeat(centres, each, axis=0) + random.normal(scale=spread / np.sqrt(size), size=(people * each, size))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), [number // each for number in range(people * each)]


def all_edges(vectors: Float32Array) -> tuple[Int64Array, Float32Array]:
    """Return every pair of rows with its squared distance."""
    pairs = np.array(list(itertools.combinations(range(len(vectors)), 2)), np.int64).reshape(-1, 2)
    difference = vectors[pairs[:, 0]] - vectors[pairs[:, 1]]
    return pairs, np.asarray((difference**2).sum(axis=1), np.float32)


def grouped(
    vectors: Float32Array,
    *,
    photos: Sequence[int] | None = None,
    owners: Sequence[int | None] | None = None,
    refused: dict[int, set[int]] | None = None,
    limit: float = 0.8,
) -> list[Group]:
    count = len(vectors)
    return group_faces(
        vectors,
        all_edges(vectors),
        photos=range(count) if photos is None else photos,
        owners=[None] * count if owners is None else owners,
        refused=refused or {},
        limit=limit,
    )


def members(groups: list[Group]) -> list[list[int]]:
    return sorted(sorted(group.members) for group in groups)


def test_distant_people_are_separated() -> None:
    """If the faces of each person are close together and far from others, the clusters are the people."""
    vectors, people = crowd(12, 5, spread=0.4, seed=1)
    expected = [[row for row, who in enumerate(people) if who == person] for person in range(12)]
    assert members(grouped(vectors)) == expected


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.floats(0.3, 1.5), st.floats(0.1, 1.5))
def test_every_join_is_within_the_limit(seed: int, spread: float, limit: float) -> None:
    """Every face is in one cluster, and each join had a mean distance within the limit."""
    vectors, _ = crowd(4, 4, spread=spread, seed=seed)
    groups = grouped(vectors, limit=limit)
    assert sorted(itertools.chain(*members(groups))) == list(range(16))
    for group in groups:
        rows = vectors[group.members].astype(np.float64)
        np.testing.assert_allclose(group.total, rows.sum(axis=0), atol=1e-5)
        pairs = [float(((a - b) ** 2).sum()) for a, b in itertools.combinations(rows, 2)]
        assert not pairs or np.mean(pairs) <= limit + 1e-5


def test_a_chain_of_similar_faces_is_split() -> None:
    """Faces in steps of 0.3 along a circle are not one cluster, because its ends are far apart."""
    angles = np.arange(8) * 0.55
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert ((vectors[1:] - vectors[:-1]) ** 2).sum(axis=1).max() < 0.31
    groups = grouped(vectors, limit=0.5)
    assert len(groups) > 1
    assert max(len(group.members) for group in groups) <= 4


def test_faces_of_one_photo_are_never_one_person() -> None:
    """Two faces of one photo are not joined, even with equal vectors or through a third face."""
    vector = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    assert members(grouped(vector, photos=[7, 7, 8])) in ([[0], [1, 2]], [[0, 2], [1]])


def test_existing_clusters_are_kept() -> None:
    """Faces of a person stay together, two people are never joined, and new faces join the nearer person."""
    vectors = np.array([[1, 0], [-1, 0], [0.995, 0.1], [0.98, 0.199]], np.float32)
    groups = grouped(vectors[[0, 1, 0, 2]], owners=[5, 5, 6, None])
    assert [(group.owner, sorted(group.members)) for group in groups] == [(5, [0, 1]), (6, [2, 3])]


def test_a_refused_person_is_not_joined() -> None:
    """A face that is refused for a person, and faces joined to it, are not joined to that person."""
    vectors = np.array([[1, 0], [0.999, 0.045], [0.998, 0.063]], np.float32)
    assert members(grouped(vectors, owners=[5, None, None])) == [[0, 1, 2]]
    assert members(grouped(vectors, owners=[5, None, None], refused={1: {5}, 2: {5}})) == [[0], [1, 2]]


def test_the_order_of_faces_does_not_matter() -> None:
    """A permutation of the faces gives the same clusters."""
    vectors, _ = crowd(10, 4, spread=0.9, seed=3)
    order: npt.NDArray[np.int64] = np.random.default_rng(0).permutation(len(vectors))
    plain = {frozenset(group.members) for group in grouped(vectors)}
    shuffled = {frozenset(order[group.members].tolist()) for group in grouped(vectors[order])}
    assert plain == shuffled
