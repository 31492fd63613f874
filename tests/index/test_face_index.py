"""The dict that can be asked for neighbours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceall.errors import ArgumentError, IndexFileError, IndexMismatchError, UnknownFaceError, VectorError
from faceall.index import FaceIndex
from faceall.types import Float32Array

Clusters = Callable[..., Float32Array]
Oracle = Any

SMALL, LARGE = 10_000, 0
"""Exact limits: with the first every search is exact, with the second every search goes through the graph."""


@pytest.fixture(params=[SMALL, LARGE], ids=["exact", "graph"])
def limit(request: pytest.FixtureRequest) -> int:
    """Both ways to search."""
    return int(request.param)


@pytest.fixture(params=["disk", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Both places to be."""
    return tmp_path / "people" if request.param == "disk" else None


def test_index_is_a_dict(place: Path | None, faces: Clusters) -> None:
    """len, in, iteration, [key] and del speak of the same keys; a vector comes back bit for bit."""
    vectors = faces(5)
    with FaceIndex(place) as index:
        keys = index.add(vectors)
        assert keys.dtype == np.int64
        assert len(index) == 5
        assert list(index) == keys.tolist()
        assert keys[2] in index
        assert 999 not in index
        assert "name" not in index
        np.testing.assert_array_equal(index[int(keys[2])], vectors[2])
        del index[int(keys[2])]
        assert len(index) == 4
        assert keys[2] not in index
        with pytest.raises(UnknownFaceError, match=f"no key {keys[2]}"):
            index[int(keys[2])]
        with pytest.raises(UnknownFaceError):
            del index[int(keys[2])]


def test_search_agrees_with_brute_force(place: Path | None, limit: int, faces: Clusters, oracle: Oracle) -> None:
    """Keys and squared distances are those of a comparison with everything, in float64."""
    vectors, queries = faces(600), faces(30, seed=1)
    with FaceIndex(place, exact_limit=limit) as index:
        keys = index.add(vectors)
        oracle.agrees(index.search(queries, 7, ef=2000), vectors, keys, queries, 7)
        oracle.agrees(index.search(queries, 7, exact=True), vectors, keys, queries, 7)


def test_distances_of_long_near_vectors_are_exact(oracle: Oracle) -> None:
    """Ten thousand away from the origin and a hundredth apart, the nearest is still found and rightly measured."""
    vectors = np.float32(1e4) + np.arange(50, dtype=np.float32)[:, None] * np.ones((1, 8), np.float32) / 64
    with FaceIndex(None) as index:
        keys = index.add(vectors)
        oracle.agrees(index.search(vectors, 3, ef=2000), vectors, keys, vectors, 3)


def test_cosine_distance_is_that_of_unit_vectors(
    place: Path | None, limit: int, faces: Clusters, oracle: Oracle
) -> None:
    """With the metric cosine lengths do not matter; the distance is 2 - 2 cosine; the vectors stay as given."""
    random = np.random.default_rng(3)
    unit = faces(300)
    vectors = unit * random.uniform(0.01, 100, size=(300, 1)).astype(np.float32)
    with FaceIndex(place, metric="cosine", exact_limit=limit) as index:
        keys = index.add(vectors)
        found = index.search(vectors[:20] * 7, 5)
        np.testing.assert_array_equal(index[int(keys[0])], vectors[0])
        with pytest.raises(VectorError, match="vector 0 is zero"):
            index.add(np.zeros((1, 16), np.float32))
    expected = oracle.nearest(unit, keys, unit[:20], 5)
    np.testing.assert_allclose(found.distances, expected.distances, atol=1e-5)
    cosines = np.einsum("qd,qkd->qk", unit[:20], unit[found.keys - 1])
    np.testing.assert_allclose(found.distances, 2 - 2 * cosines, atol=1e-5)


def test_k_beyond_the_count_gives_fewer_columns(
    place: Path | None, limit: int, faces: Clusters, oracle: Oracle
) -> None:
    """Seven vectors, fifty wanted: seven columns; and every k up to the count works after removals."""
    vectors = faces(57)
    with FaceIndex(place, exact_limit=limit) as index:
        keys = index.add(vectors)
        index.search(vectors[:1])
        index.remove(keys[7:])
        for k in (1, 3, 6, 7, 8, 50):
            oracle.agrees(index.search(vectors, k, ef=100), vectors[:7], keys[:7], vectors, k)


def test_empty_index_answers_with_no_column(place: Path | None, limit: int, faces: Clusters) -> None:
    """Never filled, and filled and emptied: (q, 0)."""
    with FaceIndex(place, exact_limit=limit) as index:
        assert index.search(faces(3)).keys.shape == (3, 0)
        index.remove(index.add(faces(5)))
        assert index.search(faces(3)).distances.shape == (3, 0)
        assert len(index) == 0
        assert index.add(np.zeros((0, 16), np.float32)).shape == (0,)


