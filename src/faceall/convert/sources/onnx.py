"""Read ONNX files that faceall wrote: a table operation -> function(reader, node)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from google.protobuf.message import DecodeError

from faceall.caffe.net import Layer, Net, input_layer, weight_keys
from faceall.caffe.onnx_schema import FLOAT, INT64, messages
from faceall.caffe.prototxt import message_of
from faceall.caffe.schema import PARAMETER_FIELDS
from faceall.convert.sources.openvino import open_openvino
from faceall.convert.sources.source import MANIFEST_KEY, Source, digests, read_note
from faceall.convert.sources.tensorflow.tensor_bundle import read_bytes
from faceall.errors import ModelError, NetError, NetFormatError, UnsupportedGraphError
from faceall.models import Manifest
from faceall.protobuf import Message, MessageClass, build_messages
from faceall.types import Array

_PRODUCER = b"\x12\x07faceall"
"""The field of ONNX's ModelProto with the name of the program that wrote a file."""

FREE_SIZE = 160
"""The height and width of an input whose size the file leaves free."""

_METADATA = {
    "Entry": """
        optional string key = 1
        optional string value = 2""",
    "ModelMetadata": "repeated Entry metadata_props = 14",
}
"""The fields of ONNX's ModelProto that `to_onnx` does not write."""

_DAMAGE = (KeyError, IndexError, ValueError, TypeError, OverflowError)


class _CannotReadNodeError(Exception):
    """One node has no counterpart; the message says why."""


def open_onnx(path: Path) -> Source:
    """Read the net in an ONNX file: one that faceall wrote directly, any other through OpenVINO.

    Raises
    ------
    NetFormatError
        If it is damaged.
    UnsupportedGraphError
        The message lists every node without a counterpart.
    """
    data = read_bytes(path)
    if _PRODUCER not in data[:64]:
        return open_openvino(path, "onnx")
    try:
        source = Source("onnx", path, path.stem, net=_own_net(path, data), files_sha256=digests([path]))
    except UnsupportedGraphError:  # a Normalize or a pool that rounds up, which are several nodes in ONNX
        source = open_openvino(path, "onnx")
    try:
        return replace(source, manifest=_manifest(data, source.net))
    except (ModelError, DecodeError, *_DAMAGE) as error:
        raise NetFormatError(f"{path}: its metadata '{MANIFEST_KEY}' is damaged: {str(error)[:160]}") from error


def _own_net(path: Path, data: bytes) -> Net:
    """Read the net of a file that faceall wrote."""
    try:
        model = messages()["ModelProto"].FromString(data)
        if not model.graph.node:
            raise NetFormatError("it holds no net")
        net = _Reader(model.graph).net()
        message_of(net)  # refuses options that are of another type than Caffe's
    except UnsupportedGraphError as error:
        raise UnsupportedGraphError(f"{path}: {error}") from error
    except (DecodeError, NetError, *_DAMAGE) as error:
        raise NetFormatError(f"{path}: the ONNX file is damaged: {str(error).splitlines()[0][:160]}") from error
    return net


@cache
def _metadata() -> dict[str, MessageClass]:
    return build_messages("faceall.onnx_metadata", _METADATA)


def _manifest(data: bytes, net: Net | None) -> Manifest | None:
    """Return the manifest in a file's metadata; None if there is none.

    Raises
    ------
    ModelError
        If it is not this net's.
    """
    for entry in _metadata()["ModelMetadata"].FromString(data).metadata_props:
        if entry.key == MANIFEST_KEY:
            manifest = read_note(entry.value)
            if net is None or manifest.input_blob not in net.inputs or manifest.output_blob not in net.outputs:
                raise ModelError(f"it is for a net from '{manifest.input_blob}' to '{manifest.output_blob}'")
            return manifest
    return None


