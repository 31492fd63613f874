"""Verify, statistics, compact, backup and the exchange of all vectors, against brute force."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np
import pytest

from faceall.errors import IndexDamagedError, IndexFileError, IndexMismatchError, VectorError
from faceall.index import FaceIndex
from faceall.index.graph.hnsw_elements import HEAD_SIZE, VectorReader, read_elements
from faceall.index.maintenance.compaction import compact
from faceall.index.maintenance.salvage import salvage
from faceall.index.maintenance.verification import backup, statistics, verify
from faceall.index.storage.rows import Block
from faceall.types import Float32Array

Faces = Callable[..., Float32Array]
LIMIT = 100


@pytest.fixture
def large(tmp_path: Path, faces: Faces) -> Path:
    """A folder with 400 vectors and their graph."""
    with FaceIndex(tmp_path / "large", exact_limit=LIMIT, model="small") as index:
        index.add(faces(400))
        index.save()
    return tmp_path / "large"


def opened(folder: Path, **options: Any) -> FaceIndex:
    """An index with a graph from 100 vectors on."""
    return FaceIndex(folder, **{"exact_limit": LIMIT, **options})


def test_sound_index(large: Path) -> None:
    """A sound index has no problem, a current graph, and finds its own neighbours."""
    with opened(large) as index:
        found = verify(index)
    assert (found.problems, found.vectors, found.graph) == ((), 400, "current")
    assert found.sample == 200
    assert found.recall is not None
    assert found.recall > 0.99


def test_small_and_empty_index(tmp_path: Path, faces: Faces) -> None:
    """Without a graph every search is exact; without vectors there is nothing to ask."""
    with opened(tmp_path / "small") as index:
        assert verify(index).recall is None
        index.add(faces(20))
        found = verify(index)
    assert (found.problems, found.graph, found.recall, found.sample) == ((), "none", 1.0, 20)


def test_graph_behind_is_no_fault(large: Path, faces: Faces) -> None:
    """Vectors that came and went since the graph was saved are in the database, and that is enough."""
    with opened(large) as index:
        index.add(faces(5, seed=9))
        index.remove([3, 4])
        found = verify(index)
        index.close(save=False)
    assert (found.problems, found.graph) == ((), "behind")


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_graph_after_changes(tmp_path: Path, faces: Faces, metric: Any) -> None:
    """Removed and added ones saved, the graph is current again, also where directions count."""
    with opened(tmp_path / "a", metric=metric) as index:
        index.add(faces(300) * 3)
        index.save()
        index.remove(range(10, 40))
        index.add(faces(50, seed=7) * 2)
        index.save()
        found = verify(index)
    assert (found.problems, found.graph) == ((), "current")


def test_damaged_graph_is_found_and_rebuilt(large: Path) -> None:
    """A flipped bit in the graph file is a problem; saving makes a new one."""
    path = large / "faces.hnsw"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with opened(large) as index:
        found = verify(index)
        assert found.graph == "damaged"
        assert "another checksum" in found.problems[0]
        index.rebuild_graph()
        assert verify(index).problems == ()


def test_graph_that_lies_is_found(large: Path, faces: Faces) -> None:
    """A graph with a right checksum whose vectors are not the rows' is a problem: rows are compared one by one."""
    with sqlite3.connect(large / "faces.db") as connection:
        connection.execute("UPDATE vectors SET vector = ? WHERE key = 7", (faces(1, seed=5)[0].tobytes(),))
        connection.execute("INSERT INTO vectors (key, added, vector) VALUES (999, 1, ?)", (faces(1)[0].tobytes(),))
        connection.execute("DELETE FROM vectors WHERE key IN (20, 21)")
    connection.close()
    with opened(large, read_only=True) as index:
        problems = verify(index).problems
    assert problems == (
        "1 vectors are missing in faces.hnsw",
        "1 vectors differ in faces.hnsw",
        "2 unknown vectors are in faces.hnsw",
    )


