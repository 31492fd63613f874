"""Damaged, exchanged and hostile files: a clear line or a rebuild, never a crash, never much memory.

FACEALL_DAMAGED sets how many files (60), FACEALL_SEED the first of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from inspect import unwrap
from pathlib import Path
from typing import Any

import pytest

from places import variable

pytest.importorskip("resource", reason="needs limits of a process's time and memory")
spoil = pytest.importorskip("spoil", reason="needs processes that can be copied")

from faceall.index import FaceIndex  # noqa: E402 - after what needs a system with limits
from faceall.index.graph import graph_file  # noqa: E402
from faceall.index.graph.graph import Graph  # noqa: E402
from faceall.index.graph.hnsw_elements import is_loadable  # noqa: E402

CASES = int(variable("FACEALL_DAMAGED", "60"))
SEED = variable("FACEALL_SEED", "0")


@pytest.fixture(scope="module", autouse=True)
def _own_limits() -> Iterator[None]:
    """Give back what `spoil` changes for all: from how many vectors on there is a graph."""
    options = unwrap(FaceIndex.__init__).__kwdefaults__
    assert options is not None
    before = dict(options)
    yield
    options.update(before)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Sound galleries to spoil."""
    return spoil.make(tmp_path_factory.mktemp("material"))


@pytest.mark.slow
def test_damaged_galleries(tmp_path: Path) -> None:
    """Each is used, refused in one line, rebuilt or repaired, within 10 s; answers are right where vectors are whole.

    A process needs no more than one that reads a sound gallery, twice the gallery's size, and SQLite's page caches.
    """
    program = Path(spoil.__file__)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(program), str(tmp_path / "spoilt"), str(CASES), SEED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    base, *rows = map(json.loads, done.stdout.splitlines())
    print(done.stdout)
    assert [row["kind"] for row in rows] == list(spoil.KINDS)
    assert all(row["cases"] == max(1, CASES // len(rows)) and not row["broke"] for row in rows)
    assert sum(row.get("refused", 0) + row.get("repaired", 0) + row.get("newer", 0) for row in rows) > CASES // 10
    assert sum(row.get("usable", 0) for row in rows) > CASES // 5
    assert max(row["most"] for row in rows) < base["sound"] + 2 * base["size"] + spoil.CACHES


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, int]]:
    """What hnswlib was given: the SHA-256 of the bytes, and their number."""
    seen: list[tuple[bytes, int]] = []
    load = Graph.load.__func__  # type: ignore[attr-defined]

    def watched(kind: type[Graph], path: Path, *others: Any, **named: Any) -> Graph | None:
        data = Path(path).read_bytes()
        seen.append((hashlib.sha256(data).digest(), len(data)))
        return load(kind, path, *others, **named)  # type: ignore[no-any-return]

    monkeypatch.setattr(Graph, "load", classmethod(watched))
    return seen


def saved_graphs(folder: Path) -> set[bytes]:
    """The SHA-256 of the graph in a folder, if it is the one that the database has noted."""
    path = folder / graph_file.GRAPH
    if not path.exists():
        return set()
    data = path.read_bytes()
    with closing(sqlite3.connect(folder / "faces.db")) as connection:
        (noted,) = connection.execute("SELECT value FROM meta WHERE key = 'index.graph'").fetchone()
    fields, digest, graph = data[:80], data[80:112], data[112:]
    sound = digest == noted == hashlib.sha256(fields + graph).digest()
    return {hashlib.sha256(graph).digest()} if sound else set()


@pytest.mark.parametrize("kind", ["graph", "swapped graph", "hostile graph"])
def test_loader_gets_only_bytes_with_our_checksum(
    material: Any, tmp_path: Path, loads: list[tuple[bytes, int]], kind: str
) -> None:
    """hnswlib sees a graph file only if its SHA-256 is the one in the database, and its sizes fit together."""
    sound = 0
    for seed in range(12):
        folder = tmp_path / str(seed)
        folder.mkdir()
        spoil.KINDS[kind].spoil(folder, material, random.Random(f"loader {kind} {seed}"))
        allowed = saved_graphs(folder)
        loads.clear()
        with spoil._opened(folder, read_only=True) as gallery:
            spoil._ask(gallery, material, exactly=True)
        assert {digest for digest, _ in loads} <= allowed
        if loads:
            with (folder / graph_file.GRAPH).open("rb") as file:
                file.seek(112)
                (folder / "graph").write_bytes(file.read())
            with (folder / "graph").open("rb") as file:
                assert is_loadable(file, spoil.SIZE)
            sound += 1
    assert sound < 12
    folder = tmp_path / "sound"
    shutil.copytree(material.rest, folder)
    with spoil._opened(folder, read_only=True) as gallery:
        spoil._ask(gallery, material, exactly=True)
    assert {digest for digest, _ in loads[-1:]} == saved_graphs(folder)


def test_every_saved_graph_is_loadable(material: Any) -> None:
    """The check of sizes refuses nothing that hnswlib itself has written."""
    for folder, size in ((material.rest, spoil.SIZE), (material.alien, spoil.SIZE // 2)):
        graph = folder.parent / f"{folder.name}.graph"
        graph.write_bytes((folder / graph_file.GRAPH).read_bytes()[112:])
        with graph.open("rb") as file:
            assert is_loadable(file, size)
            assert not is_loadable(file, size + 1)
