"""SQLite connections of an index, and the only place where errors of SQLite are translated."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

from faceall.errors import FaceallError, IndexBusyError, IndexDamagedError, IndexFileError

DATABASE = "faces.db"
LOCK_WAIT = 0.2  # seconds that SQLite waits by itself; longer waits are ours, so that Ctrl-C is heard
PAGE = 8192  # bytes; three 512-D vectors fit a page, of 4096 a half would stay empty

Result = TypeVar("Result")

Fault: TypeAlias = Literal["busy", "damaged", "full", "failing", "read-only", "forbidden", "missing"]
"""What is wrong with a database, as far as SQLite's error says."""

_FAULTS: dict[str, Fault] = {
    "locked": "busy",
    "busy": "busy",
    "not a database": "damaged",
    "malformed": "damaged",
    "corrupt": "damaged",
    "unsupported file format": "damaged",
    "Could not decode to UTF-8": "damaged",
    "no such table": "damaged",
    "no such column": "damaged",
    "has no column named": "damaged",
    "no such index": "damaged",
    "disk is full": "full",
    "disk I/O error": "failing",
    "readonly": "read-only",
    "unable to open": "missing",
    "authorization denied": "forbidden",
}
"""Parts of SQLite's messages: Python 3.10 has no codes of errors."""

_CAUSES: dict[Fault, str] = {
    "full": "the disk is full",
    "failing": "the disk is full, fails, or does not lock files",
    "read-only": "it may only be read",
    "missing": "it, or its log, may not be read or made here",
}


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn SQLite's errors about the file into ours; errors in a statement (a bug) pass unchanged.

    Raises
    ------
    IndexBusyError
        If another process holds the lock.
    IndexDamagedError
        If the file is damaged.
    IndexFileError
        If the file or the disk cannot be used.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        fault = fault_of(error)
        if fault is None:
            raise
        if fault == "busy":
            raise IndexBusyError(f"{name}: another process is writing; try again when it is done") from error
        if fault == "damaged":
            advice = "save what can be read (faceall index repair), or restore it from a backup"
            raise IndexDamagedError(f"{name}/{DATABASE} is damaged ({error}): {advice}") from error
        reason = f"{_CAUSES[fault]} ({error})" if fault in _CAUSES else str(error)
        raise IndexFileError(f"{name}/{DATABASE} cannot be used: {reason}") from error


def fault_of(error: sqlite3.Error) -> Fault | None:
    """Return what is wrong with the database; None if the statement is wrong (a bug)."""
    text = str(error)
    fault = next((fault for part, fault in _FAULTS.items() if part in text), None)
    return None if fault == "busy" and not isinstance(error, sqlite3.OperationalError) else fault


def raise_if_damaged(connection: sqlite3.Connection, name: str, error: Exception) -> None:
    """Raise IndexDamagedError if a damaged row rather than a bug can be the cause of `error`.

    Raises
    ------
    IndexDamagedError
        If SQLite finds its file damaged.
    """
    if isinstance(error, FaceallError):
        return
    found = [row[0] for row in connection.execute("PRAGMA integrity_check(1)").fetchall()]
    if found != ["ok"]:
        reason = " ".join(str(found[0]).split())[:200] if found else "unknown"
        raise IndexDamagedError(
            f"{name}/{DATABASE} is damaged ({reason}): save what can be read (faceall index repair), or restore it from"
            " a backup"
        ) from error


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether the lock of another connection is the cause."""
    return fault_of(error) == "busy"


def retry_while_busy(action: Callable[[], Result], name: str, timeout: float) -> Result:
    """Call `action` again while other processes hold the lock, for at most `timeout` seconds.

    Raises
    ------
    IndexBusyError
        If the lock is still held then.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:  # noqa: PERF203 - the loop retries
            if not is_busy(error):
                raise
            if time.monotonic() >= deadline:
                raise busy(name, timeout) from error
            time.sleep(0.002)


def busy(name: str, timeout: float) -> IndexBusyError:
    """Return the error of a writer whose time is up."""
    return IndexBusyError(f"{name}: another process has been writing for {timeout:g} s; try again when that is done")


def connect(folder: Path | None, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the database of `folder` (None: a new one in memory) with all settings for durability.

    Raises
    ------
    sqlite3.DatabaseError
        If the database cannot be opened.
    """
    if folder is None:
        connection = _open(":memory:")
    elif not read_only:
        connection = _open(str(folder / DATABASE))
    else:
        connection = _open_read_only(folder)
    settings = ["secure_delete = ON", "temp_store = MEMORY", "foreign_keys = ON", "synchronous = FULL"]
    if read_only:
        settings.append("query_only = ON")
    try:
        for setting in settings:
            connection.execute(f"PRAGMA {setting}")
    except UnicodeDecodeError as error:  # SQLite quotes the damaged bytes in its message
        connection.close()
        raise sqlite3.DatabaseError("malformed database schema") from error
    except BaseException:
        connection.close()
        raise
    return connection


def use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch a database to WAL, so that readers never wait for the writer."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute("PRAGMA journal_mode = WAL")


def _open(target: str, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(target, timeout=LOCK_WAIT, isolation_level=None, check_same_thread=False, uri=uri)


def _open_read_only(folder: Path) -> sqlite3.Connection:
    """Open a connection that never writes, also on a medium that is full or read-only."""
    address = (folder / DATABASE).absolute().as_uri()
    connection = _open(f"{address}?mode=ro", uri=True)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.OperationalError as error:
        connection.close()
        if fault_of(error) not in ("missing", "read-only", "failing", "full"):
            raise
        log = folder / f"{DATABASE}-wal"
        if not log.exists() or not log.stat().st_size:
            # WAL needs a shared-memory file beside the database; if it cannot be created, no process writes
            return _open(f"{address}?immutable=1", uri=True)
        copied = _read_into_memory(folder)
        if copied is None:
            raise
        return copied
    return connection


def _read_into_memory(folder: Path) -> sqlite3.Connection | None:
    """Load the database and its log into memory through a private copy; None if there is no space for it."""
    for place in (None, "/dev/shm"):  # a temporary folder on another disk, memory
        with suppress(OSError, sqlite3.OperationalError), tempfile.TemporaryDirectory(dir=place) as scratch:
            for name in (DATABASE, f"{DATABASE}-wal"):
                shutil.copyfile(folder / name, Path(scratch) / name)
            memory = _open(":memory:")
            with closing(_open(str(Path(scratch) / DATABASE))) as source:
                source.backup(memory)
            return memory
    return None
