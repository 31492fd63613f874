"""An index refuses to write where its files are not the ones that it opened, or are not locked."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from faceall.errors import IndexFileError
from faceall.index import FaceIndex
from faceall.index.storage import connection, file_checks

VECTORS = np.eye(4, 8, dtype=np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An index with four vectors."""
    with FaceIndex(tmp_path / "index") as index:
        index.add(VECTORS)
    return tmp_path / "index"


def test_a_second_name_of_the_database_refuses_every_write(folder: Path, tmp_path: Path) -> None:
    """Two hard links have two logs: neither side may write, and both still read."""
    copy = tmp_path / "copy"
    copy.mkdir()
    os.link(folder / "faces.db", copy / "faces.db")
    for place in (folder, copy):
        with FaceIndex(place) as index:
            with pytest.raises(IndexFileError, match="hard links"):
                index.add(VECTORS)
            assert len(index) == 4


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps files that are open")
def test_a_removed_log_refuses_the_next_write(folder: Path) -> None:
    """What would be written into a log without a name is gone with the process, so it is not written."""
    with FaceIndex(folder) as index:
        index.add(VECTORS)
        (folder / "faces.db-wal").unlink()
        with pytest.raises(IndexFileError, match="log of its database"):
            index.add(VECTORS)


@pytest.mark.skipif(sys.platform != "linux", reason="tried with a lock that only Linux has")
def test_a_file_system_without_locks_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the same lock is granted twice nothing is written; reading works."""
    monkeypatch.setattr(file_checks, "_lock", lambda handle: True)
    with pytest.raises(IndexFileError, match="does not lock files"):
        FaceIndex(folder)
    with FaceIndex(folder, read_only=True) as index:
        assert len(index) == 4


@pytest.mark.skipif(sys.platform != "linux", reason="tried with a lock that only Linux has")
def test_locks_of_an_ordinary_file_system_work(tmp_path: Path) -> None:
    """The test of locks leaves no file and refuses nothing here."""
    file_checks.require_locks(tmp_path, "here")
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_opened_in_place_is_read_from_a_copy(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash, on a full or read-only disk, what stands in the log is found all the same."""
    crashed = tmp_path / "crashed"
    with FaceIndex(folder) as index:
        index.add(VECTORS)
        crashed.mkdir()
        for name in ("faces.db", "faces.db-wal"):  # as they are without the end of the process
            shutil.copyfile(folder / name, crashed / name)
    opened = connection._open

    def refuse(target: str, *, uri: bool = False) -> object:
        if target.endswith("?mode=ro"):
            return _Refusing()
        return opened(target, uri=uri)

    monkeypatch.setattr(connection, "_open", refuse)
    with FaceIndex(crashed, read_only=True) as index:
        assert len(index) == 8


class _Refusing:
    """A connection to a database whose shared memory cannot be made."""

    def execute(self, _: str) -> None:
        raise connection.sqlite3.OperationalError("unable to open database file")

    def close(self) -> None:
        """Nothing is open."""


def test_temporary_data_stays_in_memory(folder: Path) -> None:
    """SQLite writes no removed thumbnail into a temporary file."""
    with FaceIndex(folder) as index, index.transaction() as database:
        assert database.execute("PRAGMA temp_store").fetchone() == (2,)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_only_the_owner_may_read_the_files_of_a_folder_that_existed(tmp_path: Path) -> None:
    """The database and its log are private whatever the permissions of their folder and the umask are."""
    before = os.umask(0)
    try:
        with FaceIndex(tmp_path) as index:
            index.add(VECTORS)
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert set(modes) >= {"faces.db", "faces.db-wal"}
    assert set(modes.values()) == {0o600}
