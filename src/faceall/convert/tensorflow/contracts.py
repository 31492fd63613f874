"""Check nodes against TensorFlow's definitions of their operations; a violation means a damaged file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from faceall.convert.tensorflow.graph import Node
from faceall.errors import NetFormatError

_ONE = (
    "Abs", "AvgPool", "Cast", "Elu", "Exp", "Floor", "Identity", "LeakyRelu", "LogicalNot", "MaxPool", "Neg",
    "PlaceholderWithDefault", "PreventGradient", "RandomUniform", "Relu", "Relu6", "Rsqrt", "Shape", "Sigmoid",
    "Softmax", "Sqrt", "Square", "Squeeze", "StopGradient", "Tanh",
)  # fmt: skip
_TWO = (
    "Add", "AddV2", "BiasAdd", "Conv2D", "DepthwiseConv2dNative", "Div", "ExpandDims", "LogicalAnd", "LogicalOr",
    "MatMul", "Max", "Maximum", "Mean", "Minimum", "Mul", "Pad", "Prod", "RealDiv", "RefSwitch", "Reshape", "Sub",
    "Sum", "Switch",
)  # fmt: skip
_FIVE = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_OPERANDS = {
    **dict.fromkeys(_ONE, 1),
    **dict.fromkeys(_TWO, 2),
    **dict.fromkeys(_FIVE, 5),
    "Const": 0,
    "Slice": 3,
    "StridedSlice": 4,
}
_AT_LEAST = {"Concat": 2, "ConcatV2": 2, "Merge": 1, "AddN": 1, "Pack": 1}

_WINDOW = ("strides", "padding")
_NEEDED = {
    "AvgPool": (*_WINDOW, "ksize"),
    "Cast": ("DstT",),
    "Const": ("value",),
    "Conv2D": _WINDOW,
    "DepthwiseConv2dNative": _WINDOW,
    "MaxPool": (*_WINDOW, "ksize"),
}
"""The required attributes of each operation."""


def _is_window(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 4 and all(isinstance(n, int) and 1 <= n < 4096 for n in value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) and bool(np.isfinite(value))


def _is_integers(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(n, int) for n in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, bytes)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "alpha": _is_number,
    "data_format": _is_text,
    "dilations": _is_window,
    "epsilon": _is_number,
    "explicit_paddings": lambda value: value == () or (_is_integers(value) and len(value) == 8 and min(value) >= 0),
    "is_training": _is_flag,
    "keep_dims": _is_flag,
    "ksize": _is_window,
    "padding": lambda value: value in (b"SAME", b"VALID", b"EXPLICIT"),
    "squeeze_dims": _is_integers,
    "strides": _is_window,
    "transpose_a": _is_flag,
    "transpose_b": _is_flag,
    "value": lambda value: isinstance(value, np.ndarray),
}
"""Attribute -> the check of its value."""


def check_contract(node: Node) -> None:
    """Raise NetFormatError where `node` lacks operands or attributes that its operation always has."""
    count, wanted = len(node.inputs), _OPERANDS.get(node.op)
    if (wanted is not None and count != wanted) or count < _AT_LEAST.get(node.op, 0):
        expected = wanted if wanted is not None else f"at least {_AT_LEAST[node.op]}"
        raise NetFormatError(f"damaged: node '{node.name}' ({node.op}) has {count} inputs, expected {expected}")
    for name in _NEEDED.get(node.op, ()):
        if name not in node.attrs:
            raise NetFormatError(f"damaged: node '{node.name}' ({node.op}) has no attribute '{name}'")
    if node.op in _OPERANDS or node.op in _AT_LEAST:
        for name, fits in _KINDS.items():
            if name in node.attrs and not fits(node.attrs[name]):
                raise NetFormatError(f"damaged: node '{node.name}' ({node.op}) has an unfit attribute '{name}'")
    if node.attrs.get("padding") == b"EXPLICIT" and not node.attrs.get("explicit_paddings"):
        raise NetFormatError(f"damaged: node '{node.name}' ({node.op}) has no explicit paddings")
