"""The cache beside the database: whatever happens to it, answers are right."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceall.errors import IndexFileError
from faceall.index import FaceIndex, GraphOptions
from faceall.index.graph import graph, graph_file, tombstones
from faceall.index.graph.hnsw_elements import read_elements
from faceall.types import Float32Array

Clusters = Callable[..., Float32Array]
Oracle = Any
COUNT = 400
# Effort of a search that finds the nearest in any graph: two threads build a different one each time
EVERYWHERE = 2 * COUNT


@pytest.fixture
def faces(faces: Clusters) -> Clusters:
    """Unit vectors in a subspace of a quarter of the dimensions, so that a graph of projected vectors finds all."""

    def make(count: int, dimension: int = 16, people: int = 20, seed: int = 0) -> Float32Array:
        axes = np.linalg.qr(np.random.default_rng(1).normal(size=(dimension, dimension // 4)))[0]
        return np.asarray(faces(count, dimension // 4, people, seed) @ axes.T, np.float32)

    return make


@pytest.fixture(params=["float32", "projected"])
def saved(tmp_path: Path, faces: Clusters, request: pytest.FixtureRequest) -> Path:
    """A folder of 400 vectors with keys 0..399 and a saved graph, of the vectors as they are or projected."""
    with FaceIndex(tmp_path / "people", exact_limit=0, options=GraphOptions(vectors=request.param)) as index:
        index.add(faces(COUNT), keys=np.arange(COUNT))
        index.save()
        assert index._memory.graph is not None
        assert (index._memory.graph.projection is not None) == (request.param == "projected")
    return tmp_path / "people"


def _holds(folder: Path, vector: Float32Array) -> bool:
    """Whether the graph file has a vector, as it is or projected."""
    digest = graph_file.digest(folder)
    assert digest is not None
    with graph_file.scratch_file(folder) as (_, file):
        verified = graph_file.unpack_verified(folder, digest, file)
        assert verified is not None
        wanted = vector if verified[1] is None else verified[1](vector[None])[0]
        held = read_elements(file, "the graph").vectors
        return bool((np.abs(held - wanted).max(axis=1) < 1e-6).any())


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of vectors of every graph that hnswlib was asked to load."""
    seen: list[int] = []
    original = graph.Graph.load

    def load(path: Path, *arguments: Any, live: int, **others: Any) -> graph.Graph | None:
        seen.append(live)
        return original(path, *arguments, live=live, **others)

    monkeypatch.setattr(graph.Graph, "load", load)
    return seen


def _answers_rightly(folder: Path, faces: Clusters, oracle: Oracle) -> None:
    vectors = faces(COUNT)
    with FaceIndex(folder, exact_limit=0) as index:
        found = index.search(vectors[:20], 5, ef=EVERYWHERE)
        oracle.agrees(found, vectors, np.arange(COUNT), vectors[:20], 5)


def test_saved_graph_is_loaded_not_built(saved: Path, loads: list[int], faces: Clusters, oracle: Oracle) -> None:
    """A second opening uses the file, and leaves it as it is."""
    before = (saved / "faces.hnsw").read_bytes()
    _answers_rightly(saved, faces, oracle)
    assert loads == [COUNT]
    assert (saved / "faces.hnsw").read_bytes() == before
    assert sorted(path.name for path in saved.iterdir()) == ["faces.db", "faces.hnsw"]


@pytest.mark.parametrize("saved", ["float32"], indirect=True)
def test_header_says_what_the_file_is(saved: Path) -> None:
    """Magic, version, dimension, metric, layout, count, generation, and a checksum of 32 bytes."""
    data = (saved / "faces.hnsw").read_bytes()
    assert struct.unpack("<8sIIIIQQ", data[:40]) == (b"FACEHNSW", 2, 16, 0, 8, COUNT, 1)
    assert graph_file.digest(saved) == data[80:112]


def test_stale_graph_is_caught_up(saved: Path, loads: list[int], faces: Clusters, oracle: Oracle) -> None:
    """Additions and removals since the file was written are applied to it."""
    vectors = faces(COUNT + 30)
    with FaceIndex(saved, exact_limit=0) as index:
        index.add(vectors[COUNT:], keys=np.arange(COUNT, COUNT + 30))
        index.remove(np.arange(0, 60, 2))
        index.close(save=False)
    stay = np.setdiff1d(np.arange(COUNT + 30), np.arange(0, 60, 2))
    with FaceIndex(saved, exact_limit=0) as index:
        found = index.search(vectors, 5, ef=EVERYWHERE)
        oracle.agrees(found, vectors[stay], stay, vectors, 5)
    assert loads == [COUNT]


