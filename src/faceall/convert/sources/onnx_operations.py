"""The operations of ONNX files that faceall wrote: a table operation -> function(reader, node, attributes)."""

from __future__ import annotations

from typing import Any

import numpy as np

from faceall.caffe.net import Layer
from faceall.caffe.schema import PARAMETER_FIELDS
from faceall.convert.sources.onnx_graph import CannotReadNodeError, GraphReader, ReadNode
from faceall.protobuf import Message


def _window(options: dict[str, Any], *, several: bool) -> dict[str, Any]:
    """Return kernel, stride and pad as Caffe's options; those of a convolution are lists."""
    pads = options.get("pads", [0, 0, 0, 0])
    if pads[:2] != pads[2:]:
        raise CannotReadNodeError(f": its border {pads[:8]} is uneven")
    found: dict[str, Any] = {}
    rows = {"kernel": options["kernel_shape"], "stride": options.get("strides", [1, 1]), "pad": pads[:2]}
    for name, (row, column) in rows.items():
        if row == column:
            found["kernel_size" if name == "kernel" else name] = [row] if several else row
        else:
            found |= {f"{name}_h": row, f"{name}_w": column}
    return found


def _convolution(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
    kernel, *bias = (reader.constant(value) for value in node.input[1:])
    settings = {"num_output": kernel.shape[0], "bias_term": bool(bias), **_window(options, several=True)}
    if options.get("dilations", [1, 1]) != [1, 1]:
        settings["dilation"] = options["dilations"]
    if options.get("group", 1) != 1:
        settings["group"] = options["group"]
    reader.add(node, "Convolution", [reader.blob(node.input[0])], settings, kernel, *bias)


def _batch_norm(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
    gamma, beta, mean, variance = (reader.constant(value) for value in node.input[1:5])
    settings = {"use_global_stats": True, "eps": options.get("epsilon", 1e-5)}
    bottoms = [reader.blob(node.input[0])]
    blob = reader.add(node, "BatchNorm", bottoms, settings, mean, variance, np.ones(1, np.float32))
    if np.any(gamma != 1) or np.any(beta != 0):
        reader.add(node, "Scale", [blob], {"bias_term": True}, gamma, beta, suffix="_Scale")


def _arithmetic(power: str, operation: str) -> ReadNode:
    """Make the reader of Mul or Add: with one value, with one per channel, or of two blobs."""

    def read(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
        first, second = node.input
        if first in reader.sizes:  # the end of a cut: a shape and an offset
            reader.sizes[node.output[0]] = reader.sizes[first]
            return
        if second not in reader.constants:
            bottoms = [reader.blob(first), reader.blob(second)]
            reader.add(node, "Eltwise", bottoms, {"operation": operation})
            return
        value = reader.constants[second]
        if value.size == 1:
            reader.add(node, "Power", [reader.blob(first)], {power: float(value.reshape(()))})
        elif value.size != value.shape[0]:
            raise CannotReadNodeError(f": a constant of shape {value.shape}")
        elif power == "scale":
            reader.add(node, "Scale", [reader.blob(first)], {"bias_term": False}, value.reshape(-1))
        else:
            ones = np.ones(value.size, np.float32)
            reader.add(node, "Scale", [reader.blob(first)], {"bias_term": True}, ones, value.reshape(-1))

    return read


def _power(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
    exponent = float(reader.constant(node.input[1]).reshape(()))
    reader.add(node, "Power", [reader.blob(node.input[0])], {"power": exponent})


def _simple(kind: str, **renamed: str) -> ReadNode:
    """Return a layer with one bottom; `renamed` says which option of Caffe's has which attribute."""

    def read(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
        settings = {name: options[attribute] for name, attribute in renamed.items() if attribute in options}
        reader.add(node, kind, [reader.blob(node.input[0])], settings)

    return read


def _prelu(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
    slope = reader.constant(node.input[1]).reshape(-1)
    reader.add(node, "PReLU", [reader.blob(node.input[0])], {"channel_shared": True} if slope.size == 1 else {}, slope)


def _pool(kind: str, *, whole: bool = False) -> ReadNode:
    def read(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
        settings: dict[str, Any] = {"pool": kind}
        if whole:
            settings["global_pooling"] = True
        else:
            settings |= _window(options, several=False)
            settings |= {} if options.get("ceil_mode") else {"round_mode": "FLOOR"}
        reader.add(node, "Pooling", [reader.blob(node.input[0])], settings)

    return read


def _mat_mul(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
    matrix = reader.constant(node.input[1])
    settings = {"num_output": matrix.shape[1], "bias_term": False}
    reader.add(node, "InnerProduct", [reader.blob(node.input[0])], settings, matrix.T)


def _reshape(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
    shape = [int(size) for size in reader.constant(node.input[1])]
    bottoms = [reader.blob(node.input[0])]
    if shape[-1] == -1 and not any(shape[:-1]):
        reader.add(node, "Flatten", bottoms, {"axis": len(shape) - 1})
    else:
        reader.add(node, "Reshape", bottoms, {"shape": {"dim": shape}})


def _concat(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
    reader.add(node, "Concat", [reader.blob(value) for value in node.input], {"axis": options["axis"]})


def _larger(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
    reader.add(node, "Eltwise", [reader.blob(value) for value in node.input], {"operation": "MAX"})


def _same(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
    reader.blobs[node.output[0]] = reader.blob(node.input[0])


def _shape(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
    reader.sizes[node.output[0]] = reader.blob(node.input[0])


def _gather(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
    if node.input[0] not in reader.sizes:
        raise CannotReadNodeError
    reader.sizes[node.output[0]] = reader.sizes[node.input[0]]


def _slice(reader: GraphReader, node: Message, options: dict[str, Any]) -> None:
    """Return a cut to another blob's size, or one of several parts along an axis."""
    source, starts, ends, axes = node.input[:4]
    first = int(reader.constant(axes)[0])
    if ends in reader.sizes:
        offsets = [int(number) for number in reader.constant(starts)]
        reader.add(node, "Crop", [reader.blob(source), reader.sizes[ends]], {"axis": first, "offset": offsets})
        return
    parts = [
        other
        for other in reader.graph.node
        if other.op_type == "Slice" and other.input[0] == source and list(reader.constant(other.input[3])) == [first]
    ]
    if parts[0] is not node and parts[0].name != node.name:
        return  # written with the first part
    tops = tuple(part.name for part in parts)
    points = [int(reader.constant(part.input[1])[0]) for part in parts[1:]]
    settings = {PARAMETER_FIELDS["Slice"]: {"axis": first, "slice_point": points}}
    reader.layers[node.name] = Layer(node.name, "Slice", (reader.blob(source),), tops, settings)
    read = {value for other in reader.graph.node for value in other.input}
    for part in parts:
        reader.blobs[part.output[0]] = part.name
        if part.output[0] not in read:
            name = f"{part.name}_rest"
            reader.layers[name] = Layer(name, "Silence", (part.name,), ())


NODES: dict[str, ReadNode] = {
    "Add": _arithmetic("shift", "SUM"),
    "AveragePool": _pool("AVE"),
    "BatchNormalization": _batch_norm,
    "Concat": _concat,
    "Conv": _convolution,
    "Gather": _gather,
    "GlobalAveragePool": _pool("AVE", whole=True),
    "GlobalMaxPool": _pool("MAX", whole=True),
    "Identity": _same,
    "LeakyRelu": _simple("ReLU", negative_slope="alpha"),
    "MatMul": _mat_mul,
    "Max": _larger,
    "MaxPool": _pool("MAX"),
    "Mul": _arithmetic("scale", "PROD"),
    "PRelu": _prelu,
    "Pow": _power,
    "Relu": _simple("ReLU"),
    "Reshape": _reshape,
    "Shape": _shape,
    "Sigmoid": _simple("Sigmoid"),
    "Slice": _slice,
    "Softmax": _simple("Softmax", axis="axis"),
    "Transpose": _simple("Permute", order="perm"),
}
"""ONNX operation -> its reader; those of `Normalize`, clipped pools and 8 bits are missing."""
