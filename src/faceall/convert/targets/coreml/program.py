"""Build a net as a program of Core ML's intermediate language, once for every file.

This runs in the worker, where coremltools may be imported. Operations whose names begin with `KEEP` stay in float32
at every precision, because squares of pixels and of embeddings are too large or too small for float16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from faceall.caffe.layers import (
    axis_of,
    concat_axis,
    crop_offsets,
    groups,
    permutation,
    scale_axes,
    slice_bounds,
    window,
)
from faceall.caffe.net import Layer
from faceall.convert.targets.coreml.activations import ACTIVATIONS
from faceall.convert.targets.coreml.context import Context, Variable
from faceall.convert.targets.plan import LARGEST, SMALLEST, Plan, feature_name
from faceall.errors import UnsupportedLayerError

KEEP = "float32_"


def build_program(plan: Plan, opset: Any) -> Any:
    """Build the program of `plan.net` with the operations of `opset`."""
    from coremltools.converters.mil.mil import Function, Program, get_new_symbol

    def shape(declared: tuple[int, ...]) -> tuple[Any, ...]:
        return (*declared[:2], get_new_symbol(), get_new_symbol()) if plan.flexible else declared

    context = Context(plan.net)
    mb = context.builder
    placeholders = {name: mb.placeholder(shape=shape(plan.net.inputs[blob])) for blob, name in plan.inputs.items()}
    program = Program()
    with Function(placeholders, opset_version=opset) as function:
        blobs = {blob: function.inputs[name] for blob, name in plan.inputs.items()}
        if plan.pixels and plan.pixels.prewhiten:
            blobs = {blob: _prewhitened(context, value, plan.net.inputs[blob]) for blob, value in blobs.items()}
        for layer in plan.net.layers:
            if layer.type != "Input":
                values = WRITERS[layer.type](context, layer, [blobs[bottom] for bottom in layer.bottoms])
                blobs.update(zip(layer.tops, values, strict=True))
        function.set_outputs([mb.identity(x=blobs[blob], name=name) for blob, name in plan.outputs.items()])
    program.add_function("main", function)
    return program


def input_types(plan: Plan) -> list[Any]:
    """Declare the inputs for coremltools."""
    import coremltools as ct

    found = []
    for blob, name in plan.inputs.items():
        shape: Any = plan.net.inputs[blob]
        if plan.flexible:
            sides = [ct.RangeDim(lower_bound=SMALLEST, upper_bound=LARGEST, default=side) for side in shape[2:]]
            shape = ct.Shape((*shape[:2], *sides))
        if plan.pixels:
            options = {"scale": plan.pixels.scale, "bias": [plan.pixels.bias] * 3}
            layout = getattr(ct.colorlayout, plan.pixels.color)
            found.append(ct.ImageType(name=name, shape=shape, color_layout=layout, **options))
        else:
            found.append(ct.TensorType(name=name, shape=shape, dtype=np.float32))
    return found


def _prewhitened(context: Context, image: Variable, shape: tuple[int, ...]) -> Variable:
    """Write (x - m) / max(s, 1 / sqrt(size)), with mean m and deviation s over the whole image."""
    mb, axes = context.builder, list(range(1, len(shape)))
    mean = mb.reduce_mean(x=image, axes=axes, keep_dims=True, name=f"{KEEP}mean")
    centred = mb.sub(x=image, y=mean, name=f"{KEEP}centred")
    squares = mb.mul(x=centred, y=centred, name=f"{KEEP}squares")
    variance = mb.reduce_mean(x=squares, axes=axes, keep_dims=True, name=f"{KEEP}variance")
    deviation = mb.sqrt(x=variance, name=f"{KEEP}deviation")
    least = np.float32(1 / np.sqrt(prod(shape[1:])))
    divisor = mb.maximum(x=deviation, y=least, name=f"{KEEP}divisor")
    return mb.real_div(x=centred, y=divisor, name=f"{KEEP}prewhitened")


def _name(layer: Layer) -> str:
    """Return the layer's name with a prefix, so that it never equals the name of a result."""
    return f"layer_{feature_name(layer.name)}"