def test_missing_graph_is_built(saved: Path, loads: list[int], faces: Clusters, oracle: Oracle) -> None:
    """And written again at the end."""
    (saved / "faces.hnsw").unlink()
    _answers_rightly(saved, faces, oracle)
    _answers_rightly(saved, faces, oracle)
    assert loads == [COUNT]


@pytest.mark.parametrize("seed", range(25))
def test_damaged_graph_never_reaches_hnswlib(
    saved: Path, loads: list[int], faces: Clusters, oracle: Oracle, seed: int
) -> None:
    """Cut, lengthened, or one bit flipped anywhere: the answers are right, and the file is whole the next time."""
    random = np.random.default_rng(seed)
    path = saved / "faces.hnsw"
    data = bytearray(path.read_bytes())
    kind = seed % 5
    if kind == 0:
        data = data[: int(random.integers(len(data)))]
    elif kind == 1:
        data += random.bytes(100)
    else:
        place = int(random.integers(72 if kind == 2 else len(data)))
        data[place] ^= 1 << int(random.integers(8))
    path.write_bytes(data)
    _answers_rightly(saved, faces, oracle)
    assert loads == []
    _answers_rightly(saved, faces, oracle)
    assert loads == [COUNT]


def test_crafted_graph_with_a_right_checksum_is_refused(
    saved: Path, loads: list[int], faces: Clusters, oracle: Oracle
) -> None:
    """The checksum that counts stands in the database, so a file that only agrees with itself is not enough."""
    data = bytearray((saved / "faces.hnsw").read_bytes())
    data[72 + 8 : 72 + 16] = struct.pack("<Q", 1 << 60)  # a capacity that would crash
    data[40:72] = hashlib.sha256(bytes(data[:40] + data[72:])).digest()
    (saved / "faces.hnsw").write_bytes(data)
    _answers_rightly(saved, faces, oracle)
    assert loads == []


def test_graph_of_another_index_is_refused(
    saved: Path, tmp_path: Path, loads: list[int], faces: Clusters, oracle: Oracle
) -> None:
    """Swapped files of equal size, dimension and generation do not mix the people up."""
    with FaceIndex(tmp_path / "others", exact_limit=0) as index:
        index.add(faces(COUNT, seed=9), keys=np.arange(COUNT))
    shutil.copy(tmp_path / "others" / "faces.hnsw", saved / "faces.hnsw")
    _answers_rightly(saved, faces, oracle)
    assert loads == []


def test_graph_of_an_older_database_is_refused(
    saved: Path, tmp_path: Path, loads: list[int], faces: Clusters, oracle: Oracle
) -> None:
    """The database was put back from a backup and went on differently: the same generation, another content."""
    shutil.copytree(saved, tmp_path / "backup")
    with FaceIndex(saved, exact_limit=0) as index:
        index.add(faces(5, seed=5), keys=np.arange(1000, 1005))
        index.save()
    shutil.copy(saved / "faces.hnsw", tmp_path / "backup" / "faces.hnsw")
    with FaceIndex(tmp_path / "backup", exact_limit=0) as index:
        index.add(faces(5, seed=6), keys=np.arange(2000, 2005))
        assert index.search(faces(5, seed=6), 1).keys[:, 0].tolist() == list(range(2000, 2005))
    assert loads == [COUNT]


@pytest.mark.parametrize("place", [8, 20], ids=["version", "layout"])
def test_graph_of_a_newer_version_or_another_machine_is_built_anew(
    saved: Path, loads: list[int], faces: Clusters, oracle: Oracle, place: int
) -> None:
    """It is only a cache."""
    data = bytearray((saved / "faces.hnsw").read_bytes())
    data[place] += 1
    (saved / "faces.hnsw").write_bytes(data)
    _answers_rightly(saved, faces, oracle)
    assert loads == []


def test_unwritable_place_for_the_graph_is_one_line(saved: Path, faces: Clusters) -> None:
    """A folder where the file should be."""
    (saved / "faces.hnsw").unlink()
    (saved / "faces.hnsw").mkdir()
    index = FaceIndex(saved, exact_limit=0)
    assert index.search(faces(1), 1).keys.tolist() == [[0]]
    with pytest.raises(IndexFileError, match=r"faces\.hnsw cannot be written") as caught:
        index.save()
    assert "\n" not in str(caught.value)
    index.close(save=False)


