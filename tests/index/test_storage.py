"""Transactions, other processes and files that are not ours."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceall.errors import (
    IndexBusyError,
    IndexDamagedError,
    IndexFileError,
    IndexMismatchError,
    IndexNewerError,
)
from faceall.index import FaceIndex
from faceall.types import Float32Array

Clusters = Callable[..., Float32Array]
Oracle = Any

ADDER = """
import sys, numpy as np
from faceall.index import FaceIndex
folder, seed, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with FaceIndex(folder, exact_limit=50) as index:
    for number in range(times):
        vectors = np.random.default_rng(seed * 1000 + number).normal(size=(3, 16)).astype(np.float32)
        print(*index.add(vectors), flush=True)
        if number % 10 == 9:
            index.save()
"""


def test_transaction_commits_rows_and_vectors_together(tmp_path: Path, faces: Clusters) -> None:
    """A table of the caller's and the vectors are both there, or neither; search inside sees what was done so far."""
    vectors = faces(4)
    with FaceIndex(tmp_path) as index:
        with index.transaction() as connection:
            connection.execute("CREATE TABLE people (key INTEGER REFERENCES vectors (key), name TEXT)")
            (key,) = index.add(vectors[0]).tolist()
            connection.execute("INSERT INTO people VALUES (?, 'Ada')", (key,))
            assert index.search(vectors[0]).keys.tolist() == [[key]]
            assert len(index) == 1
        _fail_in_transaction(index, vectors)
        assert index.search(vectors, 9).keys.shape == (4, 1)
        assert list(index) == [key]
    with FaceIndex(tmp_path) as index:
        assert index.connection.execute("SELECT key, name FROM people").fetchall() == [(key, "Ada")]


def _fail_in_transaction(index: FaceIndex, vectors: Float32Array) -> None:
    with pytest.raises(ZeroDivisionError), index.transaction() as connection:  # noqa: PT012 - the body is what fails
        key = int(index.add(vectors[1])[0])
        connection.execute("INSERT INTO people VALUES (?, 'Bob')", (key,))
        assert index.search(vectors[1], 1).keys.tolist() == [[key]]
        raise ZeroDivisionError


def test_foreign_keys_are_enforced(tmp_path: Path, faces: Clusters) -> None:
    """A vector that a row of the caller's points to cannot go alone."""
    with FaceIndex(tmp_path) as index:
        key = int(index.add(faces(1))[0])
        with index.transaction() as connection:
            connection.execute("CREATE TABLE people (key INTEGER REFERENCES vectors (key))")
            connection.execute("INSERT INTO people VALUES (?)", (key,))
        with pytest.raises(sqlite3.IntegrityError):
            index.remove(key)
        assert key in index


@pytest.mark.skipif(os.name == "nt", reason="Windows does not remove files that are open")
@pytest.mark.parametrize("replaced", [False, True])
def test_removed_database_is_not_written_to(tmp_path: Path, faces: Clusters, replaced: bool) -> None:
    """Removed, or replaced by another, while it is open: adding is refused, for it would be lost; searching goes on."""
    vectors, folder = faces(4), tmp_path / "index"
    with FaceIndex(folder) as index:
        (key,) = index.add(vectors[0]).tolist()
        folder.rename(tmp_path / "moved")
        if replaced:
            FaceIndex(folder).close()
        with pytest.raises(IndexFileError, match=r"removed or replaced while it was open"):
            index.add(vectors[1])
        assert index.search(vectors[0]).keys.tolist() == [[key]]
    if replaced:
        with FaceIndex(folder) as other:
            assert len(other) == 0


def test_inner_transaction_undoes_only_its_own_part(tmp_path: Path, faces: Clusters) -> None:
    """The outer one goes on and commits what it did itself."""
    vectors = faces(3)
    with FaceIndex(tmp_path) as index:
        with index.transaction():
            first = index.add(vectors[0])
            with pytest.raises(ZeroDivisionError), index.transaction():  # noqa: PT012 - the body is what fails
                index.add(vectors[1])
                raise ZeroDivisionError
            last = index.add(vectors[2])
        assert list(index) == [*first, *last]
        assert index.search(vectors[2], 1).keys.tolist() == [last.tolist()]


def test_other_threads_do_not_see_an_unfinished_transaction(tmp_path: Path, faces: Clusters) -> None:
    """While one thread is inside, another reads and searches the state before, without waiting."""
    vectors = faces(2)
    with FaceIndex(tmp_path) as index, ThreadPoolExecutor(1) as pool:
        index.add(vectors[0])
        with index.transaction():
            index.add(vectors[1])
            assert pool.submit(len, index).result(timeout=60) == 1
            assert pool.submit(index.search, vectors, 5).result(timeout=60).keys.shape == (2, 1)
        assert pool.submit(len, index).result(timeout=60) == 2


