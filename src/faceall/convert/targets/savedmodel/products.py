"""Caffe's layers that multiply with weights, in TensorFlow: convolutions and inner products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from faceall.caffe.layers import axis_of, groups, window
from faceall.caffe.net import Layer
from faceall.convert.targets.savedmodel.layer_writer import CannotWriteLayerError, LayerWriter
from faceall.types import Array


def write_convolution(made: LayerWriter, layer: Layer) -> Sequence[str]:
    """Write a Convolution or ConvolutionDepthwise; kernels (O, I / groups, kh, kw) become (kh, kw, I, O).

    Raises
    ------
    CannotWriteLayerError
        If it has both a stride and a dilation.
    """
    kernel, *bias = made.net.blobs(layer.name)  # (O, I / groups, kh, kw)
    channels = made.shape(layer)[1]
    count, outputs = groups(layer, channels), len(kernel)
    slid = window(layer)
    if max(slid.dilation) > 1 and max(slid.stride) > 1:
        raise CannotWriteLayerError("it has both a stride and a dilation")
    options: dict[str, Any] = {"strides": (1, *slid.stride, 1), "dilations": (1, *slid.dilation, 1)}
    options |= _padding(slid.pad, slid.extent, slid.stride)
    x = made.x(layer)
    if count == 1:
        weights = made.constant(layer, "weights", kernel.transpose(2, 3, 1, 0))
        y = made.node(layer, "Conv2D", "Conv2D", [x, weights], **options)
    elif count == channels and slid.stride[0] == slid.stride[1] and slid.dilation == (1, 1):
        deep = kernel.reshape(channels, outputs // channels, *kernel.shape[2:]).transpose(2, 3, 0, 1)
        if "explicit_paddings" in options:  # TensorFlow's depthwise convolution ends the process where it is given one
            edges = made.integers(layer, "paddings", np.reshape(options.pop("explicit_paddings"), (4, 2)))
            x, options["padding"] = made.node(layer, "Pad", "Pad", [x, edges]), b"VALID"
        operands = [x, made.constant(layer, "weights", deep)]
        y = made.node(layer, "DepthwiseConv2dNative", "DepthwiseConv2dNative", operands, **options)
    else:
        y = _grouped(made, layer, kernel, count, options)
    return [made.biased(layer, y, bias)]


def _padding(pad: tuple[int, int], extent: tuple[int, int], stride: tuple[int, int]) -> dict[str, Any]:
    """Return TensorFlow's name of Caffe's border if there is one, otherwise the numbers."""
    if pad == (0, 0):
        return {"padding": b"VALID"}
    if stride == (1, 1) and all(2 * border == size - 1 for border, size in zip(pad, extent, strict=True)):
        return {"padding": b"SAME"}
    return {"padding": b"EXPLICIT", "explicit_paddings": (0, 0, pad[0], pad[0], pad[1], pad[1], 0, 0)}


def _grouped(made: LayerWriter, layer: Layer, kernel: Array, count: int, options: dict[str, Any]) -> str:
    """Write one convolution per group of channels and concatenate them."""
    size, parts = kernel.shape[1], []
    for number, part in enumerate(np.split(kernel, count)):
        x = made.sliced(layer, f"group_{number}", made.x(layer), 3, number * size, size)
        weights = made.constant(layer, f"group_{number}/weights", part.transpose(2, 3, 1, 0))
        parts.append(made.node(layer, f"group_{number}/Conv2D", "Conv2D", [x, weights], **options))
    return made.node(layer, "concat", "ConcatV2", [*parts, made.integers(layer, "axis", 3)])


def write_inner_product(made: LayerWriter, layer: Layer) -> Sequence[str]:
    """Write an InnerProduct, with the rows of the weights in the order in which TensorFlow flattens.

    Raises
    ------
    CannotWriteLayerError
        If its axis is not 1.
    """
    matrix, *bias = made.net.blobs(layer.name)
    shape = made.shape(layer)
    if axis_of(layer, shape) != 1:
        raise CannotWriteLayerError(f"it has axis {layer.option('axis')}, expected 1")
    matrix = matrix if layer.option("transpose") else matrix.T  # (I, O)
    x = made.x(layer)
    if len(shape) == 4:
        matrix = matrix.reshape(*shape[1:], -1).transpose(1, 2, 0, 3).reshape(len(matrix), -1)
        x = made.reshape(layer, "Reshape", x, [len(matrix)])
    y = made.node(layer, "MatMul", "MatMul", [x, made.constant(layer, "weights", matrix)])
    return [made.biased(layer, y, bias)]
