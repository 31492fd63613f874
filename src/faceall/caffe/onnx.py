"""`Net` -> ONNX, in memory: what feeds onnxruntime, OpenVINO and OpenCV alike. One table row per layer type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from faceall.caffe.checks import wanted_outputs
from faceall.caffe.net import Layer, Net
from faceall.caffe.onnx_schema import (
    ATTRIBUTE_FLOAT,
    ATTRIBUTE_INT,
    ATTRIBUTE_INTS,
    ATTRIBUTE_STRING,
    FLOAT,
    INT8,
    INT64,
    UINT8,
    messages,
)
from faceall.caffe.shape_rules import axis_of, concat_axis, crop_offsets, groups, permutation, scale_axes, slice_bounds
from faceall.caffe.shapes import fit_weights, infer_shapes, window
from faceall.errors import NetFormatError
from faceall.protobuf import Message
from faceall.types import Array

OPSET = 13
_ELEMENTS = {"f": (FLOAT, "<f4"), "i8": (INT64, "<i8"), "i1": (INT8, "i1"), "u1": (UINT8, "u1")}
IR_VERSION = 8


class _Graph:
    """An ONNX graph under construction: nodes, constants, and which value stands for a Caffe blob right now."""

    def __init__(self, net: Net, ranges: Mapping[str, float]) -> None:
        self.net = fit_weights(net)
        self.ranges = ranges
        self.rounded: dict[str, str] = {}
        self.model = messages()["ModelProto"](ir_version=IR_VERSION, producer_name="faceall")
        self.model.opset_import.add(domain="", version=OPSET)
        self.message = self.model.graph
        self.message.name = net.name or "net"
        self.shapes = infer_shapes(net)
        self.values: dict[str, str] = {}
        self._count = 0

    def rank(self, blob: str) -> int:
        return len(self.shapes[blob])

    def node(self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Append a node with one output and return the name of that output."""
        self._count += 1
        output = output or f"{kind}:{self._count}"
        node = self.message.node.add(op_type=kind, name=f"{kind}_{self._count}", input=inputs, output=[output])
        for name, value in attributes.items():
            _set_attribute(node.attribute.add(name=name), value)
        return output

    def constant(self, array: Array) -> str:
        """Append a constant (float32, int64, int8 or uint8) and return its name."""
        self._count += 1
        kind, dtype = _ELEMENTS[array.dtype.str[1:] if array.dtype.kind in "iu" else "f"]
        values = np.ascontiguousarray(array, dtype)
        name = f"constant:{self._count}"
        initializer = self.message.initializer.add(name=name, data_type=kind, dims=values.shape)
        initializer.raw_data = values.tobytes()
        return name

    def integers(self, *numbers: int) -> str:
        return self.constant(np.array(numbers, np.int64))

    def scalar(self, number: float) -> str:
        return self.constant(np.array(number, np.float32))


Writer: TypeAlias = Callable[[_Graph, Layer, list[str]], list[str]]


def to_onnx(
    net: Net, outputs: Sequence[str] | None = None, *, fixed_size: bool | None = None, eight_bit: bool = False
) -> bytes:
    """The bytes of an ONNX model of `net`, for any batch size.

    outputs     the blobs that the model gives (default: those that no layer reads)
    fixed_size  whether height and width stay as the net declares them; by default they do where a layer
                (InnerProduct, Reshape) depends on them
    eight_bit   whether the layers of `net.ranges` are to be computed in 8 bits
    Raises UnsupportedLayerError, ShapeError and NetFormatError.
    """
    graph = _Graph(net, net.ranges if eight_bit else {})
    fixed = _depends_on_size(net) if fixed_size is None else fixed_size
    for blob, shape in net.inputs.items():
        _declare(graph.message.input.add(name=blob), _free(shape, fixed))
        graph.values[blob] = blob
    for layer in net.layers:
        if layer.type == "Input":
            continue
        bottoms = [graph.values[bottom] for bottom in layer.bottoms]
        graph.values.update(zip(layer.tops, WRITERS[layer.type](graph, layer, bottoms), strict=True))
    for blob in wanted_outputs(net, outputs):
        _give(graph, blob)
    return bytes(graph.model.SerializeToString())


