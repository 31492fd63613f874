"""Write each Keras layer as operations: a table class -> function(writer, layer)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from faceall.convert.budget import charge
from faceall.convert.tensorflow.graph_writer import GraphWriter, Steps
from faceall.types import Array


class CannotReadLayerError(Exception):
    """One layer has no counterpart; the message says why. The reader collects these."""


@dataclass(frozen=True)
class KerasLayer:
    """One call of a layer.

    Parameters
    ----------
    name : str
        A name for the call, unique in the graph.
    config : Mapping[str, Any]
        Keras's options.
    inputs : Sequence[str]
        The tensors that it reads.
    weights : Sequence[Array]
        Its arrays, in Keras's order.
    """

    name: str
    config: Mapping[str, Any]
    inputs: Sequence[str]
    weights: Sequence[Array]

    @property
    def x(self) -> str:
        """The only input.

        Raises
        ------
        CannotReadLayerError
            If there is not exactly one.
        """
        if len(self.inputs) != 1:
            raise CannotReadLayerError(f"it has {len(self.inputs)} inputs, expected one")
        return self.inputs[0]

    def take(self, *shapes: int) -> list[Array]:
        """Return the weights in float32, which have to have that many axes each.

        Raises
        ------
        CannotReadLayerError
            If they have other axes.
        """
        found = [weight.ndim for weight in self.weights]
        if found != list(shapes):
            raise CannotReadLayerError(f"its weights have {found} axes, expected {list(shapes)}")
        charge(size=sum(4 * weight.size for weight in self.weights if weight.dtype != np.float32))
        return [np.asarray(weight, np.float32) for weight in self.weights]


Reader: TypeAlias = Callable[[GraphWriter, KerasLayer], str]


def _pair(value: Any) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(number, int) and 0 < number < 4096 for number in pair):
        raise CannotReadLayerError(f"{value!r} is no size in rows and columns")
    return pair[0], pair[1]


def _channels_last(layer: KerasLayer) -> None:
    if layer.config.get("data_format") not in (None, "channels_last"):
        raise CannotReadLayerError("it holds its channels first")


def _padding(layer: KerasLayer) -> str:
    _channels_last(layer)
    padding = str(layer.config.get("padding", "valid")).upper()
    if padding not in ("SAME", "VALID"):
        raise CannotReadLayerError(f"unknown padding {padding!r}")
    return padding


_ACTIVATIONS = {"relu": "Relu", "relu6": "Relu6", "sigmoid": "Sigmoid", "softmax": "Softmax", "exponential": "Exp"}


def _activated(writer: GraphWriter, x: str, layer: KerasLayer) -> str:
    name = layer.config.get("activation") or "linear"
    if name == "linear":
        return x
    if not isinstance(name, str) or name not in _ACTIVATIONS:
        raise CannotReadLayerError(f"unknown activation {name!r}; known: linear, {', '.join(_ACTIVATIONS)}")
    return writer.node(f"{layer.name}/{_ACTIVATIONS[name]}", _ACTIVATIONS[name], [x])


def _convolution(writer: GraphWriter, layer: KerasLayer) -> str:
    if layer.config.get("groups", 1) != 1:
        raise CannotReadLayerError(f"it convolves in {layer.config['groups']} groups")
    return _convolved(writer, layer, depthwise=False)


def _convolved(writer: GraphWriter, layer: KerasLayer, *, depthwise: bool) -> str:
    kernel, *bias = layer.take(4, *([1] if layer.config.get("use_bias", True) else []))
    y = writer.convolution(
        layer.x,
        layer.name,
        kernel,
        _steps(layer),
        bias=bias[0] if bias else None,
        depthwise=depthwise,
    )
    return _activated(writer, y, layer)


def _steps(layer: KerasLayer) -> Steps:
    """Return how the window of a convolution moves."""
    stride, dilation = layer.config.get("strides", 1), layer.config.get("dilation_rate", 1)
    return Steps(_pair(stride), _padding(layer), _pair(dilation))


def _depthwise(writer: GraphWriter, layer: KerasLayer) -> str:
    return _convolved(writer, layer, depthwise=True)


def _separable(writer: GraphWriter, layer: KerasLayer) -> str:
    first, second, *bias = layer.take(4, 4, *([1] if layer.config.get("use_bias", True) else []))
    y = writer.convolution(layer.x, f"{layer.name}/depthwise", first, _steps(layer), depthwise=True)
    return _activated(writer, writer.convolution(y, layer.name, second, bias=bias[0] if bias else None), layer)


def _dense(writer: GraphWriter, layer: KerasLayer) -> str:
    weights, *bias = layer.take(2, *([1] if layer.config.get("use_bias", True) else []))
    return _activated(writer, writer.dense(layer.x, layer.name, weights, bias[0] if bias else None), layer)


def _batch_norm(writer: GraphWriter, layer: KerasLayer) -> str:
    axis = layer.config.get("axis", -1)
    if (axis[0] if isinstance(axis, list) and len(axis) == 1 else axis) not in (-1, 3, 1):
        raise CannotReadLayerError(f"it normalises axis {axis}")
    scale, center = layer.config.get("scale", True), layer.config.get("center", True)
    arrays = layer.take(*[1] * (2 + bool(scale) + bool(center)))
    gamma = arrays.pop(0) if scale else None
    beta = arrays.pop(0) if center else None
    mean, variance = arrays
    epsilon = float(layer.config.get("epsilon", 1e-3))
    return writer.batch_norm(layer.x, layer.name, gamma, beta, mean, variance, epsilon)


def _activation(writer: GraphWriter, layer: KerasLayer) -> str:
    return _activated(writer, layer.x, layer)


def _relu(writer: GraphWriter, layer: KerasLayer) -> str:
    most, slope = layer.config.get("max_value"), layer.config.get("negative_slope") or 0.0
    if layer.config.get("threshold") or most not in (None, 6, 6.0) or (most and slope):
        raise CannotReadLayerError("it has a threshold or a limit other than 6")
    if slope:
        return writer.node(f"{layer.name}/LeakyRelu", "LeakyRelu", [layer.x], alpha=float(slope))
    op = "Relu6" if most else "Relu"
    return writer.node(f"{layer.name}/{op}", op, [layer.x])


def _leaky(writer: GraphWriter, layer: KerasLayer) -> str:
    slope = layer.config.get("negative_slope", layer.config.get("alpha", 0.3))
    return writer.node(f"{layer.name}/LeakyRelu", "LeakyRelu", [layer.x], alpha=float(slope))


def _prelu(writer: GraphWriter, layer: KerasLayer) -> str:
    (slope,) = (np.asarray(weight, np.float32) for weight in layer.weights[:1] or [np.zeros(0)])
    if not slope.size or slope.size != slope.shape[-1]:
        raise CannotReadLayerError(f"its slopes are {slope.shape}, expected one per channel (shared_axes=[1, 2])")
    operands = [layer.x, writer.constant(f"{layer.name}/slope", slope.reshape(-1))]
    return writer.node(f"{layer.name}/PRelu", "PRelu", operands)


def _softmax(writer: GraphWriter, layer: KerasLayer) -> str:
    if layer.config.get("axis", -1) != -1:
        raise CannotReadLayerError(f"it works along axis {layer.config['axis']}")
    return writer.node(f"{layer.name}/Softmax", "Softmax", [layer.x])


def _pool(kind: str) -> Reader:
    def read(writer: GraphWriter, layer: KerasLayer) -> str:
        size = _pair(layer.config.get("pool_size", 2))
        stride = _pair(layer.config.get("strides") or size)
        return writer.pool(layer.x, layer.name, kind, size, stride, _padding(layer))

    return read


def _average(writer: GraphWriter, layer: KerasLayer) -> str:
    _channels_last(layer)
    return writer.average(layer.x, layer.name, keep=bool(layer.config.get("keepdims", False)))


def _zero_padding(writer: GraphWriter, layer: KerasLayer) -> str:
    _channels_last(layer)
    padding = layer.config.get("padding", 1)
    pairs = [padding, padding] if isinstance(padding, int) else list(padding)
    edges = np.array([[0, 0], *[[pair, pair] if isinstance(pair, int) else pair for pair in pairs], [0, 0]], np.int32)
    if edges.shape != (4, 2) or edges.min() < 0 or edges.max() > 4096:
        raise CannotReadLayerError(f"{padding!r} is no padding")
    return writer.node(f"{layer.name}/Pad", "Pad", [layer.x, writer.constant(f"{layer.name}/paddings", edges)])


def _rescaling(writer: GraphWriter, layer: KerasLayer) -> str:
    scale = writer.constant(f"{layer.name}/scale", np.asarray(layer.config["scale"], np.float32))
    y = writer.node(f"{layer.name}/Mul", "Mul", [layer.x, scale])
    shift = np.asarray(layer.config.get("offset", 0.0), np.float32)
    return writer.node(f"{layer.name}/Add", "AddV2", [y, writer.constant(f"{layer.name}/offset", shift)])


def _normalization(writer: GraphWriter, layer: KerasLayer) -> str:
    """Write (x - mean) / deviation, with statistics from the options or the weights."""
    if layer.config.get("invert"):
        raise CannotReadLayerError("it turns normalisation back (invert)")
    given = [layer.config.get("mean"), layer.config.get("variance")]
    mean, variance = (np.asarray(array, np.float64) for array in (layer.weights[:2] if None in given else given))
    if mean.size != max(mean.shape[-1:], default=1) or mean.shape != variance.shape:
        raise CannotReadLayerError(f"its statistics are {mean.shape} and {variance.shape}, expected one per channel")
    scale = 1 / np.maximum(np.sqrt(variance), _SMALLEST_DEVIATION)
    factor = writer.constant(f"{layer.name}/scale", scale.astype(np.float32))
    y = writer.node(f"{layer.name}/Mul", "Mul", [layer.x, factor])
    shift = writer.constant(f"{layer.name}/offset", (-mean * scale).astype(np.float32))
    return writer.node(f"{layer.name}/Add", "AddV2", [y, shift])


_SMALLEST_DEVIATION = 1e-7
"""Keras's epsilon."""


