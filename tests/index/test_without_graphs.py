"""An index where hnswlib cannot be used: every search is exact, and graph files of other installations are kept."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from faceall.index import FaceIndex
from faceall.index.graph import graph_file, memory, saving
from faceall.index.graph.graph import NOT_INSTALLED
from faceall.index.maintenance.verification import verify
from faceall.types import Float32Array

LIMIT = 50
COUNT = 300


@pytest.fixture
def vectors() -> Float32Array:
    return np.random.default_rng(3).normal(size=(COUNT, 16)).astype(np.float32)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """hnswlib is not installed, until `undo`."""
    uninstall(monkeypatch)
    return monkeypatch


def uninstall(patch: pytest.MonkeyPatch) -> None:
    for module in (memory, saving):
        patch.setattr(module, "why_no_graphs", lambda: NOT_INSTALLED)


def nearest(vectors: Float32Array, query: Float32Array, k: int) -> list[int]:
    return np.argsort(((vectors - query) ** 2).sum(axis=1), kind="stable")[:k].tolist()


def test_searches_are_exact(bare: pytest.MonkeyPatch, vectors: Float32Array, tmp_path: Path) -> None:
    """Above the limit, too: the neighbours are those of brute force, before and after reopening, without a graph."""
    with FaceIndex(tmp_path, exact_limit=LIMIT) as index:
        keys = index.add(vectors)
        index.remove(keys[:20])
        found = index.search(vectors[:30], k=5)
    with FaceIndex(tmp_path, exact_limit=LIMIT) as index:
        again = index.search(vectors[:30], k=5)
        assert verify(index).problems == ()
    expected = [[int(keys[20 + row]) for row in nearest(vectors[20:], query, 5)] for query in vectors[:30]]
    assert found.keys.tolist() == again.keys.tolist() == expected
    assert not (tmp_path / graph_file.GRAPH).exists()


def test_graph_of_another_installation_is_kept(bare: pytest.MonkeyPatch, vectors: Float32Array, tmp_path: Path) -> None:
    """Adding and searching leave the file alone; where hnswlib is installed it serves again."""
    pytest.importorskip("hnswlib", reason="needs hnswlib")
    bare.undo()
    with FaceIndex(tmp_path, exact_limit=LIMIT) as index:
        index.add(vectors)
    before = (tmp_path / graph_file.GRAPH).read_bytes()
    uninstall(bare)
    with FaceIndex(tmp_path, exact_limit=LIMIT) as index:
        (key,) = index.add(vectors[:1] + 9)
        assert index.search(vectors[:1] + 9, k=1).keys[0, 0] == key
        index.save()
    assert (tmp_path / graph_file.GRAPH).read_bytes() == before
    bare.undo()
    with FaceIndex(tmp_path, exact_limit=LIMIT) as index:
        assert index.search(vectors[:1] + 9, k=1).keys[0, 0] == key
        assert verify(index).problems == ()


def test_graph_with_a_removed_vector_goes(bare: pytest.MonkeyPatch, vectors: Float32Array, tmp_path: Path) -> None:
    """Without hnswlib a graph cannot be rewritten, so the file is removed: the receipt is complete."""
    pytest.importorskip("hnswlib", reason="needs hnswlib")
    bare.undo()
    with FaceIndex(tmp_path, exact_limit=LIMIT) as index:
        keys = index.add(vectors)
    uninstall(bare)
    with FaceIndex(tmp_path, exact_limit=LIMIT) as index:
        index.remove(keys[:1])
        index.save()
        assert index.receipt().graph == "none"
    assert not (tmp_path / graph_file.GRAPH).exists()


def test_large_index_says_what_is_faster(
    bare: pytest.MonkeyPatch, vectors: Float32Array, caplog: pytest.LogCaptureFixture
) -> None:
    """From some size on a warning names the extra; below there is none."""
    bare.setattr(memory, "LARGE", COUNT)
    with caplog.at_level(logging.WARNING), FaceIndex(None, exact_limit=LIMIT) as index:
        index.add(vectors[1:])
        index.search(vectors[:1], k=1)
        assert caplog.messages == []
    with caplog.at_level(logging.WARNING), FaceIndex(None, exact_limit=LIMIT) as index:
        index.add(vectors)
        index.search(vectors[:1], k=1)
    assert [f"{COUNT}" in line and "faceall[graph]" in line for line in caplog.messages] == [True]


def test_hnswlib_that_cannot_be_loaded(vectors: Float32Array, tmp_path: Path) -> None:
    """Searches are exact, as without hnswlib; the warning has the reason of the linker and how to compile it again."""
    (tmp_path / "hnswlib.py").write_text("raise ImportError('libstdc++.so.6: version GLIBCXX_9 not found')")
    np.save(tmp_path / "vectors.npy", vectors)
    program = (
        "import sys, numpy as np; from faceall.index import FaceIndex; from faceall.index.graph import memory\n"
        f"memory.LARGE = {COUNT}; vectors = np.load(sys.argv[1] + '/vectors.npy')\n"
        f"with FaceIndex(sys.argv[1] + '/index', exact_limit={LIMIT}) as index:\n"
        "    keys = index.add(vectors); assert index.search(vectors[7], 1).keys[0, 0] == keys[7]\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "hnswlib cannot be loaded (libstdc++.so.6: version GLIBCXX_9 not found)" in done.stderr
    assert "pip install --force-reinstall" in done.stderr
