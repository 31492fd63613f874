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
_CHUNK = 1 << 14  # elements that are read at once
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
    if levels is None or entry >= count or not levels.get(entry, 0) == top == max(levels.values(), default=0):
        return False
    return _links_fit(file, count, element, lower) and _upper_links_fit(
        file, _HEAD.size + count * element, levels, count, upper
    )


def _links_fit(file: BinaryIO, count: int, element: int, most: int) -> bool:
    """Whether every element of the lowest layer has no more links than fit, each to an element."""
    file.seek(_HEAD.size)
    for start in range(0, count, _CHUNK):
        number = min(_CHUNK, count - start)
        rows = np.frombuffer(file.read(number * element), np.uint8).reshape(number, element)
        counts = np.ascontiguousarray(rows[:, :2]).view("<u2")[:, 0]
        if counts.max(initial=0) > most:
            return False
        links = np.ascontiguousarray(rows[:, 4 : 4 + 4 * most]).view("<u4")
        if (links[np.arange(most) < counts[:, None]] >= count).any():
            return False
    return True


def _upper_links_fit(file: BinaryIO, start: int, levels: dict[int, int], count: int, most: int) -> bool:
    """Whether the links of the upper layers lead to elements that stand in the same layer."""
    heights = np.zeros(count, np.int64)
    heights[list(levels)] = list(levels.values())
    file.seek(start)
    words = np.frombuffer(file.read(), "<u4")
    place = before = 0
    for element, layers in levels.items():  # in the order of the file
        place += element - before + 1  # one word for each element without upper layers, and this one's size
        lists = words[place : place + layers * (most + 1)].reshape(layers, most + 1)
        counts = lists[:, 0] & 0xFFFF
        if counts.max() > most:
            return False
        used = np.arange(most) < counts[:, None]
        targets = lists[:, 1:][used]
        layer = np.broadcast_to(np.arange(1, layers + 1)[:, None], used.shape)[used]
        if (targets >= count).any() or (heights[targets] < layer).any():
            return False
        place, before = place + layers * (most + 1), element + 1
    return True


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