def _together(op: str) -> Reader:
    def read(writer: GraphWriter, layer: KerasLayer) -> str:
        y = layer.inputs[0]
        for number, other in enumerate(layer.inputs[1:]):
            y = writer.node(f"{layer.name}/{op}_{number}" if number else f"{layer.name}/{op}", op, [y, other])
        return y

    return read


def _concatenate(writer: GraphWriter, layer: KerasLayer) -> str:
    return writer.concat(layer.inputs, layer.name, int(layer.config.get("axis", -1)))


def _flatten(writer: GraphWriter, layer: KerasLayer) -> str:
    _channels_last(layer)
    return writer.flatten(layer.x, layer.name)


def _reshape(writer: GraphWriter, layer: KerasLayer) -> str:
    target = np.array([-1, *layer.config["target_shape"]], np.int32)
    return writer.node(f"{layer.name}/Reshape", "Reshape", [layer.x, writer.constant(f"{layer.name}/shape", target)])


def _unit(writer: GraphWriter, layer: KerasLayer) -> str:
    if layer.config.get("axis", -1) not in (-1, 1):
        raise CannotReadLayerError(f"it works along axis {layer.config['axis']}")
    return writer.unit_length(layer.x, f"{layer.name}/unit", 1e-12)


def _nothing(_: GraphWriter, layer: KerasLayer) -> str:
    return layer.x