@pytest.mark.parametrize("limit", [0, 10_000], ids=["graph", "exact"])
def test_removed_vectors_leave_no_byte_on_the_disk(tmp_path: Path, faces: Clusters, limit: int) -> None:
    """After close neither database, log nor graph holds a removed vector; those that stay are there."""
    vectors = faces(300, dimension=64)
    with FaceIndex(tmp_path, exact_limit=limit) as index:
        keys = index.add(vectors)
        index.save()
        index.search(vectors[:1])
        index.remove(keys[::3])
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    left = [vector.tobytes()[:64] in content for vector in vectors]
    assert left == [number % 3 != 0 for number in range(300)]


def test_removed_vectors_leave_the_graph_file_after_a_crash(saved: Path, faces: Clusters) -> None:
    """A process that ended without saving leaves them to the next one, whatever that came for."""
    with FaceIndex(saved, exact_limit=0) as index:
        index.remove(7)
        index.close(save=False)
    gone = faces(COUNT)[7]
    assert _holds(saved, gone)
    with FaceIndex(saved, exact_limit=0) as index:
        assert len(index) == COUNT - 1
    assert not _holds(saved, gone)


def test_removal_during_a_save_is_not_undone_by_it(saved: Path, faces: Clusters, monkeypatch: Any) -> None:
    """Another one removes a face while the file is being written: that file is not published, a newer one is."""
    original = graph_file.written
    left = [8, 7]

    @contextmanager
    def written(*arguments: Any) -> Iterator[tuple[Path, bytes]]:
        with original(*arguments) as result:
            if left:
                with FaceIndex(saved, exact_limit=0) as other:
                    other.remove(left.pop())
                    other.close(save=False)
            yield result

    monkeypatch.setattr(graph_file, "written", written)
    with FaceIndex(saved, exact_limit=0) as index:
        index.remove(9)
        index.save()
    assert not left
    assert [_holds(saved, faces(COUNT)[key]) for key in (6, 7, 8, 9, 10)] == [True, False, False, False, True]


def test_small_index_keeps_no_graph_file(saved: Path) -> None:
    """Saved with a limit above its size, the file goes."""
    with FaceIndex(saved) as index:
        index.save()
    assert not (saved / "faces.hnsw").exists()
    assert len(FaceIndex(saved)) == COUNT


def test_leftovers_of_killed_writers_go(saved: Path, faces: Clusters) -> None:
    """A temporary file older than an hour is removed by the next save, a new one may belong to somebody."""
    old, new = saved / ".faces.hnsw.old", saved / ".faces.hnsw.new"
    for path in (old, new):
        path.write_bytes(b"part")
    os.utime(old, (time.time() - 7200,) * 2)
    with FaceIndex(saved, exact_limit=0) as index:
        index.add(faces(1))
        index.save()
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("limit", [0, 10_000], ids=["graph", "shrunk"])
def test_leftovers_that_may_hold_a_removed_vector_go_at_once(saved: Path, faces: Clusters, limit: int) -> None:
    """Also where the index has become small and no graph file is written any more."""
    with FaceIndex(saved, exact_limit=limit) as index:
        index.save()
    left = saved / ".faces.hnsw.new"
    left.write_bytes(faces(COUNT)[7].tobytes())
    with FaceIndex(saved, exact_limit=limit) as index:
        index.add(faces(1))
    assert left.exists()
    with FaceIndex(saved, exact_limit=limit) as index:
        index.remove(7)
    assert not left.exists()


def test_old_leftovers_go_where_nothing_is_saved(saved: Path) -> None:
    """Opening and closing a small index for writing is enough."""
    with FaceIndex(saved) as index:
        index.save()
    left = saved / ".faces.hnsw.old"
    left.write_bytes(b"part")
    os.utime(left, (time.time() - 7200,) * 2)
    with FaceIndex(saved):
        pass
    assert not left.exists()


def test_save_whose_temporary_was_taken_away_writes_it_again(saved: Path, faces: Clusters, monkeypatch: Any) -> None:
    """Another process that removes leftovers may hit a living writer; the graph file is published all the same."""
    original = graph_file.publish
    answers: list[bool] = []

    def publish(temporary: Path, folder: Path) -> bool:
        if not answers:
            temporary.unlink()
        answers.append(original(temporary, folder))
        return answers[-1]

    monkeypatch.setattr(graph_file, "publish", publish)
    before = graph_file.digest(saved)
    with FaceIndex(saved, exact_limit=0) as index:
        index.add(faces(1, seed=4))
        index.save()
    assert answers == [False, True]
    assert graph_file.digest(saved) not in (None, before)


