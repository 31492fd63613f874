"""Check the arguments of an index: vectors, keys and counts."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from faceall.errors import VectorError
from faceall.types import Float32Array, Int64Array

Metric = Literal["l2", "cosine"]
METRICS: tuple[Metric, ...] = ("l2", "cosine")
LONGEST = 1e18  # a longer vector's squared distances would not fit float32
LARGEST_KEY = (1 << 62) - 1


def checked_vectors(vectors: npt.ArrayLike) -> Float32Array:
    """Return `vectors` as (n, dimension) float32; one vector (dimension,) counts as n = 1.

    Raises
    ------
    VectorError
        If the shape is wrong, or a vector is not finite or too long.
    """
    array = _as_float32(vectors)
    shape = array.shape
    if array.ndim == 1 and array.size:
        array = array[None]
    if array.ndim != 2 or not array.shape[1]:
        raise VectorError(f"vectors have shape {shape}, expected (n, dimension)")
    if not _are_surely_usable(array):
        _refuse_unusable(array)
    return array


def _as_float32(vectors: npt.ArrayLike) -> Float32Array:
    if isinstance(vectors, np.ndarray) and vectors.dtype == np.float32 and vectors.flags.c_contiguous:
        return vectors
    try:
        given = np.asarray(vectors)
        if np.iscomplexobj(given):
            raise VectorError("vectors must be real numbers; these are complex")
        with np.errstate(over="ignore"):
            return np.asarray(given, np.float32, order="C")
    except VectorError:
        raise
    except (TypeError, ValueError) as error:
        raise VectorError(f"vectors must be an array of numbers of shape (n, dimension): {error}") from error


def _are_surely_usable(array: Float32Array) -> bool:
    """Return whether the sum of all squares is so small that every vector is short enough; False for NaN."""
    numbers = array.reshape(-1)
    return bool(np.vdot(numbers, numbers) <= LONGEST**2 / array.shape[1])


def _refuse_unusable(array: Float32Array) -> None:
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise VectorError(f"vector {int(np.argmin(finite))} holds a number that is not finite")
    if array.size and max(float(array.max()), -float(array.min())) > LONGEST / np.sqrt(array.shape[1]):
        raise VectorError(f"the vectors hold numbers too large to measure distances (length up to {LONGEST:g})")


def measured(vectors: Float32Array, metric: str) -> Float32Array:
    """Return `vectors` unchanged (l2) or at unit length (cosine).

    Raises
    ------
    VectorError
        If the metric is "cosine" and a vector is zero.
    """
    if metric == "l2":
        return vectors
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    if not lengths.all():
        raise VectorError(f"vector {int(np.argmin(lengths))} is zero: it has no direction for the metric 'cosine'")
    return np.asarray(vectors / lengths[:, None], np.float32)


def checked_keys(keys: npt.ArrayLike) -> Int64Array:
    """Return `keys` as (n,) int64; one key counts as n = 1.

    Raises
    ------
    VectorError
        If a key is not an integer from 0 to 2**62 - 1.
    """
    given = np.atleast_1d(np.asarray(keys))
    if not given.size:
        given = given.astype(np.int64)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise VectorError(f"keys must be whole numbers of shape (n,); got {given.dtype} of shape {given.shape}")
    outside = (given < 0) | (given > LARGEST_KEY)
    if outside.any():
        raise VectorError(f"key {given[int(np.argmax(outside))]} is not between 0 and {LARGEST_KEY}")
    return given.astype(np.int64)


def ascending(keys: Int64Array) -> Int64Array:
    """Return `keys` sorted and without duplicates."""
    return keys if (keys[1:] > keys[:-1]).all() else np.unique(keys)


def checked_new_keys(keys: npt.ArrayLike, count: int) -> Int64Array:
    """Return the keys (count,) int64 of new vectors.

    Raises
    ------
    VectorError
        If their number is wrong or one is repeated.
    """
    array = checked_keys(keys)
    if len(array) != count:
        raise VectorError(f"{len(array)} keys were given for {count} vectors")
    distinct, times = np.unique(array, return_counts=True)
    if len(distinct) != count:
        raise VectorError(f"key {distinct[int(np.argmax(times))]} is given twice")
    return array


def checked_count(name: str, value: int) -> int:
    """Return `value` as an int.

    Raises
    ------
    VectorError
        If it is not an integer above zero.
    """
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise VectorError(f"{name} is {value!r}, expected a whole number from 1")
    return int(value)


def is_key(value: object) -> bool:
    """Return whether `value` is a valid key."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 0 <= int(value) <= LARGEST_KEY
