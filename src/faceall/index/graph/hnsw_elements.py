"""Read the vectors in a file of hnswlib without hnswlib, which can crash on a damaged file.

The file contains, in the byte order of the machine: a header of sizes and offsets (`_HEAD`), then the elements of the
lowest layer, each with its links, the vector as float32 and a label of 8 bytes, then the upper layers.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np

from faceall.errors import IndexDamagedError
from faceall.types import Array, Float32Array, Int64Array

_HEAD = struct.Struct("=6QiI3QdQ")
_CHUNK = 1 << 14  # elements read at a time
_LONGEST = 65_536  # dimensions
_MOST_LINKS = 10_000
_ROOM = 1 << 12  # free capacity of a graph that is always accepted
_STEEPEST = 10.0  # limit of the level multiplier 1 / ln(links), where links >= 2


class Head(NamedTuple):
    """The header of hnswlib's format: sizes and offsets of the elements of the lowest layer, and of the layers."""

    level0_offset: int
    room: int
    elements: int
    element: int
    label_offset: int
    data_offset: int
    highest: int
    entry: int
    upper_links: int
    lowest_links: int
    links: int
    scale: float
    build_effort: int

    @classmethod
    def read(cls, graph: BinaryIO) -> Head | None:
        """Read the header of an open file; None if the file is too short."""
        data = graph.read(_HEAD.size)
        if struct.calcsize("P") != 8 or len(data) < _HEAD.size:
            return None
        return cls(*_HEAD.unpack(data))

    def pack(self) -> bytes:
        """Return the bytes of the header."""
        return _HEAD.pack(*self)

    def fits(self, dimension: int) -> bool:
        """Return whether an element has 4 bytes of counts and flags, links, the vector and a key of 8 bytes."""
        vector = self.label_offset - self.data_offset
        return self.level0_offset == 0 and vector == 4 * dimension and self.element == self.label_offset + 8

    def with_dimension(self, dimension: int) -> Head:
        """Return the header of a graph with the same links and vectors of another length."""
        label = self.data_offset + 4 * dimension
        return self._replace(label_offset=label, element=label + 8)


HEAD_SIZE = _HEAD.size
"""Bytes of the header."""


@dataclass(frozen=True, eq=False)
class Elements:
    """The elements of a graph; the arrays are views of the file.

    Attributes
    ----------
    labels : (n,) uint64
        Keys.
    vectors : (n, dimension) float32
        Not aligned.
    removed : (n,) bool
        Whether an element is marked as deleted.
    links : int
        hnswlib's M.
    build_effort : int
        hnswlib's ef_construction.
    """

    labels: Array
    vectors: Array
    removed: Array
    links: int
    build_effort: int


class _UpperLayers(NamedTuple):
    """The elements in the upper layers of a graph.

    Attributes
    ----------
    words : (m,) uint32
        The part of the file behind the lowest layer.
    elements, layers, starts : (n,) int64
        Their numbers, how many upper layers each is in, and the word where its links begin.
    """

    words: Array
    elements: Array
    layers: Array
    starts: Array