@pytest.mark.parametrize("limit", [0, 10_000], ids=["graph", "exact"])
@pytest.mark.parametrize("disk", [True, False], ids=["disk", "memory"])
def test_threads_add_remove_and_search_at_once(
    tmp_path: Path, limit: int, disk: bool, faces: Clusters, oracle: Oracle
) -> None:
    """Four threads at work for a while: nothing lost, nothing back from the dead, the end is right."""
    vectors = faces(800)
    with FaceIndex(tmp_path if disk else None, exact_limit=limit) as index:

        def work(number: int) -> list[int]:
            kept = []
            for start in range(number * 200, number * 200 + 200, 10):
                keys = index.add(vectors[start : start + 10], keys=np.arange(start, start + 10))
                assert index.search(vectors[start], 1).keys.tolist() == [[start]]
                index.remove(keys[5:])
                assert not np.isin(index.search(vectors[start + 5], 5).keys, keys[5:]).any()
                kept += keys[:5].tolist()
            return kept

        with ThreadPoolExecutor(4) as pool:
            kept = np.array(sorted(key for part in pool.map(work, range(4)) for key in part))
        assert list(index) == kept.tolist()
        oracle.agrees(index.search(vectors[:50], 8, ef=500), vectors[kept], kept, vectors[:50], 8)


