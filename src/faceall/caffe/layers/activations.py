"""The layer types ReLU, PReLU, Sigmoid, Softmax and Power."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from faceall.caffe.layers.options import axis_of
from faceall.caffe.layers.rules import per_channel, same_shape, shared_or_per_channel, spread
from faceall.caffe.layers.spec import LayerLike, LayerSpec, OptionSchema, Shapes
from faceall.caffe.onnx_graph import OnnxGraph
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


def _sigmoid(_: LayerLike, bottoms: Sequence[Array], __: Sequence[Array]) -> tuple[Array, ...]:
    return (0.5 * np.tanh(0.5 * bottoms[0]) + 0.5,)  # 1 / (1 + exp(-x)), but never overflows


def _sigmoid_onnx(graph: OnnxGraph, _: LayerLike, bottoms: list[str]) -> list[str]:
    return [graph.node("Sigmoid", bottoms)]


def _power(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    """Compute (shift + scale * x) ** power."""
    base = layer.option("shift") + layer.option("scale") * bottoms[0]
    power = layer.option("power")
    return (base if power == 1 else np.power(base, power),)


def _power_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    result = bottoms[0]
    for kind, name, neutral in (("Mul", "scale", 1.0), ("Add", "shift", 0.0), ("Pow", "power", 1.0)):
        value = float(layer.option(name))
        if value != neutral:
            result = graph.node(kind, [result, graph.scalar(value)])
    return [result]


def _softmax_shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    axis_of(layer, bottoms[0])
    return bottoms


def _softmax(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    axis = axis_of(layer, bottoms[0].shape)
    powers = np.exp(bottoms[0] - bottoms[0].max(axis=axis, keepdims=True))
    return (powers / powers.sum(axis=axis, keepdims=True),)


def _softmax_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    return [graph.node("Softmax", bottoms, axis=int(layer.option("axis")))]


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

SIGMOID = LayerSpec(
    "Sigmoid",
    same_shape,
    _sigmoid,
    _sigmoid_onnx,
    options=OptionSchema("sigmoid_param", 124, "SigmoidParameter", "optional Engine engine = 1 DEFAULT", v1_number=38),
    v1_type="SIGMOID",
)

SOFTMAX = LayerSpec(
    "Softmax",
    _softmax_shapes,
    _softmax,
    _softmax_onnx,
    options=OptionSchema(
        "softmax_param",
        125,
        "SoftmaxParameter",
        """
        optional Engine engine = 1 DEFAULT
        optional int32 axis = 2 1""",
        v1_number=39,
    ),
    v1_type="SOFTMAX",
)

POWER = LayerSpec(
    "Power",
    same_shape,
    _power,
    _power_onnx,
    options=OptionSchema(
        "power_param",
        122,
        "PowerParameter",
        """
        optional float power = 1 1
        optional float scale = 2 1
        optional float shift = 3 0""",
        v1_number=21,
    ),
    v1_type="POWER",
)
