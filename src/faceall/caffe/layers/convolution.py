"""The layer types Convolution and ConvolutionDepthwise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from faceall.caffe.layers.options import groups, image_axes, need_pixels, outputs_of
from faceall.caffe.layers.rules import spread
from faceall.caffe.layers.spec import LayerLike, LayerSpec, OptionSchema, Shapes
from faceall.caffe.layers.window import Pair, Window, window
from faceall.caffe.onnx_graph import OnnxGraph
from faceall.errors import ShapeError, UnsupportedLayerError
from faceall.types import Array


def _shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    batch, channels, spatial = image_axes(layer, bottoms[0])
    if layer.option("axis") != 1:
        raise UnsupportedLayerError(f"has axis {layer.option('axis')}, only 1 is supported")
    outputs, group, slid = outputs_of(layer), groups(layer, channels), window(layer)
    if group < 1 or channels % group or outputs % group:
        raise ShapeError(
            f"has {group} groups, which must divide its {outputs} outputs "
            f"and the {channels} channels of its input '{layer.bottoms[0]}'"
        )
    sizes = [
        (size + 2 * pad - extent) // stride + 1
        for size, pad, extent, stride in zip(spatial, slid.pad, slid.extent, slid.stride, strict=True)
    ]
    need_pixels(layer, spatial, sizes, slid.extent)
    return ((batch, outputs, *sizes),)


def _weights(layer: LayerLike, bottoms: Shapes) -> Shapes:
    """Return the shapes of the kernel (O, I / groups, H, W) and of the bias (O,)."""
    outputs, channels = outputs_of(layer), bottoms[0][1]
    kernel = (outputs, channels // groups(layer, channels), *window(layer).kernel)
    return (kernel, (outputs,)) if layer.option("bias_term") else (kernel,)


def windows(array: Array, slid: Window, out: Pair, fill: float) -> list[Array]:
    """Return, for each element of the kernel, row by row, the input values under it.

    Parameters
    ----------
    array : (N, C, H, W)
        The input.
    slid : Window
        The window.
    out : (int, int)
        Height and width of the output.
    fill : float
        The value of the border and of everything beyond it.

    Returns
    -------
    list of (N, C, *out)
        One view per kernel element.
    """
    need = [(size - 1) * stride + extent for size, stride, extent in zip(out, slid.stride, slid.extent, strict=True)]
    edges = [
        (pad, max(0, total - size - pad)) for pad, total, size in zip(slid.pad, need, array.shape[2:], strict=True)
    ]
    wide = np.pad(array, ((0, 0), (0, 0), *edges), constant_values=fill)
    spans = [
        [slice(i * step, i * step + (size - 1) * stride + 1, stride) for i in range(kernel)]
        for kernel, step, size, stride in zip(slid.kernel, slid.dilation, out, slid.stride, strict=True)
    ]
    return [wide[:, :, rows, columns] for rows, columns in product(*spans)]


def _operation(layer: LayerLike, bottoms: Sequence[Array], weights: Sequence[Array]) -> tuple[Array, ...]:
    """Sum one matrix product per kernel element."""
    batch, outputs, *size = _shapes(layer, (bottoms[0].shape,))[0]
    group = groups(layer, bottoms[0].shape[1])
    kernel = weights[0].reshape(group, outputs // group, weights[0].shape[1], -1)
    total = np.zeros((batch, group, outputs // group, size[0] * size[1]), bottoms[0].dtype)
    for number, seen in enumerate(windows(bottoms[0], window(layer), (size[0], size[1]), 0.0)):
        total += kernel[..., number] @ seen.reshape(batch, group, -1, size[0] * size[1])
    result = total.reshape(batch, outputs, *size)
    return (result + spread(weights[1], 1, 4) if layer.option("bias_term") else result,)


def _onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    frame = window(layer)
    kernel, *bias = graph.blobs(layer.name)
    if layer.name in graph.ranges:
        operands = [graph.quantised(bottoms[0], graph.ranges[layer.name]), _quantised_kernel(graph, kernel)]
    else:
        operands = [bottoms[0], graph.constant(kernel)]
    return [
        graph.node(
            "Conv",
            [*operands, *map(graph.constant, bias)],
            kernel_shape=frame.kernel,
            strides=frame.stride,
            pads=frame.pad * 2,
            dilations=frame.dilation,
            group=groups(layer, graph.shapes[layer.bottoms[0]][1]),
        )
    ]


def _quantised_kernel(graph: OnnxGraph, kernel: Array) -> str:
    """Append a kernel (O, I, H, W) in steps of 1/127 of the largest weight of each output."""
    largest = np.abs(kernel).max(axis=(1, 2, 3))
    steps = np.where(largest > 0, largest, 1).astype(np.float32) / np.float32(127)
    whole = np.rint(kernel / steps[:, None, None, None]).astype(np.int8)
    zeros = np.zeros(len(steps), np.int8)
    return graph.node("DequantizeLinear", [graph.constant(array) for array in (whole, steps, zeros)], axis=0)


_OPTIONS = OptionSchema(
    "convolution_param",
    106,
    "ConvolutionParameter",
    """
        optional uint32 num_output = 1
        optional bool bias_term = 2 true
        repeated uint32 pad = 3
        repeated uint32 kernel_size = 4
        optional uint32 group = 5 1
        repeated uint32 stride = 6
        optional FillerParameter weight_filler = 7
        optional FillerParameter bias_filler = 8
        optional uint32 pad_h = 9 0
        optional uint32 pad_w = 10 0
        optional uint32 kernel_h = 11
        optional uint32 kernel_w = 12
        optional uint32 stride_h = 13
        optional uint32 stride_w = 14
        optional Engine engine = 15 DEFAULT
        optional int32 axis = 16 1
        optional bool force_nd_im2col = 17 false
        repeated uint32 dilation = 18""",
    v1_number=10,
)

CONVOLUTION = LayerSpec(
    "Convolution", _shapes, _operation, _onnx, options=_OPTIONS, weights=_weights, v1_type="CONVOLUTION"
)
DEPTHWISE = LayerSpec("ConvolutionDepthwise", _shapes, _operation, _onnx, options=_OPTIONS, weights=_weights)