def test_odd_rows_are_found(tmp_path: Path, faces: Faces) -> None:
    """Vectors of a wrong length or that are not finite are counted."""
    with opened(tmp_path / "a") as index:
        index.add(faces(30))
    with sqlite3.connect(tmp_path / "a" / "faces.db") as connection:
        connection.execute("UPDATE vectors SET vector = ? WHERE key < 4", (np.full(16, np.nan, "<f4").tobytes(),))
    connection.close()
    with opened(tmp_path / "a") as index:
        assert verify(index).problems == ("faces.db: 3 vectors have a value that is not finite",)
        index.connection.execute("PRAGMA query_only = OFF")
        index.connection.execute("UPDATE vectors SET vector = x'00' WHERE key = 9")
        assert "1 vectors do not have 16 dimensions" in verify(index).problems[0]


def test_statistics_are_the_files(large: Path) -> None:
    """Counts, sizes as the files have them, and how the graph was built."""
    with opened(large) as index:
        found = statistics(index)
    assert (found.vectors, found.dimension, found.metric, found.model) == (400, 16, "l2", "small")
    assert found.payload == 400 * 16 * 4
    assert found.graph == (large / "faces.hnsw").stat().st_size
    assert found.database == sum(path.stat().st_size for path in large.glob("faces.db*") if "shm" not in path.name)
    graph = hnswlib.Index(space="l2", dim=16)
    head = (large / "faces.hnsw").read_bytes()
    at = head.index(struct.pack("<QQ", 0, 1024))
    (large / "raw").write_bytes(head[at:])
    graph.load_index(str(large / "raw"))
    assert (found.links, found.build_effort, found.tombstones) == (graph.M, graph.ef_construction, 0)


def test_elements_are_those_of_hnswlib(tmp_path: Path, faces: Faces) -> None:
    """Vectors, labels and removals read from hnswlib's file are what hnswlib was given."""
    graph = hnswlib.Index(space="l2", dim=16)
    graph.init_index(max_elements=500, M=8, ef_construction=50)
    vectors, labels = faces(300), np.arange(300) * 7 + 3
    graph.add_items(vectors, labels)
    graph.mark_deleted(10)
    graph.save_index(str(tmp_path / "graph"))
    with (tmp_path / "graph").open("rb") as file:
        found = read_elements(file, "graph")
        order = np.argsort(found.labels)
        np.testing.assert_array_equal(found.labels[order], labels)
        np.testing.assert_array_equal(found.vectors[order], vectors)
        np.testing.assert_array_equal(np.flatnonzero(found.removed[order]), [1])
        assert (found.links, found.build_effort) == (8, 50)


@pytest.mark.parametrize("step", [1, 7, 95, 96, 97, 1000, 1 << 20])
def test_vectors_of_an_hnswlib_file_in_parts(tmp_path: Path, faces: Faces, step: int) -> None:
    """Whatever the sizes of the parts, the reader keeps every vector that is not deleted."""
    graph = hnswlib.Index(space="l2", dim=4)
    graph.init_index(max_elements=20, M=4)
    vectors = faces(15, dimension=4)
    graph.add_items(vectors, np.arange(15) + 3, num_threads=1)
    graph.mark_deleted(5)
    graph.save_index(str(tmp_path / "graph"))
    data = (tmp_path / "graph").read_bytes()
    reader = VectorReader(4, len(data))
    for start in range(0, len(data), step):
        reader.write(data[start : start + step])
    found = reader.vectors()
    assert found is not None
    np.testing.assert_array_equal(found[0], np.delete(np.arange(15) + 3, 2))
    np.testing.assert_array_equal(found[1], np.delete(vectors, 2, axis=0))
    for wrong in (VectorReader(5, len(data)), VectorReader(4, 100)):  # another dimension; more elements than bytes
        for _ in range(2):  # what follows a header that does not fit is not taken for another one
            wrong.write(data)
        assert wrong.vectors() is None
    short = VectorReader(4, len(data))
    short.write(data[: HEAD_SIZE + 200])
    assert short.vectors() is None


