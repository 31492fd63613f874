"""A graph of projected vectors is used where it finds the nearest, and answers with exact distances."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceall.index import FaceIndex, GraphOptions
from faceall.index.graph import graph_file, memory, reranking
from faceall.index.graph.graph import Graph
from faceall.index.maintenance.compaction import compact
from faceall.index.maintenance.verification import backup, statistics, verify
from faceall.types import Float32Array

Clusters = Callable[..., Float32Array]
Oracle = Any
COUNT, DIMENSION = 600, 64
PROJECTED = GraphOptions(vectors="projected")


@pytest.fixture
def flat(faces: Clusters) -> Clusters:
    """`flat(count, seed=0)`: vectors of 64 dimensions near a subspace of 8; projected distances are 0.005 too small."""

    def make(count: int, seed: int = 0) -> Float32Array:
        axes = np.linalg.qr(np.random.default_rng(1).normal(size=(DIMENSION, 8)))[0]
        beside = 0.01 * np.random.default_rng(seed + 50).normal(size=(count, DIMENSION))
        return np.asarray(faces(count, 8, 20, seed) @ axes.T + beside, np.float32)

    return make


def _graph(index: FaceIndex) -> Graph:
    found = index._memory.graph
    assert found is not None
    return found


def _made(folder: Path, vectors: Float32Array, options: GraphOptions = PROJECTED) -> FaceIndex:
    index = FaceIndex(folder, exact_limit=0, options=options)
    index.add(vectors, keys=np.arange(len(vectors)))
    index.save()
    return index


def test_answers_are_exact_and_the_file_is_smaller(tmp_path: Path, flat: Clusters, oracle: Oracle) -> None:
    """Distances are those of the stored vectors; the file lacks three quarters of each vector, and has the axes."""
    vectors = flat(COUNT)
    queries = flat(40, seed=3)
    sizes = []
    for kind in ("float32", "projected"):
        with _made(tmp_path / kind, vectors, GraphOptions(vectors=kind, threads=1)) as index:  # type: ignore[arg-type]
            oracle.agrees(index.search(queries, 7, ef=2 * COUNT), vectors, np.arange(COUNT), queries, 7)
            sizes.append(statistics(index).graph)
            assert statistics(index).projected == (16 if kind == "projected" else None)
            assert verify(index).problems == ()
            assert verify(index).graph == "current"
    assert sizes[0] - sizes[1] == COUNT * 4 * (DIMENSION - 16) - 4 * DIMENSION * 16 - 8


def test_vectors_that_fill_their_space_stay_as_they_are(
    tmp_path: Path, faces: Clusters, caplog: pytest.LogCaptureFixture
) -> None:
    """Their projections would lose neighbours; who requested them reads that in one line."""
    vectors = faces(COUNT, dimension=DIMENSION, people=COUNT)
    with _made(tmp_path, vectors) as index:
        assert _graph(index).projection is None
        assert _graph(index).tuning is not None
        assert statistics(index).projected is None
    assert sum("does not find enough of the nearest" in line for line in caplog.messages) == 1


@pytest.mark.parametrize(("count", "dimension", "expected"), [(COUNT, 64, True), (500, 64, False), (COUNT, 65, False)])
def test_kind_is_chosen_by_size(
    tmp_path: Path, flat: Clusters, monkeypatch: pytest.MonkeyPatch, count: int, dimension: int, expected: bool
) -> None:
    """By default vectors are projected if there are many and they are long."""
    monkeypatch.setattr(memory, "LARGE", COUNT)
    monkeypatch.setattr(memory, "LEAST_DIMENSION", dimension)
    with _made(tmp_path, flat(count), GraphOptions()) as index:
        assert (_graph(index).projection is not None) == expected


def test_graph_is_built_of_projected_vectors_at_once(
    tmp_path: Path, flat: Clusters, faces: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the axes keep nearly all; elsewhere it is built of whole vectors. A fixed effort is never measured."""
    monkeypatch.setattr(memory, "LARGE", COUNT)
    monkeypatch.setattr(memory, "LEAST_DIMENSION", DIMENSION)
    fixed = GraphOptions(search_effort=50)
    full = faces(COUNT, dimension=DIMENSION, people=COUNT)
    for vectors, options, expected in ((flat(COUNT), None, True), (full, None, False), (flat(COUNT), fixed, False)):
        with FaceIndex(tmp_path / f"{expected}{options}", exact_limit=0, options=options) as index:
            index.add(vectors)
            index.search(vectors[0])
            assert (_graph(index).projection is not None) == expected


