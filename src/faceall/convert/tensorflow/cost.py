"""Estimate what an operation makes before it is computed."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from faceall.convert.tensorflow.graph import Node
from faceall.types import Array

_WINDOWS = ("AvgPool", "MaxPool", "Conv2D", "DepthwiseConv2dNative")
_JOINED = ("Concat", "ConcatV2", "Pack")
_FREE = ("Const", "Identity", "Reshape", "Snapshot", "StopGradient", "PreventGradient", "PlaceholderWithDefault")


def cost(node: Node, operands: Sequence[Array]) -> tuple[int, int]:
    """Return the numbers and the steps that `node` takes with `operands`, as upper bounds."""
    if node.op in _FREE or not operands:
        return 0, 1
    if node.op in _WINDOWS:
        return _windows(node, operands)
    if node.op == "Fill":
        return prod(max(int(size), 0) for size in np.ravel(operands[0])), 1
    if node.op == "Range":
        start, stop, step = (float(np.ravel(part)[0]) for part in operands[:3])
        return (int(abs((stop - start) / step)) + 1 if step else 0), 1
    if node.op == "Pad":
        edges = np.reshape(operands[1], (-1, 2)).sum(axis=1).tolist()
        return prod(size + max(int(edge), 0) for size, edge in zip(operands[0].shape, edges, strict=False)), 1
    if node.op == "MatMul":
        sizes = sorted(max(part.shape, default=1) for part in operands[:2])
        return max(operands[0].size, sizes[0] * sizes[1] if min(part.ndim for part in operands[:2]) else 0), 1
    if node.op in _JOINED:
        return sum(part.size for part in operands), len(operands)
    try:
        return prod(np.broadcast_shapes(*(part.shape for part in operands))), len(operands)
    except ValueError:  # operands of other roles, as the axes of a sum
        return max(part.size for part in operands), len(operands)


def _windows(node: Node, operands: Sequence[Array]) -> tuple[int, int]:
    """Return the cost of a convolution or pool: the padded image, the result, and for a pool every window."""
    batch, height, width, channels = operands[0].shape
    sizes: Any = operands[1].shape if len(operands) > 1 else node.attrs["ksize"][1:3]
    dilation = node.attrs.get("dilations") or (1, 1, 1, 1)
    rows, columns = (size * step for size, step in zip(sizes[:2], dilation[1:3], strict=True))
    padded = batch * (height + 2 * rows) * (width + 2 * columns) * channels
    steps = node.attrs["strides"][1:3]
    places = batch * (height // steps[0] + 1) * (width // steps[1] + 1)
    depth = sizes[0] * sizes[1] * channels if node.op == "MaxPool" else prod(sizes[3:]) * max(channels, 1)
    if node.op == "Conv2D":
        depth = sizes[3]
    return padded + places * depth, sizes[0] * sizes[1]
