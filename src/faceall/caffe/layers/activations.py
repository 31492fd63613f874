"""The layer types Power, Sigmoid, Softmax, Swish and TanH."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from faceall.caffe.layers.options import axis_of
from faceall.caffe.layers.rules import same_shape
from faceall.caffe.layers.spec import LayerLike, LayerSpec, OptionSchema, Shapes
from faceall.caffe.onnx_graph import OnnxGraph
from faceall.types import Array


def _sigmoid(_: LayerLike, bottoms: Sequence[Array], __: Sequence[Array]) -> tuple[Array, ...]:
    return (0.5 * np.tanh(0.5 * bottoms[0]) + 0.5,)  # 1 / (1 + exp(-x)), but never overflows


def _sigmoid_onnx(graph: OnnxGraph, _: LayerLike, bottoms: list[str]) -> list[str]:
    return [graph.node("Sigmoid", bottoms)]


def _tanh(_: LayerLike, bottoms: Sequence[Array], __: Sequence[Array]) -> tuple[Array, ...]:
    return (np.tanh(bottoms[0]),)


def _tanh_onnx(graph: OnnxGraph, _: LayerLike, bottoms: list[str]) -> list[str]:
    return [graph.node("Tanh", bottoms)]


def _swish(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    """Compute x * sigmoid(beta * x)."""
    return (bottoms[0] * (0.5 * np.tanh(0.5 * layer.option("beta") * bottoms[0]) + 0.5),)


def _swish_onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    beta = float(layer.option("beta"))
    scaled = bottoms if beta == 1.0 else [graph.node("Mul", [*bottoms, graph.scalar(beta)])]
    return [graph.node("Mul", [*bottoms, graph.node("Sigmoid", scaled)])]


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

TANH = LayerSpec(
    "TanH",
    same_shape,
    _tanh,
    _tanh_onnx,
    options=OptionSchema("tanh_param", 127, "TanHParameter", "optional Engine engine = 1 DEFAULT", v1_number=37),
    v1_type="TANH",
)

SWISH = LayerSpec(
    "Swish",
    same_shape,
    _swish,
    _swish_onnx,
    options=OptionSchema("swish_param", 147, "SwishParameter", "optional float beta = 1 1"),
)
