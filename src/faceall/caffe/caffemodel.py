"""Caffe's binary format: layers with their weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from faceall.arguments import checked
from faceall.caffe.net import Net, weight_keys
from faceall.caffe.prototxt import check_names, message_of, net_of
from faceall.caffe.schema import messages
from faceall.errors import NetFormatError
from faceall.protobuf import Message
from faceall.types import Array, Float32Array

_MOST_AXES = 32  # Caffe's own limit
_HALF = 2
_RAW_TYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<f8"), 1: np.dtype("<f4"), _HALF: np.dtype("<f2")}
"""The numbers of a blob's raw types, as NVIDIA's Caffe and OpenCV have them."""
_DATA_TAG = b"\x2a"  # field 5 (data) as a length-delimited, packed run


@checked
def read_caffemodel(data: bytes) -> dict[str, Float32Array]:
    """Read the weights, "LAYER/NUMBER" -> array.

    Raises
    ------
    NetFormatError
        If the bytes are not a caffemodel.
    """
    message = _parse(data)
    weights: dict[str, Float32Array] = {}
    for item in [*message.layers, *message.layer]:
        weights |= weight_keys(item.name, [_array(item.name, blob) for blob in item.blobs])
    return weights


@checked
def read_caffemodel_net(data: bytes) -> Net:
    """Read the whole net, layers and weights, out of a caffemodel alone."""
    return net_of(_parse(data)).with_weights(read_caffemodel(data))


@checked
def write_caffemodel(net: Net, *, half: bool = False) -> bytes:
    """Return the bytes of a caffemodel (V2) with the layers and the weights of `net`.

    Parameters
    ----------
    half : bool
        Store the weights in 16 bits, in the fields that NVIDIA's Caffe has for it: half the size, read by faceall, by
        OpenCV 4 and by NVIDIA's Caffe, but not by Caffe 1.0, for which there is `half=False`.

    Raises
    ------
    NetFormatError
        If a weight is too large for 16 bits.
    """
    message = message_of(net)
    for item in message.layer:
        for array in net.blobs(item.name):
            blob = item.blobs.add()
            if half:
                _fill_half(blob, array, item.name)
            else:
                _fill(blob, array)
    return bytes(message.SerializeToString(deterministic=True))


@checked
def rounded_to_half(net: Net) -> Net:
    """Return the net with its weights rounded to 16 bits, as float32.

    Raises
    ------
    NetFormatError
        If a weight is too large for 16 bits.
    """
    return replace(
        net,
        weights={key: _half(array, key.rpartition("/")[0]).astype(np.float32) for key, array in net.weights.items()},
    )


def _parse(data: bytes) -> Message:
    try:
        message = messages()["NetParameter"].FromString(data)
    except DecodeError as error:
        raise NetFormatError("not a readable caffemodel: its bytes are damaged or of another format") from error
    if not message.layer and not message.layers:
        raise NetFormatError("not a readable caffemodel: it holds no layers")
    check_names(message)
    return message


def _array(layer: str, blob: Message) -> Float32Array:
    if blob.HasField("raw_data"):
        values = _raw(layer, blob)
    else:
        with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite
            values = np.array(blob.double_data if len(blob.double_data) else blob.data, dtype=np.float32)
    if blob.HasField("shape"):
        shape = tuple(blob.shape.dim)
    elif blob.HasField("num") or blob.HasField("channels") or blob.HasField("height") or blob.HasField("width"):
        shape = (blob.num, blob.channels, blob.height, blob.width)
    else:
        shape = values.shape
    if len(shape) > _MOST_AXES:
        raise NetFormatError(f"layer '{layer}': a blob has {len(shape)} axes, Caffe allows {_MOST_AXES}")
    count = int(np.prod(shape, dtype=np.int64)) if shape else 1
    if min(shape, default=1) < 0 or count != values.size:
        raise NetFormatError(f"layer '{layer}': a blob declares shape {shape} but holds {values.size} numbers")
    return values.reshape(shape)


def _raw(layer: str, blob: Message) -> Float32Array:
    """Decode values stored as raw bytes; 16-bit weights are stored so."""
    kind = _RAW_TYPES.get(blob.raw_data_type)
    if kind is None:
        raise NetFormatError(f"layer '{layer}': a blob holds raw numbers of type {blob.raw_data_type}, expected floats")
    if len(blob.raw_data) % kind.itemsize:
        raise NetFormatError(
            f"layer '{layer}': a blob holds {len(blob.raw_data)} bytes, no multiple of {kind.itemsize}"
        )
    with np.errstate(over="ignore"):
        return np.asarray(np.frombuffer(blob.raw_data, kind), np.float32)


def _half(array: Array, layer: str) -> Array:
    with np.errstate(over="ignore"):
        half = np.asarray(array, "<f2", order="C")
    if np.isinf(half).any() and not np.isinf(array).any():
        raise NetFormatError(f"layer '{layer}': a weight is {np.abs(array).max():.3g}, too large for 16 bits (65504)")
    return half


def _fill_half(blob: Message, array: Array, layer: str) -> None:
    blob.shape.SetInParent()
    blob.shape.dim.extend(array.shape)
    blob.raw_data_type = _HALF
    blob.raw_data = _half(array, layer).tobytes()


def _fill(blob: Message, array: Array) -> None:
    blob.shape.SetInParent()  # a single number has a shape too, one without axes
    blob.shape.dim.extend(array.shape)
    raw = np.asarray(array, "<f4", order="C").tobytes()
    blob.MergeFromString(_DATA_TAG + _varint(len(raw)) + raw)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
