"""Write the layers of a net with the operations of Core AI."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from faceall.caffe.layers import (
    Shape,
    axis_of,
    concat_axis,
    crop_offsets,
    groups,
    is_clipped,
    permutation,
    scale_axes,
    slice_bounds,
    window,
)
from faceall.caffe.net import Layer
from faceall.convert.targets.coreai.activations import ACTIVATIONS
from faceall.convert.targets.coreai.border import Value
from faceall.convert.targets.coreai.context import Context, Writer
from faceall.errors import UnsupportedLayerError


def _bordered(context: Context, value: Value, rows: tuple[int, int], columns: tuple[int, int], fill: float) -> Value:
    """Add a border of (before, after) rows and columns, if there is one."""
    if not any((*rows, *columns)):
        return value
    return context.operations.padded(value, (0, 0, 0, 0, *rows, *columns), context.operations.number(fill))


def _convolution(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    made, frame = context.operations, window(layer)
    kernel, *bias = context.net.blobs(layer.name)
    value = _bordered(context, values[0], (frame.pad[0],) * 2, (frame.pad[1],) * 2, 0.0)
    count = groups(layer, context.shapes[layer.bottoms[0]][1])
    result = made.convolution(value, kernel, frame.stride, frame.dilation, count)
    return [made.add(result, context.broadcast(bias[0], 1, 4)) if bias else result]


def _inner_product(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    made, shape = context.operations, context.shapes[layer.bottoms[0]]
    axis = axis_of(layer, shape)
    matrix, *bias = context.net.blobs(layer.name)
    matrix = matrix if layer.option("transpose") else matrix.T
    wanted = (*shape[:axis], matrix.shape[0])
    rows = values[0] if wanted == shape else made.shaped(values[0], wanted)
    result = made.product(rows, np.ascontiguousarray(matrix))
    return [made.add(result, context.broadcast(bias[0], axis, axis + 1)) if bias else result]


def _pooling(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    made, average = context.operations, layer.option("pool") == "AVE"
    if layer.option("global_pooling"):
        if average:
            return [made.to_precision(made.mean(made.to_single(values[0]), (2, 3)))]
        return [made.largest(values[0], (2, 3))]
    frame, top = window(layer), context.shapes[layer.tops[0]]
    if not average and not frame.padded:
        up = layer.option("round_mode") == "CEIL"
        return [made.max_pool(values[0], frame.kernel, frame.stride, context.free(top), up=up)]
    if context.flexible and is_clipped(layer):
        raise UnsupportedLayerError(
            f"layer '{layer.name}' (Pooling) averages windows that round up, which needs a fixed image size"
        )
    return [_bordered_pool(context, layer, values[0], average=average)]


def _bordered_pool(context: Context, layer: Layer, value: Value, *, average: bool) -> Value:
    """Write a pool with Caffe's border: of the padding, and of the last windows that leave the image."""
    made, frame = context.operations, window(layer)
    bottom, top = context.shapes[layer.bottoms[0]], context.shapes[layer.tops[0]]
    sides = list(zip(bottom[2:], top[2:], frame.kernel, frame.stride, frame.pad, strict=True))
    edges = [(pad, max(0, (out - 1) * step + kernel - size - pad)) for size, out, kernel, step, pad in sides]
    value = _bordered(context, value, edges[0], edges[1], 0.0 if average else -np.inf)
    if not average:
        return made.max_pool(value, frame.kernel, frame.stride, top, up=False)
    counts = [  # Caffe divides by the part of the window that lies within the symmetric border
        np.minimum(np.arange(out) * step + kernel, size + 2 * pad) - np.arange(out) * step
        for size, out, kernel, step, pad in sides
    ]
    share = 1 / np.outer(*counts).astype(np.float32)
    same = bool(np.all(share == share[0, 0]))
    factor = np.float32(share[0, 0]) if same else share[None, None]
    pooled = made.sum_pool(made.to_single(value), frame.kernel, frame.stride)  # a sum of float16 would be rounded
    return made.to_precision(made.multiply(pooled, factor))


