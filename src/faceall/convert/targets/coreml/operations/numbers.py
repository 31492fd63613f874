"""Operations that compute each number from those in the same place, or along axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from faceall.convert.targets.coreml.arithmetic import broadcast, multiply_matrices, prelu, softmax
from faceall.convert.targets.coreml.operations.arguments import Arguments, Operation
from faceall.errors import NetFormatError
from faceall.types import Array

_NAMES = {"fp16": np.float16, "fp32": np.float32, "int32": np.int32, "bool": np.bool_, "int8": np.int8,
          "uint8": np.uint8, "int16": np.int16, "uint16": np.uint16}  # fmt: skip
"""What `cast` calls types."""


def _binary(operation: np.ufunc) -> Operation:
    return lambda given: broadcast(operation, given.array("x"), given.array("y"), given.budget)


def _unary(function: Callable[[Array], Any]) -> Operation:
    return lambda given: np.asarray(function(given.array("x")))


def _reduce(function: Callable[..., Any]) -> Operation:
    def run(given: Arguments) -> Array:
        array = given.array("x")
        axes = tuple(given.integers("axes", range(array.ndim)))
        return np.asarray(function(array, axis=axes, keepdims=bool(given.integer("keep_dims", 0))))

    return run


def _sum_of_squares(array: Array, **options: Any) -> Any:
    return np.sum(array * array, **options)


def _linear(given: Arguments) -> Array:
    result = multiply_matrices(given.array("x"), given.array("weight").T, given.budget)
    return broadcast(np.add, result, given.array("bias"), given.budget) if "bias" in given else result


def _matmul(given: Arguments) -> Array:
    left, right = given.array("x"), given.array("y")
    if given.integer("transpose_x", 0):
        left = np.swapaxes(left, -1, -2)
    if given.integer("transpose_y", 0):
        right = np.swapaxes(right, -1, -2)
    return multiply_matrices(left, right, given.budget)


def _batch_norm(given: Arguments) -> Array:
    array = given.array("x")
    shape = (1, -1) + (1,) * (array.ndim - 2)
    scale = 1 / np.sqrt(given.array("variance") + given.number("epsilon", 1e-5))
    scale = scale * (given.array("gamma") if "gamma" in given else 1)
    shift = (given.array("beta") if "beta" in given else 0) - given.array("mean") * scale
    return np.asarray(array * scale.reshape(shape) + np.asarray(shift).reshape(shape))


def _cast(given: Arguments) -> Array:
    name = given.text("dtype", "fp32")
    if name not in _NAMES:
        raise NetFormatError(f"casts to the unknown type '{name[:20]}'")
    return given.array("x").astype(_NAMES[name])


def _rsqrt(given: Arguments) -> Array:
    return np.asarray(1 / np.sqrt(given.array("x") + given.number("epsilon", 1e-12)))


def _l2_norm(given: Arguments) -> Array:
    array = given.array("x")
    total = np.sum(array * array, axis=tuple(range(-3, 0)), keepdims=True)
    return np.asarray(array / np.sqrt(total + given.number("epsilon", 1e-6)))


def _sigmoid(array: Array) -> Array:
    return np.asarray(0.5 * np.tanh(0.5 * array) + 0.5)


def _leaky(given: Arguments) -> Array:
    array = given.array("x")
    return np.maximum(array, 0) + given.number("alpha", 0.01) * np.minimum(array, 0)


NUMBERS: Mapping[str, Operation] = {
    "abs": _unary(np.abs),
    "add": _binary(np.add),
    "batch_norm": _batch_norm,
    "cast": _cast,
    "exp": _unary(np.exp),
    "l2_norm": _l2_norm,
    "leaky_relu": _leaky,
    "linear": _linear,
    "matmul": _matmul,
    "maximum": _binary(np.maximum),
    "minimum": _binary(np.minimum),
    "mul": _binary(np.multiply),
    "pow": _binary(np.power),
    "prelu": lambda given: prelu(given.array("x"), given.array("alpha")),
    "real_div": _binary(np.divide),
    "reduce_max": _reduce(np.max),
    "reduce_mean": _reduce(np.mean),
    "reduce_sum": _reduce(np.sum),
    "reduce_sum_square": _reduce(_sum_of_squares),
    "relu": _unary(lambda array: np.maximum(array, 0)),
    "rsqrt": _rsqrt,
    "sigmoid": _unary(_sigmoid),
    "silu": _unary(lambda array: array * _sigmoid(array)),
    "softmax": lambda given: softmax(given.array("x"), given.integer("axis", -1)),
    "sqrt": _unary(np.sqrt),
    "square": _unary(np.square),
    "sub": _binary(np.subtract),
    "tanh": _unary(np.tanh),
}
"""Operation -> what it computes."""