def test_fuzzed_hnswlib_files(tmp_path: Path, faces: Faces) -> None:
    """Whatever stands in such a file: an error of ours, or arrays within it; never a crash. 300 seeds."""
    graph = hnswlib.Index(space="l2", dim=4)
    graph.init_index(max_elements=20)
    graph.add_items(faces(20, dimension=4))
    graph.save_index(str(tmp_path / "graph"))
    sound = (tmp_path / "graph").read_bytes()
    refused = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        data = bytearray(sound)
        for _ in range(int(random.integers(1, 4))):
            place = int(random.integers(100))
            data[place : place + 4] = random.bytes(4) if random.random() < 0.5 else b"\xff\xff\xff\xff"
        data = data[: int(random.integers(50, len(data)))] if random.random() < 0.3 else data
        (tmp_path / "graph").write_bytes(data)
        with (tmp_path / "graph").open("rb") as file:
            try:
                found = read_elements(file, "graph")
            except IndexDamagedError:
                refused += 1
            else:
                assert found.vectors.shape[0] == len(found.labels)
                np.sum(found.vectors.astype(np.float64)), found.labels.sum(), found.removed.sum()
    assert 100 < refused < 300


def test_compact_gives_space_back(large: Path, faces: Faces) -> None:
    """After vectors went, compacting shrinks both files, drops tombstone and keeps every vector and answer."""
    with opened(large) as index:
        index.remove(index.keys()[:90])
        index.save()
        keep = {key: index[key] for key in index}
        assert statistics(index).tombstones == 90
        done = compact(index)
        assert (done.tombstones, statistics(index).tombstones, statistics(index).free) == (90, 0, 0)
        assert done.graph_after < done.graph_before * 0.8
        assert done.database_after < done.database_before
        assert (done.database_after, done.graph_after) == tuple(
            sum(path.stat().st_size for path in large.glob(name)) for name in ("faces.db", "faces.hnsw")
        )
        assert {key: index[key].tobytes() for key in index} == {key: keep[key].tobytes() for key in keep}
        assert verify(index).problems == ()
        assert index.add(faces(1, seed=3)).tolist() == [401]  # a key is never given twice, also after compacting


def test_compact_needs_a_writable_folder(large: Path) -> None:
    """In memory and read-only there is nothing to compact."""
    with opened(large, read_only=True) as index, pytest.raises(IndexFileError, match="cannot be compacted"):
        compact(index)
    with FaceIndex(None) as index, pytest.raises(IndexFileError, match="cannot be compacted"):
        compact(index)


def test_compact_beside_a_reader(large: Path) -> None:
    """Somebody else who reads meanwhile goes on and finds the same."""
    with opened(large, read_only=True) as reader, opened(large) as index:
        query = reader[300]
        index.remove(index.keys()[:100])
        before = reader.search(query, 5)
        compact(index)
        after = reader.search(query, 5)
    np.testing.assert_array_equal(before.keys, after.keys)


def writer(folder: Path, ready: Any, stop: Any) -> None:
    """Adds vectors until it is told to stop."""
    random = np.random.default_rng(1)
    with FaceIndex(folder, exact_limit=LIMIT) as index:
        while not stop.is_set():
            index.add(random.normal(size=(5, 16)).astype(np.float32))
            ready.set()


def test_backup_during_writes(large: Path, tmp_path: Path) -> None:
    """Copies that are made while another process adds are sound, hold a prefix of what it added, and open."""
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    process = context.Process(target=writer, args=(large, ready, stop))
    process.start()
    try:
        assert ready.wait(60)
        with opened(large, read_only=True) as index:
            for number in range(5):
                size = backup(index, tmp_path / f"copy {number}")
                assert size > 0
    finally:
        stop.set()
        process.join(60)
    counts = []
    with opened(large) as original:
        for number in range(5):
            with opened(tmp_path / f"copy {number}") as copy:
                assert verify(copy).problems == ()
                keys = copy.keys()
                counts.append(len(keys))
                assert keys.tolist() == list(range(1, len(keys) + 1))
                assert copy[int(keys[-1])].tobytes() == original[int(keys[-1])].tobytes()
    assert counts == sorted(counts)
    assert (counts[0] - 400) % 5 == 0
    assert not list(tmp_path.glob(".*"))


