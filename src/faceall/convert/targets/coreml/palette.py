"""The best few values for many: Lloyd's algorithm in one dimension, exact in its steps and the same every time."""

from __future__ import annotations

import numpy as np

from faceall.types import Array, Float32Array

_ROUNDS = 40


def palette(values: Array, bits: int) -> tuple[Float32Array, Array]:
    """Choose 2**bits values that stand for `values` with a small squared error.

    Parameters
    ----------
    values : Array
        Any shape, any float type.

    Returns
    -------
    (2**bits,) float32
        Rising, padded with its last; and for each of `values`, flattened, the number of its value, uint8.
    """
    flat = np.asarray(values, np.float64).reshape(-1)
    order = np.argsort(flat, kind="stable")
    rising = flat[order]
    sums = np.concatenate([[0.0], np.cumsum(rising)])
    distinct = np.unique(rising)
    count = min(2**bits, len(distinct))
    centres = distinct if count == len(distinct) else _start(rising, count)
    for _ in range(0 if count == len(distinct) else _ROUNDS):
        bounds = _bounds(rising, centres)
        sizes = np.diff(bounds)
        means = np.diff(sums[bounds]) / np.maximum(sizes, 1)
        moved = np.sort(np.where(sizes > 0, means, centres))
        if np.array_equal(moved, centres):
            break
        centres = moved
    chosen = np.empty(flat.size, np.uint8)
    chosen[order] = np.repeat(np.arange(count), np.diff(_bounds(rising, centres)))
    full = np.concatenate([centres, np.repeat(centres[-1:], 2**bits - count)])
    return full.astype(np.float32), chosen


def _start(rising: Array, count: int) -> Array:
    """Centres between evenly spaced values and evenly filled groups, so that rare large values have theirs, too."""
    steps = (np.arange(count) + 0.5) / count
    even = rising[0] + steps * (rising[-1] - rising[0])
    filled = rising[(steps * len(rising)).astype(np.int64)]
    return np.asarray(0.5 * even + 0.5 * filled)


def _bounds(rising: Array, centres: Array) -> Array:
    """Where the values of each centre begin in `rising`, and the end: (len(centres) + 1,) int64."""
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[0], np.searchsorted(rising, middles), [len(rising)]])