def test_a_graph_of_many_tombstones_is_built_anew(
    tmp_path: Path, faces: Clusters, oracle: Oracle, monkeypatch: Any
) -> None:
    """After most vectors were removed the tombstone go too."""
    vectors = faces(1000)
    with FaceIndex(tmp_path, exact_limit=100) as index:
        keys = index.add(vectors)
        index.search(vectors[:1])
        index.remove(keys[200:])
        oracle.agrees(index.search(vectors[:30], 5, ef=EVERYWHERE), vectors[:200], keys[:200], vectors[:30], 5)
    assert (tmp_path / "faces.hnsw").stat().st_size < 200 * 400 + 1000
    with FaceIndex(tmp_path, exact_limit=100) as index:
        oracle.agrees(index.search(vectors[:30], 5, ef=EVERYWHERE), vectors[:200], keys[:200], vectors[:30], 5)


def test_scrub_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    """Another layout is left alone, so that nothing is written into the wrong place."""
    path = tmp_path / "graph"
    for content in (b"", bytes(50), bytes(5000), np.arange(1000, dtype=np.uint64).tobytes()):
        path.write_bytes(content)
        with open(path, "r+b") as file:
            assert not tombstones.scrub(file, 16)
        assert path.read_bytes() == content


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of vectors of every insertion into a graph."""
    seen: list[int] = []
    original = graph.Graph.add

    def add(self: graph.Graph, keys: Any, vectors: Any) -> None:
        seen.append(len(keys))
        original(self, keys, vectors)

    monkeypatch.setattr(graph.Graph, "add", add)
    return seen


@pytest.fixture
def unsaved(tmp_path: Path, faces: Clusters) -> Path:
    """A folder of 400 vectors with keys 0..399 whose writer was killed before it had made a graph file."""
    index = FaceIndex(tmp_path / "people", exact_limit=0)
    index.add(faces(COUNT), keys=np.arange(COUNT))
    index.close(save=False)
    return tmp_path / "people"


def test_reader_without_a_graph_file_builds_none_for_a_few_searches(
    unsaved: Path, built: list[int], faces: Clusters, oracle: Oracle
) -> None:
    """The first 64 answers come exactly from the database, also while another one adds; then it is built, once."""
    vectors = faces(COUNT + 10)
    keys = np.arange(COUNT + 10)
    with FaceIndex(unsaved, read_only=True, exact_limit=0) as index:
        oracle.agrees(index.search(vectors[:5], 3, ef=EVERYWHERE), vectors[:COUNT], keys[:COUNT], vectors[:5], 3)
        writer = FaceIndex(unsaved, exact_limit=0)
        writer.add(vectors[COUNT:], keys=keys[COUNT:])
        writer.close(save=False)
        for _ in range(63):
            oracle.agrees(index.search(vectors[-3:], 3, ef=EVERYWHERE), vectors, keys, vectors[-3:], 3)
        assert built == []
        for _ in range(5):
            oracle.agrees(index.search(vectors[-3:], 3, ef=EVERYWHERE), vectors, keys, vectors[-3:], 3)
        assert built == [COUNT + 10]


def test_reader_takes_the_graph_file_as_soon_as_it_is_there(
    unsaved: Path, loads: list[int], built: list[int], faces: Clusters
) -> None:
    """A reader that found none uses the one that a writer has saved meanwhile."""
    with FaceIndex(unsaved, read_only=True, exact_limit=0) as index:
        index.search(faces(1))
        with FaceIndex(unsaved, exact_limit=0) as writer:
            writer.save()
        index.search(faces(33))  # more queries than are compared with all vectors first
    assert (loads, built) == ([COUNT], [COUNT])


def test_reader_without_a_graph_file_makes_no_file(
    unsaved: Path, monkeypatch: pytest.MonkeyPatch, faces: Clusters
) -> None:
    """The folder may be one in which it cannot write, where no copy of a graph could be made."""
    monkeypatch.setattr(graph_file, "scratch_file", lambda folder: pytest.fail("a copy was begun"))
    with FaceIndex(unsaved, read_only=True, exact_limit=0) as index:
        index.search(faces(40))


def test_first_queries_of_a_reader_load_no_graph(
    saved: Path, loads: list[int], faces: Clusters, oracle: Oracle
) -> None:
    """They are compared with the vectors in the graph file, also with what others add and remove; then it is loaded."""
    vectors, keys = faces(COUNT + 30), np.arange(COUNT + 30)
    projected = graph_file.kind(saved) == "projected"
    with FaceIndex(saved, read_only=True, exact_limit=0) as index:
        oracle.agrees(index.search(vectors[:20], 5, ef=EVERYWHERE), vectors[:COUNT], keys[:COUNT], vectors[:20], 5)
        assert loads == ([COUNT] if projected else [])
        with FaceIndex(saved, exact_limit=0) as writer:
            writer.add(vectors[COUNT:], keys=keys[COUNT:])
            writer.remove(keys[:7])
            writer.remove(keys[COUNT : COUNT + 3])
            stay = np.r_[7:COUNT, COUNT + 3 : COUNT + 30]
            oracle.agrees(index.search(vectors[-9:], 5, ef=EVERYWHERE), vectors[stay], stay, vectors[-9:], 5)
            found = index.search(vectors[-1:], 2, only=stay[-2:])
            assert sorted(found.keys[0]) == stay[-2:].tolist()
            assert loads == ([COUNT] if projected else [])
            oracle.agrees(index.search(vectors[-2:], 5, ef=EVERYWHERE), vectors[stay], stay, vectors[-2:], 5)
    assert loads == ([COUNT] if projected else []) + [COUNT]  # the writer loads it when it closes
    loads.clear()
    with FaceIndex(saved, read_only=True, exact_limit=0) as index:  # of a file with removed vectors
        oracle.agrees(index.search(vectors[-9:], 5, ef=EVERYWHERE), vectors[stay], stay, vectors[-9:], 5)
    assert bool(loads) == projected


def test_many_queries_of_a_reader_load_the_graph(saved: Path, loads: list[int], faces: Clusters) -> None:
    """At once, or after 32."""
    for parts in ([33], [1] * 33):
        loads.clear()
        with FaceIndex(saved, read_only=True, exact_limit=0) as index:
            for part in parts:
                index.search(faces(part))
        assert loads == [COUNT]


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_reader_of_a_damaged_graph_file_reads_the_database(
    saved: Path, loads: list[int], faces: Clusters, oracle: Oracle, damage: str
) -> None:
    """No vector is taken from a file with another checksum."""
    path, vectors = saved / "faces.hnsw", faces(COUNT)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data if damage == "flipped" else data[:-9])
    with FaceIndex(saved, read_only=True, exact_limit=0) as index:
        oracle.agrees(index.search(vectors[:9], 5), vectors, np.arange(COUNT), vectors[:9], 5)
    assert loads == []


def test_reader_of_a_file_that_lags_far_behind_adds_nothing_to_it(
    saved: Path, built: list[int], faces: Clusters, oracle: Oracle
) -> None:
    """300 vectors came since: one search compares all instead."""
    vectors = faces(COUNT + 300)
    writer = FaceIndex(saved, exact_limit=0)
    writer.add(vectors[COUNT:], keys=np.arange(COUNT, COUNT + 300))
    writer.close(save=False)
    with FaceIndex(saved, read_only=True, exact_limit=0) as index:
        oracle.agrees(index.search(vectors[-5:], 3, ef=EVERYWHERE), vectors, np.arange(COUNT + 300), vectors[-5:], 3)
    assert built == []


@pytest.mark.parametrize("read_only", [True, False])
def test_exact_search_builds_and_loads_no_graph(
    tmp_path: Path, built: list[int], loads: list[int], faces: Clusters, oracle: Oracle, read_only: bool
) -> None:
    """Comparing with everything needs none, whatever is on the disk; a small index still answers from memory."""
    vectors, keys = faces(COUNT), np.arange(COUNT)
    unsaved, saved = tmp_path / "unsaved", tmp_path / "saved"
    for folder in (unsaved, saved):
        writer = FaceIndex(folder, exact_limit=0)
        writer.add(vectors, keys=keys)
        writer.close(save=folder == saved)
    built.clear()
    for folder in (unsaved, saved):
        index = FaceIndex(folder, read_only=read_only, exact_limit=0)
        oracle.agrees(index.search(vectors[:9], 4, exact=True), vectors, keys, vectors[:9], 4)
        index.close(save=False)
    with FaceIndex(saved, read_only=True) as index:
        oracle.agrees(index.search(vectors[:9], 4, exact=True), vectors, keys, vectors[:9], 4)
    assert built == loads == []


def test_missing_graph_file_is_made_by_the_next_writer(unsaved: Path, built: list[int]) -> None:
    """Closing writes it although nothing was changed or searched; the next one has nothing left to do."""
    for _ in range(2):
        with FaceIndex(unsaved, exact_limit=0):
            pass
        assert (unsaved / "faces.hnsw").exists()
    assert built == [COUNT]
    (unsaved / "faces.hnsw").unlink()
    with FaceIndex(unsaved, exact_limit=0):
        pass
    assert (unsaved / "faces.hnsw").exists()