class _Reader:
    """A net under construction, and the blob of each value of the graph."""

    def __init__(self, graph: Message) -> None:
        self.graph = graph
        self.constants = {item.name: _array(item) for item in graph.initializer}
        self.blobs: dict[str, str] = {}
        self.sizes: dict[str, str] = {}
        """A value that is a blob's shape, or computed from it -> the blob."""
        self.layers: dict[str, Layer] = {}
        self.weights: dict[str, list[Array]] = {}

    def net(self) -> Net:
        """Return the whole net; its results have the names that the file gives them."""
        for item in self.graph.input:
            sizes = [dim.dim_value or FREE_SIZE for dim in item.type.tensor_type.shape.dim]
            self.layers[item.name] = input_layer(item.name, (1, *sizes[1:]))
            self.blobs[item.name] = item.name
        problems = [problem for node in self.graph.node if (problem := self._read(node))]
        if problems:
            raise UnsupportedGraphError(f"{len(problems)} operations have no counterpart: {', '.join(problems)}")
        results = {self.blobs[item.name]: item.name for item in self.graph.output}
        return self._named(results)

    def _read(self, node: Message) -> str:
        """Write one node's layer; return the reason if that is not possible."""
        try:
            if node.op_type not in NODES:
                raise _CannotReadNodeError
            NODES[node.op_type](self, node, {item.name: _option(item) for item in node.attribute})
        except _CannotReadNodeError as error:
            self.blobs |= dict.fromkeys(node.output, "?")
            return f"'{node.name}' ({node.op_type}{error})"
        return ""

    def blob(self, value: str) -> str:
        return self.blobs[value]

    def constant(self, value: str) -> Array:
        if value not in self.constants:
            raise _CannotReadNodeError(": an operand is not a constant")
        return self.constants[value]

    def add(
        self, node: Message, kind: str, bottoms: Sequence[str], options: dict[str, Any], *blobs: Array, suffix: str = ""
    ) -> str:
        """Append a layer that writes the node's first output; its blob has the layer's name."""
        name = f"{node.name}{suffix}"
        parameters = {PARAMETER_FIELDS[kind]: options} if options else {}
        self.layers[name] = Layer(name, kind, tuple(bottoms), (name,), parameters)
        self.weights[name] = list(blobs)
        self.blobs[node.output[0]] = name
        return name

    def _named(self, results: dict[str, str]) -> Net:
        def renamed(blobs: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(results.get(blob, blob) for blob in blobs)

        weights: dict[str, Any] = {}
        layers = []
        for layer in self.layers.values():
            name = results.get(layer.name, layer.name)
            layers.append(replace(layer, name=name, bottoms=renamed(layer.bottoms), tops=renamed(layer.tops)))
            weights |= weight_keys(name, self.weights.get(layer.name, []))
        return Net(self.graph.name or "net", tuple(layers), weights)


Read: TypeAlias = Callable[[_Reader, Message, dict[str, Any]], None]


def _array(item: Message) -> Array:
    kinds = {FLOAT: "<f4", INT64: "<i8"}
    if item.data_type not in kinds:
        return np.zeros(0, np.float32)
    return np.frombuffer(item.raw_data, kinds[item.data_type]).reshape(tuple(item.dims))


def _option(item: Message) -> Any:
    if item.ints:
        return list(item.ints)
    return item.f if item.HasField("f") else item.i


def _window(options: dict[str, Any], *, several: bool) -> dict[str, Any]:
    """Return kernel, stride and pad as Caffe's options; those of a convolution are lists."""
    pads = options.get("pads", [0, 0, 0, 0])
    if pads[:2] != pads[2:]:
        raise _CannotReadNodeError(f": its border {pads[:8]} is uneven")
    found: dict[str, Any] = {}
    rows = {"kernel": options["kernel_shape"], "stride": options.get("strides", [1, 1]), "pad": pads[:2]}
    for name, (row, column) in rows.items():
        if row == column:
            found["kernel_size" if name == "kernel" else name] = [row] if several else row
        else:
            found |= {f"{name}_h": row, f"{name}_w": column}
    return found


def _convolution(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
    kernel, *bias = (reader.constant(value) for value in node.input[1:])
    settings = {"num_output": kernel.shape[0], "bias_term": bool(bias), **_window(options, several=True)}
    if options.get("dilations", [1, 1]) != [1, 1]:
        settings["dilation"] = options["dilations"]
    if options.get("group", 1) != 1:
        settings["group"] = options["group"]
    reader.add(node, "Convolution", [reader.blob(node.input[0])], settings, kernel, *bias)


def _batch_norm(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
    gamma, beta, mean, variance = (reader.constant(value) for value in node.input[1:5])
    settings = {"use_global_stats": True, "eps": options.get("epsilon", 1e-5)}
    bottoms = [reader.blob(node.input[0])]
    blob = reader.add(node, "BatchNorm", bottoms, settings, mean, variance, np.ones(1, np.float32))
    if np.any(gamma != 1) or np.any(beta != 0):
        reader.add(node, "Scale", [blob], {"bias_term": True}, gamma, beta, suffix="_Scale")


def _arithmetic(power: str, operation: str) -> Read:
    """Make the reader of Mul or Add: with one value, with one per channel, or of two blobs."""

    def read(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
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
            raise _CannotReadNodeError(f": a constant of shape {value.shape}")
        elif power == "scale":
            reader.add(node, "Scale", [reader.blob(first)], {"bias_term": False}, value.reshape(-1))
        else:
            ones = np.ones(value.size, np.float32)
            reader.add(node, "Scale", [reader.blob(first)], {"bias_term": True}, ones, value.reshape(-1))

    return read


def _power(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
    exponent = float(reader.constant(node.input[1]).reshape(()))
    reader.add(node, "Power", [reader.blob(node.input[0])], {"power": exponent})


def _simple(kind: str, **renamed: str) -> Read:
    """Return a layer with one bottom; `renamed` says which option of Caffe's has which attribute."""

    def read(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
        settings = {name: options[attribute] for name, attribute in renamed.items() if attribute in options}
        reader.add(node, kind, [reader.blob(node.input[0])], settings)

    return read


def _prelu(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
    slope = reader.constant(node.input[1]).reshape(-1)
    reader.add(node, "PReLU", [reader.blob(node.input[0])], {"channel_shared": True} if slope.size == 1 else {}, slope)


def _pool(kind: str, *, whole: bool = False) -> Read:
    def read(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
        settings: dict[str, Any] = {"pool": kind}
        if whole:
            settings["global_pooling"] = True
        else:
            settings |= _window(options, several=False)
            settings |= {} if options.get("ceil_mode") else {"round_mode": "FLOOR"}
        reader.add(node, "Pooling", [reader.blob(node.input[0])], settings)

    return read


def _mat_mul(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
    matrix = reader.constant(node.input[1])
    settings = {"num_output": matrix.shape[1], "bias_term": False}
    reader.add(node, "InnerProduct", [reader.blob(node.input[0])], settings, matrix.T)


def _reshape(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
    shape = [int(size) for size in reader.constant(node.input[1])]
    bottoms = [reader.blob(node.input[0])]
    if shape[-1] == -1 and not any(shape[:-1]):
        reader.add(node, "Flatten", bottoms, {"axis": len(shape) - 1})
    else:
        reader.add(node, "Reshape", bottoms, {"shape": {"dim": shape}})


def _concat(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
    reader.add(node, "Concat", [reader.blob(value) for value in node.input], {"axis": options["axis"]})


def _larger(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
    reader.add(node, "Eltwise", [reader.blob(value) for value in node.input], {"operation": "MAX"})


def _same(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
    reader.blobs[node.output[0]] = reader.blob(node.input[0])


def _shape(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
    reader.sizes[node.output[0]] = reader.blob(node.input[0])


def _gather(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
    if node.input[0] not in reader.sizes:
        raise _CannotReadNodeError
    reader.sizes[node.output[0]] = reader.sizes[node.input[0]]


def _slice(reader: _Reader, node: Message, options: dict[str, Any]) -> None:
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


NODES: dict[str, Read] = {
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