def _convolution(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    frame = window(layer)
    kernel, *bias = context.net.blobs(layer.name)
    options: dict[str, Any] = {"bias": bias[0]} if bias else {}
    if frame.padded:
        options |= {"pad_type": "custom", "pad": [frame.pad[0], frame.pad[0], frame.pad[1], frame.pad[1]]}
    else:
        options["pad_type"] = "valid"
    value = context.builder.conv(
        x=values[0],
        weight=kernel,
        strides=list(frame.stride),
        dilations=list(frame.dilation),
        groups=groups(layer, context.shapes[layer.bottoms[0]][1]),
        name=_name(layer),
        **options,
    )
    return [value]


def _inner_product(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    shape = context.shapes[layer.bottoms[0]]
    axis = axis_of(layer, shape)
    matrix, *bias = context.net.blobs(layer.name)
    matrix = matrix.T if layer.option("transpose") else matrix
    rows = values[0] if axis == len(shape) - 1 else _shaped(context, values[0], (*shape[:axis], matrix.shape[1]))
    options = {"bias": bias[0]} if bias else {}
    return [context.builder.linear(x=rows, weight=np.ascontiguousarray(matrix), name=_name(layer), **options)]


def _shaped(context: Context, value: Variable, shape: tuple[int, ...]) -> Variable:
    return context.builder.reshape(x=value, shape=list(shape))


def _pooling(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    mb, (bottom, top) = context.builder, (context.shapes[layer.bottoms[0]], context.shapes[layer.tops[0]])
    average = layer.option("pool") == "AVE"
    if layer.option("global_pooling"):
        reduce = mb.reduce_mean if average else mb.reduce_max
        return [reduce(x=values[0], axes=[2, 3], keep_dims=True)]
    frame = window(layer)
    options: dict[str, Any] = {"kernel_sizes": list(frame.kernel), "strides": list(frame.stride)}
    if not average and not frame.padded:
        up = layer.option("round_mode") == "CEIL"
        return [mb.max_pool(x=values[0], pad_type="valid", ceil_mode=up, **options)]
    sides = list(zip(bottom[2:], top[2:], frame.kernel, frame.stride, frame.pad, strict=True))
    ends = [max(0, (out - 1) * stride + kernel - size - pad) for size, out, kernel, stride, pad in sides]
    value = values[0]
    if frame.padded or any(ends):  # Caffe's border, written explicitly
        fill = 0.0 if average else -65504.0
        edges = [0, 0, 0, 0, frame.pad[0], ends[0], frame.pad[1], ends[1]]
        value = mb.pad(x=value, pad=edges, mode="constant", constant_val=np.float32(fill))
    if not average:
        return [mb.max_pool(x=value, pad_type="valid", **options)]
    pooled = mb.avg_pool(x=value, pad_type="valid", exclude_padding_from_average=False, **options)
    counts = [  # Caffe divides by the part of the window that lies within the symmetric border
        np.minimum(np.arange(out) * stride + kernel, size + 2 * pad) - np.arange(out) * stride
        for size, out, kernel, stride, pad in sides
    ]
    share = np.float32(prod(frame.kernel)) / np.outer(*counts).astype(np.float32)
    return [pooled if np.all(share == 1) else mb.mul(x=pooled, y=share[None, None])]


def _relu(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    slope = np.float32(layer.option("negative_slope"))
    return [context.builder.leaky_relu(x=values[0], alpha=slope) if slope else context.builder.relu(x=values[0])]


def _prelu(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    mb, (slope,), shape = context.builder, context.net.blobs(layer.name), context.shapes[layer.bottoms[0]]
    if len(shape) >= 3:
        return [mb.prelu(x=values[0], alpha=np.broadcast_to(slope, (shape[1],)).astype(np.float32))]
    falling = mb.mul(x=mb.relu(x=mb.mul(x=values[0], y=np.float32(-1))), y=-context.broadcast(slope, 1, len(shape))
                     if slope.ndim else -slope)  # fmt: skip
    return [mb.add(x=mb.relu(x=values[0]), y=falling)]


def _softmax(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    return [context.builder.softmax(x=values[0], axis=axis_of(layer, context.shapes[layer.bottoms[0]]))]


def _sigmoid(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    return [context.builder.sigmoid(x=values[0])]


def _power(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    mb, value = context.builder, values[0]
    for operation, option, neutral in ((mb.mul, "scale", 1.0), (mb.add, "shift", 0.0), (mb.pow, "power", 1.0)):
        number = float(layer.option(option))
        if number != neutral:
            value = operation(x=value, y=np.float32(number))
    return [value]


def _eltwise(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    mb = context.builder
    operation = {"SUM": mb.add, "PROD": mb.mul, "MAX": mb.maximum}[layer.option("operation")]
    factors = [float(factor) for factor in layer.option("coeff")] or [1.0] * len(values)
    terms = [value if factor == 1 else mb.mul(x=value, y=np.float32(factor))
             for value, factor in zip(values, factors, strict=True)]  # fmt: skip
    result = terms[0]
    for term in terms[1:]:
        result = operation(x=result, y=term)
    return [result]


def _scale(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    mb, shapes = context.builder, tuple(context.shapes[bottom] for bottom in layer.bottoms)
    axis, factors = scale_axes(layer, shapes)
    rank, blobs = len(shapes[0]), list(context.net.blobs(layer.name))
    if len(values) == 2:
        factor = _shaped(context, values[1], (1,) * axis + factors + (1,) * (rank - axis - len(factors)))
    else:
        factor = context.broadcast(blobs.pop(0), axis, rank)
    result = mb.mul(x=values[0], y=factor)
    return [mb.add(x=result, y=context.broadcast(blobs[0], axis, rank)) if blobs else result]


def _normalize(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    """Write an L2 normalisation in float32, because the squares of a long vector overflow float16."""
    mb, rank, name = context.builder, len(context.shapes[layer.bottoms[0]]), feature_name(layer.name)
    axes = list(range(1, rank)) if layer.option("across_spatial") else [1]
    squares = mb.mul(x=values[0], y=values[0], name=f"{KEEP}{name}_squares")
    total = mb.reduce_sum(x=squares, axes=axes, keep_dims=True, name=f"{KEEP}{name}_sum")
    inverse = mb.rsqrt(x=total, epsilon=np.float32(layer.option("eps")), name=f"{KEEP}{name}_inverse")
    result = mb.mul(x=values[0], y=inverse, name=f"{KEEP}{name}")
    for factor in context.net.blobs(layer.name):
        if not np.all(factor == 1):
            result = mb.mul(x=result, y=context.broadcast(factor, 1, rank) if factor.ndim else factor)
    return [result]


def _concat(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    return [context.builder.concat(values=values, axis=concat_axis(layer, context.shapes[layer.bottoms[0]]))]


def _slice(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    shape = context.shapes[layer.bottoms[0]]
    axis = concat_axis(layer, shape)
    return [
        _cut(context, values[0], [low if place == axis else 0 for place in range(len(shape))],
             [high if place == axis else size for place, size in enumerate(shape)])
        for low, high in pairwise(slice_bounds(layer, shape))
    ]  # fmt: skip


def _cut(context: Context, value: Variable, begin: list[int], end: list[int]) -> Variable:
    return context.builder.slice_by_index(x=value, begin=begin, end=end)


def _crop(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    begin = list(crop_offsets(layer, context.shapes[layer.bottoms[0]]))
    sizes = context.shapes[layer.tops[0]]
    return [_cut(context, values[0], begin, [start + size for start, size in zip(begin, sizes, strict=True)])]


def _permute(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    order = permutation(layer, context.shapes[layer.bottoms[0]])
    return [context.builder.transpose(x=values[0], perm=list(order))]


def _reshaped(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    return [_shaped(context, values[0], context.shapes[layer.tops[0]])]


def _copies(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    return values[:1] * len(layer.tops)


def _batch_norm(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    raise UnsupportedLayerError(f"layer '{layer.name}' (BatchNorm) could not be merged into a Scale")


WRITERS: Mapping[str, Callable[[Context, Layer, list[Variable]], list[Variable]]] = {
    **ACTIVATIONS,
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "ConvolutionDepthwise": _convolution,
    "Crop": _crop,
    "Dropout": _copies,
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
    "Silence": _copies,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _copies,
}
"""Layer type -> the function that appends its operations and returns the values of its tops."""
