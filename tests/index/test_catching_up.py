"""Many vectors that come at once hold up nobody: they are found at once, and taken into the graph bit by bit."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceall.index import FaceIndex
from faceall.index.graph import graph, memory
from faceall.types import Float32Array

Clusters = Callable[..., Float32Array]
Oracle = Any
FIRST, ALL = 500, 1500


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of vectors of every insertion into a graph; every search has time for one part only."""
    seen: list[int] = []
    original = graph.Graph.add

    def add(self: graph.Graph, keys: Any, vectors: Any) -> None:
        seen.append(len(keys))
        original(self, keys, vectors)

    monkeypatch.setattr(graph.Graph, "add", add)
    monkeypatch.setattr(memory, "_TAIL_SECONDS", 0.0)
    return seen


def test_bulk_is_found_at_once_and_taken_up_in_parts(built: list[int], faces: Clusters, oracle: Oracle) -> None:
    """A thousand more than the graph has: every search is right, none inserts more than a part, at last all are in."""
    vectors, keys = faces(ALL), np.arange(ALL)
    with FaceIndex(None, exact_limit=100) as index:
        index.add(vectors[:FIRST], keys=keys[:FIRST])
        index.search(vectors[0])
        index.add(vectors[FIRST:], keys=keys[FIRST:])
        for number in range(40):
            asked = vectors[number::150]
            oracle.agrees(index.search(asked, 8, ef=400), vectors, keys, asked, 8)
    assert built == [FIRST, *[32] * 31, 8]


def test_vectors_that_wait_can_be_removed_replaced_and_filtered(
    built: list[int], faces: Clusters, oracle: Oracle
) -> None:
    """What is not yet in the graph is as good as what is."""
    vectors, keys = faces(ALL), np.arange(ALL)
    with FaceIndex(None, exact_limit=100) as index:
        index.add(vectors[:FIRST], keys=keys[:FIRST])
        index.search(vectors[0])
        index.add(vectors[FIRST:], keys=keys[FIRST:])
        index.search(vectors[0])
        index.remove([3, 1400, 1401])
        index.add(vectors[1401:1402], keys=[1400])
        stay = np.setdiff1d(keys, [3, 1400, 1401])
        held, names = np.concatenate((vectors[stay], vectors[1401:1402])), np.append(stay, 1400)
        oracle.agrees(index.search(vectors[::100], 8, ef=400), held, names, vectors[::100], 8)
        odd = names % 2 == 1
        found = index.search(vectors[::100], 8, ef=400, only=names[odd])
        oracle.agrees(found, held[odd], names[odd], vectors[::100], 8)
    assert sum(built) < ALL


def test_save_takes_up_all(tmp_path: Path, built: list[int], faces: Clusters, oracle: Oracle) -> None:
    """The graph file lacks nothing, and the next one who opens inserts nothing."""
    vectors, keys = faces(ALL), np.arange(ALL)
    with FaceIndex(tmp_path, exact_limit=100) as index:
        index.add(vectors[:FIRST], keys=keys[:FIRST])
        index.search(vectors[0])
        index.add(vectors[FIRST:], keys=keys[FIRST:])
        index.search(vectors[0])
        index.save()
    assert sum(built) == ALL
    with FaceIndex(tmp_path, exact_limit=100) as index:
        oracle.agrees(index.search(vectors[::50], 5, ef=400), vectors, keys, vectors[::50], 5)
    assert sum(built) == ALL


def test_threads_search_while_others_add_in_bulk(built: list[int], faces: Clusters) -> None:
    """Three searchers beside two that add 600 each: every answer has k different keys, nearest first, itself first."""
    vectors = faces(FIRST + 1200, dimension=24, people=300)
    failures: list[str] = []
    with FaceIndex(None, exact_limit=100) as index:
        index.add(vectors[:FIRST], keys=np.arange(FIRST))
        index.search(vectors[0])
        adders = [
            threading.Thread(
                target=lambda start=start: index.add(vectors[start : start + 600], keys=np.arange(start, start + 600))
            )
            for start in (FIRST, FIRST + 600)
        ]

        def search(seed: int) -> None:
            random = np.random.default_rng(seed)
            while any(adder.is_alive() for adder in adders) or sum(built) < FIRST + 1200:
                key = int(random.integers(FIRST))
                found = index.search(vectors[key], 12, ef=200)
                row, distances = found.keys[0].tolist(), found.distances[0]
                if (
                    row[0] != key
                    or len(set(row)) != 12
                    or not np.isfinite(distances).all()
                    or (np.diff(distances) < 0).any()
                ):
                    failures.append(f"{key}: {row} {distances}")

        searchers = [threading.Thread(target=search, args=(seed,)) for seed in range(3)]
        for thread in (*adders, *searchers):
            thread.start()
        for thread in (*adders, *searchers):
            thread.join()
        assert failures == []
        assert len(index) == FIRST + 1200


_WRITER = """
import sys, numpy as np
from faceall.index import FaceIndex
index = FaceIndex(sys.argv[1], exact_limit=100)
with index.transaction():
    index.add(np.eye(16)[[5]], keys=[9000])
    print("open", flush=True)
    sys.stdin.readline()
print("done", flush=True)
sys.stdin.readline()
index.close(save=False)
"""


@pytest.mark.parametrize("read_only", [True, False])
def test_reader_neither_waits_for_a_writing_process_nor_misses_what_it_has_done(
    tmp_path: Path, faces: Clusters, read_only: bool
) -> None:
    """It searches while another process is inside a transaction; the search after its end finds the new face."""
    with FaceIndex(tmp_path, exact_limit=100) as index:
        index.add(faces(FIRST), keys=np.arange(FIRST))
    reader = FaceIndex(tmp_path, exact_limit=100, read_only=read_only)
    reader.search(faces(1))
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdin=pipe, stdout=pipe, text=True) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        assert reader.search(np.eye(16)[5], 1).distances[0, 0] > 0.01
        writer.stdin.write("\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "done\n"
        found = reader.search(np.eye(16)[5], 1)
        assert (found.keys.tolist(), found.distances.tolist()) == ([[9000]], [[0.0]])
        writer.stdin.write("\n")
    reader.close(save=False)
