"""Shape rules and operations that several layer types share."""

from __future__ import annotations

from collections.abc import Sequence

from faceall.caffe.layers.spec import LayerLike, Shapes
from faceall.caffe.onnx_graph import OnnxGraph
from faceall.errors import ShapeError
from faceall.types import Array


def same_shape(layer: LayerLike, bottoms: Shapes) -> Shapes:
    """Give every output the shape of the input."""
    return (bottoms[0],) * len(layer.tops)


def per_channel(layer: LayerLike, bottoms: Shapes) -> Shapes:
    """Give the output the shape of the input, which must have an axis of channels.

    Raises
    ------
    ShapeError
        The input has fewer than two axes.
    """
    if len(bottoms[0]) < 2:
        raise ShapeError(f"expects an axis of channels, its input '{layer.bottoms[0]}' has shape {bottoms[0]}")
    return bottoms


def shared_or_per_channel(layer: LayerLike, bottoms: Shapes) -> Shapes:
    """Return the shape of a weight that is one number, or one number per channel."""
    return ((),) if layer.option("channel_shared") else ((bottoms[0][1],),)


def spread(values: Array, axis: int, count: int) -> Array:
    """Add axes of size 1 to `values`, so that they broadcast against an array of `count` axes from `axis` on."""
    return values.reshape((1,) * axis + values.shape + (1,) * (count - axis - values.ndim))


def copies(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    """Return the input once per output."""
    return (bottoms[0],) * len(layer.tops)


def onnx_copies(_: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    """Return the input value once per output."""
    return bottoms[:1] * len(layer.tops)