def test_automatic_keys_are_never_used_twice(tmp_path: Path, faces: Clusters) -> None:
    """Not after a removal, not after reopening, not after explicit keys."""
    seen: set[int] = set()
    for _ in range(3):
        with FaceIndex(tmp_path) as index:
            keys = index.add(faces(3)).tolist()
            assert not seen & set(keys)
            seen |= set(keys)
            index.remove(keys)
    with FaceIndex(tmp_path) as index:
        index.add(faces(1), keys=[500])
        del index[500]
        assert index.add(faces(1)).tolist() == [501]


def test_removed_key_can_be_given_again_by_name(limit: int, faces: Clusters) -> None:
    """An explicit key that was removed takes another vector, and only that is found."""
    vectors = faces(200)
    with FaceIndex(None, exact_limit=limit) as index:
        index.add(vectors[:100], keys=np.arange(100))
        index.search(vectors[:1])
        index.remove([5, 6])
        index.search(vectors[:1])
        index.add(vectors[150:151], keys=[5])
        assert index.search(vectors[150], 1).keys.tolist() == [[5]]
        assert index.search(vectors[150], 1).distances[0, 0] == 0
        assert index.search(vectors[5], 1).distances[0, 0] > 0
        assert 6 not in index.search(vectors[6], 99).keys


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("seed", range(4))
def test_random_sequences_agree_with_a_dict(
    tmp_path: Path, limit: int, faces: Clusters, seed: int, metric: str, oracle: Oracle
) -> None:
    """Adding, removing, searching, rolling back and reopening at random is what a dict and brute force say."""
    random = np.random.default_rng(seed)
    model: dict[int, np.ndarray] = {}
    pool = faces(4000, dimension=8, seed=seed)
    index = FaceIndex(tmp_path, metric=metric, exact_limit=limit and 150)
    for _ in range(60):
        step = random.integers(6)
        count = int(random.integers(1, 40))
        vectors = pool[random.integers(len(pool), size=count)]
        if step <= 1:
            model.update(zip(index.add(vectors).tolist(), vectors, strict=True))
        elif step == 2 and model:
            gone = random.choice(list(model), size=min(count, len(model)), replace=False)
            index.remove(gone)
            for key in gone.tolist():
                del model[key]
        elif step == 3:
            _give_up_halfway(index, list(model)[:count], vectors)
        elif step == 4:
            index.close()
            index = FaceIndex(tmp_path, exact_limit=limit and 150)
        elif step == 5:
            index.save()
        assert len(index) == len(model)
        if model:
            keys, live = np.array(list(model)), np.stack(list(model.values()))
            queries, k = pool[random.integers(len(pool), size=5)], int(random.integers(1, 20))
            oracle.agrees(index.search(queries, k, ef=400), live, keys, queries, k)
    assert sorted(model) == list(index)
    assert index.check() == []
    index.close()


def _give_up_halfway(index: FaceIndex, gone: list[int], vectors: Float32Array) -> None:
    with pytest.raises(ZeroDivisionError), index.transaction():  # noqa: PT012 - the body is what fails
        index.remove(gone)
        index.add(vectors)
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("vectors", "text"),
    [
        ([[1.0, float("nan")]], "vector 0 holds a number that is not finite"),
        ([[1.0, 2.0], [1e300, 0.0]], "vector 1 holds a number that is not finite"),
        ([[1e25, 0.0]], "too large"),
        (1.0, "shape ()"),
        ([], "shape"),
        (np.zeros((2, 2, 2)), "shape (2, 2, 2)"),
        ([["a", "b"]], "array of numbers"),
        ([[1.0], [1.0, 2.0]], "array of numbers"),
        ([[1j, 2.0]], "complex"),
    ],
)
def test_unusable_vectors_are_refused(vectors: object, text: str) -> None:
    """One clear line, and nothing is stored."""
    with FaceIndex(None, dimension=2) as index:
        with pytest.raises(VectorError) as caught:
            index.add(vectors)  # type: ignore[arg-type]
        assert text in str(caught.value)
        assert "\n" not in str(caught.value)
        with pytest.raises(VectorError):
            index.search(vectors)  # type: ignore[arg-type]
        assert len(index) == 0


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ([1, 1], "key 1 is given twice"),
        ([1], "1 keys were given for 2"),
        ([-1, 1], "key -1 is not between"),
        ([1, 1 << 62], "is not between"),
        ([1.5, 2.0], "whole numbers"),
        ([8, 7], "already has the key 7"),
    ],
)
def test_unusable_keys_are_refused(keys: list[int], text: str, faces: Clusters) -> None:
    """One clear line, and none of the two vectors is stored."""
    with FaceIndex(None) as index:
        index.add(faces(1), keys=[7])
        with pytest.raises(VectorError, match=text):
            index.add(faces(2), keys=keys)
        assert list(index) == [7]


