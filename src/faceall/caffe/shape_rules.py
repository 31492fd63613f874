"""How each layer type shapes its output from its inputs: one row of a table per type.

A rule's error says only what is wrong ("expects ..."); `shapes.infer_shapes` puts the layer's name in front.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import TypeAlias

from faceall.caffe.net import Layer
from faceall.caffe.window import Pair, window
from faceall.errors import ShapeError, UnsupportedLayerError

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = tuple[Shape, ...]
ShapeRule: TypeAlias = Callable[[Layer, Shapes], Shapes]
"""The layer and the shapes of its bottoms -> the shapes of its tops."""


def axis_of(layer: Layer, shape: Shape, option: str = "axis") -> int:
    """The layer's axis option as an index from 0, a negative one counted from the end of `shape`."""
    axis = int(layer.option(option))
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"has {option} {axis}, its input '{layer.bottoms[0]}' has {len(shape)} axes")
    return axis % len(shape)


def groups(layer: Layer, channels: int) -> int:
    """The groups of a convolution of `channels`; a ConvolutionDepthwise that gives none has one per channel."""
    if layer.type == "ConvolutionDepthwise" and "group" not in layer.parameters.get("convolution_param", {}):
        return channels
    return int(layer.option("group"))


def outputs_of(layer: Layer) -> int:
    """The `num_output` of a Convolution or InnerProduct."""
    count = layer.option("num_output")
    if not count:
        raise ShapeError("gives no num_output, expected at least 1")
    return int(count)


def concat_axis(layer: Layer, shape: Shape) -> int:
    """The axis of a Concat or Slice, which old files call concat_dim or slice_dim."""
    field, old = ("concat_param", "concat_dim") if layer.type == "Concat" else ("slice_param", "slice_dim")
    return axis_of(layer, shape, old if old in layer.parameters.get(field, {}) else "axis")


