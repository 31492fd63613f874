"""Write activations, which work on each value, and the softmax."""

from __future__ import annotations

from collections.abc import Mapping

from faceall.caffe.layers import axis_of, clip_limits
from faceall.caffe.net import Layer
from faceall.convert.targets.coreai.border import Value
from faceall.convert.targets.coreai.context import Context, Writer
from faceall.types import Array


def _relu(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    slope = float(layer.option("negative_slope"))
    if not slope:
        return [context.operations.relu(values[0])]
    return [_leaky(context, values[0], context.operations.number(slope))]


def _prelu(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    (slope,), rank = context.net.blobs(layer.name), len(context.shapes[layer.bottoms[0]])
    return [_leaky(context, values[0], context.broadcast(slope, 1 if slope.ndim else 0, rank if slope.ndim else 0))]


def _leaky(context: Context, value: Value, slope: Array) -> Value:
    """Write max(x, 0) + slope * min(x, 0): Core AI has no PReLU."""
    made = context.operations
    return made.add(made.relu(value), made.multiply(made.minimum(value, made.number(0)), slope))


def _elu(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    """Write max(x, 0) + alpha * (exp(min(x, 0)) - 1)."""
    made, alpha = context.operations, float(layer.option("alpha"))
    below = made.exp(made.minimum(values[0], made.number(0)))
    return [made.add(made.relu(values[0]), made.add(made.multiply(below, made.number(alpha)), made.number(-alpha)))]


def _swish(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    made, beta = context.operations, float(layer.option("beta"))
    scaled = values[0] if beta == 1 else made.multiply(values[0], made.number(beta))
    return [made.multiply(values[0], made.sigmoid(scaled))]


def _sigmoid(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    return [context.operations.sigmoid(values[0])]


def _tanh(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    return [context.operations.tanh(values[0])]


def _softmax(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    made = context.operations
    axis = axis_of(layer, context.shapes[layer.bottoms[0]])
    return [made.to_precision(made.softmax(made.to_single(values[0]), axis))]


def _power(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    made, value = context.operations, values[0]
    steps = ((made.multiply, "scale", 1.0), (made.add, "shift", 0.0), (made.power, "power", 1.0))
    for operation, option, neutral in steps:
        number = float(layer.option(option))
        if number == 2 and option == "power":
            value = made.multiply(value, value)
        elif number != neutral:
            value = operation(value, made.number(number))
    return [value]


def _clip(context: Context, layer: Layer, values: list[Value]) -> list[Value]:
    made, (low, high) = context.operations, clip_limits(layer)
    return [made.minimum(made.maximum(values[0], made.number(low)), made.number(high))]


ACTIVATIONS: Mapping[str, Writer] = {
    "Clip": _clip,
    "ELU": _elu,
    "PReLU": _prelu,
    "Power": _power,
    "ReLU": _relu,
    "Sigmoid": _sigmoid,
    "Softmax": _softmax,
    "Swish": _swish,
    "TanH": _tanh,
}
"""Layer type -> the function that appends its operations and returns the values of its tops."""
