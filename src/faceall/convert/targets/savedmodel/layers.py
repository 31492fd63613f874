"""How each of Caffe's layers is written as TensorFlow's operations: a table type -> function(writer, layer).

Images change from (N, C, H, W) to (N, H, W, C); what has two axes, (N, C), stays. Every function returns the tensors
of its layer's tops. What cannot be written exactly raises CannotWriteLayerError with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import TypeAlias

import numpy as np

from faceall.caffe.layers import Shape, axis_of, concat_axis, crop_offsets, permutation, slice_bounds
from faceall.caffe.net import Layer, Net
from faceall.convert.targets.savedmodel.activations import ACTIVATIONS
from faceall.convert.targets.savedmodel.layer_writer import NCHW, NHWC, CannotWriteLayerError, LayerWriter
from faceall.convert.targets.savedmodel.pools import write_pool
from faceall.convert.targets.savedmodel.products import write_convolution, write_inner_product
from faceall.convert.tensorflow.graph_writer import GraphWriter
from faceall.errors import ConvertError
from faceall.types import Array

Write: TypeAlias = Callable[[LayerWriter, Layer], Sequence[str]]


def write_layers(writer: GraphWriter, net: Net, shapes: Mapping[str, Shape], image: str, scope: str) -> dict[str, str]:
    """Write all layers of a prepared net that reads `image` (N, H, W, C); blob -> its tensor.

    Raises
    ------
    ConvertError
        That lists every layer without a counterpart.
    """
    made = LayerWriter(writer, net, shapes, scope, dict.fromkeys(net.inputs, image))
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
    """Write scale * x + shift, with one number per channel."""
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
    """Return the axis of a Concat or Slice in TensorFlow's order of axes."""
    axis = concat_axis(layer, made.shape(layer))
    return NHWC.index(axis) if len(made.shape(layer)) == 4 else axis


def _concat(made: LayerWriter, layer: Layer) -> Sequence[str]:
    tensors = [made.tensors[blob] for blob in layer.bottoms]
    return [made.node(layer, "concat", "ConcatV2", [*tensors, made.integers(layer, "axis", _axis(made, layer))])]


def _slice(made: LayerWriter, layer: Layer) -> Sequence[str]:
    if len(made.shape(layer)) != 4 or _axis(made, layer) == 0:
        raise CannotWriteLayerError("it crops something other than an image, or the batch")
    bounds = slice_bounds(layer, made.shape(layer))
    return [
        made.sliced(layer, f"part_{number}", made.x(layer), _axis(made, layer), low, high - low)
        for number, (low, high) in enumerate(pairwise(bounds))
    ]


def _crop(made: LayerWriter, layer: Layer) -> Sequence[str]:
    shape = made.shape(layer)
    if len(shape) != 4 or axis_of(layer, shape) == 0:
        raise CannotWriteLayerError("it crops something other than an image, or the batch")
    begins, sizes = crop_offsets(layer, shape), (-1, *made.shapes[layer.tops[0]][1:])
    operands = [
        made.integers(layer, part, [values[axis] for axis in NHWC])
        for part, values in (("begin", begins), ("size", sizes))
    ]
    return [made.node(layer, "Slice", "Slice", [made.x(layer), *operands])]


def _flatten(made: LayerWriter, layer: Layer) -> Sequence[str]:
    """Channels first, as Caffe has it."""
    return [_reshaped(made, layer, made.shapes[layer.tops[0]])]


def _reshape(made: LayerWriter, layer: Layer) -> Sequence[str]:
    shape, wanted = made.shape(layer), made.shapes[layer.tops[0]]
    if shape[0] != wanted[0]:
        raise CannotWriteLayerError(f"it turns {shape} into {wanted}, which mixes images")
    return [_reshaped(made, layer, wanted)]


def _reshaped(made: LayerWriter, layer: Layer, wanted: Shape) -> str:
    """Caffe's numbers in Caffe's order, with other sizes behind the batch."""
    x, shape = made.x(layer), made.shape(layer)
    if len(shape) == 4 and prod(shape[2:]) > 1 and shape[1] > 1:
        x = made.transpose(layer, "before", x, NCHW)
    turned = len(wanted) == 4 and prod(wanted[2:]) > 1 and wanted[1] > 1
    sizes = wanted[1:] if turned or len(wanted) == 2 else (*wanted[2:], wanted[1])
    y = made.reshape(layer, "Reshape", x, sizes)
    return made.transpose(layer, "after", y, NHWC) if turned else y


def _permute(made: LayerWriter, layer: Layer) -> Sequence[str]:
    order = permutation(layer, made.shape(layer))
    if order[0] != 0:
        raise CannotWriteLayerError("it moves the batch")
    if len(order) == 4:
        order = tuple(NHWC.index(order[axis]) for axis in NHWC)
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
    **ACTIVATIONS,
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": write_convolution,
    "ConvolutionDepthwise": write_convolution,
    "Crop": _crop,
    "Dropout": _same,
    "Eltwise": _eltwise,
    "Flatten": _flatten,
    "InnerProduct": write_inner_product,
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
