"""How each of Caffe's layers is written as TensorFlow's operations: a table type -> function(writer, layer).

Pictures change from (N, C, H, W) to (N, H, W, C); what has two axes, (N, C), stays. Every function returns the tensors
of its layer's tops. What cannot be written exactly raises CannotWriteLayerError with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import Any, TypeAlias

import numpy as np

from faceall.caffe.net import Layer, Net
from faceall.caffe.shape_rules import Shape, axis_of, concat_axis, crop_offsets, groups, permutation, slice_bounds
from faceall.caffe.window import window
from faceall.convert.graph_writer import GraphWriter
from faceall.convert.targets.savedmodel.pools import write_pool
from faceall.convert.targets.savedmodel.problems import CannotWriteLayerError
from faceall.errors import ConvertError
from faceall.types import Array

_NHWC = (0, 2, 3, 1)
"""Where the axes of (N, H, W, C) stand in Caffe's order."""
_NCHW = (0, 3, 1, 2)
"""Where the axes of (N, C, H, W) stand in TensorFlow's order."""


@dataclass
class LayerWriter:
    """The net so far.

    writer   takes the nodes
    net      what is written
    shapes   blob -> its shape in Caffe's order, for the declared input
    scope    stands in front of every node's name, with its slash
    tensors  blob -> the tensor that holds it
    """

    writer: GraphWriter
    net: Net
    shapes: Mapping[str, Shape]
    scope: str
    tensors: dict[str, str] = field(default_factory=dict)

    def name(self, layer: Layer, part: str = "") -> str:
        """A node's name: the layer's, with `part` behind it."""
        called = re.sub(r"[^A-Za-z0-9_.\-/]", "_", layer.name).lstrip("_-/") or "layer"
        return f"{self.scope}{called}/{part}" if part else f"{self.scope}{called}"

    def node(self, layer: Layer, part: str, op: str, inputs: Sequence[str], **attrs: Any) -> str:
        """One operation of a layer."""
        return self.writer.node(self.name(layer, part), op, inputs, **attrs)

    def constant(self, layer: Layer, part: str, value: Any) -> str:
        """A constant of a layer: float32 unless it is an array."""
        return self.writer.constant(self.name(layer, part), value)

    def integers(self, layer: Layer, part: str, values: Any) -> str:
        """An int32 constant of a layer."""
        return self.constant(layer, part, np.array(values, np.int32))

    def x(self, layer: Layer) -> str:
        """The tensor of the layer's first bottom."""
        return self.tensors[layer.bottoms[0]]

    def shape(self, layer: Layer, number: int = 0) -> Shape:
        """The shape of one of the layer's bottoms, in Caffe's order."""
        return self.shapes[layer.bottoms[number]]

    def transpose(self, layer: Layer, part: str, tensor: str, order: Sequence[int]) -> str:
        """The tensor with its axes in another order."""
        return self.node(layer, part, "Transpose", [tensor, self.integers(layer, f"{part}/perm", order)])

    def reshape(self, layer: Layer, part: str, tensor: str, sizes: Sequence[int]) -> str:
        """The tensor (n, ...) with other sizes behind the batch."""
        return self.node(layer, part, "Reshape", [tensor, self.integers(layer, f"{part}/shape", [-1, *sizes])])


Write: TypeAlias = Callable[[LayerWriter, Layer], Sequence[str]]


def write_layers(
    writer: GraphWriter, net: Net, shapes: Mapping[str, Shape], picture: str, scope: str
) -> dict[str, str]:
    """Write all layers of a prepared net that reads `picture` (N, H, W, C); blob -> its tensor.

    Raises ConvertError that lists every layer without a counterpart.
    """
    made = LayerWriter(writer, net, shapes, scope, dict.fromkeys(net.inputs, picture))
    problems = []
    for layer in net.layers:
        if layer.type == "Input":
            continue
        try:
            results = _write(made, layer)
        except CannotWriteLayerError as error:
            problems.append(f"'{layer.name}' ({layer.type}: {error})")
            results = [made.x(layer)] * len(layer.tops)
        made.tensors |= dict(zip(layer.tops, results, strict=True))
    if problems:
        raise ConvertError(f"{len(problems)} layers have no counterpart in TensorFlow: {', '.join(problems)}")
    return made.tensors


