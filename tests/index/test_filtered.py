"""Searching among some keys is what brute force among them says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from faceall.errors import ArgumentError, VectorError
from faceall.index import FaceIndex
from faceall.index.graph.filtered import among
from faceall.types import Float32Array, Matches

Clusters = Callable[..., Float32Array]
Oracle = Any
COUNT, PEOPLE = 1200, 60


@pytest.fixture(scope="module", params=[10_000, 60], ids=["exact", "graph"])
def index(request: pytest.FixtureRequest) -> FaceIndex:
    """1,200 vectors with keys 0..1199, key % 60 the person; searched exactly, or by the graph where more are wanted."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(PEOPLE, 16))
    vectors = centres[np.arange(COUNT) % PEOPLE] + 0.5 * random.normal(size=(COUNT, 16))
    index = FaceIndex(None, exact_limit=request.param)
    index.add(np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)), keys=np.arange(COUNT))
    return index


@pytest.mark.parametrize(
    "only",
    [
        np.arange(7, COUNT, PEOPLE),  # a person
        np.arange(0, COUNT, 2),  # half of everybody
        np.flatnonzero(np.arange(COUNT) % PEOPLE < 20),  # a third of the people, all of theirs
        np.arange(COUNT),
        np.array([3]),
        np.array([], int),
    ],
    ids=["person", "half", "twenty people", "all", "one", "none"],
)
def test_search_among_keys_is_brute_force_among_them(
    index: FaceIndex, faces: Clusters, oracle: Oracle, only: np.ndarray
) -> None:
    """Whether few or many are allowed, near the question or far from it; also in the wrong order and named twice."""
    questions = faces(25, people=PEOPLE, seed=0)
    vectors = np.stack([index[key] for key in only.tolist()]) if len(only) else np.zeros((0, 16), np.float32)
    shuffled = np.concatenate((only[::-1], only[:3]))
    for k in (1, 10):
        found = index.search(questions, k, only=shuffled, ef=800)
        oracle.agrees(found, vectors, only, questions, k)
        oracle.agrees(index.search(questions, k, only=only, exact=True), vectors, only, questions, k)


def test_keys_that_are_not_there_count_for_nothing(index: FaceIndex, faces: Clusters) -> None:
    """Three that exist among many that do not: three columns."""
    only = np.concatenate((np.array([5, 6, 7]), np.arange(5000, 5400)))
    found = index.search(faces(4), 10, only=only)
    assert [sorted(row) for row in found.keys.tolist()] == [[5, 6, 7]] * 4


def test_search_among_keys_follows_a_transaction(faces: Clusters) -> None:
    """Inside it, what it has added and removed counts."""
    vectors = faces(300)
    with FaceIndex(None, exact_limit=0) as index:
        keys = index.add(vectors)
        index.search(vectors[0])
        with index.transaction():
            index.remove(keys[4])
            added = index.add(vectors[4:5])
            found = index.search(vectors[4], 1, only=[*keys[:20], *added])
            assert found.keys.tolist() == [added.tolist()]


@pytest.mark.parametrize("only", [[1.5], [-1], [[1]]])
def test_unusable_keys_are_refused(index: FaceIndex, faces: Clusters, only: Any) -> None:
    """One clear line."""
    with pytest.raises(VectorError, match="key"):
        index.search(faces(1), only=only)


def test_text_is_no_array_of_keys(index: FaceIndex, faces: Clusters) -> None:
    """The line says what was given and what is expected."""
    with pytest.raises(ArgumentError, match="only is 'abc', expected an array of numbers or None"):
        index.search(faces(1), only="abc")  # type: ignore[arg-type]


def test_questions_that_see_too_few_are_asked_again_then_compared() -> None:
    """Each at its own depth: the near one at once, the far one deeper, the farthest by comparing."""
    line = np.arange(4000, dtype=np.float32)
    only = np.arange(1000, 1100)
    depths: list[tuple[int, int]] = []
    compared: list[float] = []

    def ask(queries: Float32Array, k: int) -> Matches:
        depths.append((len(queries), k))
        distances = (queries - line) ** 2
        keys = np.argsort(distances, axis=1, kind="stable")[:, :k]
        return Matches(keys, np.take_along_axis(distances, keys, 1))

    def compare(queries: Float32Array) -> Matches:
        compared.extend(queries[:, 0].tolist())
        distances = (queries - line[only]) ** 2
        order = np.argsort(distances, axis=1, kind="stable")[:, :2]
        return Matches(only[order], np.take_along_axis(distances, order, 1))

    queries = np.array([[1050.2], [1200.2], [3900.2]], np.float32)
    found = among(ask, compare, queries, only, 2, most=4000)
    assert found.keys.tolist() == [[1050, 1051], [1099, 1098], [1099, 1098]]
    assert depths == [(3, 122), (2, 488), (1, 1952)]
    assert compared == [pytest.approx(3900.2)]