def is_loadable(file: BinaryIO, dimension: int) -> bool:
    """Return whether hnswlib can load an open file: all sizes, counts and offsets are consistent.

    hnswlib does not check them, and could read beyond its memory or allocate too much.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = Head.read(file)
    if head is None:
        return False
    count, element, upper, lower = head.elements, head.element, head.upper_links, head.lowest_links
    consistent = (
        head.fits(dimension)
        and 0 < head.links <= _MOST_LINKS
        and (upper, lower) == (head.links, 2 * head.links)
        and head.data_offset == 4 * lower + 4
        and count <= head.room <= max(_ROOM, 2 * count)
        and count * element <= size - _HEAD.size
        and 0 < head.build_effort <= _MOST_LINKS
        and 0 < head.scale < _STEEPEST  # False for NaN
    )
    if not consistent:
        return False
    top, entry = head.highest, head.entry
    if not count:
        return top == -1 and size == _HEAD.size
    uppers = _upper_layers(_words(file, _HEAD.size + count * element), count, 4 * upper + 4)
    if uppers is None or entry >= count:
        return False
    heights = np.zeros(count, np.int64)
    heights[uppers.elements] = uppers.layers
    if not heights[entry] == top == heights.max():
        return False
    return _links_fit(file, count, element, lower) and _upper_links_fit(uppers, heights, upper)


def _links_fit(file: BinaryIO, count: int, element: int, most: int) -> bool:
    """Return whether the links of the lowest layer are within their limit and point to elements."""
    mapped = np.memmap(file, np.uint8, "r", _HEAD.size, (count, element))  # of which only the links are read
    for start in range(0, count, _CHUNK):
        rows = mapped[start : start + _CHUNK]
        counts = np.ascontiguousarray(rows[:, :2]).view("<u2")[:, 0]
        if counts.max(initial=0) > most:
            return False
        links = np.ascontiguousarray(rows[:, 4 : 4 + 4 * most]).view("<u4")
        if (links[np.arange(most) < counts[:, None]] >= count).any():
            return False
    return True


def _upper_links_fit(uppers: _UpperLayers, heights: Array, most: int) -> bool:
    """Return whether the links of the upper layers point to elements of the same layer."""
    total = int(uppers.layers.sum())
    before = np.repeat(np.cumsum(uppers.layers) - uppers.layers, uppers.layers)
    layer = np.arange(total) - before  # 0: the lowest of the upper ones
    starts = np.repeat(uppers.starts, uppers.layers) + layer * (most + 1)
    lists = uppers.words[starts[:, None] + np.arange(most + 1)]
    counts = lists[:, 0] & 0xFFFF
    if counts.max(initial=0) > most:
        return False
    used = np.arange(most) < counts[:, None]
    targets = lists[:, 1:][used]
    if targets.max(initial=0) >= len(heights):
        return False
    return not (heights[targets] <= np.broadcast_to(layer[:, None], used.shape)[used]).any()


def _words(file: BinaryIO, start: int) -> Array | None:
    """Return the rest of a file as 32-bit words; None if its size is no multiple of 4."""
    file.seek(start)
    data = file.read()
    return None if len(data) % 4 else np.frombuffer(data, "<u4")


def _upper_layers(words: Array | None, count: int, step: int) -> _UpperLayers | None:
    """Return the elements in upper layers; None if the sizes are inconsistent.

    Every element has a size in bytes, then as many bytes of links, `step` per layer.
    """
    if words is None:
        return None
    filled = np.flatnonzero(words)
    found: list[tuple[int, int, int]] = []
    place = element = 0
    while (nearest := int(np.searchsorted(filled, place))) < len(filled):
        at = int(filled[nearest])
        size = int(words[at])
        element += at - place
        if size % step or element >= count:
            return None
        found.append((element, size // step, at + 1))
        place = at + 1 + size // 4
        element += 1
    if element + len(words) - place != count:
        return None
    elements, layers, starts = np.array(found, np.int64).reshape(-1, 3).T
    return _UpperLayers(words, elements, layers, starts)


class VectorReader:
    """Takes the bytes of a file of hnswlib as they are read, and keeps the vectors; links are passed over.

    Parameters
    ----------
    dimension : int
        Length of a vector.
    size : int
        No file of more bytes is expected.
    """

    def __init__(self, dimension: int, size: int) -> None:
        self._dimension, self._size = dimension, size
        self._head: Head | None = None
        self._fits = False  # whether the header is one of such a file
        self._rest = b""  # of the last bytes, behind the last whole element
        self._found = self._live = 0  # elements so far, and those of them that are not marked as deleted
        self._labels, self._vectors = np.zeros(0, np.int64), np.zeros((0, dimension), np.float32)

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        data = self._rest + data
        if self._head is None and len(data) >= _HEAD.size:
            self._head = Head(*_HEAD.unpack_from(data))
            self._fits = self._begin(self._head)
            data = data[_HEAD.size :]
        self._rest = data
        if self._head is None:
            return
        if self._fits and self._found < self._head.elements:
            self._rest = self._take(self._head, data)
        else:
            self._rest = b""

    def _begin(self, head: Head) -> bool:
        """Make room for the elements; return False if the header is none of such a file."""
        if not head.fits(self._dimension) or head.data_offset < 4 or head.elements * head.element > self._size:
            return False
        self._labels = np.empty(head.elements, np.int64)
        self._vectors = np.empty((head.elements, self._dimension), np.float32)
        return True

    def _take(self, head: Head, data: bytes) -> bytes:
        """Take the whole elements at the beginning of some bytes; return the rest."""
        number = min(len(data) // head.element, head.elements - self._found)
        rows = np.frombuffer(data, _layout(head), number)
        removed = rows["flags"] >> 16 & 1 != 0
        if removed.any():
            rows = rows[~removed]
        place = slice(self._live, self._live + len(rows))
        self._labels[place], self._vectors[place] = rows["label"], rows["vector"]
        self._live, self._found = place.stop, self._found + number
        return data[number * head.element :]

    def flush(self) -> None:
        """Take the end."""

    def vectors(self) -> tuple[Int64Array, Float32Array] | None:
        """Return keys (n,) int64 and vectors (n, dimension) float32; None if the file was none of hnswlib."""
        if self._head is None or not self._fits or self._found < self._head.elements:
            return None
        return self._labels[: self._live], self._vectors[: self._live]


def _layout(head: Head) -> np.dtype[np.void]:
    """Return the type of an element of the lowest layer; the links are left out."""
    return np.dtype(
        {
            "names": ["flags", "vector", "label"],
            "formats": ["<u4", ("<f4", ((head.label_offset - head.data_offset) // 4,)), "<u8"],
            "offsets": [0, head.data_offset, head.label_offset],
            "itemsize": head.element,
        }
    )


def read_elements(file: BinaryIO, name: str) -> Elements:
    """Read the elements in an open file.

    Parameters
    ----------
    file : BinaryIO
        A file of hnswlib.
    name : str
        The file's name for messages.

    Returns
    -------
    Elements
        Views of the file.

    Raises
    ------
    IndexDamagedError
        If it is not such a file, or is damaged.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = Head.read(file)
    if head is None:
        raise IndexDamagedError(f"{name}: is not an index of hnswlib: it has {size} bytes")
    count, element = head.elements, head.element
    dimension = (head.label_offset - head.data_offset) // 4
    sensible = head.fits(dimension) and 0 < dimension <= _LONGEST and head.data_offset >= 4
    if not sensible or not 0 < head.links <= _MOST_LINKS or count * element > size - _HEAD.size:
        raise IndexDamagedError(f"{name}: is not an index of hnswlib, or is damaged: its sizes are inconsistent")
    layout = _layout(head)
    if not count:
        rows: Array = np.zeros(0, layout)
    else:
        rows = np.memmap(file, layout, "r", _HEAD.size, (count,))
    removed = (rows["flags"] >> 16 & 1).astype(bool)
    return Elements(rows["label"], rows["vector"], removed, head.links, head.build_effort)
