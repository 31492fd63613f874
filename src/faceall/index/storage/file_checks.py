"""Checks that the files of a database are the ones that were opened, and that the file system locks them."""

from __future__ import annotations

import errno
import os
import secrets
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceall.errors import IndexFileError
from faceall.index.storage.connection import DATABASE

Identity = tuple[int, int]
"""Device and inode of a file."""


@dataclass
class OpenFiles:
    """The database and the log as a process has opened them; the log is noted when it is first seen."""

    folder: Path
    database: Identity | None
    log: Identity | None = None

    @classmethod
    def of(cls, folder: Path) -> OpenFiles:
        """Note the files of a folder."""
        return cls(folder, _identity(folder / DATABASE), _identity(folder / f"{DATABASE}-wal"))

    def require_same(self, name: str) -> None:
        """Refuse to write where that would be lost, or would overwrite what others write.

        A system lets a process write to a file that was removed, and drops everything when that process ends. Two
        names of one database have two logs, each of which overwrites the pages of the other.

        Raises
        ------
        IndexFileError
            The database or its log was removed or replaced, or the database has a second name.
        """
        try:
            state = (self.folder / DATABASE).stat()
            log = _identity(self.folder / f"{DATABASE}-wal")
        except FileNotFoundError:
            state, log = None, None
        except OSError:  # e.g. a folder without permission: the open files can be written
            return
        if state is None or (self.database is not None and (state.st_dev, state.st_ino) != self.database):
            raise IndexFileError(
                f"{name}: its database was removed or replaced while it was open, as by a move or a repair;"
                " nothing was written; open it again"
            )
        if state.st_nlink > 1:
            raise IndexFileError(
                f"{name}: {DATABASE} has {state.st_nlink} names (hard links), and writing under both loses faces;"
                " nothing was written; replace one of them by a real copy: faceall index backup"
            )
        if self.log is not None and log != self.log:
            raise IndexFileError(
                f"{name}: the log of its database ({DATABASE}-wal) was removed or replaced while it was open;"
                " nothing was written; open it again"
            )
        self.log = log


def _identity(path: Path) -> Identity | None:
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return state.st_dev, state.st_ino


def require_locks(folder: Path, name: str) -> None:
    """Refuse a folder whose file system grants one lock to two owners (tried with a file of its own, on Linux).

    Raises
    ------
    IndexFileError
        Locks do not lock there.
    """
    if sys.platform != "linux":
        return
    path = folder / f".lock-test.{secrets.token_hex(4)}"
    try:
        first = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:  # full or not writable: the database itself says so
        return
    try:
        second = os.open(path, os.O_RDWR)
        try:
            works = _lock(first) is not True or _lock(second) is not True
        finally:
            os.close(second)
    finally:
        os.close(first)
        with suppress(OSError):
            path.unlink()
    if not works:
        raise IndexFileError(
            f"{name}: the file system does not lock files, so two processes would overwrite each other's faces; put the"
            " gallery on a local disk, or into Milvus"
        )


def _lock(handle: int) -> bool | None:
    """Try to lock a file for its open description; None where the system has no such locks."""
    import fcntl

    request: Any = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, request)
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES) else None
    return True
