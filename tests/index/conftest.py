"""Vectors, an oracle and small indexes for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from faceall.types import Float32Array, Int64Array, Matches


class Oracle:
    """Brute force in float64."""

    def nearest(self, vectors: Float32Array, keys: Int64Array, queries: Float32Array, k: int) -> Matches:
        """The k nearest by comparing everything."""
        q, v = queries.astype(np.float64), vectors.astype(np.float64)
        distances = np.maximum((q**2).sum(axis=1)[:, None] + (v**2).sum(axis=1) - 2 * q @ v.T, 0)
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        return Matches(keys[order], np.take_along_axis(distances, order, 1).astype(np.float32))

    def agrees(self, found: Matches, vectors: Float32Array, keys: Int64Array, queries: Float32Array, k: int) -> None:
        """Assert equal distances, and equal keys wherever no other vector is about as far."""
        expected = self.nearest(vectors, keys, queries, k)
        assert found.keys.shape == expected.keys.shape
        np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-5, atol=1e-6)
        for row in range(len(found)):
            gaps = np.diff(expected.distances[row], prepend=-1, append=np.inf) > 1e-4
            alone = gaps[:-1] & gaps[1:]
            alone[-1:] &= k >= len(keys)  # else the first one left out may be as far
            np.testing.assert_array_equal(found.keys[row][alone], expected.keys[row][alone])


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    """What the answers have to be."""
    return Oracle()


@pytest.fixture
def faces() -> Callable[..., Float32Array]:
    """`faces(count, dimension=16, people=20, seed=0)`: unit vectors around some centres, as embeddings are.

    A larger count begins with the vectors of a smaller one.
    """

    def make(count: int, dimension: int = 16, people: int = 20, seed: int = 0) -> Float32Array:
        random = np.random.default_rng(seed)
        centres = random.normal(size=(people, dimension))
        vectors = centres[np.arange(count) % people] + 0.5 * random.normal(size=(count, dimension))
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

    return make