def test_two_processes_adding_lose_nothing(tmp_path: Path) -> None:
    """Every key that either printed is there, with its vector, and none was given out twice."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", ADDER, str(tmp_path), str(seed), "40"], stdout=subprocess.PIPE, text=True
        )
        for seed in (1, 2)
    ]
    printed = [process.communicate()[0].splitlines() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    with FaceIndex(tmp_path) as index:
        assert len(index) == 240
        for seed, lines in zip((1, 2), printed, strict=True):
            for number, line in enumerate(lines):
                vectors = np.random.default_rng(seed * 1000 + number).normal(size=(3, 16)).astype(np.float32)
                for key, vector in zip(line.split(), vectors, strict=True):
                    np.testing.assert_array_equal(index[int(key)], vector)
        assert index.check() == []


@pytest.mark.parametrize("limit", [0, 10_000], ids=["graph", "exact"])
def test_reader_sees_what_another_process_did(tmp_path: Path, limit: int) -> None:
    """Additions and removals by another process count at the next search, in a reader that stays open."""
    with FaceIndex(tmp_path, dimension=16):
        pass
    with FaceIndex(tmp_path, read_only=True, exact_limit=limit) as index:
        assert index.search(np.ones(16)).keys.shape == (1, 0)
        for seed in (1, 2, 3):
            command = [sys.executable, "-c", ADDER, str(tmp_path), str(seed), "30"]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            last = np.random.default_rng(seed * 1000 + 29).normal(size=(3, 16)).astype(np.float32)[2]
            assert index.search(last, 1).keys.tolist() == [[int(printed[-1])]]
            remover = "import sys; from faceall.index import FaceIndex\nFaceIndex(sys.argv[1]).remove(int(sys.argv[2]))"
            subprocess.run([sys.executable, "-c", remover, str(tmp_path), printed[-1]], check=True)
            assert int(printed[-1]) not in index.search(last, 5).keys
            assert len(index) == 89 * seed


def test_reader_that_missed_a_shortened_log_reads_anew(tmp_path: Path, faces: Clusters, oracle: Oracle) -> None:
    """Removals that were forgotten by a save are still noticed."""
    vectors = faces(1500)
    writer, reader = FaceIndex(tmp_path), FaceIndex(tmp_path, read_only=True)
    keys = writer.add(vectors)
    reader.search(vectors[:1])
    writer.remove(keys[:1100])
    writer.save()
    assert writer.connection.execute("SELECT count(*) FROM removals").fetchone() == (0,)
    oracle.agrees(reader.search(vectors[:20], 5, ef=2000), vectors[1100:], keys[1100:], vectors[:20], 5)
    writer.close()
    reader.close()


def test_removal_waits_for_a_reader_of_an_older_state(tmp_path: Path, faces: Clusters) -> None:
    """When `save` comes back with True the reader is done, and no file holds the vector."""
    vector = faces(1, dimension=64)
    with FaceIndex(tmp_path) as writer, FaceIndex(tmp_path, read_only=True) as reader:
        writer.add(vector, keys=[7])
        with ThreadPoolExecutor(1) as pool:
            entered, leave = threading.Event(), threading.Event()
            reading = pool.submit(_read_until, reader, entered, leave)
            assert entered.wait(60)
            writer.remove(7)
            threading.Timer(0.5, leave.set).start()
            assert writer.save()
            assert reading.result(timeout=20)
        assert not _holds(tmp_path, vector)


def _read_until(index: FaceIndex, entered: threading.Event, leave: threading.Event) -> bool:
    with index.reading() as connection:
        connection.execute("SELECT count(*) FROM vectors").fetchone()
        entered.set()
        return leave.wait(20)


def _holds(folder: Path, vector: Float32Array) -> bool:
    return any(vector.tobytes() in path.read_bytes() for path in folder.iterdir())


def test_removal_that_a_reader_holds_up_is_told_and_finished_by_the_next_writer(
    tmp_path: Path, faces: Clusters, caplog: pytest.LogCaptureFixture
) -> None:
    """`save` returns False and warns once; the next writer to close takes the vector away, beside other readers."""
    vector = faces(1, dimension=64)
    with FaceIndex(tmp_path) as first:
        first.add(vector, keys=[7])
    with FaceIndex(tmp_path, read_only=True) as reader:
        writer = FaceIndex(tmp_path, timeout=0.3)
        with reader.reading() as connection:
            connection.execute("SELECT count(*) FROM vectors").fetchone()
            writer.remove(7)
            assert not writer.save()
            assert [record.levelname for record in caplog.records] == ["WARNING"]
            assert "removed vectors are still in its log" in caplog.text
            writer.close()
            assert len(caplog.records) == 1
        assert _holds(tmp_path, vector)
        with FaceIndex(tmp_path):
            pass
        assert not _holds(tmp_path, vector)


def test_saving_an_addition_waits_for_nobody(tmp_path: Path, faces: Clusters) -> None:
    """Only a removal is worth waiting for a reader."""
    with FaceIndex(tmp_path) as writer, FaceIndex(tmp_path, read_only=True) as reader:
        writer.add(faces(1))
        with reader.reading() as connection:
            connection.execute("SELECT count(*) FROM vectors").fetchone()
            writer.add(faces(1))
            start = time.monotonic()
            assert not writer.save()
            assert time.monotonic() - start < 3


def test_writer_that_waits_too_long_says_so(tmp_path: Path, faces: Clusters) -> None:
    """IndexBusyError in one line, from another connection and from another thread; reading goes on."""
    with FaceIndex(tmp_path) as first, FaceIndex(tmp_path, timeout=0.3) as second:
        with first.transaction():
            first.add(faces(1))
            with pytest.raises(IndexBusyError, match=r"has been writing for 0\.3 s; try again"):
                second.add(faces(1))
            assert len(second) == 0
        second.add(faces(1))
        entered, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with second.transaction():
                entered.set()
                leave.wait(20)

        thread = threading.Thread(target=hold)
        thread.start()
        entered.wait(20)
        with pytest.raises(IndexBusyError):
            second.add(faces(1))
        leave.set()
        thread.join()


def test_read_only_never_writes(tmp_path: Path, faces: Clusters) -> None:
    """It searches; adding, removing and writing through the connection are refused; a missing index is not made."""
    with FaceIndex(tmp_path / "a") as index:
        index.add(faces(3))
    with FaceIndex(tmp_path / "a", read_only=True) as index:
        assert index.search(faces(3), 5).keys.shape == (3, 3)
        with pytest.raises(IndexFileError, match="opened for reading only"):
            index.add(faces(1))
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            index.connection.execute("DELETE FROM vectors")
        index.save()
    for options in ({"read_only": True}, {"create": False}):
        with pytest.raises(IndexFileError, match="holds no face index"):
            FaceIndex(tmp_path / "b", **options)
    assert not (tmp_path / "b").exists()


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX permissions")
def test_read_only_works_where_nothing_can_be_written(open_folder: Path, faces: Clusters) -> None:
    """SQLite's shared-memory file cannot be made beside the database, yet it can be searched; writing is refused."""
    with FaceIndex(open_folder) as index:
        index.add(faces(3))
    (open_folder / "faces.db").chmod(0o444)
    open_folder.chmod(0o555)
    with _ordinary_user(), FaceIndex(open_folder, read_only=True) as index:
        assert index.search(faces(3), 5).keys.shape == (3, 3)
    with _ordinary_user(), pytest.raises(IndexFileError, match=r"faces\.db cannot be used") as caught:
        FaceIndex(open_folder)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX permissions")
