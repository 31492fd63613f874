"""What each layer type computes, in plain NumPy: exact and clear first, fast second.

An operation takes the layer, the arrays of its bottoms and its weights (in the shapes of `shapes.WEIGHT_SHAPES`), and
returns the arrays of its tops. It computes in the dtype of what it is given and trusts that the shapes were checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise, product
from typing import TypeAlias

import numpy as np

from faceall.caffe.net import Layer
from faceall.caffe.shape_rules import (
    SHAPE_RULES,
    axis_of,
    concat_axis,
    crop_offsets,
    groups,
    permutation,
    scale_axes,
    slice_bounds,
)
from faceall.caffe.window import Pair, Window, window
from faceall.types import Array

Operation: TypeAlias = Callable[[Layer, Sequence[Array], Sequence[Array]], tuple[Array, ...]]
"""(layer, bottoms, weights) -> tops."""


def _out_shape(layer: Layer, bottoms: Sequence[Array]) -> tuple[int, ...]:
    return SHAPE_RULES[layer.type](layer, tuple(bottom.shape for bottom in bottoms))[0]


def _windows(array: Array, slid: Window, out: Pair, fill: float) -> list[Array]:
    """For each element of the kernel, row by row, what it sees: (N, C, *out) views of `array` (N, C, H, W).

    Beyond the edge, in the border and past it, stands `fill`.
    """
    need = [(size - 1) * stride + extent for size, stride, extent in zip(out, slid.stride, slid.extent, strict=True)]
    edges = [
        (pad, max(0, total - size - pad)) for pad, total, size in zip(slid.pad, need, array.shape[2:], strict=True)
    ]
    wide = np.pad(array, ((0, 0), (0, 0), *edges), constant_values=fill)
    spans = [
        [slice(i * step, i * step + (size - 1) * stride + 1, stride) for i in range(kernel)]
        for kernel, step, size, stride in zip(slid.kernel, slid.dilation, out, slid.stride, strict=True)
    ]
    return [wide[:, :, rows, columns] for rows, columns in product(*spans)]


def _per_axis(values: Array, axis: int, count: int) -> Array:
    """`values` with ones around its axes, so that it multiplies an array of `count` axes from `axis` on."""
    return values.reshape((1,) * axis + values.shape + (1,) * (count - axis - values.ndim))


def _convolution(layer: Layer, bottoms: Sequence[Array], weights: Sequence[Array]) -> tuple[Array, ...]:
    """A sum of one matrix product per kernel element."""
    batch, outputs, *size = _out_shape(layer, bottoms)
    group = groups(layer, bottoms[0].shape[1])
    kernel = weights[0].reshape(group, outputs // group, weights[0].shape[1], -1)
    total = np.zeros((batch, group, outputs // group, size[0] * size[1]), bottoms[0].dtype)
    for number, seen in enumerate(_windows(bottoms[0], window(layer), (size[0], size[1]), 0.0)):
        total += kernel[..., number] @ seen.reshape(batch, group, -1, size[0] * size[1])
    result = total.reshape(batch, outputs, *size)
    return (result + _per_axis(weights[1], 1, 4) if layer.option("bias_term") else result,)


def _pooling(layer: Layer, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    """The maximum over the picture alone; the average over the window as far as the border reaches, zeros included."""
    array = bottoms[0]
    spatial = (array.shape[2], array.shape[3])
    slid = window(layer, spatial)
    height, width = _out_shape(layer, bottoms)[2:]
    if layer.option("pool") == "MAX":
        return (reduce(np.maximum, _windows(array, slid, (height, width), -np.inf)),)
    total = reduce(np.add, _windows(array, slid, (height, width), 0.0))
    counts = []
    for steps, stride, pad, kernel, room in zip(
        (height, width), slid.stride, slid.pad, slid.kernel, spatial, strict=True
    ):
        start = np.arange(steps) * stride - pad
        counts.append(np.minimum(start + kernel, room + pad) - start)
    return (total / np.outer(counts[0], counts[1]).astype(array.dtype),)


def _batch_norm(layer: Layer, bottoms: Sequence[Array], weights: Sequence[Array]) -> tuple[Array, ...]:
    mean, variance = weights[0], weights[1]
    if len(weights) == 3:
        factor = weights[2][0]
        scale = 0.0 if factor == 0 else 1.0 / factor
        mean, variance = mean * scale, variance * scale
    count = bottoms[0].ndim
    deviation = np.sqrt(variance + layer.option("eps"))
    return ((bottoms[0] - _per_axis(mean, 1, count)) / _per_axis(deviation, 1, count),)


def _scale(layer: Layer, bottoms: Sequence[Array], weights: Sequence[Array]) -> tuple[Array, ...]:
    array = bottoms[0]
    axis, _ = scale_axes(layer, tuple(bottom.shape for bottom in bottoms))
    factors, biases = (bottoms[1], weights) if len(bottoms) == 2 else (weights[0], weights[1:])
    result = array * _per_axis(factors, axis, array.ndim)
    return (result + _per_axis(biases[0], axis, array.ndim) if biases else result,)


def _relu(layer: Layer, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    array = bottoms[0]
    return (np.maximum(array, 0) + layer.option("negative_slope") * np.minimum(array, 0),)


def _prelu(_: Layer, bottoms: Sequence[Array], weights: Sequence[Array]) -> tuple[Array, ...]:
    array = bottoms[0]
    return (np.maximum(array, 0) + _per_axis(weights[0], 1, array.ndim) * np.minimum(array, 0),)


def _sigmoid(_: Layer, bottoms: Sequence[Array], __: Sequence[Array]) -> tuple[Array, ...]:
    return (0.5 * np.tanh(0.5 * bottoms[0]) + 0.5,)  # 1 / (1 + exp(-x)), but never overflows


def _power(layer: Layer, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    base = layer.option("shift") + layer.option("scale") * bottoms[0]
    power = layer.option("power")
    return (base if power == 1 else np.power(base, power),)


def _softmax(layer: Layer, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    axis = axis_of(layer, bottoms[0].shape)
    powers = np.exp(bottoms[0] - bottoms[0].max(axis=axis, keepdims=True))
    return (powers / powers.sum(axis=axis, keepdims=True),)


def _normalize(layer: Layer, bottoms: Sequence[Array], weights: Sequence[Array]) -> tuple[Array, ...]:
    """Divide by the root of the squares' sum over the channels, or over the whole sample with across_spatial."""
    array = bottoms[0]
    axes = tuple(range(1, array.ndim)) if layer.option("across_spatial") else (1,)
    result = array / np.sqrt((array * array).sum(axis=axes, keepdims=True) + layer.option("eps"))
    return (result * _per_axis(weights[0], 1, array.ndim) if weights else result,)


