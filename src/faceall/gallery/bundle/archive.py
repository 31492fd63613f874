"""The container of a bundle: a ZIP archive with uncompressed entries, validated when read and written in a fixed order.

Nothing is decompressed, so a small archive cannot expand, and no entry's name is ever used as a path.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from faceall.errors import IndexDamagedError, IndexFileError
from faceall.files import replaced_file

MOST_ENTRIES = 65_000
LARGEST_FILE = (1 << 32) - 1

_END = struct.Struct("<4s4H2IH")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_LARGEST_DIRECTORY = 32 << 20
_LONGEST_NAME = 100
_HARMLESS_FLAGS = 0x0800 | 0x0008 | 0x0006  # UTF-8 names, sizes repeated after the data, compression level
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Entry:
    """The location of an entry: the offset of its local header, its size in bytes and its CRC-32."""

    name: str
    offset: int
    size: int
    checksum: int


class Archive:
    """The entries of a bundle by name, each checked against its CRC-32 when it is read.

    Parameters
    ----------
    path : Path
        The bundle.

    Raises
    ------
    IndexFileError
        The file cannot be read.
    IndexDamagedError
        The file is not a valid bundle archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise IndexFileError(f"{path}: cannot be read ({error.strerror})") from error
        try:
            with self._reading():
                self.entries = self._directory()
        except BaseException:
            self._file.close()
            raise

    def read(self, name: str, limit: int) -> bytes:
        """Return the bytes of an entry.

        Parameters
        ----------
        name : str
            The entry.
        limit : int
            The largest size in bytes that is accepted.

        Raises
        ------
        IndexFileError
            The file cannot be read.
        IndexDamagedError
            The entry is missing, too large, or does not have its CRC-32.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise self.damaged(f"it has no {name}")
        if entry.size > limit:
            raise self.damaged(f"{name} has {entry.size:,} bytes, expected at most {limit:,}")
        with self._reading():
            self._file.seek(self._start_of_data(entry))
            data = self._file.read(entry.size)
        if len(data) != entry.size or zlib.crc32(data) != entry.checksum:
            raise self.damaged(f"{name} does not have its checksum")
        return data

    def damaged(self, reason: str) -> IndexDamagedError:
        """Return the error for a file that is not a sound bundle."""
        return IndexDamagedError(f"{self.path}: is not a sound gallery bundle: {reason}")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise IndexFileError(f"{self.path}: cannot be read ({error.strerror})") from error

    def _directory(self) -> dict[str, Entry]:
        size = self._file.seek(0, os.SEEK_END)
        if not _END.size <= size <= LARGEST_FILE:
            raise self.damaged(f"it has {size:,} bytes")
        self._file.seek(size - _END.size)
        magic, disk, start_disk, here, count, length, offset, comment = _END.unpack(self._file.read(_END.size))
        if magic != b"PK\5\6" or disk or start_disk or comment or here != count:
            raise self.damaged("it does not end like a plain ZIP archive (is it truncated?)")
        if count > MOST_ENTRIES or length > _LARGEST_DIRECTORY or offset + length != size - _END.size:
            raise self.damaged("its table of contents is invalid")
        self._file.seek(offset)
        table = self._file.read(length)
        entries = dict(self._entries(table, count))
        if len(entries) != count:
            raise self.damaged("two entries have the same name")
        self._check_places(entries, offset)
        return entries

    def _entries(self, table: bytes, count: int) -> Iterator[tuple[str, Entry]]:
        place = 0
        for _ in range(count):
            if place + _CENTRAL.size > len(table):
                raise self.damaged("its table of contents is truncated")
            fields = _CENTRAL.unpack_from(table, place)
            magic, flags, method, checksum, packed, size = (fields[number] for number in (0, 3, 4, 7, 8, 9))
            lengths, offset = fields[10:13], fields[16]
            name = table[place + _CENTRAL.size : place + _CENTRAL.size + lengths[0]]
            if magic != b"PK\1\2" or not name.isascii() or not 0 < len(name) <= _LONGEST_NAME:
                raise self.damaged("its table of contents is invalid")
            if method or packed != size or flags & ~_HARMLESS_FLAGS:
                raise self.damaged(f"{name.decode()!r} is compressed or encrypted; entries of a bundle are stored")
            yield name.decode(), Entry(name.decode(), offset, size, checksum)
            place += _CENTRAL.size + sum(lengths)
        if place != len(table):
            raise self.damaged("its table of contents is invalid")

    def _check_places(self, entries: dict[str, Entry], end: int) -> None:
        """Refuse entries that overlap, with which a small file could claim to hold many bytes."""
        free = 0
        for entry in sorted(entries.values(), key=lambda entry: entry.offset):
            if entry.offset < free:
                raise self.damaged(f"{entry.name!r} overlaps another entry")
            free = entry.offset + _LOCAL.size + entry.size
        if free > end:
            raise self.damaged("an entry extends beyond the end of the data")

    def _start_of_data(self, entry: Entry) -> int:
        self._file.seek(entry.offset)
        head = self._file.read(_LOCAL.size)
        if len(head) < _LOCAL.size or head[:4] != b"PK\3\4":
            raise self.damaged(f"{entry.name} has no header")
        name_length, extra_length = _LOCAL.unpack(head)[9:]
        if self._file.read(name_length) != entry.name.encode():
            raise self.damaged(f"{entry.name} has the header of another entry")
        return entry.offset + _LOCAL.size + int(name_length) + int(extra_length)

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class ArchiveWriter:
    """Adds entries in order; the same entries give the same bytes."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def add(self, name: str, data: bytes) -> None:
        """Add an entry."""
        entry = zipfile.ZipInfo(name, _EPOCH)
        entry.create_system, entry.external_attr = 3, 0o600 << 16  # the same on every system
        self._archive.writestr(entry, data)


@contextmanager
def written_archive(path: Path, *, replace: bool) -> Iterator[ArchiveWriter]:
    """Write an archive atomically: it is synced and renamed to `path` at the end of the block.

    Only its owner may read it.

    Parameters
    ----------
    path : Path
        The archive to write.
    replace : bool
        Replace an existing file.

    Raises
    ------
    IndexFileError
        The file exists already (unless `replace`), cannot be written, or exceeds 4 GiB.
    """
    if path.is_dir() or (not replace and os.path.lexists(path)):
        raise IndexFileError(f"{path}: exists already; choose another name, or replace it: --replace")
    try:
        with (
            replaced_file(path, mode=0o600) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=False) as archive,
        ):
            yield ArchiveWriter(archive)
    except zipfile.LargeZipFile as error:
        raise IndexFileError(
            f"{path}: would exceed the 4 GiB limit of a bundle; export fewer people: --people NAME"
        ) from error
    except OSError as error:
        raise IndexFileError(f"{path}: cannot be written ({error.strerror})") from error
