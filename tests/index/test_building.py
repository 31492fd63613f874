"""While one thread builds the graph for the first time, the others go on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceall.index import FaceIndex
from faceall.index.graph.graph import Graph
from faceall.types import Float32Array

Oracle = Any
COUNT = 400


@pytest.fixture
def vectors() -> Float32Array:
    """Four hundred, and some questions."""
    return np.random.default_rng(3).normal(size=(COUNT + 20, 8)).astype(np.float32)


class Building:
    """A thread that searches an index for the first time, and stands still in the midst of building its graph."""

    def __init__(self, index: FaceIndex, question: Float32Array, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.found: list[int] = []
        self.errors: list[Exception] = []
        add = Graph.add

        def slowly(graph: Graph, *rows: Any) -> None:
            if threading.current_thread() is self.thread:
                self.begun.set()
                assert self.go_on.wait(30)
            add(graph, *rows)

        def search() -> None:
            try:
                self.found = index.search(question, 3).keys[0].tolist()
            except Exception as error:  # noqa: BLE001 - told by `end`
                self.errors.append(error)

        monkeypatch.setattr(Graph, "add", slowly)
        self.thread = threading.Thread(target=search)
        self.thread.start()
        assert self.begun.wait(30)

    def end(self) -> list[int]:
        """Let it go on; what it has found."""
        self.go_on.set()
        self.thread.join(30)
        assert not self.thread.is_alive()
        assert self.errors == []
        return self.found


def test_others_search_add_and_remove(
    tmp_path: Path, vectors: Float32Array, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They get exact answers at once, and what they change meanwhile is in the graph when it is there."""
    stored, questions = vectors[:COUNT], vectors[COUNT:]
    with FaceIndex(tmp_path / "index", exact_limit=10) as index:
        index.add(stored)
        building = Building(index, questions[0], monkeypatch)
        try:
            oracle.agrees(index.search(questions, 5), stored, index.keys(), questions, 5)
            (key,) = index.add(questions[0]).tolist()
            index.remove([7])
            assert index.search(questions[0], 1).keys.tolist() == [[key]]
            assert 7 not in index.search(stored[6], 3).keys
            assert index._memory.graph is None
        finally:
            found = building.end()
        assert found[0] == key
        assert index._memory.graph is not None
        keys = index.keys()
        every = np.stack([index[number] for number in keys.tolist()])
        oracle.agrees(index.search(questions, 5, ef=COUNT), every, keys, questions, 5)
        assert index.save()
    with FaceIndex(tmp_path / "index", exact_limit=10) as index:
        assert index.receipt().complete


def test_save_waits_for_the_graph(tmp_path: Path, vectors: Float32Array, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who saves meanwhile saves that graph, not none."""
    with FaceIndex(tmp_path / "index", exact_limit=10) as index:
        index.add(vectors)
        building = Building(index, vectors[0], monkeypatch)
        saving = threading.Thread(target=index.save)
        saving.start()
        saving.join(0.2)
        assert saving.is_alive()
        assert building.end()[0] == 1
        saving.join(30)
        assert (tmp_path / "index" / "faces.hnsw").exists()


def test_exchange_meanwhile(tmp_path: Path, vectors: Float32Array, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph of vectors that were all exchanged while it was built is thrown away."""
    from faceall.index.storage.rows import Block

    with FaceIndex(tmp_path / "index", exact_limit=10) as index:
        keys = index.add(vectors)
        building = Building(index, -vectors[4], monkeypatch)
        index.exchange([Block(keys, -vectors)], model="new", dimension=8)
        assert building.end()[0] == 5


def test_failure_leaves_the_next_one_free(
    tmp_path: Path, vectors: Float32Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever cannot build the graph gets the error, and the next search tries again."""
    add = Graph.add
    with FaceIndex(tmp_path / "index", exact_limit=10) as index:
        index.add(vectors)

        def fail(*_: object) -> None:
            raise MemoryError

        monkeypatch.setattr(Graph, "add", fail)
        with pytest.raises(MemoryError):
            index.search(vectors[0])
        monkeypatch.setattr(Graph, "add", add)
        assert index.search(vectors[0], 1).keys.tolist() == [[1]]


def test_inside_a_snapshot(tmp_path: Path, vectors: Float32Array) -> None:
    """A search inside `reading` answers from that snapshot, whatever others have added since."""
    with FaceIndex(tmp_path / "index", exact_limit=10) as index, FaceIndex(tmp_path / "index") as other:
        index.add(vectors[:COUNT])
        with index.reading():
            assert len(index) == COUNT
            other.add(vectors[COUNT:])
            assert index.search(vectors[3], 1).keys.tolist() == [[4]]
        assert index.search(vectors[COUNT], 1).keys.tolist() == [[COUNT + 1]]
        graph = index._memory.graph
        assert graph is not None
        assert graph.live == len(vectors)
