"""Write activations and broadcasts as operations of Core ML programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from faceall.caffe.layers import clip_limits, scale_axes
from faceall.caffe.net import Layer
from faceall.convert.targets.coreml.context import Context, Variable
from faceall.errors import UnsupportedLayerError


def _axpy(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    mb, shape = context.builder, context.shapes[layer.bottoms[1]]
    factors = mb.reshape(x=values[0], shape=[*shape[:2], *[1] * (len(shape) - 2)])
    return [mb.add(x=mb.mul(x=values[1], y=factors), y=values[2])]


def _bias(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    mb, shapes = context.builder, tuple(context.shapes[bottom] for bottom in layer.bottoms)
    axis, terms = scale_axes(layer, shapes)
    rank = len(shapes[0])
    if len(values) == 2:
        added = mb.reshape(x=values[1], shape=[*[1] * axis, *terms, *[1] * (rank - axis - len(terms))])
    else:
        added = context.broadcast(context.net.blobs(layer.name)[0], axis, rank)
    return [mb.add(x=values[0], y=added)]


def _clip(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    low, high = clip_limits(layer)
    mb, limit = context.builder, float(np.finfo(np.float16).max)
    result = values[0]
    if low > -limit:  # beyond float16 a limit has no effect there, and cannot be written
        result = mb.maximum(x=result, y=np.float32(low))
    return [mb.minimum(x=result, y=np.float32(high)) if high < limit else mb.identity(x=result)]


def _elu(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    """Write max(x, 0) + alpha * (exp(min(x, 0)) - 1)."""
    mb, alpha = context.builder, np.float32(layer.option("alpha"))
    below = mb.exp(x=mb.minimum(x=values[0], y=np.float32(0)))
    return [mb.add(x=mb.relu(x=values[0]), y=mb.add(x=mb.mul(x=below, y=alpha), y=-alpha))]


def _lrn(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    raise UnsupportedLayerError(f"layer '{layer.name}' (LRN) has no counterpart in Core ML")


def _swish(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    mb, beta = context.builder, np.float32(layer.option("beta"))
    scaled = values[0] if beta == 1 else mb.mul(x=values[0], y=beta)
    return [mb.mul(x=values[0], y=mb.sigmoid(x=scaled))]


def _tanh(context: Context, layer: Layer, values: list[Variable]) -> list[Variable]:
    return [context.builder.tanh(x=values[0])]


ACTIVATIONS: Mapping[str, Callable[[Context, Layer, list[Variable]], list[Variable]]] = {
    "Axpy": _axpy,
    "Bias": _bias,
    "Clip": _clip,
    "ELU": _elu,
    "LRN": _lrn,
    "Swish": _swish,
    "TanH": _tanh,
}
"""Layer type -> the function that appends its operations and returns the values of its outputs."""
