"""The effort of a graph search is what the wished recall takes on these vectors."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceall.index import FaceIndex, GraphOptions, Tuning
from faceall.index.graph import graph_file, tuning
from faceall.index.maintenance import verification as maintenance
from faceall.types import Float32Array, Int64Array, Matches

Clusters = Callable[..., Float32Array]
Oracle = Any


def _recall(found: Int64Array, truth: Int64Array) -> float:
    return float((found[:, :, None] == truth[:, None, :]).any(axis=2).mean())


@pytest.fixture(scope="module")
def vectors() -> Float32Array:
    """6,000 unit vectors of 48 numbers of 1,000 people, and 300 more that no index here holds."""
    random = np.random.default_rng(5)
    centres = random.normal(size=(1000, 48))
    noisy = centres[random.integers(1000, size=6300)] + 0.6 * random.normal(size=(6300, 48))
    return np.asarray(noisy / np.linalg.norm(noisy, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def people(vectors: Float32Array, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved index of the 6,000, with few links, so that the effort matters."""
    folder = tmp_path_factory.mktemp("tuned") / "people"
    with FaceIndex(folder, exact_limit=0, options=GraphOptions(links=6, build_effort=30)) as index:
        index.add(vectors[:6000])
    return folder


@pytest.mark.parametrize("k", [1, 10, 40, 100, 150])
def test_promised_recall_is_kept_for_vectors_it_never_saw(
    people: Path, vectors: Float32Array, oracle: Oracle, k: int
) -> None:
    """0.99 is requested: 300 unseen vectors of the same people find that many of their k nearest, within two errors."""
    questions = vectors[6000:]
    with FaceIndex(people, exact_limit=0) as index:
        found = index.search(questions, k).keys
    truth = oracle.nearest(vectors[:6000], np.arange(1, 6001), questions, k).keys
    assert _recall(found, truth) >= 0.99 - 2 * 0.1 / np.sqrt(300 * k)


def test_effort_is_stored_and_restored(people: Path) -> None:
    """The graph file says what was measured; who opens it searches so; a smaller one would not do."""
    with open(people / "faces.hnsw", "rb") as file:
        header = graph_file.Header.unpack(file.read(80))
    assert header is not None
    found = header.tuning
    assert found is not None
    assert (found.recall, found.sample, found.count) == (0.99, 400, 6000)
    assert found.reached >= 0.99
    assert 10 < found.effort < found.effort_many < 2000
    with FaceIndex(people, exact_limit=0) as index:
        index.search(np.ones(48))
        graph = index._memory.graph
        assert graph is not None
        assert graph.tuning == found
        assert [graph.effort_for(k) for k in (1, 10, 100)] == [found.effort, found.effort, found.effort_many]


def test_higher_recall_takes_a_greater_effort(people: Path) -> None:
    """And is measured when the wish is another one."""
    efforts = []
    for recall in (0.9, 0.99, 0.999):
        with FaceIndex(people, exact_limit=0, read_only=True, options=GraphOptions(recall=recall)) as index:
            found = index.tune()
            assert found is not None
            assert found.reached >= recall
            efforts.append(found.effort)
    assert efforts == sorted(set(efforts))


def test_effort_is_measured_again_when_the_index_has_grown(tmp_path: Path, faces: Clusters) -> None:
    """Not after a tenth more, but after twice as many."""
    counts = []
    everything = faces(1600, people=100)
    for start, stop in ((0, 700), (700, 770), (770, 1600)):
        with FaceIndex(tmp_path, exact_limit=0) as index:
            index.add(everything[start:stop])
            index.save()
            graph = index._memory.graph
            assert graph is not None
            assert graph.tuning is not None
            counts.append(graph.tuning.count)
    assert counts == [700, 700, 1600]


def test_given_effort_is_used_and_nothing_measured(tmp_path: Path, faces: Clusters) -> None:
    """Who names a search effort gets that one."""
    with FaceIndex(tmp_path, exact_limit=0, options=GraphOptions(search_effort=33)) as index:
        index.add(faces(500))
        index.save()
        graph = index._memory.graph
        assert graph is not None
        assert graph.tuning is None
        assert graph.effort_for(10) == 33
        assert graph.effort_for(100) == 150


def test_graph_file_of_version_1_opens_and_gains_an_effort(
    people: Path, tmp_path: Path, vectors: Float32Array, oracle: Oracle
) -> None:
    """A file without a measurement is loaded as it is, searched well, and measured at the next save."""
    data = (people / "faces.hnsw").read_bytes()
    old = struct.pack("<8sI", b"FACEHNSW", 1) + data[12:40]
    digest = hashlib.sha256(old + data[112:]).digest()
    (tmp_path / "faces.db").write_bytes((people / "faces.db").read_bytes())
    (tmp_path / "faces.hnsw").write_bytes(old + digest + data[112:])
    with FaceIndex(tmp_path, exact_limit=0) as index:
        with index.transaction() as connection:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'index.graph'", (digest,))
        found = index.search(vectors[6000:], 10).keys
        graph = index._memory.graph
        assert graph is not None
        assert not index._memory.graph_file_stale
        assert graph.tuning is None
        index.save()
        assert graph.tuning is not None
    truth = oracle.nearest(vectors[:6000], np.arange(1, 6001), vectors[6000:], 10).keys
    assert _recall(found, truth) >= 0.99


