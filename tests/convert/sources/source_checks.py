"""What several tests of sources do: run one, write checkpoints, expect refusals."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from faceall.caffe import Net, get_engine
from faceall.convert import translate
from faceall.convert.sources import Source, open_source
from faceall.convert.sources.tensorflow.schema import messages
from faceall.convert.sources.tensorflow.table import TABLE_MAGIC
from faceall.convert.tensorflow.schema import NUMPY_TYPES
from faceall.errors import FaceallError
from faceall.types import Array

_TYPE_NUMBERS = {np.dtype(kind): number for number, kind in NUMPY_TYPES.items()}


def run_source(source: Source, images: Array) -> Array:
    """What the converted source gives for images (N, H, W, C)."""
    net = source.net or translate(source.bound(), name="net").net
    return run_net(net, images)


def run_net(net: Net, images: Array, engine: str = "openvino") -> Array:
    """What a net gives for images (N, H, W, C)."""
    blob = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return get_engine(engine).compile(net, ["embeddings"])({"input": blob})["embeddings"]


def refusal(path: Path) -> str:
    """The one line with which `path` is refused; it names the file or its folder."""
    with pytest.raises(FaceallError) as caught:
        open_source(path)
    text = str(caught.value)
    assert "\n" not in text
    assert path.name in text or path.parent.name in text
    return text


def slow_crc32c(data: bytes) -> int:
    """CRC32C bit by bit: the definition."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """As it is stored."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def write_table(entries: Mapping[bytes, bytes]) -> bytes:
    """A LevelDB table with one block of data and keys written in full."""
    out = bytearray()

    def block(items: Mapping[bytes, bytes]) -> bytes:
        start = len(out)
        for key, value in items.items():
            out.extend(varint(0) + varint(len(key)) + varint(len(value)) + key + value)
        out.extend(struct.pack("<II", 0, 1))
        size = len(out) - start
        out.append(0)
        out.extend(struct.pack("<I", masked(slow_crc32c(bytes(out[start:])))))
        return varint(start) + varint(size)

    data = block(dict(sorted(entries.items())))
    footer = block({}) + block({b"\xff": data})
    return bytes(out + footer.ljust(40, b"\0")) + TABLE_MAGIC


def write_checkpoint(prefix: Path, variables: Mapping[str, Array]) -> Path:
    """Variables as a checkpoint without a graph; the checksums from the NumPy version, as megabytes are summed."""
    from faceall.convert.sources.tensorflow.checksum import crc32c

    data, entries = bytearray(), {b"": messages()["BundleHeaderProto"](num_shards=1).SerializeToString()}
    for name, array in sorted(variables.items()):
        raw = np.ascontiguousarray(array).tobytes()
        entry = messages()["BundleEntryProto"](dtype=_TYPE_NUMBERS[array.dtype], offset=len(data), size=len(raw))
        entry.shape.SetInParent()
        for size in array.shape:
            entry.shape.dim.add(size=size)
        entry.crc32c = masked(crc32c(raw))
        entries[name.encode()] = entry.SerializeToString()
        data += raw
    Path(f"{prefix}.index").write_bytes(write_table(entries))
    Path(f"{prefix}.data-00000-of-00001").write_bytes(data)
    return prefix


def varint(number: int) -> bytes:
    """A number as protocol buffers and LevelDB write it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
