"""Translate operations on single values: arithmetic, activations and limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from faceall.caffe.net import Layer
from faceall.convert.sources.openvino.builder import Builder, CannotReadError, Length, Value
from faceall.convert.sources.openvino.graph import Node
from faceall.types import Array

Writer: TypeAlias = Callable[[Builder, Node], None]

_HUGE = float(np.finfo(np.float32).max)


def affine(builder: Builder, node: Node, value: str, scale: Array, shift: Array) -> None:
    """Translate scale * x + shift, both constants; fold it into the layer before, if that is read only here."""
    x = builder.unpadded(value)
    scale, shift = np.broadcast_arrays(builder.blob_order(scale, x), builder.blob_order(shift, x))
    shape = builder.shapes[x.blob]
    if np.broadcast_shapes(scale.shape, shape) != shape:
        raise CannotReadError(f"its constant of shape {scale.shape} enlarges its input of shape {shape}")
    scale, shift = scale.astype(np.float64), shift.astype(np.float64)
    if scale.size == 1 and builder.layers[x.blob].type not in ("Convolution", "InnerProduct", "Scale"):
        _power(builder, node, x, float(scale.reshape(())), float(shift.reshape(())))
    elif all(size == 1 for axis, size in enumerate(scale.shape) if axis != 1) and len(shape) > 1:
        channels = (shape[1],)
        _per_channel(builder, node, x, *(np.broadcast_to(part.reshape(-1), channels) for part in (scale, shift)))
    elif len(shape) > 1 and scale.shape[0] == 1:
        weights = [np.broadcast_to(part[0], shape[1:]) for part in (scale, shift)]
        options = {"axis": 1, "num_axes": -1, "bias_term": True}
        builder.define(node, builder.add(node.name, "Scale", [x.blob], shape, options, weights), x.order)
    else:
        raise CannotReadError(f"its constant of shape {scale.shape} differs between samples")


def _power(builder: Builder, node: Node, x: Value, scale: float, shift: float) -> None:
    layer = builder.layers[x.blob]
    if layer.type == "Power" and builder.readers[x.blob] == 1 and layer.option("power") == 1:
        before = {name: float(layer.option(name)) for name in ("scale", "shift")}
        options = {"scale": before["scale"] * scale, "shift": before["shift"] * scale + shift}
        builder.layers[x.blob] = layer.with_options(options)
        builder.define(node, x.blob, x.order)
        return
    options = {"scale": scale, "shift": shift}
    builder.define(node, builder.add(node.name, "Power", [x.blob], builder.shapes[x.blob], options), x.order)


def _per_channel(builder: Builder, node: Node, x: Value, scale: Array, shift: Array) -> None:
    layer, weights = builder.layers[x.blob], builder.weights.get(x.blob, [])
    foldable = layer.type in ("Convolution", "InnerProduct") or (layer.type == "Scale" and weights[0].ndim == 1)
    if foldable and len(layer.bottoms) == 1 and builder.readers[x.blob] == 1:
        factors, bias = weights[0], weights[1] if len(weights) > 1 else np.zeros(len(scale))
        folded = factors * scale.reshape(-1, *[1] * (factors.ndim - 1))
        builder.weights[x.blob] = [folded, bias * scale + shift]
        builder.layers[x.blob] = layer.with_options({**layer.given, "bias_term": True})
        builder.define(node, x.blob, x.order)
        return
    options = {"bias_term": True}
    blob = builder.add(node.name, "Scale", [x.blob], builder.shapes[x.blob], options, [scale, shift])
    builder.define(node, blob, x.order)


def _constants(builder: Builder, node: Node) -> tuple[str, Array | None, bool]:
    """Return the value, the constant operand (None if both are values), and whether the constant is the first."""
    first, second = node.inputs
    if second in builder.constants:
        return first, builder.constants[second], False
    return (second, builder.constants[first], True) if first in builder.constants else (first, None, False)


def _both_constant(builder: Builder, node: Node, function: Callable[[Array, Array], Any]) -> bool:
    if not all(value in builder.constants for value in node.inputs):
        return False
    builder.constants[node.output] = np.asarray(function(*(builder.constants[value] for value in node.inputs)))
    return True


def _add(builder: Builder, node: Node) -> None:
    value, number, _ = _constants(builder, node)
    if _both_constant(builder, node, np.add):
        return
    if number is not None and value in builder.lengths:
        builder.lengths[node.output] = _lengthened(builder, value, number)
    elif number is not None:
        affine(builder, node, value, np.ones_like(number), number)
    else:
        _together(builder, node, {"operation": "SUM"})


def _lengthened(builder: Builder, value: str, number: Array) -> Length:
    """Return a length whose square has grown by `number`."""
    length = builder.lengths[value]
    if number.size != 1:
        raise CannotReadError("it adds several numbers to a length")
    epsilon = float(number.reshape(()))
    return replace(length, epsilon=length.epsilon + (epsilon if length.squared else epsilon**2))


def _subtract(builder: Builder, node: Node) -> None:
    value, number, first = _constants(builder, node)
    if _both_constant(builder, node, np.subtract):
        return
    if number is not None:
        sign = -1.0 if first else 1.0
        affine(builder, node, value, np.full_like(number, sign, np.float64), -sign * number)
    else:
        _together(builder, node, {"operation": "SUM", "coeff": [1.0, -1.0]})


def _multiply(builder: Builder, node: Node) -> None:
    value, number, _ = _constants(builder, node)
    if _both_constant(builder, node, np.multiply):
        return
    if number is not None:
        affine(builder, node, value, number, np.zeros_like(number))
    elif node.inputs[0] == node.inputs[1]:
        x = builder.unpadded(node.inputs[0])
        builder.define(node, builder.add(node.name, "Power", [x.blob], builder.shapes[x.blob], {"power": 2.0}), x.order)
    else:
        _together(builder, node, {"operation": "PROD"})


def _together(builder: Builder, node: Node, options: dict[str, Any]) -> None:
    """Translate an operation on two values, of one shape or with one value per channel or pixel."""
    first, second = node.inputs
    if builder.shape(first) == builder.shape(second):
        left, right = builder.unpadded(first), builder.unpadded(second)
        blobs = [left.blob, right.blob] if left.order == right.order else [builder.plain(first), builder.plain(second)]
        order = left.order if left.order == right.order else None
        builder.define(node, builder.add(node.name, "Eltwise", blobs, builder.shapes[blobs[0]], options), order)
        return
    large, small = (first, second) if builder.shape(first) == node.shapes[0] else (second, first)
    whole, part = builder.plain(large), builder.plain(small)
    shape = builder.shapes[whole]
    if shape != node.shapes[0] or "coeff" in options:
        raise CannotReadError(f"its inputs have the shapes {builder.shape(first)} and {builder.shape(second)}")
    if builder.shapes[part] == (shape[0], shape[1], *[1] * (len(shape) - 2)):
        _per_sample(builder, node, whole, part, options["operation"])
    elif builder.shapes[part] == (shape[0], 1, *shape[2:]) and len(shape) == 4:
        ones = np.ones((shape[1], 1, 1, 1))
        settings = {"num_output": shape[1], "kernel_size": [1], "bias_term": False}
        spread = builder.add(f"{node.name}_channels", "Convolution", [part], shape, settings, [ones])
        builder.define(node, builder.add(node.name, "Eltwise", [whole, spread], shape, options))
    else:
        raise CannotReadError(f"its inputs have the shapes {builder.shape(first)} and {builder.shape(second)}")


def _per_sample(builder: Builder, node: Node, whole: str, part: str, operation: str) -> None:
    """Translate a product or sum with one value per sample and channel, as squeeze-and-excitation has it."""
    flat = builder.add(f"{node.name}_flat", "Flatten", [part], builder.shapes[part][:2])
    kind = {"PROD": "Scale", "SUM": "Bias"}.get(operation)
    if kind is None:
        raise CannotReadError(f"{operation} of one value per channel has no counterpart")
    builder.define(node, builder.add(node.name, kind, [whole, flat], builder.shapes[whole], {"axis": 0}))


def _raise(builder: Builder, node: Node) -> None:
    exponent = builder.constant(node.inputs[1], "exponent")
    if exponent.size != 1:
        raise CannotReadError("it has several exponents")
    power = float(exponent.reshape(()))
    if node.inputs[0] in builder.lengths:
        raise CannotReadError("it is a power of a length")
    x = builder.unpadded(node.inputs[0])
    builder.define(node, builder.add(node.name, "Power", [x.blob], builder.shapes[x.blob], {"power": power}), x.order)


def _simple(kind: str, **options: str) -> Writer:
    """Make the writer of an activation; `options` maps Caffe's options to OpenVINO's attributes."""

    def write(builder: Builder, node: Node) -> None:
        x = builder.unpadded(node.inputs[0])
        settings = {name: float(node.attributes[attribute]) for name, attribute in options.items()}
        builder.define(node, builder.add(node.name, kind, [x.blob], builder.shapes[x.blob], settings), x.order)

    return write


def _limit(builder: Builder, node: Node, value: str, low: float, high: float) -> None:
    """Translate a limit; join it with a limit before that is read only here."""
    x = builder.unpadded(value)
    layer = builder.layers[x.blob]
    if layer.type == "ReLU" and not layer.option("negative_slope") and builder.readers[x.blob] == 1 and high < _HUGE:
        clip = Layer(layer.name, "Clip", layer.bottoms, layer.tops)
        builder.layers[x.blob] = clip.with_options({"min": max(0.0, low), "max": high})
        builder.define(node, x.blob, x.order)
    elif layer.type == "Clip" and builder.readers[x.blob] == 1 and _overlap(layer, low, high):
        options = {"min": max(low, layer.option("min")), "max": min(high, layer.option("max"))}
        builder.layers[x.blob] = layer.with_options(options)
        builder.define(node, x.blob, x.order)
    elif low == 0 and high >= _HUGE:
        builder.define(node, builder.add(node.name, "ReLU", [x.blob], builder.shapes[x.blob]), x.order)
    else:
        options = {"min": low, "max": high}
        builder.define(node, builder.add(node.name, "Clip", [x.blob], builder.shapes[x.blob], options), x.order)


def _overlap(layer: Layer, low: float, high: float) -> bool:
    return bool(high > layer.option("min") and low < layer.option("max"))


def _clamp(builder: Builder, node: Node) -> None:
    low, high = (max(-_HUGE, min(_HUGE, float(node.attributes[name]))) for name in ("min", "max"))
    if node.inputs[0] in builder.lengths:
        builder.lengths[node.output] = _lengthened(builder, node.inputs[0], np.asarray(low))
    else:
        _limit(builder, node, node.inputs[0], low, high)


def _extreme(operation: str) -> Writer:
    """Make the writer of Maximum or Minimum, with a constant or of two values."""

    def write(builder: Builder, node: Node) -> None:
        value, number, _ = _constants(builder, node)
        if number is None and operation == "Maximum":
            _together(builder, node, {"operation": "MAX"})
        elif number is None or number.size != 1:
            raise CannotReadError("it compares with several numbers")
        elif operation == "Maximum" and value in builder.lengths:
            builder.lengths[node.output] = _lengthened(builder, value, number)
        else:
            limit = float(number.reshape(()))
            _limit(builder, node, value, *((limit, _HUGE) if operation == "Maximum" else (-_HUGE, limit)))

    return write


def _prelu(builder: Builder, node: Node) -> None:
    x, slope = builder.unpadded(node.inputs[0]), builder.constant(node.inputs[1], "slope")
    shape = builder.shapes[x.blob]
    if slope.size == 1:
        options = {"negative_slope": float(slope.reshape(()))}
        builder.define(node, builder.add(node.name, "ReLU", [x.blob], shape, options), x.order)
        return
    if slope.ndim == 1:  # lies on axis 1, whatever the shape
        slope = slope.reshape(-1, *[1] * (len(shape) - 2))
    whole = builder.blob_order(slope, x)
    if whole.size != shape[1] or whole.shape[1] != shape[1]:
        raise CannotReadError(f"its slopes have the shape {slope.shape}, expected one per channel")
    builder.define(node, builder.add(node.name, "PReLU", [x.blob], shape, None, [whole.reshape(-1)]), x.order)


def _swish(builder: Builder, node: Node) -> None:
    beta = float(builder.constant(node.inputs[1], "beta").reshape(-1)[0]) if len(node.inputs) > 1 else 1.0
    x = builder.unpadded(node.inputs[0])
    builder.define(node, builder.add(node.name, "Swish", [x.blob], builder.shapes[x.blob], {"beta": beta}), x.order)


def _hard(slope: float, offset: float, *, times_input: bool) -> Writer:
    """Make the writer of clip(slope * x + offset, 0, 1), times x for HSwish."""

    def write(builder: Builder, node: Node) -> None:
        alpha, beta = slope, offset
        if node.type == "HardSigmoid":
            alpha, beta = (float(builder.constant(value).reshape(())) for value in node.inputs[1:3])
        x = builder.unpadded(node.inputs[0])
        shape = builder.shapes[x.blob]
        line = builder.add(f"{node.name}_line", "Power", [x.blob], shape, {"scale": alpha, "shift": beta})
        gate = builder.add(f"{node.name}_clip", "Clip", [line], shape, {"min": 0.0, "max": 1.0})
        if times_input:
            gate = builder.add(node.name, "Eltwise", [x.blob, gate], shape, {"operation": "PROD"})
        builder.define(node, gate, x.order)

    return write


def _batch_norm(builder: Builder, node: Node) -> None:
    names = ("gamma", "beta", "mean", "variance")
    given = [value for value in node.inputs if value in builder.constants]
    if len(given) != 4:
        raise CannotReadError("its statistics are not constants")
    gamma, beta, mean, variance = (builder.constant(v, n).astype(np.float64) for v, n in zip(given, names, strict=True))
    (data,) = [value for value in node.inputs if value not in builder.constants]
    scale = gamma / np.sqrt(variance + float(node.attributes["epsilon"]))
    trailing = (-1, *[1] * (len(builder.shape(data)) - 2))
    affine(builder, node, data, scale.reshape(trailing), (beta - mean * scale).reshape(trailing))


ELEMENTS: Mapping[str, Writer] = {
    "Add": _add,
    "BatchNormInference": _batch_norm,
    "Clamp": _clamp,
    "Elu": _simple("ELU", alpha="alpha"),
    "HSigmoid": _hard(1 / 6, 0.5, times_input=False),
    "HSwish": _hard(1 / 6, 0.5, times_input=True),
    "HardSigmoid": _hard(0.2, 0.5, times_input=False),
    "Maximum": _extreme("Maximum"),
    "Minimum": _extreme("Minimum"),
    "Multiply": _multiply,
    "PRelu": _prelu,
    "Power": _raise,
    "Relu": _simple("ReLU"),
    "Sigmoid": _simple("Sigmoid"),
    "Subtract": _subtract,
    "Swish": _swish,
    "Tanh": _simple("TanH"),
}
"""Operation -> its writer."""