def test_questions_are_distributed_as_vectors_that_were_left_out() -> None:
    """In clumps of equal scatter, the distance to the nearest stored one is that of a fresh vector, within 3 %."""
    random = np.random.default_rng(2)
    centres = 5 * random.normal(size=(200, 32))
    scatter = 0.4 * random.normal(size=(2, 200, 32))
    first, second = np.asarray(centres + scatter, np.float32)
    asked = tuning.unseen(first, second, directions=False)
    fresh = centres + 0.4 * random.normal(size=(200, 32))
    distances = [np.linalg.norm(made - centres, axis=1).mean() for made in (asked, fresh)]
    assert distances[0] == pytest.approx(distances[1], rel=0.03)


class _Crippled:
    """A graph that finds a part of the truth in proportion to the effort, at most `best` of it."""

    def __init__(self, truth: Matches, best: float) -> None:
        self.truth, self.best = truth, best

    def search(self, queries: Float32Array, k: int, effort: int | None = None) -> Matches:
        keys = self.truth.keys[: len(queries), :k].copy()
        found = int(k * min(self.best, (effort or 0) / (4 * k)))
        keys[:, found:] = -1
        return Matches(keys, self.truth.distances[: len(queries), :k])


@pytest.mark.parametrize(("best", "effort", "reached"), [(1.0, 40, 1.0), (0.5, 1000, 0.6)])
def test_measurement_finds_the_smallest_effort_and_ends(
    faces: Clusters, oracle: Oracle, best: float, effort: int, reached: float
) -> None:
    """Of a graph that needs 40 candidates for ten; and of one that never finds enough, with all there are."""
    vectors, questions = faces(1000), faces(50, seed=3)
    keys = np.arange(1000)
    graph = _Crippled(oracle.nearest(vectors, keys, questions, 100), best)
    blocks = [tuning.Block(keys, vectors)]
    found = tuning.measure(graph, questions, np.full((50, 2), -1), lambda: blocks, recall=0.95, count=1000)
    assert found is not None
    assert effort <= found.effort <= effort * 1.16
    assert found.reached == pytest.approx(reached)


def test_efforts_between_and_beyond_the_measured_ones() -> None:
    """By the logarithm from 10 to 100 neighbours, in proportion beyond, and never below the number itself."""
    found = Tuning(recall=0.99, reached=0.99, effort=40, effort_many=220, sample=400, count=9000)
    assert [found.effort_for(k) for k in (1, 10, 32, 100, 200)] == [40, 40, 131, 220, 440]
    assert Tuning(0.9, 0.9, 10, 20, 400, 9000).effort_for(100) == 100


def test_too_few_vectors_are_not_measured(faces: Clusters) -> None:
    """Below 200 there is nothing to tell, and searches work."""
    with FaceIndex(None, exact_limit=0) as index:
        assert index.tune() is None
        index.add(faces(150))
        assert index.tune() is None
        assert index.search(faces(150)[7], 1).keys.tolist() == [[8]]


@pytest.mark.parametrize("recall", [0, 1, -0.5, 2])
def test_recall_must_be_between_zero_and_one(recall: float) -> None:
    """One clear line."""
    with pytest.raises(ValueError, match="expected a number above 0 and below 1"):
        GraphOptions(recall=recall)


def test_vectors_that_a_question_was_made_of_do_not_count_as_found(faces: Clusters, oracle: Oracle) -> None:
    """A graph that finds nothing but those has found nothing."""
    vectors = faces(1000)
    keys = np.arange(1000)
    nearest = oracle.nearest(vectors, keys, vectors[:40], 2).keys
    questions = tuning.unseen(vectors[:40], vectors[nearest[:, 1]], directions=True)

    class Blind:
        def search(self, queries: Float32Array, k: int, effort: int | None = None) -> Matches:
            found = np.full((len(queries), k), -1)
            found[:, :2] = nearest[: len(queries)]
            return Matches(found, np.zeros(found.shape, np.float32))

    blocks = [tuning.Block(keys, vectors)]
    found = tuning.measure(Blind(), questions, nearest, lambda: blocks, recall=0.9, count=1000)
    assert found is not None
    assert found.reached == 0


def test_unreachable_recall_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A graph with too few links for its data says so when it is saved, verified and counted."""
    vectors = np.random.default_rng(1).normal(size=(6000, 64)).astype(np.float32)
    options = GraphOptions(links=2, build_effort=1, recall=0.999)
    with FaceIndex(tmp_path / "poor", exact_limit=100, options=options) as index:
        index.add(vectors)
        index.save()
        said = maintenance.verify(index).shortfall
        assert said is not None
        assert "0.999 was requested" in said
        assert said == maintenance.statistics(index).shortfall
        assert said in caplog.text


def test_fulfilled_wish_is_silent(people: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said if the graph reaches the requested recall."""
    with FaceIndex(people, exact_limit=0) as index:
        assert maintenance.verify(index).shortfall is None
        assert maintenance.statistics(index).shortfall is None
    assert caplog.text == ""
