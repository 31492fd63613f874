"""Erase removed vectors from a graph, which keeps their places as tombstones."""

from __future__ import annotations

import os
from typing import BinaryIO

import numpy as np

from faceall.index.graph.hnsw_elements import HEAD_SIZE, Head


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
    head = Head.read(graph)
    if head is None or not head.fits(dimension):
        return False
    size = graph.seek(0, os.SEEK_END)
    if size < HEAD_SIZE + head.elements * head.element:
        return False
    rows = np.memmap(graph, np.uint8, "r+", HEAD_SIZE, (head.elements, head.element))
    removed = np.flatnonzero(rows[:, 2] & 1)
    vectors = slice(head.data_offset, head.label_offset)
    for row in removed:
        links = rows[row, 4 : head.data_offset].view(np.uint32)[: int(rows[row, :2].view(np.uint16)[0])]
        alive = next((link for link in links if link < head.elements and not rows[link, 2] & 1), None)
        rows[row, vectors] = 0 if alive is None else rows[alive, vectors]
    rows.flush()
    return True
