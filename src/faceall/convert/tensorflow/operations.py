"""TensorFlow's operations in plain NumPy: a table op -> function(node, operands) -> array.

Images are (N, H, W, C) as in TensorFlow. Every function takes the node, for its attributes, and the list of its
operands. They follow TensorFlow's definitions and do not depend on Caffe, so that they verify a converted net
independently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from faceall.convert.tensorflow.graph import Node
from faceall.convert.tensorflow.graphdef import attribute_text
from faceall.convert.tensorflow.schema import NUMPY_TYPES
from faceall.errors import UnsupportedGraphError
from faceall.types import Array

Operation: TypeAlias = Callable[[Node, Sequence[Array]], Array]

DEFAULT_EPSILON = 1e-4
"""TensorFlow's default of FusedBatchNorm's epsilon attribute."""


def window_padding(node: Node, sizes: Sequence[int], kernel: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the padding of an image of `sizes` (H, W): rows (before, after), columns (before, after).

    Parameters
    ----------
    kernel : Sequence[int]
        (kh, kw), the window's extent, its dilation included.
    """
    scheme = attribute_text(node.attrs, "padding", "VALID")
    if scheme == "EXPLICIT":
        pads = list(node.attrs["explicit_paddings"])
        return (pads[2], pads[3]), (pads[4], pads[5])
    if scheme == "VALID":
        return (0, 0), (0, 0)
    steps = node.attrs["strides"][1:3]
    totals = [
        max((-(-size // step) - 1) * step + k - size, 0) for size, step, k in zip(sizes, steps, kernel, strict=True)
    ]
    return (totals[0] // 2, totals[0] - totals[0] // 2), (totals[1] // 2, totals[1] - totals[1] // 2)


def dilations(node: Node) -> tuple[int, int]:
    """Return the dilation of a convolution, (rows, columns)."""
    values = node.attrs.get("dilations") or (1, 1, 1, 1)
    return values[1], values[2]


def _windows(node: Node, x: Array, kernel: tuple[int, int], steps: tuple[int, int], fill: float) -> list[Array]:
    """Return the input values (N, OH, OW, C) under each position of the window, row by row."""
    rows, columns = (size + (size - 1) * (step - 1) for size, step in zip(kernel, steps, strict=True))
    pads = window_padding(node, x.shape[1:3], (rows, columns))
    padded = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill) if np.any(pads) else x
    stride_h, stride_w = node.attrs["strides"][1:3]
    high = (padded.shape[1] - rows) // stride_h * stride_h + 1
    wide = (padded.shape[2] - columns) // stride_w * stride_w + 1
    return [
        padded[:, top : top + high : stride_h, left : left + wide : stride_w]
        for top in range(0, rows, steps[0])
        for left in range(0, columns, steps[1])
    ]


def _refuse_channels_first(node: Node) -> None:
    if attribute_text(node.attrs, "data_format", "NHWC") != "NHWC":
        raise UnsupportedGraphError(f"node '{node.name}' ({node.op}) holds its channels first (NCHW)")


def _convolution(node: Node, operands: Sequence[Array]) -> Array:
    _refuse_channels_first(node)
    x, kernel = operands[:2]
    flat = kernel.reshape(-1, *kernel.shape[2:])
    windows = _windows(node, x, kernel.shape[:2], dilations(node), 0.0)
    result = np.zeros((*windows[0].shape[:3], kernel.shape[3]), x.dtype)
    for window, weights in zip(windows, flat, strict=True):
        result += window @ weights
    return result + operands[2] if len(operands) > 2 else result


def _depthwise(node: Node, operands: Sequence[Array]) -> Array:
    _refuse_channels_first(node)
    x, kernel = operands[:2]
    flat = kernel.reshape(-1, *kernel.shape[2:])
    windows = _windows(node, x, kernel.shape[:2], dilations(node), 0.0)
    total = sum(window[..., None] * weights for window, weights in zip(windows, flat, strict=True))
    result: Array = np.asarray(total).reshape(*windows[0].shape[:3], -1)
    return result + operands[2] if len(operands) > 2 else result


def _pool_kernel(node: Node) -> tuple[int, int]:
    return node.attrs["ksize"][1], node.attrs["ksize"][2]


def _max_pool(node: Node, operands: Sequence[Array]) -> Array:
    _refuse_channels_first(node)
    windows = _windows(node, operands[0], _pool_kernel(node), (1, 1), -np.inf)
    return np.asarray(np.max(np.stack(windows), axis=0))


def _average_pool(node: Node, operands: Sequence[Array]) -> Array:
    """Return the mean of each window; padding does not count."""
    _refuse_channels_first(node)
    x = operands[0]
    total = sum(_windows(node, x, _pool_kernel(node), (1, 1), 0.0))
    count = sum(_windows(node, np.ones((1, *x.shape[1:3], 1), x.dtype), _pool_kernel(node), (1, 1), 0.0))
    return np.asarray(total / count, x.dtype)


def _batch_norm(node: Node, operands: Sequence[Array]) -> Array:
    if node.attrs.get("is_training", True):
        raise UnsupportedGraphError(f"node '{node.name}' ({node.op}) is in training mode")
    _refuse_channels_first(node)
    x, gamma, beta, mean, variance = operands[:5]
    scale = gamma / np.sqrt(variance + np.float32(node.attrs.get("epsilon", DEFAULT_EPSILON)))
    return np.asarray((x - mean) * scale + beta, x.dtype)


def _mat_mul(node: Node, operands: Sequence[Array]) -> Array:
    a, b = operands[:2]
    product = (a.T if node.attrs.get("transpose_a") else a) @ (b.T if node.attrs.get("transpose_b") else b)
    return np.asarray(product + operands[2] if len(operands) > 2 else product)


def _concat(node: Node, operands: Sequence[Array]) -> Array:
    values, axis = (operands[1:], operands[0]) if node.op == "Concat" else (operands[:-1], operands[-1])
    return np.concatenate(values, axis=int(axis))


def _reduction(function: Callable[..., Any]) -> Operation:
    def reduce(node: Node, operands: Sequence[Array]) -> Array:
        keep = bool(node.attrs.get("keep_dims", node.attrs.get("keepdims", False)))
        axes = tuple(int(axis) for axis in np.ravel(operands[1]))
        return np.asarray(function(operands[0], axis=axes, keepdims=keep), operands[0].dtype)

    return reduce


def _squeeze(node: Node, operands: Sequence[Array]) -> Array:
    axes = node.attrs.get("squeeze_dims") or node.attrs.get("axis") or None
    return np.squeeze(operands[0], axis=tuple(axes) if axes else None)


def _softmax(node: Node, operands: Sequence[Array]) -> Array:
    powers = np.exp(operands[0] - operands[0].max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _strided_slice(node: Node, operands: Sequence[Array]) -> Array:
    masks = {
        name: node.attrs.get(f"{name}_mask", 0) for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    if masks["ellipsis"] or masks["new_axis"]:
        raise UnsupportedGraphError(f"node '{node.name}' (StridedSlice) uses an ellipsis or a new axis")
    picks: list[Any] = []
    for number, (begin, end, step) in enumerate(zip(*(np.ravel(part) for part in operands[1:4]), strict=True)):
        bit = 1 << number
        if masks["shrink_axis"] & bit:
            picks.append(int(begin))
        else:
            first, last = None if masks["begin"] & bit else int(begin), None if masks["end"] & bit else int(end)
            picks.append(slice(first, last, int(step)))
    return np.asarray(operands[0][tuple(picks)])


def _slice(node: Node, operands: Sequence[Array]) -> Array:
    begins, sizes = np.ravel(operands[1]), np.ravel(operands[2])
    picks = [slice(int(b), None if s < 0 else int(b + s)) for b, s in zip(begins, sizes, strict=True)]
    return np.asarray(operands[0][tuple(picks)])


def _cast(node: Node, operands: Sequence[Array]) -> Array:
    return operands[0].astype(NUMPY_TYPES[node.attrs["DstT"]])


def _leaky(node: Node, operands: Sequence[Array]) -> Array:
    return np.where(operands[0] > 0, operands[0], operands[0] * np.float32(node.attrs.get("alpha", 0.2)))


def _prelu(node: Node, operands: Sequence[Array]) -> Array:
    return np.where(operands[0] > 0, operands[0], operands[0] * operands[1])


def _normalise(node: Node, operands: Sequence[Array]) -> Array:
    total = np.sum(np.square(operands[0]), axis=-1, keepdims=True)
    return np.asarray(operands[0] / np.sqrt(np.maximum(total, np.float32(node.attrs["epsilon"]))))


def _weighted_sum(node: Node, operands: Sequence[Array]) -> Array:
    return np.asarray(sum(np.float32(c) * x for c, x in zip(node.attrs["coefficients"], operands, strict=True)))


def _shape_of(node: Node, operands: Sequence[Array]) -> Array:
    return np.array(operands[0].shape, NUMPY_TYPES[node.attrs.get("out_type", 3)])


def _plain(function: Callable[..., Any]) -> Operation:
    """Return an operation without attributes: NumPy's own function of the operands."""
    return lambda node, operands: np.asarray(function(*operands))


def _sum_of_all(*operands: Array) -> Array:
    return np.asarray(sum(operands))


OPERATIONS: dict[str, Operation] = {
    "Abs": _plain(np.abs),
    "Add": _plain(np.add),
    "AddN": _plain(_sum_of_all),
    "AddV2": _plain(np.add),
    "AvgPool": _average_pool,
    "BiasAdd": _plain(np.add),
    "Cast": _cast,
    "CheckNumerics": _plain(lambda x, *_: x),
    "Concat": _concat,
    "ConcatV2": _concat,
    "Const": lambda node, _: np.asarray(node.attrs["value"]),
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Div": _plain(np.divide),
    "Elu": _plain(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, np.float32(0))))),
    "Exp": _plain(np.exp),
    "ExpandDims": lambda _, operands: np.expand_dims(operands[0], int(operands[1])),
    "Fill": lambda _, operands: np.full(tuple(operands[0]), operands[1]),
    "Floor": _plain(np.floor),
    "FusedBatchNorm": _batch_norm,
    "FusedBatchNormV2": _batch_norm,
    "FusedBatchNormV3": _batch_norm,
    "Identity": _plain(lambda x: x),
    "L2Normalize": _normalise,
    "LeakyRelu": _leaky,
    "LogicalAnd": _plain(np.logical_and),
    "LogicalNot": _plain(np.logical_not),
    "LogicalOr": _plain(np.logical_or),
    "MatMul": _mat_mul,
    "Max": _reduction(np.max),
    "MaxPool": _max_pool,
    "Maximum": _plain(np.maximum),
    "Mean": _reduction(np.mean),
    "Minimum": _plain(np.minimum),
    "Mul": _plain(np.multiply),
    "Neg": _plain(np.negative),
    "OnesLike": _plain(np.ones_like),
    "PRelu": _prelu,
    "Pack": lambda node, operands: np.stack(operands, axis=node.attrs.get("axis", 0)),
    "Pad": lambda _, operands: np.pad(operands[0], operands[1]),
    "PlaceholderWithDefault": _plain(lambda x: x),
    "Pow": _plain(np.power),
    "PreventGradient": _plain(lambda x: x),
    "Prod": _reduction(np.prod),
    "Range": _plain(np.arange),
    "Rank": _plain(lambda x: np.int32(np.ndim(x))),
    "RealDiv": _plain(np.divide),
    "Relu": _plain(lambda x: np.maximum(x, np.float32(0))),
    "Relu6": _plain(lambda x: np.clip(x, np.float32(0), np.float32(6))),
    "Reshape": lambda _, operands: operands[0].reshape(tuple(operands[1])),
    "ReverseV2": lambda _, operands: np.flip(operands[0], tuple(operands[1])),
    "Rsqrt": _plain(lambda x: (1 / np.sqrt(x)).astype(x.dtype)),
    "Shape": _shape_of,
    "Sigmoid": _plain(lambda x: (1 / (1 + np.exp(-x))).astype(x.dtype)),
    "Slice": _slice,
    "Snapshot": _plain(lambda x: x),
    "Softmax": _softmax,
    "Sqrt": _plain(np.sqrt),
    "Square": _plain(np.square),
    "SquaredDifference": _plain(lambda a, b: np.square(a - b)),
    "Squeeze": _squeeze,
    "StopGradient": _plain(lambda x: x),
    "StridedSlice": _strided_slice,
    "Sub": _plain(np.subtract),
    "Sum": _reduction(np.sum),
    "Tanh": _plain(np.tanh),
    "Transpose": lambda _, operands: np.transpose(operands[0], tuple(operands[1])),
    "WeightedSum": _weighted_sum,
    "ZerosLike": _plain(np.zeros_like),
}
"""Operation -> its function. L2Normalize, PRelu and WeightedSum are the names of patterns, see `patterns`."""