def _eltwise(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    made = context.operations
    operation = {"SUM": made.add, "PROD": made.multiply, "MAX": made.maximum}[layer.option("operation")]
    factors = [float(factor) for factor in layer.option("coeff")] or [1.0] * len(values)
    terms = [value if factor == 1 else made.multiply(value, made.number(factor))
             for value, factor in zip(values, factors, strict=True)]  # fmt: skip
    result = terms[0]
    for term in terms[1:]:
        result = operation(result, term)
    return [result]


def _scale(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    made, shapes = context.operations, tuple(context.shapes[bottom] for bottom in layer.bottoms)
    axis, factors = scale_axes(layer, shapes)
    rank, blobs = len(shapes[0]), list(context.net.blobs(layer.name))
    if len(values) == 2:
        factor = _around(context, values[1], axis, factors, rank)
    else:
        factor = context.broadcast(blobs.pop(0), axis, rank)
    result = made.multiply(values[0], factor)
    return [made.add(result, context.broadcast(blobs[0], axis, rank)) if blobs else result]


def _bias(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    made, shapes = context.operations, tuple(context.shapes[bottom] for bottom in layer.bottoms)
    axis, terms = scale_axes(layer, shapes)
    if len(values) == 2:
        return [made.add(values[0], _around(context, values[1], axis, terms, len(shapes[0])))]
    return [made.add(values[0], context.broadcast(context.net.blobs(layer.name)[0], axis, len(shapes[0])))]


def _around(context: Context, value: Value, axis: int, shape: Shape, rank: int) -> Value:
    """Put ones around the axes of a value, so that it lies on `axis` of `rank`."""
    wanted = (*[1] * axis, *shape, *[1] * (rank - axis - len(shape)))
    return value if len(shape) == rank else context.operations.shaped(value, wanted)


def _axpy(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    made, shape = context.operations, context.shapes[layer.bottoms[1]]
    factors = made.shaped(values[0], [*shape[:2], *[1] * (len(shape) - 2)])
    return [made.add(made.multiply(values[1], factors), values[2])]


def _normalize(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    made, rank = context.operations, len(context.shapes[layer.bottoms[0]])
    value = made.to_single(values[0])
    axes = range(1, rank) if layer.option("across_spatial") else (1,)
    total = made.add(made.total(made.multiply(value, value), axes), np.float32(layer.option("eps")))
    result = made.multiply(value, made.inverse_root(total))
    for factor in context.net.blobs(layer.name):
        if not np.all(factor == 1):
            single = np.asarray(factor, np.float32)
            result = made.multiply(result, single.reshape(1, -1, *[1] * (rank - 2)) if factor.ndim else single)
    return [made.to_precision(result)]


def _lrn(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    """Write the sum over neighbouring channels as a sum of shifted squares: Core AI has no such operation."""
    made, shape = context.operations, context.shapes[layer.bottoms[0]]
    count, alpha, beta, k = (layer.option(name) for name in ("local_size", "alpha", "beta", "k"))
    if len(shape) != 4:
        raise UnsupportedLayerError(f"layer '{layer.name}' (LRN) of {len(shape)} axes has no counterpart in Core AI")
    value = made.to_single(values[0])
    edges = (0, 0, count // 2, count // 2, 0, 0, 0, 0)
    squares = made.padded(made.multiply(value, value), edges, np.float32(0))
    total = context.channels(squares, 0, shape[1])
    for first in range(1, count):
        total = made.add(total, context.channels(squares, first, first + shape[1]))
    divisor = made.add(made.multiply(total, np.float32(alpha / count)), np.float32(k))
    return [made.to_precision(made.multiply(value, made.power(divisor, np.float32(-beta))))]


def _concat(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    return [context.operations.joined(values, concat_axis(layer, context.shapes[layer.bottoms[0]]))]


def _slice(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    shape = context.shapes[layer.bottoms[0]]
    axis = concat_axis(layer, shape)
    return [
        context.operations.cut(
            values[0],
            [low if place == axis else 0 for place in range(len(shape))],
            [high if place == axis else None for place in range(len(shape))],
        )
        for low, high in pairwise(slice_bounds(layer, shape))
    ]


def _crop(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    begin, sizes = crop_offsets(layer, context.shapes[layer.bottoms[0]]), context.shapes[layer.tops[0]]
    return [context.operations.cut(values[0], begin, [start + size for start, size in zip(begin, sizes, strict=True)])]


def _permute(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    return [context.operations.turned(values[0], permutation(layer, context.shapes[layer.bottoms[0]]))]


def _reshaped(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    return [context.operations.shaped(values[0], context.shapes[layer.tops[0]])]


def _copies(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    return values[:1] * len(layer.tops)


def _batch_norm(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    raise UnsupportedLayerError(f"layer '{layer.name}' (BatchNorm) could not be merged into a Scale")


WRITERS: Mapping[str, Writer] = {
    **ACTIVATIONS,
    "Axpy": _axpy,
    "BatchNorm": _batch_norm,
    "Bias": _bias,
    "Concat": _concat,
    "Convolution": _convolution,
    "ConvolutionDepthwise": _convolution,
    "Crop": _crop,
    "Dropout": _copies,
    "Eltwise": _eltwise,
    "Flatten": _reshaped,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "Normalize": _normalize,
    "Permute": _permute,
    "Pooling": _pooling,
    "Reshape": _reshaped,
    "Scale": _scale,
    "Silence": _copies,
    "Slice": _slice,
    "Split": _copies,
}
"""Layer type -> the function that appends its operations and returns the values of its tops."""