def _depends_on_size(net: Net) -> bool:
    return any(
        layer.type in ("InnerProduct", "Reshape", "Flatten", "Slice") or _is_clipped(layer) for layer in net.layers
    )


def _is_clipped(layer: Layer) -> bool:
    """Whether this is a pooling whose last windows Caffe cuts in a way that not all engines share."""
    if layer.type != "Pooling" or layer.option("global_pooling") or layer.option("round_mode") == "FLOOR":
        return False
    frame = window(layer)
    return frame.padded or (layer.option("pool") == "AVE" and frame.stride != (1, 1))


def _free(shape: Sequence[int], fixed: bool) -> list[int | str]:
    """The shape with names for the axes that may differ from call to call."""
    names = {0: "batch"} if fixed else {0: "batch", 2: "height", 3: "width"}
    return [names.get(axis, size) for axis, size in enumerate(shape)]


def _declare(info: Message, shape: Sequence[int | str]) -> None:
    info.type.tensor_type.elem_type = FLOAT
    info.type.tensor_type.shape.SetInParent()
    for size in shape:
        name = "dim_param" if isinstance(size, str) else "dim_value"
        info.type.tensor_type.shape.dim.add(**{name: size})


def _give(graph: _Graph, blob: str) -> None:
    if blob in graph.net.inputs:
        raise NetFormatError(f"net '{graph.net.name}': the blob '{blob}' is an input and cannot be an output as well")
    graph.node("Identity", [graph.values[blob]], blob)
    shape = [f"{blob}:{axis}" for axis in range(graph.rank(blob))]
    _declare(graph.message.output.add(name=blob), shape)


def _set_attribute(attribute: Message, value: Any) -> None:
    if isinstance(value, str):
        attribute.type, attribute.s = ATTRIBUTE_STRING, value.encode()
    elif isinstance(value, float):
        attribute.type, attribute.f = ATTRIBUTE_FLOAT, value
    elif isinstance(value, int):
        attribute.type, attribute.i = ATTRIBUTE_INT, value
    else:
        attribute.type = ATTRIBUTE_INTS
        attribute.ints.extend(value)


def _per_channel(graph: _Graph, array: Array, blob: str, axis: int) -> str:
    """`array` as a constant that broadcasts against `blob` from `axis` on."""
    trailing = graph.rank(blob) - axis - array.ndim
    return graph.constant(array.reshape(array.shape + (1,) * trailing))


