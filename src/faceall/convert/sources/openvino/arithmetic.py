"""Translate arithmetic with constants and of values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from faceall.convert.sources.openvino.builder import Builder, CannotReadError, Length, Value
from faceall.convert.sources.openvino.graph import Node
from faceall.convert.sources.openvino.unit import normalise
from faceall.types import Array

Writer: TypeAlias = Callable[[Builder, Node], None]


def affine(builder: Builder, node: Node, value: str, scale: Array, shift: Array) -> None:
    """Translate scale * x + shift, both constants; fold it into the layer before, if that is read only here.

    Raises
    ------
    CannotReadError
        If a constant enlarges the input or differs between samples.
    """
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


def split_constant(builder: Builder, node: Node) -> tuple[str, Array | None, bool]:
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
    value, number, _ = split_constant(builder, node)
    if _both_constant(builder, node, np.add):
        return
    if number is not None and value in builder.lengths:
        builder.lengths[node.output] = lengthened(builder, value, number)
    elif number is not None:
        affine(builder, node, value, np.ones_like(number), number)
    else:
        together(builder, node, {"operation": "SUM"})


def lengthened(builder: Builder, value: str, number: Array) -> Length:
    """Return a length whose square has grown by `number`.

    Raises
    ------
    CannotReadError
        If several numbers are added to a length.
    """
    length = builder.lengths[value]
    if number.size != 1:
        raise CannotReadError("it adds several numbers to a length")
    epsilon = float(number.reshape(()))
    return replace(length, epsilon=length.epsilon + (epsilon if length.squared else epsilon**2))


def _subtract(builder: Builder, node: Node) -> None:
    value, number, first = split_constant(builder, node)
    if _both_constant(builder, node, np.subtract):
        return
    if number is not None:
        sign = -1.0 if first else 1.0
        affine(builder, node, value, np.full_like(number, sign, np.float64), -sign * number)
    else:
        together(builder, node, {"operation": "SUM", "coeff": [1.0, -1.0]})


def _multiply(builder: Builder, node: Node) -> None:
    value, number, _ = split_constant(builder, node)
    if _both_constant(builder, node, np.multiply):
        return
    if number is not None:
        affine(builder, node, value, number, np.zeros_like(number))
    elif any(operand in builder.lengths for operand in node.inputs):
        _scale_to_unit(builder, node)
    elif node.inputs[0] == node.inputs[1]:
        x = builder.unpadded(node.inputs[0])
        builder.define(node, builder.add(node.name, "Power", [x.blob], builder.shapes[x.blob], {"power": 2.0}), x.order)
    else:
        together(builder, node, {"operation": "PROD"})


def _scale_to_unit(builder: Builder, node: Node) -> None:
    """Translate the product of a value and one over its length."""
    first, second = node.inputs
    value, other = (first, second) if second in builder.lengths else (second, first)
    if not builder.lengths[other].inverse:
        raise CannotReadError("it multiplies by a length")
    normalise(builder, node, value, builder.lengths[other])


def together(builder: Builder, node: Node, options: dict[str, Any]) -> None:
    """Translate an operation on two values, of one shape or with one value per channel or pixel.

    Raises
    ------
    CannotReadError
        If the shapes do not fit Caffe's layers.
    """
    first, second = (builder.enlarged.get(value, value) for value in node.inputs)
    if builder.shape(first) == builder.shape(second) == node.shapes[0]:
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
    length = builder.lengths.get(node.inputs[0])
    if length is not None:
        builder.lengths[node.output] = _power_of_length(length, power)
        return
    x = builder.unpadded(node.inputs[0])
    builder.define(node, builder.add(node.name, "Power", [x.blob], builder.shapes[x.blob], {"power": power}), x.order)


def _power_of_length(length: Length, power: float) -> Length:
    if length.inverse or (length.squared, power) not in ((True, 0.5), (True, -0.5), (False, -1.0)):
        raise CannotReadError(f"it is the power {power:g} of a length")
    return replace(length, squared=False, inverse=power < 0)


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


ARITHMETIC: Mapping[str, Writer] = {
    "Add": _add,
    "BatchNormInference": _batch_norm,
    "Multiply": _multiply,
    "Power": _raise,
    "Subtract": _subtract,
}
"""Operation -> its writer."""
