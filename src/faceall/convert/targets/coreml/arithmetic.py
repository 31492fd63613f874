"""Core ML's operations in NumPy and float32, with limits on the work that a file can cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from faceall.errors import NetFormatError
from faceall.types import Array

_SIZE = 1 << 26
"""The most values of one result."""

_LIVE = 3 << 28
"""The most bytes of all results together."""

_WORK = 1 << 36
"""The most multiplications of one run; a face embedder takes about 2 ** 31."""


class Budget:
    """The work and memory of one run, so that a hostile file ends in an error."""

    def __init__(self) -> None:
        self._work = 0

    def room(self, shape: Sequence[int], work: int = 1) -> None:
        """Count a result of `shape` with `work` multiplications per value.

        Raises
        ------
        NetFormatError
            If a limit is exceeded.
        """
        count = prod(int(size) for size in shape)
        self._work += count * work
        if any(size < 0 for size in shape) or count > _SIZE or self._work > _WORK:
            raise NetFormatError(f"asks for a result of shape {tuple(shape)} or for more work than any face net")

    def live(self, arrays: Sequence[Array]) -> None:
        """Check the memory that is held at once.

        Raises
        ------
        NetFormatError
            If it exceeds the limit.
        """
        if sum(array.nbytes for array in arrays) > _LIVE:
            raise NetFormatError("asks for more memory than any face net")


Edges = Sequence[tuple[int, int]]
"""Pixels added before and after, for height and width."""


def same_edges(spatial: Sequence[int], extent: Sequence[int], stride: Sequence[int], *, heavy_end: bool) -> Edges:
    """Return the border with which a window of `extent` gives ceil(size / stride) results."""
    found = []
    for size, reach, step in zip(spatial, extent, stride, strict=True):
        total = max(0, (-(-size // step) - 1) * step + reach - size)
        small, large = total // 2, total - total // 2
        found.append((small, large) if heavy_end else (large, small))
    return found


def pad_image(array: Array, edges: Edges, fill: float, budget: Budget) -> Array:
    """Return an array (N, C, H, W) with a border of `fill`."""
    if all(edge == (0, 0) for edge in edges):
        return array
    _check_positive([amount for edge in edges for amount in edge], least=0)
    spatial = [size + sum(edge) for size, edge in zip(array.shape[2:], edges, strict=True)]
    budget.room((*array.shape[:2], *spatial))
    return np.pad(array, ((0, 0), (0, 0), *edges), constant_values=fill)


def _check_positive(values: Sequence[int], least: int = 1) -> None:
    if any(not least <= value < 1 << 16 for value in values):
        raise NetFormatError(f"has a window of {tuple(values)}, expected sizes from {least} to 65535")


def _views(array: Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> list[Array]:
    """Yield the part of `array` (N, C, H, W) under each element of the kernel, row by row."""
    spans = []
    for size, taps, step, gap in zip(array.shape[2:], kernel, stride, dilation, strict=True):
        count = (size - (taps - 1) * gap - 1) // step + 1
        if count < 1:
            raise NetFormatError(f"slides a window of {tuple(kernel)} over an image of {array.shape[2:]}")
        spans.append([slice(tap * gap, tap * gap + (count - 1) * step + 1, step) for tap in range(taps)])
    return [array[:, :, rows, columns] for rows in spans[0] for columns in spans[1]]


@dataclass(frozen=True)
class Sliding:
    """How a window moves over an image; each sequence has a value for height and width.

    Attributes
    ----------
    stride : sequence of int
        Pixels from one window to the next.
    edges : sequence of (int, int)
        Pixels of the border before and after.
    dilation : sequence of int
        Pixels from one element of the window to the next.
    """

    stride: Sequence[int]
    edges: Edges
    dilation: Sequence[int] = (1, 1)


def convolve(array: Array, kernel: Array, bias: Array | None, budget: Budget, sliding: Sliding, *, group: int) -> Array:
    """Return the convolution of `array` (N, C, H, W) with `kernel` (O, C / group, h, w).

    Raises
    ------
    NetFormatError
        If the shapes do not fit, or a limit is exceeded.
    """
    _check_positive([*sliding.stride, *sliding.dilation, group])
    if array.ndim != 4 or kernel.ndim != 4 or kernel.shape[0] % group or array.shape[1] != kernel.shape[1] * group:
        raise NetFormatError(f"convolves {array.shape} with {kernel.shape} in {group} groups")
    wide = pad_image(array, sliding.edges, 0.0, budget)
    taps = kernel.reshape(*kernel.shape[:2], -1)
    views = _views(wide, kernel.shape[2:], sliding.stride, sliding.dilation)
    height, width = views[0].shape[2:]
    batch, outputs, inputs = array.shape[0], kernel.shape[0], kernel.shape[1]
    budget.room((batch, outputs, height, width), inputs * taps.shape[2])
    budget.room((batch, array.shape[1] * len(views), height, width))
    if inputs == outputs // group == 1:
        columns = sum(taps[:, 0, number].reshape(-1, 1, 1) * seen for number, seen in enumerate(views))
        result = np.asarray(columns, np.float32)
    else:
        seen = np.stack(views, axis=2).reshape(batch, group, inputs * len(views), height * width)
        factors = taps.reshape(group, outputs // group, inputs * len(views))
        result = (factors @ seen).reshape(batch, outputs, height, width)
    return result if bias is None else result + bias.reshape(1, -1, 1, 1)


def pool(
    array: Array,
    budget: Budget,
    kernel: Sequence[int],
    sliding: Sliding,
    *,
    average: bool,
    last_pixel: bool = False,
    count_border: bool = True,
) -> Array:
    """Return the maximum or average of each window of `array` (N, C, H, W), which is not dilated.

    Parameters
    ----------
    last_pixel : bool
        Whether windows that reach beyond the end count, too, where they begin inside.
    count_border : bool
        Whether an average divides by the border's pixels as well.

    Raises
    ------
    NetFormatError
        If the window does not fit, or a limit is exceeded.
    """
    stride = sliding.stride
    _check_positive([*kernel, *stride])
    if array.ndim != 4 or len(kernel) != 2 or len(stride) != 2:
        raise NetFormatError(f"pools {array.shape} with a kernel of {tuple(kernel)}")
    border = list(sliding.edges)
    if last_pixel:
        border = [_to_last_pixel(*side) for side in zip(array.shape[2:], kernel, stride, sliding.edges, strict=True)]
    wide = pad_image(array, border, 0.0 if average else -np.inf, budget)
    views = _views(wide, kernel, stride, (1, 1))
    budget.room(views[0].shape, len(views))
    result = views[0].copy()
    for view in views[1:]:
        result = result + view if average else np.maximum(result, view)
    if not average:
        return result
    if count_border:
        return result / np.float32(len(views))
    inside = pad_image(np.ones((1, 1, *array.shape[2:]), np.float32), border, 0.0, budget)
    return np.asarray(result / np.sum(_views(inside, kernel, stride, (1, 1)), axis=0))


def _to_last_pixel(size: int, kernel: int, stride: int, edge: tuple[int, int]) -> tuple[int, int]:
    room = size + sum(edge)
    steps = -(-max(room - kernel, 0) // stride)
    if steps * stride >= size + edge[0]:
        steps -= 1
    return edge[0], max(edge[1], steps * stride + kernel - size - edge[0])


def softmax(array: Array, axis: int) -> Array:
    """Return the softmax along `axis`."""
    powers = np.exp(array - array.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def prelu(array: Array, slope: Array) -> Array:
    """Return PReLU with one `slope` per channel, the third axis from the end.

    Raises
    ------
    NetFormatError
        If the number of slopes is wrong.
    """
    wide = slope.reshape(-1, 1, 1) if slope.size > 1 else slope.reshape(())
    if slope.size > 1 and (array.ndim < 3 or array.shape[-3] != slope.size):
        raise NetFormatError(f"has {slope.size} slopes for {array.shape}")
    return np.asarray(np.maximum(array, 0) + wide * np.minimum(array, 0))


def multiply_matrices(left: Array, right: Array, budget: Budget) -> Array:
    """Return `left` @ `right`.

    Raises
    ------
    NetFormatError
        If the shapes do not fit, or a limit is exceeded.
    """
    if left.ndim < 1 or right.ndim < 2 or left.shape[-1] != right.shape[-2]:
        raise NetFormatError(f"multiplies {left.shape} with {right.shape}")
    budget.room((*left.shape[:-1], right.shape[-1]), left.shape[-1])
    return np.asarray(left @ right)


def broadcast(operation: np.ufunc, left: Array, right: Array, budget: Budget) -> Array:
    """Return `operation` on two arrays, broadcast to one shape."""
    budget.room(np.broadcast_shapes(left.shape, right.shape))
    return np.asarray(operation(left, right))


def sliced(array: Array, parts: Sequence[slice]) -> Array:
    """Return a part of `array`.

    Raises
    ------
    NetFormatError
        If there are more slices than axes.
    """
    if len(parts) > array.ndim:
        raise NetFormatError(f"cuts {len(parts)} axes of {array.shape}")
    return array[tuple(parts)]