def test_graph_that_grows_is_projected(tmp_path: Path, flat: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is measured again above the limit; before, its file stays as it is."""
    monkeypatch.setattr(memory, "LARGE", 500)
    monkeypatch.setattr(memory, "LEAST_DIMENSION", DIMENSION)
    vectors = flat(1000)
    for start, stop, expected in ((0, 450, False), (450, 550, False), (550, 1000, True)):
        with FaceIndex(tmp_path, exact_limit=0) as index:
            index.add(vectors[start:stop])
            index.save()
            assert (_graph(index).projection is not None) == expected


def test_compaction_projects_the_graph_of_an_older_version(
    tmp_path: Path, flat: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens and is saved as it is; `index compact` makes it smaller."""
    _made(tmp_path, flat(COUNT), GraphOptions(vectors="float32")).close()
    monkeypatch.setattr(memory, "LARGE", COUNT)
    monkeypatch.setattr(memory, "LEAST_DIMENSION", DIMENSION)
    with FaceIndex(tmp_path, exact_limit=0) as index:
        index.search(flat(1))
        index.save()
        assert _graph(index).projection is None
        done = compact(index)
        assert _graph(index).projection is not None
    assert done.graph_after < done.graph_before


def test_threads_search_while_the_graph_is_projected(tmp_path: Path, flat: Clusters) -> None:
    """Every answer is right before, during and after."""
    vectors = flat(COUNT)
    _made(tmp_path, vectors, GraphOptions(vectors="float32")).close()
    ended = threading.Event()
    with FaceIndex(tmp_path, exact_limit=0, options=PROJECTED) as index, ThreadPoolExecutor(3) as pool:

        def search(start: int) -> int:
            number = start
            while number < start + 100 or not ended.is_set():
                found = index.search(vectors[number % COUNT], 1, ef=2 * COUNT)
                assert found.keys.tolist() == [[number % COUNT]]
                assert found.distances[0, 0] < 1e-6
                number += 1
            return number - start

        running = [pool.submit(search, 200 * thread) for thread in range(3)]
        try:
            index.shorten_graph()
            index.save()
        finally:
            ended.set()
        assert all(task.result() >= 100 for task in running)
        assert _graph(index).projection is not None


def test_option_float32_replaces_a_projected_graph(tmp_path: Path, flat: Clusters, oracle: Oracle) -> None:
    """The file of projected vectors is not loaded, and written anew."""
    vectors = flat(COUNT)
    _made(tmp_path, vectors).close()
    with FaceIndex(tmp_path, exact_limit=0, options=GraphOptions(vectors="float32")) as index:
        oracle.agrees(index.search(vectors[:9], 5, ef=2 * COUNT), vectors, np.arange(COUNT), vectors[:9], 5)
        assert _graph(index).projection is None
        index.save()
    with FaceIndex(tmp_path, exact_limit=0) as index:
        index.search(vectors[0])
        assert _graph(index).projection is None


def test_other_vectors_bring_the_whole_ones_back(tmp_path: Path, flat: Clusters, faces: Clusters) -> None:
    """Vectors outside the subspace make the recall too low at the next measurement, so the graph is built anew."""
    _made(tmp_path, flat(COUNT)).close()
    others = faces(2 * COUNT, dimension=DIMENSION, people=2 * COUNT, seed=5)
    with FaceIndex(tmp_path, exact_limit=0) as index:
        index.search(others[0])
        assert _graph(index).projection is not None
        index.add(others)
        index.save()
        assert _graph(index).projection is None
        assert _graph(index).tuning is not None
        assert index.search(others[:50], 1).distances.max() < 1e-6


def test_changes_are_found_in_a_projected_graph(tmp_path: Path, flat: Clusters, oracle: Oracle) -> None:
    """Added and removed vectors, before and after saving and opening again, by two that have it open."""
    vectors, keys = flat(COUNT + 300), np.arange(COUNT + 300)
    with _made(tmp_path, vectors[:COUNT]) as index, FaceIndex(tmp_path, exact_limit=0, read_only=True) as reader:
        reader.search(vectors[0])
        index.add(vectors[COUNT:], keys=keys[COUNT:])
        index.remove(keys[100:200])
        stay = np.setdiff1d(keys, keys[100:200])
        for one in (index, reader):
            oracle.agrees(one.search(vectors, 5, ef=2 * COUNT), vectors[stay], stay, vectors, 5)
            assert _graph(one).projection is not None
    with FaceIndex(tmp_path, exact_limit=0) as index:
        oracle.agrees(index.search(vectors, 5, ef=2 * COUNT), vectors[stay], stay, vectors, 5)
        assert _graph(index).projection is not None
        some = np.arange(150, 750)
        among = index.search(vectors[:20], 5, only=some)
        oracle.agrees(among, vectors[200:750], keys[200:750], vectors[:20], 5)


def test_candidate_that_was_removed_meanwhile_is_not_an_answer(tmp_path: Path, flat: Clusters, oracle: Oracle) -> None:
    """The search that began before answers from the database."""
    vectors = flat(COUNT)
    with _made(tmp_path, vectors) as index, FaceIndex(tmp_path, exact_limit=0) as other:
        index.search(vectors[0])
        view = index._memory.sync()
        gone = np.arange(0, COUNT, 2)
        other.remove(gone)
        stay = np.setdiff1d(np.arange(COUNT), gone)
        oracle.agrees(view.search(vectors[:20], 40), vectors[stay], stay, vectors[:20], 40)


def test_many_queries_are_answered_as_single_ones(
    tmp_path: Path, flat: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their candidates are read some at a time."""
    monkeypatch.setattr(reranking, "_PART", 100)
    vectors = flat(COUNT)
    with _made(tmp_path, vectors) as index:
        together = index.search(vectors[:50], 3)
        alone = [index.search(vector, 3) for vector in vectors[:50]]
    np.testing.assert_array_equal(together.keys, np.concatenate([one.keys for one in alone]))
    np.testing.assert_allclose(together.distances, np.concatenate([one.distances for one in alone]), atol=1e-6)


def test_removed_vector_leaves_no_projection_on_the_disk(tmp_path: Path, flat: Clusters) -> None:
    """Neither its numbers nor its projected ones are in a file after closing."""
    vectors = flat(COUNT)
    with _made(tmp_path, vectors) as index:
        projection = _graph(index).projection
        assert projection is not None
        index.remove(7)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert vectors[7].tobytes() not in content
    assert vectors[8].tobytes() in content
    places = np.frombuffer(content[: len(content) // 4 * 4], "<f4")
    for key, there in ((7, False), (8, True)):
        with np.errstate(invalid="ignore"):  # other bytes are read as numbers, too
            first = np.flatnonzero(np.abs(places - projection(vectors[key][None])[0, 0]) < 1e-7)
        found = [np.allclose(places[at : at + 16], projection(vectors[key][None])[0], atol=1e-6) for at in first]
        assert any(found) == there


def test_backup_keeps_the_projected_graph(tmp_path: Path, flat: Clusters) -> None:
    """A copy opens with the same file."""
    with _made(tmp_path / "people", flat(COUNT)) as index:
        backup(index, tmp_path / "copy")
    assert (tmp_path / "copy" / "faces.hnsw").read_bytes() == (tmp_path / "people" / "faces.hnsw").read_bytes()
    with FaceIndex(tmp_path / "copy", exact_limit=0, read_only=True) as index:
        index.search(flat(1))
        assert _graph(index).projection is not None


def test_axes_that_are_not_finite_are_refused(tmp_path: Path, flat: Clusters) -> None:
    """As is every file that the database does not know."""
    _made(tmp_path, flat(COUNT)).close()
    path = tmp_path / graph_file.GRAPH
    data = bytearray(path.read_bytes())
    data[120:124] = np.float32(np.nan).tobytes()
    path.write_bytes(data)
    with FaceIndex(tmp_path, exact_limit=0, read_only=True) as index:
        assert index.search(flat(3), 1, exact=True).keys.tolist() == [[0], [1], [2]]
        assert verify(index).graph == "damaged"


def test_unknown_kind_of_vectors_is_one_line() -> None:
    """It lists the known ones."""
    with pytest.raises(ValueError, match="vectors is 'int8', expected one of auto, float32, projected"):
        GraphOptions(vectors="int8")  # type: ignore[arg-type]
