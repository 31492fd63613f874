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
import struct
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


@pytest.fixture(scope="module", params=["float32", "projected"])
def material(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Any:
    """Sound galleries to spoil, with graphs of whole and of projected vectors."""
    return spoil.make(tmp_path_factory.mktemp("material"), request.param)


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


def parts(path: Path) -> tuple[bytes, bytes, bytes, bytes]:
    """The header of a graph file, its checksum, the axes of projected vectors, and the graph."""
    data = path.read_bytes()
    version, dimension, reduced = *struct.unpack_from("<I", data, 8), *struct.unpack_from("<I", data, 12), 0
    if version == 3:
        (reduced,) = struct.unpack_from("<I", data, 80)
    start = 88 if version == 3 else 80
    axes = start + 32 + 4 * dimension * reduced
    return data[:start], data[start : start + 32], data[start + 32 : axes], data[axes:]


def saved_graphs(folder: Path) -> set[bytes]:
    """The SHA-256 of the graph in a folder, if it is the one that the database has noted."""
    path = folder / graph_file.GRAPH
    if not path.exists():
        return set()
    fields, digest, axes, graph = parts(path)
    with closing(sqlite3.connect(folder / "faces.db")) as connection:
        (noted,) = connection.execute("SELECT value FROM meta WHERE key = 'index.graph'").fetchone()
    sound = digest == noted == hashlib.sha256(fields + axes + graph).digest()
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
            for _ in range(2):  # a reader loads the graph only after some queries
                spoil._ask(gallery, material, exactly=True)
        assert {digest for digest, _ in loads} <= allowed
        if loads:
            (folder / "graph").write_bytes(parts(folder / graph_file.GRAPH)[3])
            width = spoil.SIZE if graph_file.kind(folder) == "float32" else spoil.SIZE // 4
            with (folder / "graph").open("rb") as file:
                assert is_loadable(file, width)
            sound += 1
    assert sound < 12
    folder = tmp_path / "sound"
    shutil.copytree(material.rest, folder)
    with spoil._opened(folder, read_only=True) as gallery:
        for _ in range(2):
            spoil._ask(gallery, material, exactly=True)
    assert {digest for digest, _ in loads[-1:]} == saved_graphs(folder)


def test_every_saved_graph_is_loadable(material: Any) -> None:
    """The check of sizes refuses nothing that hnswlib itself has written."""
    for folder, size in ((material.rest, spoil.SIZE), (material.alien, spoil.SIZE // 2)):
        graph = folder.parent / f"{folder.name}.graph"
        graph.write_bytes(parts(folder / graph_file.GRAPH)[3])
        width = size if graph_file.kind(folder) == "float32" else size // 4
        with graph.open("rb") as file:
            assert is_loadable(file, width)
            assert not is_loadable(file, width + 1)
