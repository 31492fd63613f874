"""Operations that move numbers without changing them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from faceall.convert.targets.coreml.arithmetic import sliced
from faceall.convert.targets.coreml.operations.arguments import Arguments, Operation
from faceall.errors import NetFormatError
from faceall.types import Array


def _concat(given: Arguments) -> Array:
    parts, axis = given.several("values"), given.integer("axis", 0)
    given.budget.room([sum(part.size for part in parts)])
    return np.concatenate(parts, axis=axis)


def _reshape(given: Arguments) -> Array:
    array, wanted = given.array("x"), given.integers("shape")
    return array.reshape([array.shape[place] if size == 0 else size for place, size in enumerate(wanted)])


def _slice_by_index(given: Arguments) -> Array:
    array, begin, end = given.array("x"), given.integers("begin"), given.integers("end")
    zeros = [0] * len(begin)
    strides = given.integers("stride", [1] * len(begin))
    begin_mask, end_mask = given.integers("begin_mask", zeros), given.integers("end_mask", zeros)
    parts = [
        slice(None if open_begin else low, None if open_end else high, step)
        for low, high, step, open_begin, open_end in zip(begin, end, strides, begin_mask, end_mask, strict=True)
    ]
    squeezed = tuple(axis for axis, flag in enumerate(given.integers("squeeze_mask", zeros)) if flag)
    return sliced(array, parts).squeeze(squeezed)


def _slice_by_size(given: Arguments) -> Array:
    begin, sizes = given.integers("begin"), given.integers("size")
    parts = [slice(low, None if size == -1 else low + size) for low, size in zip(begin, sizes, strict=True)]
    return sliced(given.array("x"), parts)


def _split(given: Arguments) -> list[Array]:
    array, axis = given.array("x"), given.integer("axis", 0)
    if "split_sizes" in given:
        sizes = given.integers("split_sizes")
        if sum(sizes) != array.shape[axis] or min(sizes) < 0:
            raise NetFormatError(f"splits {array.shape[axis]} into {sizes}")
        return list(np.split(array, np.cumsum(sizes)[:-1], axis=axis))
    count = given.integer("num_splits", 1)
    if not 1 <= count <= array.shape[axis]:
        raise NetFormatError(f"splits {array.shape[axis]} into {count} parts")
    return list(np.split(array, count, axis=axis))


SHAPES: Mapping[str, Operation] = {
    "concat": _concat,
    "expand_dims": lambda given: np.expand_dims(given.array("x"), tuple(given.integers("axes"))),
    "identity": lambda given: given.array("x"),
    "reshape": _reshape,
    "slice_by_index": _slice_by_index,
    "slice_by_size": _slice_by_size,
    "split": _split,
    "squeeze": lambda given: np.squeeze(given.array("x"), tuple(given.integers("axes")) if "axes" in given else None),
    "transpose": lambda given: given.array("x").transpose(given.integers("perm")),
}
"""Operation -> what it computes."""
