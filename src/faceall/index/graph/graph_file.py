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
           80..111  SHA-256 of all bytes before it and of the graph
          112..     the graph
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
from typing import BinaryIO, NamedTuple

import numpy as np

from faceall.errors import IndexFileError
from faceall.files import draft_file, put_in_place, sync_file, sync_folder
from faceall.index.graph.tuning import Tuning

GRAPH = "faces.hnsw"
MAGIC = b"FACEHNSW"
VERSION = 2
_LAYOUT = struct.calcsize("P") + (100 if sys.byteorder == "big" else 0)  # hnswlib writes its memory unchanged
_FIELDS = struct.Struct("<8sIIIIQQ")
_TUNING = struct.Struct("<ddIIIIQ")
_SIZES = {1: _FIELDS.size, VERSION: _FIELDS.size + _TUNING.size}  # version -> size of a header without its digest
_DIGEST = hashlib.sha256().digest_size
_CHUNK = 4 << 20
_LEFTOVER_AGE = 3600.0  # seconds after which a temporary file counts as left behind


@dataclass(frozen=True)
class Header:
    """The header of faces.hnsw: the graph's dimension, metric, number of live vectors, generation and tuning."""

    dimension: int
    metric: str
    count: int
    generation: int
    tuning: Tuning | None = None

    def pack(self) -> bytes:
        """Return the bytes of the file before the digest."""
        metric = 0 if self.metric == "l2" else 1
        fields = _FIELDS.pack(MAGIC, VERSION, self.dimension, metric, _LAYOUT, self.count, self.generation)
        found = self.tuning
        if found is None:
            return fields + bytes(_TUNING.size)
        efforts = (found.effort, found.effort_many, found.sample, 0)
        return fields + _TUNING.pack(found.recall, found.reached, *efforts, found.count)

    @classmethod
    def unpack(cls, data: bytes) -> Header | None:
        """Return the header in `data`; None if this version on this machine cannot use the file."""
        if len(data) < _FIELDS.size:
            return None
        magic, version, dimension, metric, layout, count, generation = _FIELDS.unpack_from(data)
        if (magic, layout) != (MAGIC, _LAYOUT) or metric not in (0, 1) or len(data) < _SIZES.get(version, sys.maxsize):
            return None
        tuning = None if version == 1 else _unpack_tuning(data)
        return cls(dimension, ("l2", "cosine")[metric], count, generation, tuning)


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
    try:
        with open(folder / GRAPH, "rb") as file:
            head = _Head.read(file)
    except OSError:
        return None
    return None if head is None else head.digest


def shortfall(folder: Path) -> str | None:
    """Return a message if the graph file does not reach the wanted recall, according to its header."""
    try:
        with open(folder / GRAPH, "rb") as file:
            head = _Head.read(file)
    except OSError:
        return None
    return None if head is None or head.header.tuning is None else head.header.tuning.shortfall


def is_stray(folder: Path, expected: bytes | None) -> bool:
    """Return whether there is a graph file whose header has another SHA-256 than `expected`."""
    return (folder / GRAPH).exists() and (expected is None or digest(folder) != expected)


def unpack_verified(folder: Path, expected: bytes, target: BinaryIO) -> Header | None:
    """Copy the graph of `folder` into `target` and verify the copy, which cannot change afterwards.

    Parameters
    ----------
    folder : Path
        The folder of the index.
    expected : bytes
        The SHA-256 of the file.
    target : BinaryIO
        Receives the graph.

    Returns
    -------
    Header or None
        None if the file is missing or has another SHA-256.
    """
    try:
        with open(folder / GRAPH, "rb") as file:
            head = _Head.read(file)
            if head is None or head.digest != expected:
                return None
            found = hashlib.sha256(head.fields)
            while chunk := file.read(_CHUNK):
                found.update(chunk)
                target.write(chunk)
    except OSError:  # missing or unreadable: the graph is built again
        return None
    target.flush()
    return head.header if found.digest() == expected else None


@contextmanager
def written(folder: Path, header: Header, graph: BinaryIO) -> Iterator[tuple[Path, bytes]]:
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
            fields = header.pack()
            found = hashlib.sha256(fields)
            file.write(fields + bytes(_DIGEST))
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


def scrub(graph: BinaryIO, dimension: int) -> bool:
    """Overwrite the removed vectors in a graph that hnswlib wrote.

    A removed vector stays in the graph as a tombstone. Its values are replaced by those of its first linked neighbour
    that is not removed, or by zeros: searches take nearly the same path, and nothing of the removed face is left.

    Parameters
    ----------
    graph : BinaryIO
        The open file, which is changed.
    dimension : int
        Length of a vector.

    Returns
    -------
    bool
        False if the layout of the file is unknown.
    """
    graph.seek(0)
    head = _GraphHead.read(graph)
    if head is None or not head.fits(dimension):
        return False
    size = graph.seek(0, os.SEEK_END)
    if size < _GraphHead.SIZE + head.count * head.element:
        return False
    rows = np.memmap(graph, np.uint8, "r+", _GraphHead.SIZE, (head.count, head.element))
    removed = np.flatnonzero(rows[:, 2] & 1)
    vectors = slice(head.data_offset, head.label_offset)
    for row in removed:
        links = rows[row, 4 : head.data_offset].view(np.uint32)[: int(rows[row, :2].view(np.uint16)[0])]
        alive = next((link for link in links if link < head.count and not rows[link, 2] & 1), None)
        rows[row, vectors] = 0 if alive is None else rows[alive, vectors]
    rows.flush()
    return True


@dataclass(frozen=True)
class _GraphHead:
    """The header of hnswlib's format: sizes and offsets of the elements of the lowest layer."""

    level0_offset: int
    count: int
    element: int
    label_offset: int
    data_offset: int

    _LAYOUT = struct.Struct("=6Qi I 3Q d Q".replace(" ", ""))
    SIZE = _LAYOUT.size

    @classmethod
    def read(cls, graph: BinaryIO) -> _GraphHead | None:
        data = graph.read(cls.SIZE)
        if struct.calcsize("P") != 8 or len(data) < cls.SIZE:
            return None
        level0, _, count, element, label, offset = cls._LAYOUT.unpack(data)[:6]
        return cls(level0, count, element, label, offset)

    def fits(self, dimension: int) -> bool:
        """Return whether an element has 4 bytes of counts and flags, links, the vector and a key of 8 bytes."""
        vector = self.label_offset - self.data_offset
        return self.level0_offset == 0 and vector == 4 * dimension and self.element == self.label_offset + 8
