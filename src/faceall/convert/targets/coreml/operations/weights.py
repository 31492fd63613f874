"""Operations that decompress weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from faceall.convert.targets.coreml.operations.arguments import Arguments, Operation
from faceall.convert.targets.coreml.weights import unpack
from faceall.errors import NetFormatError
from faceall.types import Array


def _table(given: Arguments) -> Array:
    """Look up each element in a table of values."""
    table, indices = given.array("lut"), given.array("indices")
    if "shape" in given:  # one table for the whole tensor; each index has as many bits as the table needs
        shape = given.integers("shape")
        given.budget.room(shape)
        bits = int(np.log2(max(table.size, 1)))
        if table.size != 2**bits or not 1 <= bits <= 8:
            raise NetFormatError(f"has a table of {table.size} values")
        return np.asarray(table.reshape(-1)[unpack(indices.tobytes(), bits, int(np.prod(shape)))].reshape(shape))
    if table.ndim != indices.ndim + 2 or table.shape[-1] != 1:
        raise NetFormatError(f"has a table of shape {table.shape} for numbers of shape {indices.shape}")
    groups = []
    for axis, (size, count) in enumerate(zip(indices.shape, table.shape, strict=False)):
        steps = np.arange(size) // max(size // max(count, 1), 1)
        groups.append(steps.reshape([-1 if place == axis else 1 for place in range(indices.ndim)]))
    return np.asarray(table[(*groups, indices, 0)])


def _affine(given: Arguments) -> Array:
    """Compute (number - zero) * scale, per index of one axis or for the whole tensor."""
    data, scale, zero = given.array("quantized_data"), given.array("scale"), given.array("zero_point")
    axis = given.integer("axis", 0)
    shape = [-1 if place == axis % max(data.ndim, 1) else 1 for place in range(data.ndim)]
    wide = [part.astype(np.float32).reshape(shape if part.size > 1 else [1] * data.ndim) for part in (scale, zero)]
    return np.asarray((data.astype(np.float32) - wide[1]) * wide[0])


def _blockwise(given: Arguments) -> Array:
    """Compute (number - offset) * scale per block of the tensor."""
    data = given.array("data").astype(np.float32)
    scale = _stretched(given.array("scale"), data.shape)
    offset = _stretched(given.array("offset").astype(np.float32), data.shape) if "offset" in given else np.float32(0)
    return np.asarray((data - offset) * scale)


def _stretched(blocks: Array, shape: Sequence[int]) -> Array:
    for axis, (count, size) in enumerate(zip(blocks.shape, shape, strict=True)):
        if count < 1 or size % count:
            raise NetFormatError(f"has blocks of shape {blocks.shape} for {tuple(shape)}")
        if count not in (1, size):
            blocks = np.repeat(blocks, size // count, axis=axis)
    return blocks


def _sparse(given: Arguments) -> Array:
    """Place the nonzero numbers where a bit mask is set."""
    shape, kept = given.integers("shape"), given.array("nonzero_data").reshape(-1)
    given.budget.room(shape)
    mask = unpack(given.array("mask").tobytes(), 1, int(np.prod(shape))).astype(bool)
    if int(mask.sum()) != kept.size:
        raise NetFormatError(f"has {kept.size} numbers for {int(mask.sum())} places")
    dense = np.zeros(mask.size, kept.dtype)
    dense[mask] = kept
    return dense.reshape(shape)


WEIGHTS: Mapping[str, Operation] = {
    "constexpr_affine_dequantize": _affine,
    "constexpr_blockwise_shift_scale": _blockwise,
    "constexpr_cast": lambda given: given.array("source_val"),
    "constexpr_lut_to_dense": _table,
    "constexpr_sparse_to_dense": _sparse,
}
"""Operation -> the function that computes it."""
