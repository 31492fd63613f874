"""The layer type Pooling."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from faceall.caffe.layers.convolution import windows
from faceall.caffe.layers.options import image_axes, need_pixels
from faceall.caffe.layers.spec import LayerLike, LayerSpec, OptionSchema, Shapes
from faceall.caffe.layers.window import window
from faceall.caffe.onnx_graph import OnnxGraph
from faceall.errors import UnsupportedLayerError
from faceall.types import Array


def _shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    batch, channels, spatial = image_axes(layer, bottoms[0])
    if layer.option("pool") not in ("MAX", "AVE"):
        raise UnsupportedLayerError(f"has pool: {layer.option('pool')}, supported are MAX and AVE")
    slid = window(layer, spatial)
    sizes = []
    for size, pad, kernel, stride in zip(spatial, slid.pad, slid.kernel, slid.stride, strict=True):
        room = size + 2 * pad - kernel
        count = (room // stride if layer.option("round_mode") == "FLOOR" else -(-room // stride)) + 1
        if slid.padded and (count - 1) * stride >= size + pad:
            count -= 1  # the last window must begin in the image or in the border before it
        sizes.append(count if (count - 1) * stride - pad < size else 0)
    need_pixels(layer, spatial, sizes, slid.kernel)
    return ((batch, channels, *sizes),)


def _operation(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    """Take the maximum over the image alone, or the average over the window up to the border, zeros included."""
    array = bottoms[0]
    spatial = (array.shape[2], array.shape[3])
    slid = window(layer, spatial)
    height, width = _shapes(layer, (array.shape,))[0][2:]
    if layer.option("pool") == "MAX":
        return (reduce(np.maximum, windows(array, slid, (height, width), -np.inf)),)
    total = reduce(np.add, windows(array, slid, (height, width), 0.0))
    counts = []
    for steps, stride, pad, kernel, room in zip(
        (height, width), slid.stride, slid.pad, slid.kernel, spatial, strict=True
    ):
        start = np.arange(steps) * stride - pad
        counts.append(np.minimum(start + kernel, room + pad) - start)
    return (total / np.outer(counts[0], counts[1]).astype(array.dtype),)


def is_clipped(layer: LayerLike) -> bool:
    """Return whether the layer is a pooling whose last windows Caffe cuts in a way that not all engines share."""
    if layer.type != "Pooling" or layer.option("global_pooling") or layer.option("round_mode") == "FLOOR":
        return False
    frame = window(layer)
    return frame.padded or (layer.option("pool") == "AVE" and frame.stride != (1, 1))


def _onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    average = layer.option("pool") == "AVE"
    if layer.option("global_pooling"):
        return [graph.node("GlobalAveragePool" if average else "GlobalMaxPool", bottoms)]
    if is_clipped(layer):
        return [_clipped(graph, layer, bottoms[0])]
    frame = window(layer)
    options: dict[str, Any] = {"kernel_shape": frame.kernel, "strides": frame.stride, "pads": frame.pad * 2}
    options["ceil_mode"] = int(layer.option("round_mode") == "CEIL")
    if average:
        options["count_include_pad"] = 1
    return [graph.node("AveragePool" if average else "MaxPool", bottoms, **options)]


def _clipped(graph: OnnxGraph, layer: LayerLike, bottom: str) -> str:
    """Append a padded pooling that rounds up, with Caffe's border as a Pad node, as engines differ in theirs."""
    frame, average = window(layer), layer.option("pool") == "AVE"
    before, after = graph.shapes[layer.bottoms[0]][2:], graph.shapes[layer.tops[0]][2:]
    sides = list(zip(before, after, frame.kernel, frame.stride, frame.pad, strict=True))
    ends = [max(0, (out - 1) * stride + kernel - size - pad) for size, out, kernel, stride, pad in sides]
    border = graph.integers(0, 0, *frame.pad, 0, 0, *ends)
    fill = graph.scalar(0.0 if average else float(np.finfo(np.float32).min))
    padded = graph.node("Pad", [bottom, border, fill])
    pooled = graph.node(
        "AveragePool" if average else "MaxPool", [padded], kernel_shape=frame.kernel, strides=frame.stride
    )
    if not average:
        return pooled
    counts = [  # Caffe divides by the part of the window that lies within the symmetric border
        np.minimum(np.arange(out) * stride + kernel, size + 2 * pad) - np.arange(out) * stride
        for size, out, kernel, stride, pad in sides
    ]
    share = np.outer(*counts).astype(np.float32) / np.float32(frame.kernel[0] * frame.kernel[1])
    return graph.node("Div", [pooled, graph.constant(share[None, None])])


POOLING = LayerSpec(
    "Pooling",
    _shapes,
    _operation,
    _onnx,
    options=OptionSchema(
        "pooling_param",
        121,
        "PoolingParameter",
        """
        enum PoolMethod = MAX 0, AVE 1, STOCHASTIC 2
        enum RoundMode = CEIL 0, FLOOR 1
        optional PoolMethod pool = 1 MAX
        optional uint32 kernel_size = 2
        optional uint32 stride = 3 1
        optional uint32 pad = 4 0
        optional uint32 kernel_h = 5
        optional uint32 kernel_w = 6
        optional uint32 stride_h = 7
        optional uint32 stride_w = 8
        optional uint32 pad_h = 9 0
        optional uint32 pad_w = 10 0
        optional Engine engine = 11 DEFAULT
        optional bool global_pooling = 12 false
        optional RoundMode round_mode = 13 CEIL""",
        v1_number=19,
    ),
    v1_type="POOLING",
)
