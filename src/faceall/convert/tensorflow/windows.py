"""Write convolutions and pools in Caffe, with TensorFlow's padding and rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from faceall.caffe.layers import LAYERS
from faceall.caffe.net import Layer
from faceall.convert.tensorflow.builder import Builder, CannotConvertError, Value, layer_name
from faceall.convert.tensorflow.graph import Node
from faceall.convert.tensorflow.graphdef import attribute_text
from faceall.convert.tensorflow.operations import dilations, window_padding
from faceall.errors import ShapeError
from faceall.types import Array


def refuse_channels_first(node: Node) -> None:
    """Raise CannotConvertError where a node does not hold its channels last."""
    if attribute_text(node.attrs, "data_format", "NHWC") != "NHWC":
        raise CannotConvertError("it holds its channels first (NCHW)")


def _by_axis(name: str, values: Sequence[int], default: int) -> dict[str, Any]:
    """Return options for (rows, columns): one value if they agree, none if they are Caffe's default."""
    short = {"kernel": "kernel_size", "stride": "stride", "pad": "pad"}[name]
    if values[0] == values[1]:
        plain = values[0] if name == "pool" else [values[0]]
        return {} if values[0] == default else {short: plain}
    return {f"{name}_h": values[0], f"{name}_w": values[1]}


def write_convolution(builder: Builder, node: Node) -> None:
    """Write a Conv2D or DepthwiseConv2dNative, with or without a bias."""
    refuse_channels_first(node)
    x = builder.image(node.inputs[0])
    kernel = builder.constant(node.inputs[1], "kernel")  # (kh, kw, in, out); depthwise (kh, kw, in, multiplier)
    depthwise = node.op == "DepthwiseConv2dNative"
    if depthwise:
        weights = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
    else:
        weights = kernel.transpose(3, 2, 0, 1)
    weights, pads = _pad_evenly(node, x, weights)
    steps = dilations(node)
    options: dict[str, Any] = {"num_output": len(weights), "bias_term": len(node.inputs) > 2}
    options |= _by_axis("pad", pads, 0) | _by_axis("kernel", weights.shape[2:], 0)
    options |= _by_axis("stride", node.attrs["strides"][1:3], 1)
    groups = x.channels // (1 if depthwise else kernel.shape[2])
    options |= {"group": groups} if groups > 1 else {}
    options |= {"dilation": list(steps)} if steps != (1, 1) else {}
    blob = builder.add(layer_name(node), "Convolution", [x.blob], options, [weights, *bias_blobs(builder, node)])
    builder.define(node.name, blob, "image")


def bias_blobs(builder: Builder, node: Node) -> list[Array]:
    """Return the bias (C,) of a product in a list, empty if it has none."""
    return [builder.constant(node.inputs[2], "bias").reshape(-1)] if len(node.inputs) > 2 else []


def _pad_evenly(node: Node, x: Value, weights: Array) -> tuple[Array, tuple[int, int]]:
    """Return kernel and padding (rows, columns) for Caffe, which pads both sides equally.

    Where TensorFlow pads one side more, that padding goes on both sides and the kernel gets zeros on the other, so
    that its own numbers still meet the same pixels.
    """
    steps = dilations(node)
    extent = [(size - 1) * step + 1 for size, step in zip(weights.shape[2:], steps, strict=True)]
    pads: list[int] = []
    grow = [(0, 0), (0, 0)]
    for before, after in window_padding(node, x.shape[:2], extent):
        step = steps[len(pads)]
        if (after - before) % step:
            raise CannotConvertError(f"it is dilated by {step} and padded unevenly ({before} and {after})")
        extra = (after - before) // step
        grow.append((max(extra, 0), max(-extra, 0)))
        pads.append(max(before, after))
    return np.pad(weights, grow), (pads[0], pads[1])


def write_pool(builder: Builder, node: Node) -> None:
    """Write a pool; one with fewer windows than Caffe's, which rounds up, gets `round_mode: FLOOR`.

    Raises
    ------
    CannotConvertError
        If Caffe counts the padding differently.
    """
    refuse_channels_first(node)
    x = builder.image(node.inputs[0])
    kernel, stride = node.attrs["ksize"][1:3], node.attrs["strides"][1:3]
    paddings = window_padding(node, x.shape[:2], kernel)
    pads = [before for before, _ in paddings]
    if node.op == "AvgPool" and any(pads):
        raise CannotConvertError(f"it averages at a padded edge ({paddings}), where Caffe counts the padding")
    options: dict[str, Any] = {"pool": "MAX" if node.op == "MaxPool" else "AVE"}
    for name, values in (("kernel", kernel), ("stride", stride), ("pad", pads)):
        options |= {
            key: number[0] if isinstance(number, list) else number for key, number in _by_axis(name, values, 0).items()
        }
    options |= _rounding(options, x, builder.shapes[node.name])
    builder.define(node.name, builder.add(layer_name(node), "Pooling", [x.blob], options), "image")


def _rounding(options: dict[str, Any], x: Value, wanted: Sequence[int]) -> dict[str, Any]:
    """Return the option that makes a pool have `wanted` (rows, columns, ...) windows."""
    made: list[tuple[int, ...]] = []
    ways: tuple[dict[str, Any], ...] = ({}, {"round_mode": "FLOOR"})
    for extra in ways:
        pool = Layer("pool", "Pooling", (x.blob,), ("pool",), {"pooling_param": {**options, **extra}})
        try:
            sizes = LAYERS["Pooling"].shapes(pool, ((1, x.channels, *x.shape[:2]),))[0][2:]
        except ShapeError:  # a window would lie outside of the image
            sizes = ()
        if sizes == tuple(wanted[:2]):
            return extra
        made.append(sizes)
    raise CannotConvertError(f"it makes {tuple(wanted[:2])} windows, Caffe {made[0]}, or {made[1]} rounding down")
