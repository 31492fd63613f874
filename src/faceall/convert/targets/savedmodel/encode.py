"""Encode nodes as TensorFlow's messages; types of operations are derived from their operands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from faceall.convert.sources.tensorflow.schema import messages as saved_messages
from faceall.convert.tensorflow.graph import Node, split_tensor
from faceall.convert.tensorflow.schema import BOOL, NUMPY_TYPES, messages
from faceall.protobuf import Message
from faceall.types import Array

FLOAT, DOUBLE, INT32, UINT8, TEXT, VARIANT = 1, 2, 3, 4, 7, 21
"""The numbers of data types, besides BOOL."""

_PRODUCER, _OLDEST = 440, 12
"""The written graph version (TensorFlow 2.3), and the oldest that a reader has to support."""

_NUMBERS = {np.dtype(kind): number for number, kind in NUMPY_TYPES.items()}

_TYPED: Mapping[str, Mapping[str, int]] = {
    "Cast": {"SrcT": 0},
    "ConcatV2": {"T": 0, "Tidx": -1},
    "Const": {},
    "DecodeJpeg": {},
    "ExpandDims": {"T": 0, "Tdim": 1},
    "GatherV2": {"Tparams": 0, "Tindices": 1, "Taxis": 2},
    "Max": {"T": 0, "Tidx": 1},
    "Mean": {"T": 0, "Tidx": 1},
    "Pad": {"T": 0, "Tpaddings": 1},
    "Placeholder": {},
    "PlaceholderWithDefault": {"dtype": 0},
    "Prod": {"T": 0, "Tidx": 1},
    "Reshape": {"T": 0, "Tshape": 1},
    "ReverseV2": {"T": 0, "Tidx": 1},
    "Slice": {"T": 0, "Index": 1},
    "StatelessWhile": {},
    "StridedSlice": {"T": 0, "Index": 1},
    "Sum": {"T": 0, "Tidx": 1},
    "TensorListReserve": {"shape_type": 0},
    "TensorListSetItem": {},
    "TensorListStack": {},
    "Transpose": {"T": 0, "Tperm": 1},
}
"""Operation -> its type attributes, and the operand that each is the type of; all others have T, that of the first."""

_MADE: Mapping[str, int | str] = {
    "Cast": "DstT",
    "DecodeJpeg": UINT8,
    "Less": BOOL,
    "Placeholder": "dtype",
    "ResizeArea": FLOAT,
    "ResizeBilinear": FLOAT,
    "Shape": "out_type",
    "TensorListReserve": VARIANT,
    "TensorListStack": "element_dtype",
}
"""Operation -> the type of its result, or the attribute with it; all others: that of their first operand."""

_TYPE_NAMES = frozenset({"dtype", "T", "DstT", "out_type", "element_dtype"})
_COUNTED = {"ConcatV2": 1, "Pack": 0}
"""Operations with a list of operands -> how many operands do not belong to it."""

_OUTPUT_NAMES = {
    "AddV2": "z", "Cast": "y", "Const": "output", "DecodeJpeg": "image", "ExpandDims": "output", "GatherV2": "output",
    "Floor": "y", "Less": "z", "Minimum": "z", "Reshape": "output", "ResizeArea": "resized_images",
    "ResizeBilinear": "resized_images", "Shape": "output", "StridedSlice": "output",
    "TensorListSetItem": "output_handle",
}  # fmt: skip
"""Operation -> the name of its result in a function."""


def graph_bytes(nodes: Iterable[Node], functions: Iterable[Message] = ()) -> bytes:
    """Return a binary GraphDef of `nodes` in order of execution, with a library of `functions`."""
    graph = messages()["GraphDef"]()
    graph.versions.producer, graph.versions.min_consumer = _PRODUCER, _OLDEST
    types: dict[str, int] = {}
    for node in nodes:
        graph.node.append(_node(node, types))
    library = saved_messages()["FunctionDefLibrary"](function=list(functions))
    graph.library = library.SerializeToString()
    return bytes(graph.SerializeToString())


def function(name: str, arguments: Mapping[str, int], nodes: Iterable[Node], results: Mapping[str, str]) -> Message:
    """Return a function: its typed arguments, its nodes, and its results with their tensors."""
    made = saved_messages()["FunctionDef"]()
    made.signature.name = name
    types = dict(arguments)
    kinds: dict[str, str] = {}
    for argument, kind in arguments.items():
        made.signature.input_arg.add(name=argument, type=kind)
    for node in nodes:
        kinds[node.name] = node.op
        message = _node(node, types)
        message.input[:] = [_inside(tensor, kinds) for tensor in node.inputs]
        made.node_def.append(message.SerializeToString())
    for result, tensor in results.items():
        made.signature.output_arg.add(name=result, type=types[tensor])
        made.ret[result] = _inside(tensor, kinds)
    return made


def _inside(tensor: str, kinds: Mapping[str, str]) -> str:
    """Return a tensor's name in a function: an argument's name, or a node's and its result's name."""
    return f"{tensor}:{_OUTPUT_NAMES[kinds[tensor]]}:0" if tensor in kinds else tensor


def _node(node: Node, types: dict[str, int]) -> Message:
    """Return one node; the type of its result is added to `types`."""
    message = messages()["NodeDef"](name=node.name, op=node.op, input=list(node.inputs))
    attributes = dict(node.attrs)
    if node.op == "Const":
        types[node.name] = attributes["dtype"] = _NUMBERS[np.asarray(node.attrs["value"]).dtype.newbyteorder("=")]
    for name, number in _TYPED.get(node.op, {"T": 0}).items():
        attributes[name] = types[node.inputs[number]]
        message.attr[name].type = attributes[name]
    if node.op in _COUNTED:
        message.attr["N"].i = len(node.inputs) - _COUNTED[node.op]
    for name, value in attributes.items():
        if name not in _TYPED.get(node.op, {"T": 0}):
            _fill(message.attr[name], name, value)
    if node.op == "StatelessWhile":
        types |= {f"{node.name}:{place}": kind for place, kind in enumerate(attributes["T"])}
    elif node.op != "Const":
        kind = _MADE.get(node.op)
        made = attributes[kind] if isinstance(kind, str) else kind
        types[node.name] = types[node.inputs[0]] if made is None else made
    return message


def _fill(attribute: Message, name: str, value: Any) -> None:
    """Store a plain value in an attribute; the name distinguishes a type from a number."""
    if isinstance(value, np.ndarray):
        attribute.tensor.CopyFrom(_tensor(value))
    elif isinstance(value, bool):
        attribute.b = value
    elif isinstance(value, int):
        setattr(attribute, "type" if name in _TYPE_NAMES else "i", value)
    elif isinstance(value, float):
        attribute.f = value
    elif isinstance(value, bytes):
        attribute.s = value
    elif isinstance(value, str):
        attribute.func.name = value
    elif name == "shape":
        fill_shape(attribute.shape, value)
    else:
        attribute.list.SetInParent()
        numbers = attribute.list.type if name in _TYPE_NAMES else attribute.list.i
        numbers.extend(value)


def fill_shape(message: Message, shape: Iterable[int]) -> None:
    """Store a shape, -1 for a free size, in a TensorShapeProto."""
    message.SetInParent()
    for size in shape:
        message.dim.add(size=size)


def _tensor(array: Array) -> Message:
    message = messages()["TensorProto"](dtype=_NUMBERS[array.dtype.newbyteorder("=")])
    fill_shape(message.tensor_shape, array.shape)
    message.tensor_content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return message


def tensor_number(tensor: str) -> str:
    """Return a tensor's name with the number of its node's result: "a" -> "a:0"."""
    name, number = split_tensor(tensor)
    return f"{name}:{number}"