def _convolution(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    frame = window(layer)
    kernel, *bias = graph.net.blobs(layer.name)
    if layer.name in graph.ranges:
        operands = [_rounded(graph, bottoms[0], graph.ranges[layer.name]), _rounded_kernel(graph, kernel)]
    else:
        operands = [bottoms[0], graph.constant(kernel)]
    return [
        graph.node(
            "Conv",
            [*operands, *map(graph.constant, bias)],
            kernel_shape=frame.kernel,
            strides=frame.stride,
            pads=frame.pad * 2,
            dilations=frame.dilation,
            group=groups(layer, graph.shapes[layer.bottoms[0]][1]),
        )
    ]


def _rounded(graph: _Graph, value: str, largest: float) -> str:
    """`value`, which lies between 0 and `largest`, in steps of a 255th; engines compute what reads it in 8 bits."""
    if value not in graph.rounded:
        step = [graph.scalar(largest / 255), graph.constant(np.array(0, np.uint8))]
        graph.rounded[value] = graph.node("DequantizeLinear", [graph.node("QuantizeLinear", [value, *step]), *step])
    return graph.rounded[value]


def _rounded_kernel(graph: _Graph, kernel: Array) -> str:
    """A kernel (O, I, H, W) in steps of a 127th of the largest weight of each output."""
    largest = np.abs(kernel).max(axis=(1, 2, 3))
    steps = np.where(largest > 0, largest, 1).astype(np.float32) / np.float32(127)
    whole = np.rint(kernel / steps[:, None, None, None]).astype(np.int8)
    zeros = np.zeros(len(steps), np.int8)
    return graph.node("DequantizeLinear", [graph.constant(array) for array in (whole, steps, zeros)], axis=0)


def _batch_norm(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    mean, variance, *factor = graph.net.blobs(layer.name)
    scale = float(factor[0][0]) if factor else 1.0
    scale = 0.0 if scale == 0 else 1.0 / scale
    ones, zeros = np.ones_like(mean), np.zeros_like(mean)
    constants = [graph.constant(array) for array in (ones, zeros, mean * scale, variance * scale)]
    return [graph.node("BatchNormalization", [*bottoms, *constants], epsilon=float(layer.option("eps")))]


def _scale(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    blob, blobs = layer.bottoms[0], list(graph.net.blobs(layer.name))
    axis, factors = scale_axes(layer, tuple(graph.shapes[bottom] for bottom in layer.bottoms))
    if len(bottoms) == 2:
        trailing = graph.rank(blob) - axis - len(factors)
        factor = bottoms[1]
        if trailing:
            factor = graph.node("Unsqueeze", [factor, graph.integers(*range(-trailing, 0))])
    else:
        factor = _per_channel(graph, blobs.pop(0), blob, axis)
    result = graph.node("Mul", [bottoms[0], factor])
    if layer.option("bias_term"):
        result = graph.node("Add", [result, _per_channel(graph, blobs[0], blob, axis)])
    return [result]


def _relu(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    slope = float(layer.option("negative_slope"))
    return [graph.node("LeakyRelu", bottoms, alpha=slope) if slope else graph.node("Relu", bottoms)]


def _prelu(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    (slope,) = graph.net.blobs(layer.name)
    return [graph.node("PRelu", [*bottoms, _per_channel(graph, slope, layer.bottoms[0], 1)])]


def _pooling(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    average = layer.option("pool") == "AVE"
    if layer.option("global_pooling"):
        return [graph.node("GlobalAveragePool" if average else "GlobalMaxPool", bottoms)]
    if _is_clipped(layer):
        return [_clipped_pooling(graph, layer, bottoms[0])]
    frame = window(layer)
    options: dict[str, Any] = {"kernel_shape": frame.kernel, "strides": frame.stride, "pads": frame.pad * 2}
    options["ceil_mode"] = int(layer.option("round_mode") == "CEIL")
    if average:
        options["count_include_pad"] = 1
    return [graph.node("AveragePool" if average else "MaxPool", bottoms, **options)]


def _clipped_pooling(graph: _Graph, layer: Layer, bottom: str) -> str:
    """A padded pooling that rounds up, with Caffe's own border spelled out, as engines differ in theirs."""
    frame, average = window(layer), layer.option("pool") == "AVE"
    before, after = graph.shapes[layer.bottoms[0]][2:], graph.shapes[layer.tops[0]][2:]
    sides = list(zip(before, after, frame.kernel, frame.stride, frame.pad, strict=True))
    ends = [max(0, (out - 1) * stride + kernel - size - pad) for size, out, kernel, stride, pad in sides]
    border = graph.integers(0, 0, *frame.pad, 0, 0, *ends)
    fill = graph.scalar(0.0 if average else float(np.finfo(np.float32).min))
    padded = graph.node("Pad", [bottom, border, fill])
    pooled = graph.node(
        "AveragePool" if average else "MaxPool", [padded], kernel_shape=frame.kernel, strides=frame.stride
    )
    if not average:
        return pooled
    counts = [  # Caffe divides by the part of the window that lies within the symmetric border
        np.minimum(np.arange(out) * stride + kernel, size + 2 * pad) - np.arange(out) * stride
        for size, out, kernel, stride, pad in sides
    ]
    share = np.outer(*counts).astype(np.float32) / np.float32(frame.kernel[0] * frame.kernel[1])
    return graph.node("Div", [pooled, graph.constant(share[None, None])])


def _inner_product(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    weight, *bias = graph.net.blobs(layer.name)
    axis = axis_of(layer, graph.shapes[layer.bottoms[0]])
    matrix = weight if layer.option("transpose") else weight.T
    flat = graph.node("Reshape", [*bottoms, graph.integers(*[0] * axis, -1 if axis else matrix.shape[0])])
    result = graph.node("MatMul", [flat, graph.constant(matrix)])
    return [graph.node("Add", [result, graph.constant(bias[0])]) if bias else result]


def _concat(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    return [graph.node("Concat", bottoms, axis=concat_axis(layer, graph.shapes[layer.bottoms[0]]))]


def _eltwise(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    kind = {"PROD": "Mul", "SUM": "Add", "MAX": "Max"}[layer.option("operation")]
    coefficients = [float(value) for value in layer.option("coeff")] or [1.0] * len(bottoms)
    terms = [
        term if value == 1.0 else graph.node("Mul", [term, graph.scalar(value)])
        for term, value in zip(bottoms, coefficients, strict=True)
    ]
    result = terms[0]
    for term in terms[1:]:
        result = graph.node(kind, [result, term])
    return [result]


def _power(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    result = bottoms[0]
    for kind, name, neutral in (("Mul", "scale", 1.0), ("Add", "shift", 0.0), ("Pow", "power", 1.0)):
        value = float(layer.option(name))
        if value != neutral:
            result = graph.node(kind, [result, graph.scalar(value)])
    return [result]


def _flatten(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    shape = graph.shapes[layer.bottoms[0]]
    axis, end = int(layer.option("axis")) % len(shape), int(layer.option("end_axis")) % len(shape)
    return [graph.node("Reshape", [*bottoms, graph.integers(*[0] * axis, -1, *shape[end + 1 :])])]


def _reshape(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    shape = graph.shapes[layer.bottoms[0]]
    start = int(layer.option("axis"))
    start = start if start >= 0 else len(shape) + start + 1
    count = int(layer.option("num_axes"))
    end = len(shape) if count == -1 else start + count
    wanted = [int(size) for size in (layer.option("shape") or {}).get("dim", [])]
    wanted = [shape[start + place] if size == 0 and start + place > 0 else size for place, size in enumerate(wanted)]
    return [graph.node("Reshape", [*bottoms, graph.integers(*[0] * start, *wanted, *shape[end:])])]


def _permute(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    return [graph.node("Transpose", bottoms, perm=permutation(layer, graph.shapes[layer.bottoms[0]]))]


def _softmax(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    return [graph.node("Softmax", bottoms, axis=int(layer.option("axis")))]


def _crop(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    shape = graph.shapes[layer.bottoms[0]]
    axes = range(axis_of(layer, shape), len(shape))
    starts = graph.integers(*crop_offsets(layer, shape)[axes.start :])
    wanted = graph.node("Gather", [graph.node("Shape", [bottoms[1]]), graph.integers(*axes)], axis=0)
    ends = graph.node("Add", [wanted, starts])
    return [graph.node("Slice", [bottoms[0], starts, ends, graph.integers(*axes)])]


def _slice(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    shape = graph.shapes[layer.bottoms[0]]
    axis = graph.integers(concat_axis(layer, shape))
    return [
        graph.node("Slice", [*bottoms, graph.integers(start), graph.integers(end), axis])
        for start, end in pairwise(slice_bounds(layer, shape))
    ]


def _split(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    return bottoms * len(layer.tops)


def _silence(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    return []


def _normalize(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    axes = list(range(1, graph.rank(layer.bottoms[0]))) if layer.option("across_spatial") else [1]
    total = graph.node("ReduceSum", [graph.node("Mul", bottoms * 2), graph.integers(*axes)], keepdims=1)
    norm = graph.node("Sqrt", [graph.node("Add", [total, graph.scalar(float(layer.option("eps")))])])
    result = graph.node("Div", [bottoms[0], norm])
    for scale in graph.net.blobs(layer.name):
        result = graph.node("Mul", [result, _per_channel(graph, scale, layer.bottoms[0], 1)])
    return [result]


def _sigmoid(graph: _Graph, layer: Layer, bottoms: list[str]) -> list[str]:
    return [graph.node("Sigmoid", bottoms)]


WRITERS: Mapping[str, Writer] = {
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "ConvolutionDepthwise": _convolution,
    "Crop": _crop,
    "Dropout": _split,
    "Eltwise": _eltwise,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "Normalize": _normalize,
    "PReLU": _prelu,
    "Permute": _permute,
    "Pooling": _pooling,
    "Power": _power,
    "ReLU": _relu,
    "Reshape": _reshape,
    "Scale": _scale,
    "Sigmoid": _sigmoid,
    "Silence": _silence,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
}
"""Layer type -> the function that appends its ONNX nodes and returns the values of its tops."""