def test_removing_an_unknown_key_removes_nothing(faces: Clusters) -> None:
    """All or none."""
    with FaceIndex(None) as index:
        keys = index.add(faces(4))
        with pytest.raises(UnknownFaceError, match=r"no key 77 \(and 1 more\)"):
            index.remove([*keys, 77, 78])
        assert len(index) == 4


@pytest.mark.parametrize("k", [0, -1, 1.5, True])
def test_k_must_be_a_whole_number_from_one(k: int, faces: Clusters) -> None:
    """One clear line."""
    with FaceIndex(None) as index, pytest.raises(ArgumentError, match="k is"):
        index.search(faces(1), k)


def test_another_embedder_is_refused_by_name(tmp_path: Path, faces: Clusters) -> None:
    """The message names what the index holds and what was brought, and says what to do."""
    folder = tmp_path / "people"
    with FaceIndex(folder, model="facenet-20180408-102900") as index:
        index.add(faces(2, dimension=512))
    made = "people was made with 'facenet-20180408-102900' \\(512 dimensions\\); "
    with pytest.raises(
        IndexMismatchError, match=made + "this embedder, 'small', makes 128: use that model or another folder$"
    ):
        FaceIndex(folder, model="small", dimension=128)
    with pytest.raises(
        IndexMismatchError, match=made + "this embedder, 'other', makes 512: use that model or another folder$"
    ):
        FaceIndex(folder, model="other", dimension=512)
    with FaceIndex(folder) as index:
        assert (index.model, index.dimension, index.metric) == ("facenet-20180408-102900", 512, "l2")
        for action in (index.add, index.search):
            with pytest.raises(IndexMismatchError, match=made + "this embedder makes 128"):
                action(faces(1, dimension=128))


def test_another_version_of_the_model_is_refused_as_such(tmp_path: Path, faces: Clusters) -> None:
    """Two fingerprints of one name have the same dimensions, so the message does not compare those."""
    with FaceIndex(tmp_path, model="faceall-128 (aaaa)") as index:
        index.add(faces(2, dimension=128))
    with pytest.raises(IndexMismatchError, match=r"this embedder, 'faceall-128 \(bbbb\)', is another version of it"):
        FaceIndex(tmp_path, model="faceall-128 (bbbb)", dimension=128)


def test_metric_is_kept_and_defended(tmp_path: Path, faces: Clusters) -> None:
    """A folder of cosines opens without saying so, and refuses l2."""
    with FaceIndex(tmp_path, metric="cosine") as index:
        index.add(faces(1))
    with FaceIndex(tmp_path) as index:
        assert index.metric == "cosine"
    with pytest.raises(IndexMismatchError, match="measures distances by 'cosine', not by 'l2'"):
        FaceIndex(tmp_path, metric="l2")
    with pytest.raises(ArgumentError, match="expected one of l2, cosine"):
        FaceIndex(None, metric="hamming")  # type: ignore[arg-type]


def test_closed_index_says_so(place: Path | None, faces: Clusters) -> None:
    """Every use after close is one clear error; closing twice is not."""
    index = FaceIndex(place)
    index.add(faces(1))
    index.close()
    index.close()
    for action in (lambda: len(index), lambda: index.add(faces(1)), lambda: index.search(faces(1))):
        with pytest.raises(IndexFileError, match="is closed"):
            action()


def test_small_index_never_imports_the_graph_library(tmp_path: Path, faces: Clusters) -> None:
    """Opening, searching, adding and closing 1,000 faces leaves hnswlib alone."""
    with FaceIndex(tmp_path) as index:
        index.add(faces(1000))
    program = (
        "import sys, numpy as np; from faceall.index import FaceIndex\n"
        "with FaceIndex(sys.argv[1]) as index:\n"
        "    index.add(np.ones((1, 16))); assert index.search(np.ones((1, 16)), 5).keys.shape == (1, 5)\n"
        "assert 'hnswlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)


def test_recall_of_the_graph(faces: Clusters, oracle: Oracle) -> None:
    """At least 99 % of the ten nearest are found with the defaults (5,000 vectors of 64 numbers, 500 people)."""
    vectors = faces(5200, dimension=64, people=500)
    with FaceIndex(None, exact_limit=LARGE) as index:
        keys = index.add(vectors[:5000])
        found = index.search(vectors[5000:], 10).keys
    expected = oracle.nearest(vectors[:5000], keys, vectors[5000:], 10).keys
    hits = sum(len(set(row) & set(truth)) for row, truth in zip(found.tolist(), expected.tolist(), strict=True))
    assert hits >= 0.99 * expected.size