def test_forbidden_folder_is_one_line(open_folder: Path) -> None:
    """Permission denied, said about the folder."""
    (open_folder / "inner").mkdir(mode=0o000)
    with _ordinary_user(), pytest.raises(IndexFileError, match="cannot be used: Permission denied"):
        FaceIndex(open_folder / "inner")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of the machine can reach (pytest's own cannot be)."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)
        os.chmod(name, 0o755)


@contextmanager
def _ordinary_user() -> Iterator[None]:
    """Without the superuser's right to write everywhere."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if before == 0:
            os.seteuid(before)


def test_file_in_the_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    """Said about the folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexFileError, match="people cannot be used: Not a directory"):
        FaceIndex(tmp_path / "file" / "people")


@pytest.mark.parametrize("content", [b"not a database at all, only text " * 300, b"SQLite format 3\0" + bytes(5000)])
def test_file_that_is_not_sqlite_is_damaged(tmp_path: Path, content: bytes) -> None:
    """One line with the file's name and what to do; the file is left as it is."""
    (tmp_path / "faces.db").write_bytes(content)
    with pytest.raises(IndexDamagedError, match=r"faces\.db is damaged \(.*restore it from a backup") as caught:
        FaceIndex(tmp_path)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "faces.db").read_bytes() == content


def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    """An SQLite file without our mark is not touched."""
    with sqlite3.connect(tmp_path / "faces.db") as connection:
        connection.execute("CREATE TABLE songs (title)")
    connection.close()
    with pytest.raises(IndexDamagedError, match="of another program"):
        FaceIndex(tmp_path)


def test_newer_format_is_not_called_damaged(tmp_path: Path) -> None:
    """IndexNewerError, and the advice to upgrade."""
    FaceIndex(tmp_path).close()
    with sqlite3.connect(tmp_path / "faces.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(IndexNewerError, match=r"format 99, this one reads up to 1\): upgrade faceall"):
        FaceIndex(tmp_path)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("DROP TABLE removals", "lost the table 'removals'"),
        ("DELETE FROM meta WHERE key = 'index.metric'", "settings make no sense"),
        ("UPDATE vectors SET vector = x'00' WHERE key = 2", "vector 2 does not have 16 dimensions"),
    ],
)
def test_lost_tables_settings_and_vectors_are_damage(
    tmp_path: Path, faces: Clusters, statement: str, text: str
) -> None:
    """Said in one line when it is met."""
    with FaceIndex(tmp_path) as index:
        index.add(faces(3))
    with sqlite3.connect(tmp_path / "faces.db") as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(IndexDamagedError, match=text), FaceIndex(tmp_path) as index:
        index.search(faces(1))


@pytest.mark.parametrize("seed", range(12))
def test_damaged_database_gives_one_of_our_errors(tmp_path: Path, faces: Clusters, seed: int) -> None:
    """Pages overwritten at random: an answer or an IndexFileError, never anything else."""
    random = np.random.default_rng(seed)
    with FaceIndex(tmp_path) as index:
        index.add(faces(2000))
    path = tmp_path / "faces.db"
    content = bytearray(path.read_bytes())
    for _ in range(3):
        start = int(random.integers(len(content) - 400))
        content[start : start + 400] = random.bytes(400)
    path.write_bytes(content[: int(random.integers(len(content) // 2, len(content)))] if seed % 2 else content)
    try:
        with FaceIndex(tmp_path) as index:
            index.search(faces(3), 5)
            index.add(faces(3))
            index.check()
    except IndexFileError as error:
        assert "\n" not in str(error)  # noqa: PT017 - an error is not certain


def test_embedder_of_an_index_that_never_named_one(tmp_path: Path, faces: Clusters) -> None:
    """While it is empty the first name is taken; with vectors of unknown origin it is refused."""
    with FaceIndex(tmp_path / "a"):
        pass
    with FaceIndex(tmp_path / "a", model="small") as index:
        assert index.model == "small"
    with FaceIndex(tmp_path / "b") as index:
        index.add(faces(1))
    with pytest.raises(IndexMismatchError, match="made without naming its embedder"):
        FaceIndex(tmp_path / "b", model="small")


def test_folder_is_private(tmp_path: Path) -> None:
    """Faces are nobody else's business: a folder that is made can be entered by its owner only."""
    with FaceIndex(tmp_path / "people"):
        assert (tmp_path / "people").stat().st_mode & 0o077 == 0
