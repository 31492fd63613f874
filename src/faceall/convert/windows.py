"""How what looks at a window is written in Caffe: convolutions and pools, with TensorFlow's padding and rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from faceall.convert.builder import Builder, CannotConvertError, Value, layer_name
from faceall.convert.graph import Node
from faceall.convert.graphdef import attribute_text
from faceall.convert.operations import dilations, window_padding
from faceall.types import Array


def refuse_channels_first(node: Node) -> None:
    """Raise CannotConvertError where a node does not hold its channels last."""
    if attribute_text(node.attrs, "data_format", "NHWC") != "NHWC":
        raise CannotConvertError("it holds its channels first (NCHW)")


def _by_axis(name: str, values: Sequence[int], default: int) -> dict[str, Any]:
    """Options for (rows, columns): one number where both agree, nothing where they are Caffe's default."""
    short = {"kernel": "kernel_size", "stride": "stride", "pad": "pad"}[name]
    if values[0] == values[1]:
        plain = values[0] if name == "pool" else [values[0]]
        return {} if values[0] == default else {short: plain}
    return {f"{name}_h": values[0], f"{name}_w": values[1]}


def write_convolution(builder: Builder, node: Node) -> None:
    """Conv2D or DepthwiseConv2dNative, with or without a bias."""
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
    """The bias (C,) of a product in a list, empty where it has none."""
    return [builder.constant(node.inputs[2], "bias").reshape(-1)] if len(node.inputs) > 2 else []


def _pad_evenly(node: Node, x: Value, weights: Array) -> tuple[Array, tuple[int, int]]:
    """Kernel and padding (rows, columns) for Caffe, which pads both sides alike.

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


def caffe_pool_size(size: int, kernel: int, stride: int, pad: int) -> int:
    """How many windows Caffe's pooling makes along one axis: it rounds up."""
    windows = -(-(size + 2 * pad - kernel) // stride) + 1
    if pad and (windows - 1) * stride >= size + pad:
        windows -= 1
    return windows


def write_pool(builder: Builder, node: Node) -> None:
    """A pool, cut where Caffe, which rounds up, makes more windows than TensorFlow."""
    refuse_channels_first(node)
    x = builder.image(node.inputs[0])
    kernel, stride = node.attrs["ksize"][1:3], node.attrs["strides"][1:3]
    paddings = window_padding(node, x.shape[:2], kernel)
    pads = [before for before, _ in paddings]
    if node.op == "AvgPool" and any(pads):
        raise CannotConvertError(f"it averages at a padded edge ({paddings}), where Caffe counts the padding")
    wanted = builder.shapes[node.name][:2]
    made = [caffe_pool_size(*numbers) for numbers in zip(x.shape[:2], kernel, stride, pads, strict=True)]
    if any(mine < theirs for mine, theirs in zip(made, wanted, strict=True)):
        raise CannotConvertError(f"it makes {wanted} windows, Caffe {tuple(made)}")
    options: dict[str, Any] = {"pool": "MAX" if node.op == "MaxPool" else "AVE"}
    for name, values in (("kernel", kernel), ("stride", stride), ("pad", pads)):
        options |= {
            key: number[0] if isinstance(number, list) else number for key, number in _by_axis(name, values, 0).items()
        }
    name, blob, sibling = layer_name(node), x.blob, ""
    if tuple(made) != tuple(wanted):
        sibling = _sibling(builder, node, wanted)
        if not sibling:
            blob = _trim(
                builder,
                name,
                x,
                [(out - 1) * s + k - p for out, s, k, p in zip(wanted, stride, kernel, pads, strict=True)],
            )
    blob = builder.add(name, "Pooling", [blob], options)
    if sibling:
        blob = builder.add(f"{name}_cut", "Crop", [blob, sibling], {"axis": 2, "offset": [0]})
    builder.define(node.name, blob, "image")


def _sibling(builder: Builder, node: Node, size: Sequence[int]) -> str:
    """A blob of `size` (H, W), already written, that is joined with the result of `node`; empty where there is none."""
    for reader in builder.graph.readers[node.name]:
        for tensor in reader.inputs if reader.op in ("Concat", "ConcatV2") else ():
            value = builder.values.get(tensor)
            if value is not None and value.form == "image" and value.shape[:2] == tuple(size):
                return value.blob
    return ""


def _trim(builder: Builder, name: str, x: Value, sizes: Sequence[int]) -> str:
    """Slice `x` to its first `sizes` (rows, columns), the rest into Silence."""
    blob = x.blob
    for axis, size, whole in zip((2, 3), sizes, x.shape[:2], strict=True):
        if size < whole:
            label = f"{name}_{'rows' if axis == 2 else 'columns'}"
            blob = builder.add(label, "Slice", [blob], {"axis": axis, "slice_point": [size]}, tops=2)
            builder.add(f"{label}_rest", "Silence", [f"{blob}_1"], tops=0)
    return blob