def _inner_product(layer: Layer, bottoms: Sequence[Array], weights: Sequence[Array]) -> tuple[Array, ...]:
    kept = bottoms[0].shape[: axis_of(layer, bottoms[0].shape)]
    matrix = weights[0] if layer.option("transpose") else weights[0].T
    result = bottoms[0].reshape(*kept, matrix.shape[0]) @ matrix
    return (result + weights[1] if layer.option("bias_term") else result,)


def _concat(layer: Layer, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    return (np.concatenate(bottoms, axis=concat_axis(layer, bottoms[0].shape)),)


def _eltwise(layer: Layer, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    operation = layer.option("operation")
    if operation == "SUM":
        factors = layer.option("coeff") or [1.0] * len(bottoms)
        bottoms = [factor * bottom for factor, bottom in zip(factors, bottoms, strict=True)]
    return (reduce({"SUM": np.add, "PROD": np.multiply, "MAX": np.maximum}[operation], bottoms),)


def _slice(layer: Layer, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    array = bottoms[0]
    before = (slice(None),) * concat_axis(layer, array.shape)
    return tuple(array[(*before, slice(low, high))] for low, high in pairwise(slice_bounds(layer, array.shape)))


def _crop(layer: Layer, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    offsets, sizes = crop_offsets(layer, bottoms[0].shape), _out_shape(layer, bottoms)
    return (bottoms[0][tuple(slice(start, start + size) for start, size in zip(offsets, sizes, strict=True))],)


def _permute(layer: Layer, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    return (bottoms[0].transpose(permutation(layer, bottoms[0].shape)),)


def _reshaped(layer: Layer, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    return (bottoms[0].reshape(_out_shape(layer, bottoms)),)


def _copies(layer: Layer, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    return (bottoms[0],) * len(layer.tops)


OPERATIONS: dict[str, Operation] = {
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "ConvolutionDepthwise": _convolution,
    "Crop": _crop,
    "Dropout": _copies,  # it drops in training only
    "Eltwise": _eltwise,
    "Flatten": _reshaped,
    "InnerProduct": _inner_product,
    "Normalize": _normalize,
    "PReLU": _prelu,
    "Permute": _permute,
    "Pooling": _pooling,
    "Power": _power,
    "ReLU": _relu,
    "Reshape": _reshaped,
    "Scale": _scale,
    "Sigmoid": _sigmoid,
    "Silence": _copies,  # no tops: it only marks its bottom as read
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _copies,
}
"""Layer type -> its operation; the same types as in `shape_rules.SHAPE_RULES`."""
