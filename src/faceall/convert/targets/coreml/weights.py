"""Read the numbers in Core ML files: the blob file beside a program, values inside it, and the weights of a layer.

Sizes and offsets of a file are compared with its length before they are used.
"""

from __future__ import annotations

import struct
from math import prod

import numpy as np

from faceall.errors import NetFormatError
from faceall.protobuf import Message
from faceall.types import Array, Float32Array

LARGEST = 1 << 28
"""The largest number of elements of a tensor."""

BITS = {25: 4, 35: 4, 36: 2, 37: 1, 38: 6, 39: 3}
"""Type of fewer than 8 bits -> number of bits; packed from the low end of each byte."""

DTYPES: dict[int, type[np.generic]] = {
    1: np.bool_,
    10: np.float16,
    11: np.float32,
    12: np.float64,
    21: np.int8,
    22: np.int16,
    23: np.int32,
    24: np.int64,
    31: np.uint8,
    32: np.uint16,
    33: np.uint32,
    34: np.uint64,
}
"""Types of tensors -> NumPy's."""

STRING = 2

_BLOB_TYPES = {10: 1, 11: 2, 31: 3, 21: 4, 22: 6, 32: 7, 25: 8, 37: 9, 36: 10, 35: 11, 39: 12, 38: 13, 23: 14, 33: 15}
"""A tensor's type -> the number that stands for it in a blob file."""

_HEADER = struct.Struct("<II")
_RECORD = struct.Struct("<IIQQ")
_SENTINEL = 0xDEADBEEF
_ALIGNMENT = 64


class BlobFile:
    """Weights of a program: a header of 64 bytes, then a record of 64 bytes before each array.

    Raises
    ------
    NetFormatError
        If the header is damaged or of another version.
    """

    def __init__(self, contents: bytes) -> None:
        self._contents = contents
        if contents and (len(contents) < _ALIGNMENT or _HEADER.unpack_from(contents)[1] != 2):
            raise NetFormatError("weight.bin is damaged, or of another version than 2")

    def bytes_at(self, offset: int, kind: int, size: int) -> memoryview:
        """Return the `size` bytes of type `kind` whose record is at `offset`.

        Raises
        ------
        NetFormatError
            If there is no such record.
        """
        contents = self._contents
        if offset % _ALIGNMENT or offset < _ALIGNMENT or offset + _ALIGNMENT > len(contents):
            raise NetFormatError(f"weight.bin of {len(contents)} bytes has no record at {offset}")
        sentinel, stored, length, start = _RECORD.unpack_from(contents, offset)
        if sentinel != _SENTINEL or stored != _BLOB_TYPES.get(kind):
            raise NetFormatError(f"weight.bin has no record of the expected type at {offset}")
        if length != size or start + length > len(contents):
            raise NetFormatError(
                f"weight.bin of {len(contents)} bytes has {length} bytes at {start}, expected are {size}"
            )
        return memoryview(contents)[start : start + length]


def constant_shape(tensor_type: Message) -> tuple[int | None, ...]:
    """Return the sizes in a tensor's type; None for one that is free.

    Raises
    ------
    NetFormatError
        If there are more than 8 axes, or an axis is too long.
    """
    sizes = tuple(
        int(dimension.constant.size) if dimension.HasField("constant") else None for dimension in tensor_type.dimensions
    )
    if len(sizes) > 8 or any(size is not None and size > LARGEST for size in sizes):
        raise NetFormatError(f"a tensor has more than 8 axes or an axis longer than {LARGEST}")
    return sizes


def count_of(shape: tuple[int | None, ...]) -> int:
    """Return the number of elements of a tensor of fixed shape.

    Raises
    ------
    NetFormatError
        If a size is free, or the tensor is too large.
    """
    if any(size is None for size in shape):
        raise NetFormatError("a stored tensor has a free size")
    count = prod(size for size in shape if size is not None)
    if count > LARGEST:
        raise NetFormatError(f"a tensor would have {count} numbers, the most are {LARGEST}")
    return count


