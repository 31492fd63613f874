"""Options that several layer types share, read from a layer and checked."""

from __future__ import annotations

from itertools import pairwise

from faceall.caffe.layers.spec import LayerLike, Shape, Shapes
from faceall.caffe.layers.window import Pair
from faceall.errors import ShapeError


def axis_of(layer: LayerLike, shape: Shape, option: str = "axis") -> int:
    """Return an axis option as an index from 0; a negative one counts from the end of `shape`.

    Raises
    ------
    ShapeError
        `shape` has no such axis.
    """
    axis = int(layer.option(option))
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"has {option} {axis}, its input '{layer.bottoms[0]}' has {len(shape)} axes")
    return axis % len(shape)


def groups(layer: LayerLike, channels: int) -> int:
    """Return the number of groups of a convolution; ConvolutionDepthwise has one per channel by default."""
    if layer.type == "ConvolutionDepthwise" and "group" not in layer.given:
        return channels
    return int(layer.option("group"))


def outputs_of(layer: LayerLike) -> int:
    """Return the `num_output` of a Convolution or InnerProduct.

    Raises
    ------
    ShapeError
        The layer gives none.
    """
    count = layer.option("num_output")
    if not count:
        raise ShapeError("gives no num_output, expected at least 1")
    return int(count)


def concat_axis(layer: LayerLike, shape: Shape) -> int:
    """Return the axis of a Concat or Slice; old files call it concat_dim or slice_dim.

    Raises
    ------
    ShapeError
        `shape` has no such axis.
    """
    old = "concat_dim" if layer.type == "Concat" else "slice_dim"
    return axis_of(layer, shape, old if old in layer.given else "axis")


def slice_bounds(layer: LayerLike, shape: Shape) -> tuple[int, ...]:
    """Return where a Slice cuts its axis: the start of every output, then the end of the last.

    Raises
    ------
    ShapeError
        The axis cannot be cut so.
    """
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


def crop_offsets(layer: LayerLike, shape: Shape) -> tuple[int, ...]:
    """Return the first kept index of every axis of a Crop's first input.

    Raises
    ------
    ShapeError
        The number of offsets does not fit the number of axes.
    """
    axis = axis_of(layer, shape)
    offsets = [int(offset) for offset in layer.option("offset")] or [0]
    count = len(shape) - axis
    if len(offsets) == 1:
        offsets *= count
    if len(offsets) != count:
        raise ShapeError(f"gives {len(offsets)} offsets, expected one, or {count} (one per cropped axis)")
    return (0,) * axis + tuple(offsets)


def permutation(layer: LayerLike, shape: Shape) -> tuple[int, ...]:
    """Return the order of axes of a Permute; axes that it does not name follow in their order.

    Raises
    ------
    ShapeError
        An axis is named twice or does not exist.
    """
    order = [int(axis) for axis in layer.option("order")]
    if len(set(order)) != len(order) or any(not 0 <= axis < len(shape) for axis in order):
        raise ShapeError(f"has order {order}, expected different axes below {len(shape)}")
    return (*order, *(axis for axis in range(len(shape)) if axis not in order))


def scale_axes(layer: LayerLike, bottoms: Shapes) -> tuple[int, Shape]:
    """Return the first axis that the factors of a Scale (or the terms of a Bias) span, and their shape.

    Raises
    ------
    ShapeError
        The second input does not fit the first, or the options name axes that do not exist.
    """
    shape = bottoms[0]
    if len(bottoms) == 2:
        factors = bottoms[1]
        axis = axis_of(layer, shape) if factors else 0
        if shape[axis : axis + len(factors)] != factors:
            verb = "scales" if layer.type == "Scale" else "shifts"
            raise ShapeError(
                f"{verb} '{layer.bottoms[0]}' of shape {shape} from axis {axis} on, "
                f"its second input '{layer.bottoms[1]}' has shape {factors}"
            )
        return axis, factors
    axis, count = axis_of(layer, shape), int(layer.option("num_axes"))
    if not -1 <= count <= len(shape) - axis:
        raise ShapeError(f"has axis {axis} and num_axes {count}, its input '{layer.bottoms[0]}' has {len(shape)} axes")
    return (axis, shape[axis:]) if count == -1 else (axis, shape[axis : axis + count])


def image_axes(layer: LayerLike, shape: Shape) -> tuple[int, int, Pair]:
    """Return (batch, channels, (height, width)) of an input with four axes.

    Raises
    ------
    ShapeError
        The input has another number of axes.
    """
    if len(shape) != 4:
        raise ShapeError(f"expects an input of 4 axes (N, C, H, W), its input '{layer.bottoms[0]}' has shape {shape}")
    return shape[0], shape[1], (shape[2], shape[3])


def need_pixels(layer: LayerLike, spatial: Pair, sizes: list[int], extent: Pair) -> None:
    """Refuse a window that does not fit its input.

    Raises
    ------
    ShapeError
        An output would have no pixels.
    """
    if min(sizes) < 1:
        raise ShapeError(
            f"slides a window of {extent[0]}x{extent[1]} pixels (height x width), "
            f"which does not fit its input '{layer.bottoms[0]}' of {spatial[0]}x{spatial[1]}"
        )
