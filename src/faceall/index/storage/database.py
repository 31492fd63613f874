"""The database of an index: a connection for writing, one for reading, and their locks."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from faceall.errors import FaceallError, IndexFileError
from faceall.files import make_folder
from faceall.index.storage import schema
from faceall.index.storage.connection import (
    DATABASE,
    busy,
    connect,
    is_busy,
    raise_if_damaged,
    retry_while_busy,
    translated,
    use_write_ahead_log,
)
from faceall.index.storage.file_checks import OpenFiles, require_locks

CORRUPTION_ERRORS = (TypeError, ValueError, AttributeError, OverflowError)  # a bug, or the effect of a damaged row
_PAUSE = 0.01  # seconds between attempts to empty the log


_BUSY = 2.0  # seconds that a fork waits for the threads that use the database
_abandoned: list[tuple[sqlite3.Connection, sqlite3.Connection]] = []  # never closed: they belong to the parent
_log = logging.getLogger(__name__)


class Storage:
    """Transactions and snapshots on one faces.db, for any number of threads and processes.

    Only one writer is active (a lock for threads, BEGIN IMMEDIATE for processes). Readers have their own connection
    and never wait for writers; an index in memory has only one connection, so there they do. A thread that acquires
    both locks acquires `read_lock` first.
    """

    def __init__(self, folder: Path | None, *, metric: str, create: bool, read_only: bool, timeout: float) -> None:
        self.folder = folder
        self.name = str(folder) if folder else "the index in memory"
        self.read_only = read_only
        self.generation = 0  # of the running transaction
        self.changed = False  # whether the running transaction changed a vector
        self._timeout = timeout
        self._open = False
        self._depth = 0
        self._owner: int | None = None
        self._snapshots = 0
        self._setup: Callable[[sqlite3.Connection], None] | None = None
        self._set_up_at = -1  # the reader's data_version at the last setup
        self._write_lock = threading.RLock()
        self._prepare_folder(create and not read_only)
        if folder is not None and not read_only:
            require_locks(folder, self.name)
        with translated(self.name):
            self._writer = retry_while_busy(lambda: connect(folder, read_only=read_only), self.name, timeout)
            self._reader = self._writer
            self.read_lock = self._write_lock
            try:
                self._prepare_tables(metric)
                if folder is not None:
                    self.read_lock = threading.RLock()
                    self._reader = retry_while_busy(lambda: connect(folder, read_only=read_only), self.name, timeout)
                    self._reader.execute("PRAGMA query_only = ON")
            except BaseException:
                self._writer.close()
                raise
        self._files = None if folder is None or read_only else OpenFiles.of(folder)
        self._open = True

    def _prepare_folder(self, create: bool) -> None:
        if self.folder is None:
            return
        try:
            if _is_there(self.folder / DATABASE):
                return
        except OSError as error:
            raise IndexFileError(f"{self.name} cannot be used: {error.strerror}") from error
        if not create:
            raise IndexFileError(f"{self.name} holds no face index: {DATABASE} is not there")
        try:
            make_folder(self.folder.absolute(), mode=0o700)  # readable by the owner only
            # SQLite gives its log the permissions of the database
            os.close(os.open(self.folder / DATABASE, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise IndexFileError(f"{self.name} cannot be made: {error.strerror}") from error

    def _prepare_tables(self, metric: str) -> None:
        if schema.is_fresh(self._writer):
            if self.read_only:
                raise IndexFileError(f"{self.name} holds no face index yet: {DATABASE} is empty")
            retry_while_busy(lambda: use_write_ahead_log(self._writer), self.name, self._timeout)
            retry_while_busy(lambda: self._writer.execute("BEGIN IMMEDIATE"), self.name, self._timeout)
            try:
                if schema.is_fresh(self._writer):  # no other process was faster
                    schema.create(self._writer, metric)
                self._writer.execute("COMMIT")
            except BaseException:
                _roll_back(self._writer)
                raise
        schema.check(self._writer, self.name)

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection for reads of the calling thread: that of its own transaction, otherwise the readers' one."""
        self._refuse_closed()
        return self._writer if self.in_transaction else self._reader

    @property
    def in_transaction(self) -> bool:
        """Whether the calling thread is inside `transaction`."""
        return self._owner == threading.get_ident()

    def suspend(self) -> bool:
        """Close the connections and keep all threads out until `resume`; False if they are in use, or in memory."""
        if self.folder is None or not self._open or not self.read_lock.acquire(timeout=_BUSY):
            return False
        if not self._write_lock.acquire(timeout=_BUSY):
            self.read_lock.release()
            return False
        if self._snapshots or self._depth:  # of this thread, which has both locks
            self._write_lock.release()
            self.read_lock.release()
            return False
        self._reader.close()
        self._writer.close()
        return True

    def resume(self) -> None:
        """Open the connections again that `suspend` closed; if that fails, the index is closed."""
        try:
            with translated(self.name):
                self._writer = retry_while_busy(self._connect, self.name, self._timeout)
                self._reader = retry_while_busy(self._connect, self.name, self._timeout)
                self._reader.execute("PRAGMA query_only = ON")
            self._set_up_at = -1
            if self._files is not None:
                self._files = OpenFiles.of(self._files.folder)
        except FaceallError as error:
            self._open = False
            _log.warning("%s is closed since the process forked: %s", self.name, error)
        finally:
            self._write_lock.release()
            self.read_lock.release()

    def abandon(self) -> None:
        """Refuse everything from now on, in a forked child: the connections belong to the parent, which uses them."""
        self._open, self._owner = False, None
        _abandoned.append((self._writer, self._reader))
        self._writer = self._reader = sqlite3.connect(":memory:")
        self.read_lock = self._write_lock = threading.RLock()

    def _connect(self) -> sqlite3.Connection:
        return connect(self.folder, read_only=self.read_only)

    def stamp(self) -> int:
        """Return a number that changes when another connection has committed.

        Raises
        ------
        IndexFileError
            If the index is closed or cannot be read.
        """
        with self.read_lock:
            self._refuse_closed()
            try:
                return int(next(self._reader.execute("PRAGMA data_version"))[0])
            except sqlite3.DatabaseError as error:  # entering `translated` at every search would cost more
                with translated(self.name):
                    raise error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read one snapshot of the committed state, or the state of the thread's own transaction."""
        if self.in_transaction:
            yield self._writer
            return
        with self.read_lock, translated(self.name):
            self._refuse_closed()
            if self._reader is self._writer:  # in memory the lock is enough
                yield self._reader
                return
            if self._snapshots == 0:
                self._run_setup()
                self._reader.execute("BEGIN")
            self._snapshots += 1
            try:
                yield self._reader
            except CORRUPTION_ERRORS as error:
                raise_if_damaged(self._reader, self.name, error)
                raise
            finally:
                self._snapshots -= 1
                if self._snapshots == 0:
                    _roll_back(self._reader)  # nothing was written

    def adapt_reader(self, setup: Callable[[sqlite3.Connection], None]) -> None:
        """Let `setup` create temporary tables and views on the readers' connection, now and after changes.

        It must be repeatable: it is called again before the next snapshot if another process has written.
        """
        self._setup = setup
        with self.read_lock, translated(self.name):
            self._run_setup()

    def _run_setup(self) -> None:
        if self._setup is None:
            return
        version = int(self._reader.execute("PRAGMA data_version").fetchone()[0])
        if version != self._set_up_at:
            self._reader.execute("PRAGMA query_only = OFF")  # it also applies to temporary tables
            try:
                self._setup(self._reader)
            finally:
                self._reader.execute("PRAGMA query_only = ON")
            self._set_up_at = version

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit at the end, roll back on an exception; a nested transaction is part of the outer one.

        Raises
        ------
        IndexBusyError
            If another writer does not finish in time.
        IndexFileError
            If the index was opened for reading only, is closed, or its files were replaced.
        """
        if self.read_only:
            raise IndexFileError(f"{self.name} was opened for reading only")
        if not self._write_lock.acquire(timeout=self._timeout):
            raise busy(self.name, self._timeout)
        try:
            self._refuse_closed()
            with translated(self.name), self._nested() if self._depth else self._outermost():
                yield self._writer
        finally:
            self._write_lock.release()

    @contextmanager
    def removal(self) -> Iterator[sqlite3.Connection]:
        """Run a last transaction that removes the files of the database, which otherwise would refuse to commit."""
        with self.transaction() as connection:
            self._files = None
            yield connection

    @contextmanager
    def _outermost(self) -> Iterator[None]:
        retry_while_busy(lambda: self._writer.execute("BEGIN IMMEDIATE"), self.name, self._timeout)
        self._depth, self._owner, self.changed = 1, threading.get_ident(), False
        try:
            self._require_same_files()
            self.generation = schema.read(self._writer, self.name).generation + 1
            yield
            if self.changed:
                schema.write(self._writer, generation=self.generation)
            self._require_same_files()
            self._writer.execute("COMMIT")
        except BaseException as error:
            _roll_back(self._writer)
            if isinstance(error, CORRUPTION_ERRORS):
                raise_if_damaged(self._writer, self.name, error)
            raise
        finally:
            self._depth, self._owner = 0, None

    @contextmanager
    def _nested(self) -> Iterator[None]:
        mark = f"nested_{self._depth}"
        self._writer.execute(f"SAVEPOINT {mark}")
        self._depth += 1
        try:
            yield
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute(f"ROLLBACK TO {mark}")
                self._writer.execute(f"RELEASE {mark}")
            raise
        else:
            self._writer.execute(f"RELEASE {mark}")
        finally:
            self._depth -= 1

    def tidy(self, *, wait: float = 0.0) -> bool:
        """Move the write-ahead log into the database and empty it, so that no removed vector stays in it.

        Parameters
        ----------
        wait : float
            Seconds to wait for others that read an older state or write, at most the timeout.

        Returns
        -------
        bool
            Whether the log is empty; if not, the next call or the next writer that closes empties it.
        """
        if self.folder is None or self.read_only:
            return True
        deadline = time.monotonic() + min(wait, self._timeout)
        while not self._emptied_log(deadline):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE)
        return True

    def _emptied_log(self, deadline: float) -> bool:
        """Try once; wait for the locks until `deadline`."""
        with _held(self.read_lock, deadline) as readers, _held(self._write_lock, deadline) as writers:
            self._refuse_closed()
            if not readers or not writers or self._depth or self._snapshots:
                return False
            with translated(self.name):
                try:
                    return not self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                except sqlite3.OperationalError as error:
                    if not is_busy(error):
                        raise
                    return False

    def rewrite(self, *, wait: float) -> None:
        """Rewrite the database without free pages (VACUUM); this temporarily needs its size again on the disk.

        Parameters
        ----------
        wait : float
            Seconds to wait for another process that writes.

        Raises
        ------
        IndexBusyError
            If another process still writes then.
        IndexFileError
            If the disk is full.
        """
        with self.read_lock, self._write_lock:
            self._refuse_closed()
            with translated(self.name):
                retry_while_busy(lambda: self._writer.execute("VACUUM"), self.name, wait)
        self.tidy(wait=wait)

    @property
    def has_snapshot(self) -> bool:
        """Whether the calling thread, which holds `read_lock`, is inside `reading`."""
        return self._snapshots > 0

    @property
    def secure_delete(self) -> bool:
        """Whether the writing connection overwrites freed space with zeros."""
        self._refuse_closed()
        with translated(self.name):
            return bool(self._writer.execute("PRAGMA secure_delete").fetchone()[0] == 1)

    @property
    def has_log(self) -> bool:
        """Whether the log is not empty."""
        try:
            return self.folder is not None and (self.folder / f"{DATABASE}-wal").stat().st_size > 0
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Close both connections."""
        with self.read_lock, self._write_lock:
            if self._open:
                self._open = False
                self._reader.close()
                self._writer.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return not self._open

    def _refuse_closed(self) -> None:
        if not self._open:
            raise IndexFileError(f"{self.name} is closed")

    def _require_same_files(self) -> None:
        if self._files is not None:
            self._files.require_same(self.name)


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


@contextmanager
def _held(lock: threading.RLock, deadline: float) -> Iterator[bool]:
    """Acquire `lock` until `deadline`; yield whether that succeeded."""
    held = lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
    try:
        yield held
    finally:
        if held:
            lock.release()


def _is_there(path: Path) -> bool:
    """Return whether the file exists; unlike `Path.exists`, raise OSError if that cannot be determined."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True