def _write(made: LayerWriter, layer: Layer) -> Sequence[str]:
    if layer.type not in LAYERS:
        raise CannotWriteLayerError(f"known types are {', '.join(sorted(LAYERS))}")
    for blob in (*layer.bottoms, *layer.tops):
        if len(made.shapes[blob]) not in (2, 4):
            raise CannotWriteLayerError(f"'{blob}' has {len(made.shapes[blob])} axes, expected 2 or 4")
    return LAYERS[layer.type](made, layer)


def _convolution(made: LayerWriter, layer: Layer) -> Sequence[str]:
    kernel, *bias = made.net.blobs(layer.name)  # (O, I / groups, kh, kw)
    channels = made.shape(layer)[1]
    count, outputs = groups(layer, channels), len(kernel)
    slid = window(layer)
    if max(slid.dilation) > 1 and max(slid.stride) > 1:
        raise CannotWriteLayerError("it has both a stride and a dilation")
    options: dict[str, Any] = {"strides": (1, *slid.stride, 1), "dilations": (1, *slid.dilation, 1)}
    options |= _padding(slid.pad, slid.extent, slid.stride)
    x = made.x(layer)
    if count == 1:
        weights = made.constant(layer, "weights", kernel.transpose(2, 3, 1, 0))
        y = made.node(layer, "Conv2D", "Conv2D", [x, weights], **options)
    elif count == channels and slid.stride[0] == slid.stride[1] and slid.dilation == (1, 1):
        deep = kernel.reshape(channels, outputs // channels, *kernel.shape[2:]).transpose(2, 3, 0, 1)
        if "explicit_paddings" in options:  # TensorFlow's depthwise convolution ends the process where it is given one
            edges = made.integers(layer, "paddings", np.reshape(options.pop("explicit_paddings"), (4, 2)))
            x, options["padding"] = made.node(layer, "Pad", "Pad", [x, edges]), b"VALID"
        operands = [x, made.constant(layer, "weights", deep)]
        y = made.node(layer, "DepthwiseConv2dNative", "DepthwiseConv2dNative", operands, **options)
    else:
        y = _grouped(made, layer, kernel, count, options)
    return [_biased(made, layer, y, bias)]


def _padding(pad: tuple[int, int], extent: tuple[int, int], stride: tuple[int, int]) -> dict[str, Any]:
    """TensorFlow's word for Caffe's border where it has one, else the numbers."""
    if pad == (0, 0):
        return {"padding": b"VALID"}
    if stride == (1, 1) and all(2 * border == size - 1 for border, size in zip(pad, extent, strict=True)):
        return {"padding": b"SAME"}
    return {"padding": b"EXPLICIT", "explicit_paddings": (0, 0, pad[0], pad[0], pad[1], pad[1], 0, 0)}


def _grouped(made: LayerWriter, layer: Layer, kernel: Array, count: int, options: dict[str, Any]) -> str:
    """One convolution for each group of channels, side by side."""
    size, parts = kernel.shape[1], []
    for number, part in enumerate(np.split(kernel, count)):
        x = _sliced(made, layer, f"group_{number}", made.x(layer), 3, number * size, size)
        weights = made.constant(layer, f"group_{number}/weights", part.transpose(2, 3, 1, 0))
        parts.append(made.node(layer, f"group_{number}/Conv2D", "Conv2D", [x, weights], **options))
    return made.node(layer, "concat", "ConcatV2", [*parts, made.integers(layer, "axis", 3)])


def _sliced(made: LayerWriter, layer: Layer, part: str, tensor: str, axis: int, start: int, size: int) -> str:
    """Some of a picture along one axis of (N, H, W, C)."""
    begins, sizes = [0, 0, 0, 0], [-1, -1, -1, -1]
    begins[axis], sizes[axis] = start, size
    operands = [made.integers(layer, f"{part}/begin", begins), made.integers(layer, f"{part}/size", sizes)]
    return made.node(layer, f"{part}/Slice", "Slice", [tensor, *operands])


def _biased(made: LayerWriter, layer: Layer, y: str, bias: Sequence[Array]) -> str:
    if not bias:
        return y
    return made.node(layer, "BiasAdd", "BiasAdd", [y, made.constant(layer, "biases", bias[0])])


def _inner_product(made: LayerWriter, layer: Layer) -> Sequence[str]:
    """The rows of the weights are put in the order in which TensorFlow flattens."""
    matrix, *bias = made.net.blobs(layer.name)
    shape = made.shape(layer)
    if axis_of(layer, shape) != 1:
        raise CannotWriteLayerError(f"it has axis {layer.option('axis')}, expected 1")
    matrix = matrix if layer.option("transpose") else matrix.T  # (I, O)
    x = made.x(layer)
    if len(shape) == 4:
        matrix = matrix.reshape(*shape[1:], -1).transpose(1, 2, 0, 3).reshape(len(matrix), -1)
        x = made.reshape(layer, "Reshape", x, [len(matrix)])
    y = made.node(layer, "MatMul", "MatMul", [x, made.constant(layer, "weights", matrix)])
    return [_biased(made, layer, y, bias)]


def _batch_norm(made: LayerWriter, layer: Layer) -> Sequence[str]:
    mean, variance, factor = made.net.blobs(layer.name)
    scale = np.float32(0 if factor[0] == 0 else 1 / factor[0])
    mean, variance = mean * scale, variance * scale
    if len(made.shape(layer)) == 2:
        spread = 1 / np.sqrt(variance.astype(np.float64) + layer.option("eps"))
        return [_affine(made, layer, made.x(layer), spread, -mean * spread)]
    name = made.name(layer)
    return [made.writer.batch_norm(made.x(layer), name, None, None, mean, variance, float(layer.option("eps")))]


def _affine(made: LayerWriter, layer: Layer, x: str, scale: Array | None, shift: Array | None) -> str:
    """scale * x + shift, one number per channel."""
    if scale is not None:
        x = made.node(layer, "Mul", "Mul", [x, made.constant(layer, "scale", np.asarray(scale, np.float32))])
    if shift is not None:
        x = made.node(layer, "Add", "AddV2", [x, made.constant(layer, "shift", np.asarray(shift, np.float32))])
    return x


def _scale(made: LayerWriter, layer: Layer) -> Sequence[str]:
    shape, blobs = made.shape(layer), list(made.net.blobs(layer.name))
    bias = blobs.pop() if layer.option("bias_term") else None
    if len(layer.bottoms) == 1:
        if axis_of(layer, shape) != 1 or blobs[0].shape != shape[1:2]:
            raise CannotWriteLayerError(f"its factors have the shape {blobs[0].shape}, expected one per channel")
        return [_affine(made, layer, made.x(layer), blobs[0], bias)]
    factors, other = made.tensors[layer.bottoms[1]], made.shape(layer, 1)
    if len(shape) == 4 and len(other) == 2 and axis_of(layer, shape) == 0:
        factors = made.reshape(layer, "factors", factors, [1, 1, shape[1]])
    elif other != shape:
        raise CannotWriteLayerError(f"its factors have the shape {other} for {shape}")
    y = made.node(layer, "Mul", "Mul", [made.x(layer), factors])
    return [_affine(made, layer, y, None, bias)]


def _relu(made: LayerWriter, layer: Layer) -> Sequence[str]:
    slope = float(layer.option("negative_slope"))
    if slope:
        return [made.node(layer, "LeakyRelu", "LeakyRelu", [made.x(layer)], alpha=slope)]
    return [made.node(layer, "Relu", "Relu", [made.x(layer)])]


def _prelu(made: LayerWriter, layer: Layer) -> Sequence[str]:
    """relu(x) - slope * relu(-x)."""
    x = made.x(layer)
    slope = made.constant(layer, "slope", np.atleast_1d(made.net.blobs(layer.name)[0]))
    below = made.node(layer, "below", "Relu", [made.node(layer, "Neg", "Neg", [x])])
    scaled = made.node(layer, "Mul", "Mul", [below, slope])
    return [made.node(layer, "Sub", "Sub", [made.node(layer, "Relu", "Relu", [x]), scaled])]


def _power(made: LayerWriter, layer: Layer) -> Sequence[str]:
    x = made.x(layer)
    scale, shift, power = (float(layer.option(name)) for name in ("scale", "shift", "power"))
    if scale != 1:
        x = made.node(layer, "Mul", "Mul", [x, made.constant(layer, "scale", scale)])
    if shift:
        x = made.node(layer, "Add", "AddV2", [x, made.constant(layer, "shift", shift)])
    if power == 2:
        return [made.node(layer, "Square", "Square", [x])]
    return [x if power == 1 else made.node(layer, "Pow", "Pow", [x, made.constant(layer, "power", power)])]


def _softmax(made: LayerWriter, layer: Layer) -> Sequence[str]:
    if axis_of(layer, made.shape(layer)) != 1:
        raise CannotWriteLayerError(f"it works along axis {layer.option('axis')}, expected the channels, 1")
    return [made.node(layer, "Softmax", "Softmax", [made.x(layer)])]


def _sigmoid(made: LayerWriter, layer: Layer) -> Sequence[str]:
    return [made.node(layer, "Sigmoid", "Sigmoid", [made.x(layer)])]


def _same(made: LayerWriter, layer: Layer) -> Sequence[str]:
    return [made.x(layer)] * len(layer.tops)


def _eltwise(made: LayerWriter, layer: Layer) -> Sequence[str]:
    operation = layer.option("operation")
    factors = [float(factor) for factor in layer.option("coeff")] or [1.0] * len(layer.bottoms)
    operands = []
    for number, (blob, factor) in enumerate(zip(layer.bottoms, factors, strict=True)):
        tensor = made.tensors[blob]
        if operation == "SUM" and factor != 1:
            scale = made.constant(layer, f"factor_{number}", factor)
            tensor = made.node(layer, f"Mul_{number}", "Mul", [tensor, scale])
        operands.append(tensor)
    op = {"SUM": "AddV2", "PROD": "Mul", "MAX": "Maximum"}[operation]
    y = operands[0]
    for number, other in enumerate(operands[1:]):
        y = made.node(layer, f"{op}_{number}" if number else op, op, [y, other])
    return [y]


def _axis(made: LayerWriter, layer: Layer) -> int:
    """The axis of a Concat or Slice as TensorFlow counts it."""
    axis = concat_axis(layer, made.shape(layer))
    return _NHWC.index(axis) if len(made.shape(layer)) == 4 else axis


def _concat(made: LayerWriter, layer: Layer) -> Sequence[str]:
    tensors = [made.tensors[blob] for blob in layer.bottoms]
    return [made.node(layer, "concat", "ConcatV2", [*tensors, made.integers(layer, "axis", _axis(made, layer))])]


def _slice(made: LayerWriter, layer: Layer) -> Sequence[str]:
    if len(made.shape(layer)) != 4 or _axis(made, layer) == 0:
        raise CannotWriteLayerError("it cuts what is no picture, or the batch")
    bounds = slice_bounds(layer, made.shape(layer))
    return [
        _sliced(made, layer, f"part_{number}", made.x(layer), _axis(made, layer), low, high - low)
        for number, (low, high) in enumerate(pairwise(bounds))
    ]


def _crop(made: LayerWriter, layer: Layer) -> Sequence[str]:
    shape = made.shape(layer)
    if len(shape) != 4 or axis_of(layer, shape) == 0:
        raise CannotWriteLayerError("it cuts what is no picture, or the batch")
    begins, sizes = crop_offsets(layer, shape), (-1, *made.shapes[layer.tops[0]][1:])
    operands = [
        made.integers(layer, part, [values[axis] for axis in _NHWC])
        for part, values in (("begin", begins), ("size", sizes))
    ]
    return [made.node(layer, "Slice", "Slice", [made.x(layer), *operands])]


def _flatten(made: LayerWriter, layer: Layer) -> Sequence[str]:
    """Channels first, as Caffe has it."""
    return [_reshaped(made, layer, made.shapes[layer.tops[0]])]


def _reshape(made: LayerWriter, layer: Layer) -> Sequence[str]:
    shape, wanted = made.shape(layer), made.shapes[layer.tops[0]]
    if shape[0] != wanted[0]:
        raise CannotWriteLayerError(f"it turns {shape} into {wanted}, which mixes pictures")
    return [_reshaped(made, layer, wanted)]


def _reshaped(made: LayerWriter, layer: Layer, wanted: Shape) -> str:
    """Caffe's numbers in Caffe's order, with other sizes behind the batch."""
    x, shape = made.x(layer), made.shape(layer)
    if len(shape) == 4 and prod(shape[2:]) > 1 and shape[1] > 1:
        x = made.transpose(layer, "before", x, _NCHW)
    turned = len(wanted) == 4 and prod(wanted[2:]) > 1 and wanted[1] > 1
    sizes = wanted[1:] if turned or len(wanted) == 2 else (*wanted[2:], wanted[1])
    y = made.reshape(layer, "Reshape", x, sizes)
    return made.transpose(layer, "after", y, _NHWC) if turned else y


def _permute(made: LayerWriter, layer: Layer) -> Sequence[str]:
    order = permutation(layer, made.shape(layer))
    if order[0] != 0:
        raise CannotWriteLayerError("it moves the batch")
    if len(order) == 4:
        order = tuple(_NHWC.index(order[axis]) for axis in _NHWC)
    return [made.transpose(layer, "Transpose", made.x(layer), order)]


def _normalize(made: LayerWriter, layer: Layer) -> Sequence[str]:
    x, epsilon, blobs = made.x(layer), float(layer.option("eps")), made.net.blobs(layer.name)
    if len(made.shape(layer)) == 2:
        y = made.writer.unit_length(x, made.name(layer, "unit"), epsilon)
    else:
        axes = [1, 2, 3] if layer.option("across_spatial") else [3]
        square = made.node(layer, "Square", "Square", [x])
        total = made.node(layer, "Sum", "Sum", [square, made.integers(layer, "axes", axes)], keep_dims=True)
        total = made.node(layer, "total", "AddV2", [total, made.constant(layer, "epsilon", epsilon)])
        y = made.node(layer, "Mul", "Mul", [x, made.node(layer, "Rsqrt", "Rsqrt", [total])])
    if not blobs:
        return [y]
    return [made.node(layer, "scaled", "Mul", [y, made.constant(layer, "scale", np.atleast_1d(blobs[0]))])]


def _pooling(made: LayerWriter, layer: Layer) -> Sequence[str]:
    shape, out = made.shape(layer), made.shapes[layer.tops[0]]
    return [write_pool(made.writer, layer, made.x(layer), made.name(layer), (shape[2], shape[3]), (out[2], out[3]))]


LAYERS: dict[str, Write] = {
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "ConvolutionDepthwise": _convolution,
    "Crop": _crop,
    "Dropout": _same,
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
    "Silence": lambda _, __: (),
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _same,
}
"""Every layer type that has a counterpart in TensorFlow."""
