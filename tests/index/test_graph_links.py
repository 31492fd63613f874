"""A graph file whose links lead nowhere is not given to hnswlib, which would crash on it."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import hnswlib
import numpy as np
import pytest

from faceall.index.graph.hnsw_elements import _HEAD, is_loadable

DIMENSION, COUNT = 4, 400


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A graph of hnswlib with several layers."""
    index = hnswlib.Index("l2", DIMENSION)
    index.init_index(COUNT, M=4, ef_construction=20)
    index.add_items(np.random.default_rng(0).normal(size=(COUNT, DIMENSION)).astype(np.float32))
    path: Path = tmp_path_factory.mktemp("graph") / "graph"
    index.save_index(str(path))
    return path.read_bytes()


def _is_loadable(graph: bytes | bytearray) -> bool:
    with tempfile.TemporaryFile() as file:
        file.write(graph)
        return is_loadable(file, DIMENSION)


def test_a_sound_graph_is_loadable(graph: bytes) -> None:
    """Every link of what hnswlib wrote leads to an element of the same layer."""
    assert _is_loadable(graph)


@pytest.mark.parametrize(("offset", "value"), [(0, 9), (4, COUNT), (4, 0xFFFFFFFF)])
def test_links_of_the_lowest_layer_are_checked(graph: bytes, offset: int, value: int) -> None:
    """More links than fit, and links to elements that do not exist."""
    changed = bytearray(graph)
    struct.pack_into("<H" if offset == 0 else "<I", changed, _HEAD.size + offset, value)
    assert not _is_loadable(changed)


def test_links_of_upper_layers_are_checked(graph: bytes) -> None:
    """A link to an element that does not exist, and one to an element without that layer."""
    _, _, count, element, *_ = _HEAD.unpack(graph[: _HEAD.size])
    words = np.frombuffer(graph[_HEAD.size + count * element :], "<u4")
    first = int(np.flatnonzero(words)[0])
    assert words[first + 1] & 0xFFFF  # the first element with upper layers has a link there
    lowest = 0 if first else int(np.flatnonzero(words == 0)[0])
    for target in (COUNT, lowest):
        changed = bytearray(graph)
        struct.pack_into("<I", changed, _HEAD.size + count * element + 4 * (first + 2), target)
        assert not _is_loadable(changed)


def test_links_of_upper_layers_are_counted(graph: bytes) -> None:
    """More links than an upper layer holds."""
    _, _, count, element, *_ = _HEAD.unpack(graph[: _HEAD.size])
    start = _HEAD.size + count * element
    first = int(np.flatnonzero(np.frombuffer(graph[start:], "<u4"))[0])
    changed = bytearray(graph)
    struct.pack_into("<H", changed, start + 4 * (first + 1), 5)
    assert not _is_loadable(changed)


def test_a_highest_layer_that_does_not_exist_is_refused(graph: bytes) -> None:
    """hnswlib would begin its searches there."""
    fields = list(_HEAD.unpack(graph[: _HEAD.size]))
    fields[6] += 1
    assert not _is_loadable(_HEAD.pack(*fields) + graph[_HEAD.size :])
