"""Translate activations and limits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from faceall.caffe.net import Layer
from faceall.convert.sources.openvino.arithmetic import Writer, lengthened, split_constant, together
from faceall.convert.sources.openvino.builder import Builder, CannotReadError, Length
from faceall.convert.sources.openvino.graph import Node
from faceall.types import Array

_HUGE = float(np.finfo(np.float32).max)


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
        builder.lengths[node.output] = lengthened(builder, node.inputs[0], np.asarray(low))
    else:
        _limit(builder, node, node.inputs[0], low, high)


def _extreme(operation: str) -> Writer:
    """Make the writer of Maximum or Minimum, with a constant or of two values."""

    def write(builder: Builder, node: Node) -> None:
        value, number, _ = split_constant(builder, node)
        if number is None and operation == "Maximum":
            together(builder, node, {"operation": "MAX"})
        elif number is None or number.size != 1:
            raise CannotReadError("it compares with several numbers")
        elif value in builder.lengths:
            builder.lengths[node.output] = _bounded_length(builder, value, number, operation)
        else:
            limit = float(number.reshape(()))
            _limit(builder, node, value, *((limit, _HUGE) if operation == "Maximum" else (-_HUGE, limit)))

    return write


def _bounded_length(builder: Builder, value: str, number: Array, operation: str) -> Length:
    """Return a length with a lower bound, or one over a length with an upper bound."""
    if operation == "Minimum" and np.all(number >= _HUGE):
        return builder.lengths[value]
    if builder.lengths[value].inverse != (operation == "Minimum"):
        raise CannotReadError("it bounds a length from the other side")
    return lengthened(builder, value, 1 / number if operation == "Minimum" else number)


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
        clipped = builder.add(f"{node.name}_clip", "Clip", [line], shape, {"min": 0.0, "max": 1.0})
        if times_input:
            clipped = builder.add(node.name, "Eltwise", [x.blob, clipped], shape, {"operation": "PROD"})
        builder.define(node, clipped, x.order)

    return write


ACTIVATIONS: Mapping[str, Writer] = {
    "Clamp": _clamp,
    "Elu": _simple("ELU", alpha="alpha"),
    "HSigmoid": _hard(1 / 6, 0.5, times_input=False),
    "HSwish": _hard(1 / 6, 0.5, times_input=True),
    "HardSigmoid": _hard(0.2, 0.5, times_input=False),
    "Maximum": _extreme("Maximum"),
    "Minimum": _extreme("Minimum"),
    "PRelu": _prelu,
    "Relu": _simple("ReLU"),
    "Sigmoid": _simple("Sigmoid"),
    "Swish": _swish,
    "Tanh": _simple("TanH"),
}
"""Operation -> its writer."""
