"""faces.hnsw: our header, then the graph in hnswlib's format. The file is a cache and can be built again.

faces.db contains the SHA-256 of the file that may be loaded, so hnswlib, which can crash on a crafted file, only
reads files that this index has written itself.

    bytes   0..7    magic "FACEHNSW"
            8..15   version, dimension                     uint32, little endian
           16..23   metric (0 l2, 1 cosine), memory layout uint32
           24..39   count of live vectors, generation      uint64
           40..55   wanted recall, reached recall          float64   } the measurement of `tuning`; zeros before the
           56..71   effort, effort_many, sample, 0         uint32    } first. Version 1 does not have these 40 bytes
           72..79   count of vectors at the measurement    uint64    }
           80..111  SHA-256 of all bytes before it and after it
          112..     the graph

The vectors of version 3 are projected, see `projection`. After the measurement and before the SHA-256 it has their
dimensions and 0 (uint32), and before the graph the axes (dimension x reduced float32).
"""

from __future__ import annotations

import hashlib
import os
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, Protocol

from faceall.errors import IndexFileError
from faceall.files import draft_file, put_in_place, sync_file, sync_folder
from faceall.index.graph.projection import Projection
from faceall.index.graph.tuning import Tuning

GRAPH = "faces.hnsw"
MAGIC = b"FACEHNSW"
VERSION, PROJECTED = 2, 3
_LAYOUT = struct.calcsize("P") + (100 if sys.byteorder == "big" else 0)  # hnswlib writes its memory unchanged
_FIELDS = struct.Struct("<8sIIIIQQ")
_TUNING = struct.Struct("<ddIIIIQ")
_REDUCED = struct.Struct("<II")
_SIZES = {  # version -> size of a header without its digest
    1: _FIELDS.size,
    VERSION: _FIELDS.size + _TUNING.size,
    PROJECTED: _FIELDS.size + _TUNING.size + _REDUCED.size,
}
_LONGEST = 8192  # dimensions of a vector that is projected
_DIGEST = hashlib.sha256().digest_size
_CHUNK = 1 << 19  # bytes at a time, which stay in the cache of the processor between reading, hashing and writing
GraphKind = Literal["none", "float32", "projected"]
"""No graph file, or one of vectors as they are, or of projected ones."""

_LEFTOVER_AGE = 3600.0  # seconds after which a temporary file counts as left behind


@dataclass(frozen=True)
class Header:
    """The header of faces.hnsw.

    Attributes
    ----------
    dimension : int
        Length of a vector of the index.
    metric : {"l2", "cosine"}
        The distance.
    count : int
        Number of live vectors.
    generation : int
        The generation that the graph reflects.
    tuning : Tuning, optional
        The measurement of the search effort.
    reduced : int, optional
        Dimensions of the projected vectors of the graph; None if they are those of the index.
    """

    dimension: int
    metric: str
    count: int
    generation: int
    tuning: Tuning | None = None
    reduced: int | None = None

    @property
    def width(self) -> int:
        """Length of a vector of the graph."""
        return self.reduced or self.dimension

    def pack(self) -> bytes:
        """Return the bytes of the file before the digest."""
        metric = 0 if self.metric == "l2" else 1
        version = PROJECTED if self.reduced else VERSION
        fields = _FIELDS.pack(MAGIC, version, self.dimension, metric, _LAYOUT, self.count, self.generation)
        fields += bytes(_TUNING.size) if self.tuning is None else _packed_tuning(self.tuning)
        return fields + _REDUCED.pack(self.reduced, 0) if self.reduced else fields

    @classmethod
    def unpack(cls, data: bytes) -> Header | None:
        """Return the header in `data`; None if this version on this machine cannot use the file."""
        if len(data) < _FIELDS.size:
            return None
        magic, version, dimension, metric, layout, count, generation = _FIELDS.unpack_from(data)
        if (magic, layout) != (MAGIC, _LAYOUT) or metric not in (0, 1) or len(data) < _SIZES.get(version, sys.maxsize):
            return None
        tuning = None if version == 1 else _unpack_tuning(data)
        reduced = None
        if version == PROJECTED:
            reduced = _REDUCED.unpack_from(data, _SIZES[VERSION])[0]
            if not 0 < reduced < dimension <= _LONGEST:
                return None
        return cls(dimension, ("l2", "cosine")[metric], count, generation, tuning, reduced)


def _packed_tuning(found: Tuning) -> bytes:
    efforts = (found.effort, found.effort_many, found.sample, 0)
    return _TUNING.pack(found.recall, found.reached, *efforts, found.count)


def _unpack_tuning(data: bytes) -> Tuning | None:
    recall, reached, effort, effort_many, sample, _, count = _TUNING.unpack_from(data, _FIELDS.size)
    return Tuning(recall, reached, effort, effort_many, sample, count) if effort else None


class _Head(NamedTuple):
    """The beginning of the file: the header, its bytes, and the digest that follows them."""

    header: Header
    fields: bytes
    digest: bytes

    @classmethod
    def read(cls, file: BinaryIO) -> _Head | None:
        """Read up to the graph; None without a usable header."""
        data = file.read(_FIELDS.size)
        if len(data) < _FIELDS.size:
            return None
        data += file.read(max(0, _SIZES.get(_FIELDS.unpack(data)[1], 0) - _FIELDS.size))
        header, digest = Header.unpack(data), file.read(_DIGEST)
        return None if header is None else cls(header, data, digest)


