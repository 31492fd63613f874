"""Read a frozen TensorFlow graph (a binary GraphDef, `.pb`) without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from faceall.arguments import checked
from faceall.convert.budget import allowed_bytes, charge, limited, require_few_fields
from faceall.convert.tensorflow.contracts import check_contract
from faceall.convert.tensorflow.graph import Graph, Node, node_of
from faceall.convert.tensorflow.schema import NUMPY_TYPES, VALUE_FIELDS, messages
from faceall.errors import NetFormatError
from faceall.protobuf import Message
from faceall.types import Array

_WANTED = "expected a frozen TensorFlow graph (.pb)"
_MOST_AXES = 32
_MOST_NODES = 200_000
_MOST_NUMBERS = 1 << 26
"""Values of a constant that repeats one value; the largest layers of face nets have 50 million."""
_MOST_LISTED = 1 << 25
"""Values of a constant that are written one by one."""
_NESTED: Any = {1: {5: {2: {}}}}  # node -> attr -> its value
_SINGLE_ATTRIBUTES = ("s", "i", "f", "b", "type", "placeholder")


@checked
def read_graph(source: str | Path) -> Graph:
    """Read every node of the frozen graph in file `source`; its boundary is still open.

    Raises
    ------
    NetFormatError
        If it is missing, damaged or of another format.
    """
    path = Path(source)
    if path.is_dir():
        raise NetFormatError(f"{path}: {_WANTED}, this is a folder; a SavedModel has to be frozen first")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NetFormatError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        with limited(allowed_bytes(len(data))):
            return parse_graph(data)
    except NetFormatError as error:
        raise NetFormatError(f"{path}: {error}") from error


def parse_graph(data: bytes) -> Graph:
    """Return the graph in the bytes of a binary GraphDef.

    Raises
    ------
    NetFormatError
        If they are not a GraphDef.
    """
    _refuse_other_formats(data)
    try:
        require_few_fields(data, _NESTED)
        message = messages()["GraphDef"].FromString(data)
        _refuse_many(len(message.node))
        nodes = [_node(item) for item in message.node]
    except DecodeError as error:
        raise NetFormatError(f"{_WANTED}, the bytes are damaged or of another format") from error
    except UnicodeDecodeError as error:
        raise NetFormatError(f"{_WANTED}, a name in it is not text: damaged") from error
    if not nodes:
        raise NetFormatError(f"{_WANTED}, it holds no nodes (a SavedModel or checkpoint has to be frozen first)")
    graph = Graph({node.name: node for node in nodes})
    if len(graph.nodes) != len(nodes):
        raise NetFormatError("damaged: two nodes have the same name")
    _refuse_dangling(graph)
    for node in nodes:
        check_contract(node)
    return graph


def _refuse_other_formats(data: bytes) -> None:
    if not data:
        raise NetFormatError(f"{_WANTED}, the file is empty")
    if data.startswith(b"PK\x03\x04"):
        raise NetFormatError(f"{_WANTED}, this is a zip archive; unpack it and give the .pb inside")
    if data.startswith(b"\x89HDF"):
        raise NetFormatError(f"{_WANTED}, this is a Keras or HDF5 file")
    if data[:4096].lstrip().startswith((b"node {", b"node{")):
        raise NetFormatError(f"{_WANTED}, this is a graph in text form; save it in binary form")


def _refuse_many(nodes: int) -> None:
    if nodes > _MOST_NODES:
        raise NetFormatError(f"it has {nodes:,} nodes, at most {_MOST_NODES:,} are read")


def _refuse_dangling(graph: Graph) -> None:
    for node in graph.nodes.values():
        for other in (*(node_of(tensor) for tensor in node.inputs), *node.controls):
            if other not in graph.nodes:
                raise NetFormatError(f"damaged or cut short: node '{node.name}' reads '{other}', which is absent")


def _node(item: Message) -> Node:
    if not item.name or not item.op:
        raise NetFormatError(f"{_WANTED}, a node has no name or no operation: damaged or of another format")
    if any(isinstance(text, bytes) for text in (item.name, item.op, *item.input, *item.attr)):
        raise NetFormatError(f"{_WANTED}, a name in it is not text: damaged")
    charge(parts=1 + len(item.input) + 2 * len(item.attr))
    inputs = tuple(_tensor_name(text) for text in item.input if not text.startswith("^"))
    controls = tuple(text[1:] for text in item.input if text.startswith("^"))
    try:
        attributes = {name: _attribute(value) for name, value in item.attr.items()}
    except NetFormatError as error:
        raise NetFormatError(f"node '{item.name}' ({item.op}): {error}") from error
    return Node(item.name, item.op, inputs, controls, attributes)


def _tensor_name(text: str) -> str:
    return text.removesuffix(":0")


def _attribute(value: Message) -> Any:
    for name in _SINGLE_ATTRIBUTES:
        if value.HasField(name):
            return getattr(value, name)
    if value.HasField("shape"):
        return _shape(value.shape)
    if value.HasField("tensor"):
        return tensor_value(value.tensor)
    if value.HasField("func"):
        return value.func.name
    return _list(value.list)


def _list(value: Message) -> tuple[Any, ...]:
    for name in ("s", "i", "f", "b", "type"):
        if count := len(getattr(value, name)):
            charge(parts=count)
            return tuple(getattr(value, name))
    charge(parts=len(value.shape) + len(value.func) + len(value.tensor))
    if value.shape:
        return tuple(_shape(shape) for shape in value.shape)
    if value.func:
        return tuple(function.name for function in value.func)
    return tuple(tensor_value(tensor) for tensor in value.tensor)


def _shape(value: Message) -> tuple[int, ...] | None:
    charge(parts=len(value.dim))
    return None if value.unknown_rank else tuple(dim.size for dim in value.dim)


def tensor_value(value: Message) -> Array:
    """Return the array in a TensorProto, from its raw bytes or its value list; a short list repeats its last number.

    Raises
    ------
    NetFormatError
        If its size and its shape do not agree, or its type is unknown.
    """
    shape = _shape(value.tensor_shape)
    if shape is not None and len(shape) > _MOST_AXES:
        raise NetFormatError(f"a constant has {len(shape)} axes, a net's have at most {_MOST_AXES}: damaged")
    if shape is None or min(shape, default=0) < 0:
        raise NetFormatError(f"a constant has the shape {shape}: damaged")
    if value.dtype not in NUMPY_TYPES:
        raise NetFormatError(f"a constant has TensorFlow's data type number {value.dtype}, which faceall does not read")
    dtype = np.dtype(NUMPY_TYPES[value.dtype])
    count = 1
    for size in shape:
        count *= size
    if value.tensor_content and dtype.kind != "O":
        raw = value.tensor_content
        if len(raw) != count * dtype.itemsize:
            raise NetFormatError(f"a constant of shape {shape} holds {len(raw)} bytes, not {count * dtype.itemsize}")
        return np.frombuffer(raw, dtype.newbyteorder("<")).reshape(shape)
    if count > _MOST_NUMBERS:
        raise NetFormatError(f"a constant of shape {shape} declares {count:,} numbers and does not hold them: damaged")
    return _listed(getattr(value, VALUE_FIELDS[value.dtype]), dtype, shape, count)


def _listed(numbers: Any, dtype: np.dtype[Any], shape: tuple[int, ...], count: int) -> Array:
    if len(numbers) > _MOST_LISTED:
        raise NetFormatError(f"a constant lists {len(numbers):,} numbers, at most {_MOST_LISTED:,} are read")
    charge(size=len(numbers) * max(dtype.itemsize, 8), parts=len(numbers) // 64)
    if dtype == np.float16:
        array = np.array(numbers, np.uint16).view(np.float16)
    elif dtype.kind == "O":
        array = np.array([*numbers, None], dtype)[:-1]  # the extra entry keeps NumPy from guessing a type
    else:
        try:
            array = np.array(numbers).astype(dtype)
        except (ValueError, OverflowError) as error:
            raise NetFormatError(f"a constant holds numbers that do not fit its type {dtype}") from error
    if len(array) == count:
        return array.reshape(shape)
    if len(array) > count:
        raise NetFormatError(f"a constant of shape {shape} holds {len(array)} numbers: damaged")
    return _repeated(array, dtype, shape, count)


def _repeated(array: Array, dtype: np.dtype[Any], shape: tuple[int, ...], count: int) -> Array:
    """Repeat the last value, as TensorFlow omits equal values at the end, and a single zero."""
    last = array[-1] if len(array) else dtype.type(0)
    if len(array) <= 1:
        try:
            return np.broadcast_to(np.asarray(last, dtype), shape)
        except ValueError as error:
            raise NetFormatError(f"a constant has the shape {shape}: damaged") from error
    charge(size=count * max(dtype.itemsize, 8))
    return np.concatenate([array, np.full(count - len(array), last, dtype)]).reshape(shape)


def attribute_text(attrs: Mapping[str, Any], name: str, default: str) -> str:
    """Return a text attribute, as "SAME", decoded."""
    value = attrs.get(name, default)
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
