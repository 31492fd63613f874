"""The layer types that rectify or limit values: Clip, ELU, PReLU and ReLU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from faceall.caffe.layers.rules import per_channel, same_shape, shared_or_per_channel, spread
from faceall.caffe.layers.spec import LayerLike, LayerSpec, OptionSchema, Shapes
from faceall.caffe.onnx_graph import OnnxGraph
from faceall.errors import ShapeError
from faceall.types import Array


def _relu(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    array = bottoms[0]
    return (np.maximum(array, 0) + layer.option("negative_slope") * np.minimum(array, 0),)


def _relu_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    slope = float(layer.option("negative_slope"))
    return [graph.node("LeakyRelu", bottoms, alpha=slope) if slope else graph.node("Relu", bottoms)]


def _prelu(_: LayerLike, bottoms: Sequence[Array], weights: Sequence[Array]) -> tuple[Array, ...]:
    array = bottoms[0]
    return (np.maximum(array, 0) + spread(weights[0], 1, array.ndim) * np.minimum(array, 0),)


def _prelu_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    (slope,) = graph.blobs(layer.name)
    return [graph.node("PRelu", [*bottoms, graph.broadcast(slope, layer.bottoms[0], 1)])]


def _elu(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    array = bottoms[0]
    return (np.maximum(array, 0) + layer.option("alpha") * np.expm1(np.minimum(array, 0)),)


def _elu_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    return [graph.node("Elu", bottoms, alpha=float(layer.option("alpha")))]


def clip_limits(layer: LayerLike) -> tuple[float, float]:
    """Return the smallest and the largest output of a Clip.

    Raises
    ------
    ShapeError
        A limit is missing, or the smallest exceeds the largest.
    """
    low, high = layer.option("min"), layer.option("max")
    if low is None or high is None or not low <= high:
        raise ShapeError(f"limits values to {low} and {high}, expected min and max in this order")
    return float(low), float(high)


def _clip_shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    clip_limits(layer)
    return bottoms


def _clip(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    low, high = clip_limits(layer)
    return (np.minimum(np.maximum(bottoms[0], low), high),)


def _clip_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    return [graph.node("Clip", [*bottoms, *map(graph.scalar, clip_limits(layer))])]


RELU = LayerSpec(
    "ReLU",
    same_shape,
    _relu,
    _relu_onnx,
    options=OptionSchema(
        "relu_param",
        123,
        "ReLUParameter",
        """
        optional float negative_slope = 1 0
        optional Engine engine = 2 DEFAULT""",
        v1_number=30,
    ),
    v1_type="RELU",
)

PRELU = LayerSpec(
    "PReLU",
    per_channel,
    _prelu,
    _prelu_onnx,
    options=OptionSchema(
        "prelu_param",
        131,
        "PReLUParameter",
        """
        optional FillerParameter filler = 1
        optional bool channel_shared = 2 false""",
    ),
    weights=shared_or_per_channel,
)

ELU = LayerSpec(
    "ELU",
    same_shape,
    _elu,
    _elu_onnx,
    options=OptionSchema("elu_param", 140, "ELUParameter", "optional float alpha = 1 1"),
)

CLIP = LayerSpec(
    "Clip",
    _clip_shapes,
    _clip,
    _clip_onnx,
    options=OptionSchema(
        "clip_param",
        148,
        "ClipParameter",
        """
        optional float min = 1
        optional float max = 2""",
    ),
)
