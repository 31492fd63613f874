"""Reads the vectors out of a file of hnswlib, without hnswlib: that can crash on a damaged one, this cannot.

The file holds, in the machine's byte order: seven numbers of 8 bytes and four of 4 that give sizes and places, then the
elements of the lowest layer, each: links, the vector as float32, a label of 8 bytes. Upper layers follow.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from faceall.errors import IndexDamagedError
from faceall.types import Array

_HEAD = struct.Struct("=6QiI3QdQ")
_LONGEST = 65_536  # numbers per vector
_MOST_LINKS = 10_000
_ROOM = 1 << 12  # elements that a graph may have memory for although it does not hold them
_STEEPEST = 10.0  # of the layers: 1 / ln(links), and links are two at least


@dataclass(frozen=True, eq=False)
class Elements:
    """What a graph holds; the arrays are views of the file.

    labels   (n,) uint64
    vectors  (n, dimension) float32, not aligned
    removed  (n,) bool, marked as deleted
    links    M, the number of links that the graph was built with
    build_effort  ef_construction
    """

    labels: Array
    vectors: Array
    removed: Array
    links: int
    build_effort: int


def is_loadable(file: BinaryIO, dimension: int) -> bool:
    """Whether hnswlib can load an open file: every size, count and place in it fits the others.

    hnswlib trusts these numbers and would read beyond its memory, or ask for more than there is.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return False
    level0, room, count, element, label, data, top, entry, upper, lower, links, scale, effort = _HEAD.unpack(head)
    honest = (
        level0 == 0
        and 0 < links <= _MOST_LINKS
        and (upper, lower) == (links, 2 * links)
        and data == 4 * lower + 4
        and label == data + 4 * dimension
        and element == label + 8
        and count <= room <= max(_ROOM, 2 * count)
        and count * element <= size - _HEAD.size
        and 0 < effort <= _MOST_LINKS
        and 0 < scale < _STEEPEST  # a NaN is not
    )
    if not honest:
        return False
    if not count:
        return top == -1 and size == _HEAD.size
    levels = _levels(file, _HEAD.size + count * element, size, count, 4 * upper + 4)
    return levels is not None and entry < count and levels.get(entry, 0) == top == max(levels.values(), default=0)


def _levels(file: BinaryIO, start: int, end: int, count: int, step: int) -> dict[int, int] | None:
    """The highest layer of the elements that stand in more than the lowest; None where the sizes do not fit.

    Every element has a number, of bytes, and so many bytes of links, `step` for a layer.
    """
    if (end - start) % 4:
        return None
    file.seek(start)
    words = np.frombuffer(file.read(end - start), "<u4")
    filled = np.flatnonzero(words)
    levels: dict[int, int] = {}
    place = element = 0
    while True:
        nearest = int(np.searchsorted(filled, place))
        if nearest == len(filled):
            break
        element += int(filled[nearest]) - place
        size = int(words[filled[nearest]])
        if size % step or element >= count:
            return None
        levels[element] = size // step
        place = int(filled[nearest]) + 1 + size // 4
        element += 1
    return levels if element + len(words) - place == count else None


def read_elements(file: BinaryIO, name: str) -> Elements:
    """The elements in an open file. Raises IndexDamagedError, which calls the file `name`."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise IndexDamagedError(f"{name}: is no index of hnswlib: it has {size} bytes")
    level0, _, count, element, label, data, _, _, _, _, links, _, build_effort = _HEAD.unpack(head)
    numbers, rest = divmod(label - data, 4)
    sensible = level0 == 0 and not rest and 0 < numbers <= _LONGEST and element == label + 8 and data >= 4
    if not sensible or not 0 < links <= _MOST_LINKS or count * element > size - _HEAD.size:
        raise IndexDamagedError(f"{name}: is no index of hnswlib, or is damaged: its sizes do not fit together")
    layout = np.dtype(
        {
            "names": ["flags", "vector", "label"],
            "formats": ["<u4", ("<f4", (numbers,)), "<u8"],
            "offsets": [0, data, label],
            "itemsize": element,
        }
    )
    if not count:
        rows: Array = np.zeros(0, layout)
    else:
        rows = np.memmap(file, layout, "r", _HEAD.size, (count,))
    removed = (rows["flags"] >> 16 & 1).astype(bool)
    return Elements(rows["label"], rows["vector"], removed, int(links), int(build_effort))
