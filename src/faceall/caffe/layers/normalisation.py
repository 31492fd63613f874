"""The layer types BatchNorm, Bias, Normalize and Scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from faceall.caffe.layers.options import scale_axes
from faceall.caffe.layers.rules import per_channel, shared_or_per_channel, spread
from faceall.caffe.layers.spec import LayerLike, LayerSpec, OptionSchema, Shapes
from faceall.caffe.onnx_graph import OnnxGraph
from faceall.errors import UnsupportedLayerError
from faceall.types import Array


def _batch_norm_shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    if layer.option("use_global_stats") is False:
        raise UnsupportedLayerError("has use_global_stats: false, which is for training; set it to true")
    return per_channel(layer, bottoms)


def _batch_norm_weights(_: LayerLike, bottoms: Shapes) -> Shapes:
    """Return the shapes of mean, variance, and the factor by which both are divided."""
    channels = (bottoms[0][1],)
    return (channels, channels, (1,))


def _batch_norm(layer: LayerLike, bottoms: Sequence[Array], weights: Sequence[Array]) -> tuple[Array, ...]:
    mean, variance = weights[0], weights[1]
    if len(weights) == 3:
        factor = weights[2][0]
        scale = 0.0 if factor == 0 else 1.0 / factor
        mean, variance = mean * scale, variance * scale
    count = bottoms[0].ndim
    deviation = np.sqrt(variance + layer.option("eps"))
    return ((bottoms[0] - spread(mean, 1, count)) / spread(deviation, 1, count),)


def _batch_norm_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    mean, variance, *factor = graph.blobs(layer.name)
    scale = float(factor[0][0]) if factor else 1.0
    scale = 0.0 if scale == 0 else 1.0 / scale
    ones, zeros = np.ones_like(mean), np.zeros_like(mean)
    constants = [graph.constant(array) for array in (ones, zeros, mean * scale, variance * scale)]
    return [graph.node("BatchNormalization", [*bottoms, *constants], epsilon=float(layer.option("eps")))]


def _scale_shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    scale_axes(layer, bottoms)
    return (bottoms[0],)


def _scale_weights(layer: LayerLike, bottoms: Shapes) -> Shapes:
    """Return the shapes of the factors, unless they are the second input, and of the bias."""
    _, factors = scale_axes(layer, bottoms)
    return (factors,) * (int(len(bottoms) == 1) + int(layer.option("bias_term")))


def _scale(layer: LayerLike, bottoms: Sequence[Array], weights: Sequence[Array]) -> tuple[Array, ...]:
    array = bottoms[0]
    axis, _ = scale_axes(layer, tuple(bottom.shape for bottom in bottoms))
    factors, biases = (bottoms[1], weights) if len(bottoms) == 2 else (weights[0], weights[1:])
    result = array * spread(factors, axis, array.ndim)
    return (result + spread(biases[0], axis, array.ndim) if biases else result,)


def _scale_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    blob, blobs = layer.bottoms[0], list(graph.blobs(layer.name))
    axis, factors = scale_axes(layer, tuple(graph.shapes[bottom] for bottom in layer.bottoms))
    if len(bottoms) == 2:
        factor = _unsqueezed(graph, bottoms[1], blob, axis + len(factors))
    else:
        factor = graph.broadcast(blobs.pop(0), blob, axis)
    result = graph.node("Mul", [bottoms[0], factor])
    if layer.option("bias_term"):
        result = graph.node("Add", [result, graph.broadcast(blobs[0], blob, axis)])
    return [result]


def _bias_weights(layer: LayerLike, bottoms: Shapes) -> Shapes:
    """Return the shape of the terms, unless they are the second input."""
    return () if len(bottoms) == 2 else (scale_axes(layer, bottoms)[1],)


def _bias(layer: LayerLike, bottoms: Sequence[Array], weights: Sequence[Array]) -> tuple[Array, ...]:
    array = bottoms[0]
    axis, _ = scale_axes(layer, tuple(bottom.shape for bottom in bottoms))
    return (array + spread(bottoms[1] if len(bottoms) == 2 else weights[0], axis, array.ndim),)


def _bias_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    axis, terms = scale_axes(layer, tuple(graph.shapes[bottom] for bottom in layer.bottoms))
    if len(bottoms) == 1:
        (values,) = graph.blobs(layer.name)
        return [graph.node("Add", [bottoms[0], graph.broadcast(values, layer.bottoms[0], axis)])]
    return [graph.node("Add", [bottoms[0], _unsqueezed(graph, bottoms[1], layer.bottoms[0], axis + len(terms))])]


def _unsqueezed(graph: OnnxGraph, value: str, blob: str, end: int) -> str:
    """Append axes of size 1 to `value`, whose last axis lies before axis `end` of `blob`."""
    trailing = graph.rank(blob) - end
    return graph.node("Unsqueeze", [value, graph.integers(*range(-trailing, 0))]) if trailing else value


def _normalize(layer: LayerLike, bottoms: Sequence[Array], weights: Sequence[Array]) -> tuple[Array, ...]:
    """Divide by the root of the sum of squares over the channels, or over the whole sample with across_spatial."""
    array = bottoms[0]
    axes = tuple(range(1, array.ndim)) if layer.option("across_spatial") else (1,)
    result = array / np.sqrt((array * array).sum(axis=axes, keepdims=True) + layer.option("eps"))
    return (result * spread(weights[0], 1, array.ndim) if weights else result,)


def _normalize_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    axes = list(range(1, graph.rank(layer.bottoms[0]))) if layer.option("across_spatial") else [1]
    total = graph.node("ReduceSum", [graph.node("Mul", bottoms * 2), graph.integers(*axes)], keepdims=1)
    norm = graph.node("Sqrt", [graph.node("Add", [total, graph.scalar(float(layer.option("eps")))])])
    result = graph.node("Div", [bottoms[0], norm])
    for scale in graph.blobs(layer.name):
        result = graph.node("Mul", [result, graph.broadcast(scale, layer.bottoms[0], 1)])
    return [result]


BATCH_NORM = LayerSpec(
    "BatchNorm",
    _batch_norm_shapes,
    _batch_norm,
    _batch_norm_onnx,
    options=OptionSchema(
        "batch_norm_param",
        139,
        "BatchNormParameter",
        """
        optional bool use_global_stats = 1
        optional float moving_average_fraction = 2 0.999
        optional float eps = 3 1e-5""",
    ),
    weights=_batch_norm_weights,
    optional_weights=1,
)

SCALE = LayerSpec(
    "Scale",
    _scale_shapes,
    _scale,
    _scale_onnx,
    options=OptionSchema(
        "scale_param",
        142,
        "ScaleParameter",
        """
        optional int32 axis = 1 1
        optional int32 num_axes = 2 1
        optional FillerParameter filler = 3
        optional bool bias_term = 4 false
        optional FillerParameter bias_filler = 5""",
    ),
    weights=_scale_weights,
    bottoms=(1, 2),
)

BIAS = LayerSpec(
    "Bias",
    _scale_shapes,
    _bias,
    _bias_onnx,
    options=OptionSchema(
        "bias_param",
        141,
        "BiasParameter",
        """
        optional int32 axis = 1 1
        optional int32 num_axes = 2 1
        optional FillerParameter filler = 3""",
    ),
    weights=_bias_weights,
    bottoms=(1, 2),
)

NORMALIZE = LayerSpec(
    "Normalize",
    per_channel,
    _normalize,
    _normalize_onnx,
    options=OptionSchema(
        "norm_param",
        206,
        "NormalizeParameter",
        """
        optional bool across_spatial = 1 true
        optional FillerParameter scale_filler = 2
        optional bool channel_shared = 3 true
        optional float eps = 4 1e-10""",
    ),
    weights=shared_or_per_channel,
    optional_weights=1,
)