def test_backup_takes_a_new_place(large: Path, tmp_path: Path) -> None:
    """A folder with something in it is left alone; an empty one is taken; the graph comes along."""
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").write_text("mine")
    with opened(large) as index:
        with pytest.raises(IndexFileError, match="new or empty folder"):
            backup(index, taken)
        (taken / "mine").unlink()
        backup(index, taken)
    with opened(taken, read_only=True) as copy:
        assert verify(copy).graph == "current"


def test_exchange_is_seen_by_everybody(large: Path, faces: Faces) -> None:
    """After an exchange this process and others search the new vectors of the new dimension, and no old one."""
    fresh = faces(400, dimension=24, seed=4)
    with opened(large, read_only=True) as reader, opened(large) as index:
        keys = index.keys()
        assert reader.search(faces(1), 3).keys.shape == (1, 3)
        index.search(faces(1), 3)
        index.exchange([Block(keys[200:], fresh[200:]), Block(keys[:200], fresh[:200])], model="new", dimension=24)
        index.save()
        for each in (reader, index):
            assert (each.model, each.dimension, len(each)) == ("new", 24, 400)
            found = each.search(fresh[37], 1)
            assert (found.keys[0, 0], round(float(found.distances[0, 0]), 6)) == (keys[37], 0)
            with pytest.raises(IndexMismatchError):
                each.search(faces(1), 3)
        assert verify(index).problems == ()


@pytest.mark.parametrize("fault", ["missing", "twice", "unknown", "dimension", "nan"])
def test_wrong_exchange_changes_nothing(large: Path, faces: Faces, fault: str) -> None:
    """Unless every key is given once with a usable vector, all stays as it was."""
    fresh = faces(400, dimension=24, seed=4)
    with opened(large) as index:
        keys, old = index.keys(), index[5]
        if fault == "missing":
            keys, fresh = keys[1:], fresh[1:]
        elif fault == "twice":
            keys[3] = keys[4]
        elif fault == "unknown":
            keys[3] = 5000
        elif fault == "dimension":
            fresh = fresh[:, :20]
        else:
            fresh[3, 3] = np.nan
        with pytest.raises(VectorError):
            index.exchange([Block(keys, fresh)], model="new", dimension=24)
        assert (index.model, index.dimension) == ("small", 16)
        assert index[5].tobytes() == old.tobytes()


def test_restored_backup_is_the_index(large: Path, tmp_path: Path, faces: Faces) -> None:
    """A copy put in the place of a lost folder answers as the original did."""
    with opened(large) as index:
        expected = index.search(faces(20, seed=3), 5, exact=True)
        backup(index, tmp_path / "copy")
    shutil.rmtree(large)
    os.rename(tmp_path / "copy", large)
    with opened(large) as index:
        np.testing.assert_array_equal(index.search(faces(20, seed=3), 5, exact=True).keys, expected.keys)


def test_add_refuses_after_an_exchange(large: Path, faces: Faces) -> None:
    """A process that adds vectors of one model is stopped when another one has switched the index."""
    with opened(large) as adding, opened(large) as index:
        adding.adopt(model="small", dimension=16)
        adding.add(faces(1))
        index.exchange([Block(index.keys(), faces(401, seed=4))], model="new", dimension=16)
        with pytest.raises(IndexMismatchError, match=r"'new'.*'small'"):
            adding.add(faces(1))
        assert len(index) == 401


@pytest.mark.parametrize("share", [0.9, 0.6, 0.3])
def test_vectors_before_the_end_of_a_cut_file_are_kept(tmp_path: Path, share: float) -> None:
    """Of a database that has lost its end, what stood before the cut is read: as it was, and nearly all of it."""
    vectors = np.random.default_rng(0).normal(size=(1000, 128)).astype(np.float32)
    with FaceIndex(tmp_path) as index:
        for part in np.split(vectors, 50):
            index.add(part)
    whole = (tmp_path / "faces.db").read_bytes()
    (tmp_path / "faces.db").write_bytes(whole[: int(share * len(whole))])
    salvage(tmp_path)
    with FaceIndex(tmp_path) as index:
        assert 1000 * (share - 0.1) < len(index) < 1000 * (share + 0.05)
        assert all(index[key].tobytes() == vectors[key - 1].tobytes() for key in index)
        assert index.check() == []