def _code(_: GraphWriter, __: KerasLayer) -> str:
    raise CannotReadLayerError("it holds program code, which faceall never runs; use layers instead of Lambda")


LAYERS: dict[str, Reader] = {
    "Activation": _activation,
    "ActivityRegularization": _nothing,
    "Add": _together("AddV2"),
    "AveragePooling2D": _pool("AvgPool"),
    "BatchNormalization": _batch_norm,
    "Concatenate": _concatenate,
    "Conv2D": _convolution,
    "Convolution2D": _convolution,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise,
    "Dropout": _nothing,
    "Flatten": _flatten,
    "GaussianDropout": _nothing,
    "GaussianNoise": _nothing,
    "GlobalAveragePooling2D": _average,
    "Lambda": _code,
    "LeakyReLU": _leaky,
    "MaxPooling2D": _pool("MaxPool"),
    "Maximum": _together("Maximum"),
    "Multiply": _together("Mul"),
    "Normalization": _normalization,
    "PReLU": _prelu,
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "SeparableConv2D": _separable,
    "Softmax": _softmax,
    "SpatialDropout2D": _nothing,
    "UnitNormalization": _unit,
    "ZeroPadding2D": _zero_padding,
}
"""Class of a Keras layer -> its reader; the converter checks later whether Caffe has a counterpart."""