@contextmanager
def scratch_file(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield a temporary file that is removed with the process: its path for hnswlib, and the open file.

    It is in memory if the system supports that (Linux), otherwise in `folder`.
    """
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("faceall-graph"), "w+b") as file:
            yield Path(f"/proc/self/fd/{file.fileno()}"), file
        return
    with draft_file(folder / GRAPH, mode=0o600) as (path, file):
        yield path, file


def digest(folder: Path) -> bytes | None:
    """Return the SHA-256 in the header of the graph file, not verified; None without a usable header."""
    head = _head(folder)
    return None if head is None else head.digest


def size(folder: Path) -> int:
    """Return the bytes of the graph file, 0 without one."""
    with suppress(OSError):
        return (folder / GRAPH).stat().st_size
    return 0


def shortfall(folder: Path) -> str | None:
    """Return a message if the graph file does not reach the wanted recall, according to its header."""
    head = _head(folder)
    return None if head is None or head.header.tuning is None else head.header.tuning.shortfall


def kind(folder: Path) -> GraphKind:
    """Return whether there is a graph file, and which vectors it has, according to its header."""
    head = _head(folder)
    if head is None:
        return "none"
    return "projected" if head.header.reduced else "float32"


def _head(folder: Path) -> _Head | None:
    try:
        with open(folder / GRAPH, "rb") as file:
            return _Head.read(file)
    except OSError:
        return None


def is_stray(folder: Path, expected: bytes | None) -> bool:
    """Return whether there is a graph file whose header has another SHA-256 than `expected`."""
    return (folder / GRAPH).exists() and (expected is None or digest(folder) != expected)


class Target(Protocol):
    """What takes the bytes of a graph: a file, or a `VectorReader`."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes."""

    def flush(self) -> object:
        """Take the end."""


def unpack_verified(folder: Path, expected: bytes, target: Target) -> tuple[Header, Projection | None] | None:
    """Copy the graph of `folder` into `target` and verify the copy, which cannot change afterwards.

    Parameters
    ----------
    folder : Path
        The folder of the index.
    expected : bytes
        The SHA-256 of the file.
    target : Target
        Receives the graph.

    Returns
    -------
    (Header, Projection or None) or None
        The header, and the projection of the vectors of the graph; None if the file is missing or has another SHA-256.
    """
    try:
        with open(folder / GRAPH, "rb") as file:
            head = _Head.read(file)
            if head is None or head.digest != expected:
                return None
            header = head.header
            length = 4 * header.dimension * (header.reduced or 0)
            if length > os.fstat(file.fileno()).st_size:
                return None
            axes = file.read(length)
            found = hashlib.sha256(head.fields + axes)
            while chunk := file.read(_CHUNK):
                found.update(chunk)
                target.write(chunk)
    except OSError:  # missing or unreadable: the graph is built again
        return None
    target.flush()
    if found.digest() != expected:
        return None
    if not header.reduced:
        return header, None
    projection = Projection.unpack(axes, header.dimension, header.reduced)
    return None if projection is None else (header, projection)


@contextmanager
def written(
    folder: Path, header: Header, graph: BinaryIO, projection: Projection | None = None
) -> Iterator[tuple[Path, bytes]]:
    """Write a graph to a synced temporary file beside faces.hnsw; it is removed at the end unless it was renamed.

    Yields
    ------
    (Path, bytes)
        The file and its SHA-256.

    Raises
    ------
    IndexFileError
        If it cannot be written.
    """
    try:
        with draft_file(folder / GRAPH, mode=0o600) as (draft, file):
            fields, axes = header.pack(), projection.pack() if projection else b""
            found = hashlib.sha256(fields + axes)
            file.write(fields + bytes(_DIGEST) + axes)
            graph.seek(0)
            while chunk := graph.read(_CHUNK):
                found.update(chunk)
                file.write(chunk)
            file.seek(len(fields))
            file.write(found.digest())
            file.close()
            sync_file(draft)  # here, as `publish` is called under the lock of the database
            yield draft, found.digest()
    except OSError as error:
        raise IndexFileError(f"{folder / GRAPH} cannot be written: {error.strerror}") from error


def publish(temporary: Path, folder: Path) -> bool:
    """Rename a written file to faces.hnsw and sync the folder; return False if another process has removed it."""
    try:
        put_in_place(temporary, folder / GRAPH, internal=True)
    except FileNotFoundError:
        return False
    return True


def discard(folder: Path) -> None:
    """Remove the graph file if there is one.

    Raises
    ------
    IndexFileError
        If it cannot be removed.
    """
    try:
        os.unlink(folder / GRAPH)
        sync_folder(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise IndexFileError(f"{folder / GRAPH} cannot be removed: {error.strerror}") from error


def remove_leftovers(folder: Path, *, any_age: bool) -> None:
    """Remove temporary files of killed writers.

    Parameters
    ----------
    folder : Path
        The folder of the index.
    any_age : bool
        Remove also files younger than an hour, because they may contain a removed vector. If the writer of such a file
        is still running, `publish` returns False and the file is written again.
    """
    for path in folder.glob(f".{GRAPH}.*"):
        with suppress(OSError):
            if any_age or time.time() - path.stat().st_mtime > _LEFTOVER_AGE:
                path.unlink()