def read_value(value: Message, blobs: BlobFile) -> Array | str:
    """Read a stored tensor with its shape, or a text.

    Raises
    ------
    NetFormatError
        If the type is unknown, or the numbers do not match the shape.
    """
    kind = int(value.type.tensorType.dataType)
    tensor = value.immediateValue.tensor
    if kind == STRING:
        if len(tensor.strings.values) != 1:
            raise NetFormatError(f"a text has {len(tensor.strings.values)} values, expected one")
        return str(tensor.strings.values[0])
    if kind not in DTYPES and kind not in BITS:
        raise NetFormatError(f"a tensor has the unknown type {kind}")
    shape = constant_shape(value.type.tensorType)
    count = count_of(shape)
    if value.HasField("blobFileValue"):
        size = -(-count * BITS[kind] // 8) if kind in BITS else count * np.dtype(DTYPES[kind]).itemsize
        raw = blobs.bytes_at(int(value.blobFileValue.offset), kind, size)
        flat = unpack(raw, BITS[kind], count) if kind in BITS else np.frombuffer(raw, DTYPES[kind])
    else:
        flat = _immediate(tensor, kind)
    if kind == 25:  # a signed number of 4 bits
        flat = np.where(flat > 7, flat.astype(np.int8) - 16, flat).astype(np.int8)
    if flat.size != count:
        raise NetFormatError(f"a tensor of shape {shape} has {flat.size} numbers, expected {count}")
    return flat.reshape([size for size in shape if size is not None])


def _immediate(tensor: Message, kind: int) -> Array:
    dtype = np.uint8 if kind in BITS else DTYPES[kind]
    if tensor.HasField("bytes"):
        raw = tensor.bytes.values
        if len(raw) % np.dtype(dtype).itemsize:
            raise NetFormatError(f"a tensor has {len(raw)} bytes, not a multiple of {np.dtype(dtype).itemsize}")
        return np.frombuffer(raw, dtype)
    for name in ("floats", "ints", "bools", "longInts", "doubles"):
        if tensor.HasField(name):
            return np.asarray(getattr(tensor, name).values).astype(dtype)
    return np.empty(0, dtype)


def unpack(raw: bytes | memoryview, bits: int, count: int, *, order: str = "little") -> Array:
    """Unpack `count` numbers of `bits` bits each, as (count,) uint8.

    Parameters
    ----------
    raw : bytes or memoryview
        The packed numbers.
    bits : int
        Bits per number, 1 to 8.
    count : int
        The number of numbers.
    order : {"little", "big"}
        "little": from the low end of each byte (programs); "big": from the high end (layers).

    Raises
    ------
    NetFormatError
        If `raw` has another length.
    """
    packed = np.frombuffer(raw, np.uint8)
    if packed.size != -(-count * bits // 8):
        raise NetFormatError(f"{count} numbers of {bits} bits have {packed.size} bytes")
    if bits == 8:
        return packed
    single = np.unpackbits(packed, bitorder="little" if order == "little" else "big")[: count * bits]
    places = np.arange(bits) if order == "little" else np.arange(bits)[::-1]
    return np.asarray((single.reshape(count, bits) << places).sum(axis=1), np.uint8)


def read_weights(params: Message, shape: tuple[int, ...]) -> Float32Array:
    """Return the weights of a layer of a neural network as `shape` float32, dequantised.

    A linear quantisation has one scale, or one for each index of the first axis.

    Raises
    ------
    NetFormatError
        If the weights do not match `shape` or are quantised in an unknown way.
    """
    count = count_of(shape)
    if params.HasField("quantization"):
        flat = _dequantised(params, shape, count)
    elif params.HasField("float16Value"):
        if len(params.float16Value) % 2:
            raise NetFormatError(f"weights of 16 bits have {len(params.float16Value)} bytes")
        flat = np.frombuffer(params.float16Value, np.float16).astype(np.float32)
    else:
        flat = np.asarray(params.floatValue, np.float32)
    if flat.size != count:
        raise NetFormatError(f"weights have {flat.size} numbers, expected {count} for the shape {shape}")
    return np.asarray(flat.reshape(shape), np.float32)


def _dequantised(params: Message, shape: tuple[int, ...], count: int) -> Array:
    quantization = params.quantization
    bits = int(quantization.numberOfBits)
    if not 1 <= bits <= 8:
        raise NetFormatError(f"weights are quantised to {bits} bits, expected 1 to 8")
    numbers = unpack(params.rawValue, bits, count, order="big")
    if quantization.HasField("lookupTableQuantization"):
        table = np.asarray(quantization.lookupTableQuantization.floatValue, np.float32)
        if table.size != 2**bits:
            raise NetFormatError(f"a table for {bits} bits has {table.size} values, expected {2**bits}")
        return np.asarray(table[numbers])
    linear = quantization.linearQuantization
    scale, bias = np.asarray(linear.scale, np.float32), np.asarray(linear.bias, np.float32)
    if scale.size not in (1, shape[0] if shape else 1) or bias.size not in (0, scale.size):
        raise NetFormatError(f"a linear quantisation of {shape} has {scale.size} scales and {bias.size} offsets")
    rows = numbers.reshape(scale.size, -1).astype(np.float32)
    return np.asarray(rows * scale[:, None] + (bias[:, None] if bias.size else np.float32(0))).reshape(-1)