def slice_bounds(layer: Layer, shape: Shape) -> tuple[int, ...]:
    """Where a Slice cuts its axis: the start of every top, then the end of the last."""
    size = shape[concat_axis(layer, shape)]
    points = [int(point) for point in layer.option("slice_point")]
    count = len(layer.tops)
    if not points:
        if size % count:
            raise ShapeError(f"cuts into {count} equal parts, its input '{layer.bottoms[0]}' has {size} there")
        return tuple(range(0, size + 1, size // count))
    bounds = (0, *points, size)
    if len(points) != count - 1 or any(low >= high for low, high in pairwise(bounds)):
        raise ShapeError(f"cuts at {points}, expected {count - 1} growing points between 0 and {size}")
    return bounds


def crop_offsets(layer: Layer, shape: Shape) -> tuple[int, ...]:
    """The first kept index of every axis of a Crop's first input."""
    axis = axis_of(layer, shape)
    offsets = [int(offset) for offset in layer.option("offset")] or [0]
    count = len(shape) - axis
    if len(offsets) == 1:
        offsets *= count
    if len(offsets) != count:
        raise ShapeError(f"gives {len(offsets)} offsets, expected one, or {count} (one per cropped axis)")
    return (0,) * axis + tuple(offsets)


def permutation(layer: Layer, shape: Shape) -> tuple[int, ...]:
    """The order of axes of a Permute; axes that it does not name follow in their order."""
    order = [int(axis) for axis in layer.option("order")]
    if len(set(order)) != len(order) or any(not 0 <= axis < len(shape) for axis in order):
        raise ShapeError(f"has order {order}, expected different axes below {len(shape)}")
    return (*order, *(axis for axis in range(len(shape)) if axis not in order))


def scale_axes(layer: Layer, bottoms: Shapes) -> tuple[int, Shape]:
    """The first axis that a Scale's factors span, and the factors' shape."""
    shape = bottoms[0]
    if len(bottoms) == 2:
        factors = bottoms[1]
        axis = axis_of(layer, shape) if factors else 0
        if shape[axis : axis + len(factors)] != factors:
            raise ShapeError(
                f"scales '{layer.bottoms[0]}' of shape {shape} from axis {axis} on, "
                f"its second input '{layer.bottoms[1]}' has shape {factors}"
            )
        return axis, factors
    axis, count = axis_of(layer, shape), int(layer.option("num_axes"))
    if not -1 <= count <= len(shape) - axis:
        raise ShapeError(f"has axis {axis} and num_axes {count}, its input '{layer.bottoms[0]}' has {len(shape)} axes")
    return (axis, shape[axis:]) if count == -1 else (axis, shape[axis : axis + count])


def image_axes(layer: Layer, shape: Shape) -> tuple[int, int, Pair]:
    """(batch, channels, (height, width)) of a 4-D input."""
    if len(shape) != 4:
        raise ShapeError(f"expects an input of 4 axes (N, C, H, W), its input '{layer.bottoms[0]}' has shape {shape}")
    return shape[0], shape[1], (shape[2], shape[3])


def _same(layer: Layer, bottoms: Shapes) -> Shapes:
    return (bottoms[0],) * len(layer.tops)


def _per_channel(layer: Layer, bottoms: Shapes) -> Shapes:
    if len(bottoms[0]) < 2:
        raise ShapeError(f"expects an axis of channels, its input '{layer.bottoms[0]}' has shape {bottoms[0]}")
    return bottoms


def _batch_norm(layer: Layer, bottoms: Shapes) -> Shapes:
    if layer.option("use_global_stats") is False:
        raise UnsupportedLayerError("has use_global_stats: false, which is for training; set it to true")
    return _per_channel(layer, bottoms)


def _convolution(layer: Layer, bottoms: Shapes) -> Shapes:
    batch, channels, spatial = image_axes(layer, bottoms[0])
    if layer.option("axis") != 1:
        raise UnsupportedLayerError(f"has axis {layer.option('axis')}, only 1 is supported")
    outputs, group, slid = outputs_of(layer), groups(layer, channels), window(layer)
    if group < 1 or channels % group or outputs % group:
        raise ShapeError(
            f"has {group} groups, which must divide its {outputs} outputs "
            f"and the {channels} channels of its input '{layer.bottoms[0]}'"
        )
    sizes = [
        (size + 2 * pad - extent) // stride + 1
        for size, pad, extent, stride in zip(spatial, slid.pad, slid.extent, slid.stride, strict=True)
    ]
    _need_pixels(layer, spatial, sizes, slid.extent)
    return ((batch, outputs, *sizes),)


def _pooling(layer: Layer, bottoms: Shapes) -> Shapes:
    batch, channels, spatial = image_axes(layer, bottoms[0])
    if layer.option("pool") not in ("MAX", "AVE"):
        raise UnsupportedLayerError(f"has pool: {layer.option('pool')}, supported are MAX and AVE")
    slid = window(layer, spatial)
    sizes = []
    for size, pad, kernel, stride in zip(spatial, slid.pad, slid.kernel, slid.stride, strict=True):
        room = size + 2 * pad - kernel
        count = (room // stride if layer.option("round_mode") == "FLOOR" else -(-room // stride)) + 1
        if slid.padded and (count - 1) * stride >= size + pad:
            count -= 1  # the last window must begin in the picture or in the border before it
        sizes.append(count if (count - 1) * stride - pad < size else 0)
    _need_pixels(layer, spatial, sizes, slid.kernel)
    return ((batch, channels, *sizes),)


def _need_pixels(layer: Layer, spatial: Pair, sizes: list[int], extent: Pair) -> None:
    if min(sizes) < 1:
        raise ShapeError(
            f"slides a window of {extent[0]}x{extent[1]} pixels (height x width), "
            f"which does not fit its input '{layer.bottoms[0]}' of {spatial[0]}x{spatial[1]}"
        )


def _inner_product(layer: Layer, bottoms: Shapes) -> Shapes:
    return ((*bottoms[0][: axis_of(layer, bottoms[0])], outputs_of(layer)),)


def _concat(layer: Layer, bottoms: Shapes) -> Shapes:
    first, axis = bottoms[0], concat_axis(layer, bottoms[0])
    rest = first[:axis] + first[axis + 1 :]
    for name, shape in zip(layer.bottoms, bottoms, strict=True):
        if len(shape) != len(first) or shape[:axis] + shape[axis + 1 :] != rest:
            raise ShapeError(
                f"joins along axis {axis}, its input '{name}' of shape {shape} "
                f"differs elsewhere from '{layer.bottoms[0]}' of shape {first}"
            )
    return ((*first[:axis], sum(shape[axis] for shape in bottoms), *first[axis + 1 :]),)


def _eltwise(layer: Layer, bottoms: Shapes) -> Shapes:
    for name, shape in zip(layer.bottoms, bottoms, strict=True):
        if shape != bottoms[0]:
            raise ShapeError(
                f"expects inputs of one shape, '{layer.bottoms[0]}' has {bottoms[0]} and '{name}' has {shape}"
            )
    count = len(layer.option("coeff"))
    if count and (layer.option("operation") != "SUM" or count != len(bottoms)):
        raise ShapeError(f"gives {count} coeff for {len(bottoms)} inputs; coeff is for SUM, one for each input")
    return (bottoms[0],)


def _flatten(layer: Layer, bottoms: Shapes) -> Shapes:
    shape = bottoms[0]
    start, end = axis_of(layer, shape), axis_of(layer, shape, "end_axis")
    if end < start:
        raise ShapeError(f"flattens axes {start} to {end}, expected the first to come first")
    return ((*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :]),)


def _reshape(layer: Layer, bottoms: Shapes) -> Shapes:
    shape = bottoms[0]
    wanted = [int(size) for size in (layer.option("shape") or {}).get("dim", [])]
    start, count = int(layer.option("axis")), int(layer.option("num_axes"))
    start = start + len(shape) + 1 if start < 0 else start
    end = len(shape) if count == -1 else start + count
    if not 0 <= start <= end <= len(shape):
        raise ShapeError(f"has axis {start} and num_axes {count}, its input '{layer.bottoms[0]}' has shape {shape}")
    if any(size < -1 for size in wanted) or wanted.count(-1) > 1 or 0 in wanted[end - start :]:
        raise ShapeError(f"has dims {wanted}, expected sizes, 0 for an axis of the input, and -1 at most once")
    sizes = [shape[start + place] if size == 0 else size for place, size in enumerate(wanted)]
    if -1 in sizes:
        known = prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = prod(shape[start:end]) // known
    if prod(sizes) != prod(shape[start:end]):
        raise ShapeError(f"has dims {wanted}, which do not hold the numbers of '{layer.bottoms[0]}' of shape {shape}")
    return ((*shape[:start], *sizes, *shape[end:]),)


def _permute(layer: Layer, bottoms: Shapes) -> Shapes:
    return (tuple(bottoms[0][axis] for axis in permutation(layer, bottoms[0])),)


def _softmax(layer: Layer, bottoms: Shapes) -> Shapes:
    axis_of(layer, bottoms[0])
    return bottoms


def _crop(layer: Layer, bottoms: Shapes) -> Shapes:
    shape, like = bottoms
    axis, offsets = axis_of(layer, shape), crop_offsets(layer, shape)
    if len(like) != len(shape):
        raise ShapeError(f"crops '{layer.bottoms[0]}' of shape {shape} to '{layer.bottoms[1]}' of shape {like}")
    sizes = (*shape[:axis], *like[axis:])
    if any(offset + size > room for offset, size, room in zip(offsets, sizes, shape, strict=True)):
        raise ShapeError(
            f"crops '{layer.bottoms[0]}' of shape {shape} at {offsets} to {sizes}, which reaches beyond its edge"
        )
    return (sizes,)


def _slice(layer: Layer, bottoms: Shapes) -> Shapes:
    axis, bounds = concat_axis(layer, bottoms[0]), slice_bounds(layer, bottoms[0])
    before, after = bottoms[0][:axis], bottoms[0][axis + 1 :]
    return tuple((*before, high - low, *after) for low, high in pairwise(bounds))


def _scale(layer: Layer, bottoms: Shapes) -> Shapes:
    scale_axes(layer, bottoms)
    return (bottoms[0],)


SHAPE_RULES: dict[str, ShapeRule] = {
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "ConvolutionDepthwise": _convolution,
    "Crop": _crop,
    "Dropout": _same,
    "Eltwise": _eltwise,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "Normalize": _per_channel,
    "PReLU": _per_channel,
    "Permute": _permute,
    "Pooling": _pooling,
    "Power": _same,
    "ReLU": _same,
    "Reshape": _reshape,
    "Scale": _scale,
    "Sigmoid": _same,
    "Silence": _same,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _same,
}
"""Layer type -> its shape rule. Input is not here: its shape is given, not inferred."""
