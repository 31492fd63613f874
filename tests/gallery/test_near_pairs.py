"""All near pairs of many vectors are those that a comparison of every pair finds."""

from __future__ import annotations

import numpy as np
import pytest

from faceall.gallery.people.clustering import near_pairs as module
from faceall.gallery.people.clustering.near_pairs import near_pairs
from faceall.types import Float32Array


def vectors_of_people(count: int, people: int, seed: int = 0) -> Float32Array:
    """Return unit vectors around one direction per person."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(people, 64))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    found = centres[random.integers(0, people, count)] + random.normal(scale=0.07, size=(count, 64))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def every_pair(vectors: Float32Array, limit: float) -> set[tuple[int, int]]:
    """Return the pairs within the limit by brute force."""
    distances = 2 - 2 * vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    return {(int(a), int(b)) for a, b in np.argwhere(distances <= limit) if a != b}


def test_every_pair_within_the_limit_is_found() -> None:
    """Every pair within the limit is returned with its distance, and no other pair."""
    vectors = vectors_of_people(900, 200)
    pairs, distances = near_pairs(vectors, np.arange(900), 0.8, 900)
    assert {tuple(pair) for pair in pairs.tolist()} == every_pair(vectors, 0.8)
    difference = vectors[pairs[:, 0]] - vectors[pairs[:, 1]]
    np.testing.assert_allclose(distances, np.square(difference).sum(axis=1), atol=1e-5)


def test_a_query_keeps_its_nearest() -> None:
    """Each query has at most k pairs, nearest first, and only given queries have pairs."""
    vectors = vectors_of_people(600, 3)
    pairs, distances = near_pairs(vectors, np.arange(0, 600, 2), 4.0, 5)
    assert set(pairs[:, 0].tolist()) == set(range(0, 600, 2))
    for query in (0, 100, 598):
        own = pairs[:, 0] == query
        exact = np.square(vectors - vectors[query]).sum(axis=1)
        exact[query] = np.inf
        assert own.sum() == 5
        np.testing.assert_allclose(distances[own], np.sort(exact)[:5], atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_cells_find_nearly_every_pair(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """A search in few of many cells finds more than 99 % of the pairs, with exact distances."""
    monkeypatch.setattr(module, "EXACT", 1000)
    monkeypatch.setattr(module, "_MEMBERS", 20)
    vectors = vectors_of_people(6_000, 1_500, seed)
    pairs, distances = near_pairs(vectors, np.arange(6_000), 0.8, 64)
    wanted, found = every_pair(vectors, 0.8), {tuple(pair) for pair in pairs.tolist()}
    assert found <= wanted
    assert len(found) > 0.99 * len(wanted)
    assert float(distances.max()) <= 0.8


def test_no_pairs_of_empty_or_single_input() -> None:
    """No queries, and a single vector, have no pairs."""
    assert len(near_pairs(np.zeros((0, 8), np.float32), np.zeros(0, np.int64), 1.0, 4)[0]) == 0
    assert len(near_pairs(np.eye(1, 8, dtype=np.float32), np.arange(1), 1.0, 4)[0]) == 0
