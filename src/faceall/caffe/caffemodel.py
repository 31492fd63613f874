"""Caffe's binary format: layers with their weights."""

from __future__ import annotations

import numpy as np
from google.protobuf.message import DecodeError

from faceall.caffe.net import Net, weight_keys
from faceall.caffe.prototxt import check_names, message_of, net_of
from faceall.caffe.schema import messages
from faceall.errors import NetFormatError
from faceall.protobuf import Message
from faceall.types import Array, Float32Array

_MOST_AXES = 32  # Caffe's own limit
_DATA_TAG = b"\x2a"  # field 5 (data) as a length-delimited, packed run


def read_caffemodel(data: bytes) -> dict[str, Float32Array]:
    """Read the weights, "LAYER/NUMBER" -> array. Raises NetFormatError where the bytes are not a caffemodel."""
    message = _parse(data)
    weights: dict[str, Float32Array] = {}
    for item in [*message.layers, *message.layer]:
        weights |= weight_keys(item.name, [_array(item.name, blob) for blob in item.blobs])
    return weights


def read_caffemodel_net(data: bytes) -> Net:
    """Read the whole net, layers and weights, out of a caffemodel alone."""
    return net_of(_parse(data)).with_weights(read_caffemodel(data))


def write_caffemodel(net: Net) -> bytes:
    """The bytes of a caffemodel (V2) with the layers and the weights of `net`."""
    message = message_of(net)
    for item in message.layer:
        for array in net.blobs(item.name):
            _fill(item.blobs.add(), array)
    return bytes(message.SerializeToString(deterministic=True))


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
