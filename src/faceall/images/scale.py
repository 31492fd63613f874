"""Crop and resize: area averaging when shrinking, bilinear interpolation when enlarging."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from faceall.arguments import checked
from faceall.errors import ArgumentError
from faceall.native import native_call
from faceall.types import Array, Image

_MAX_COORDINATE = 1e7  # pixels; a box beyond it is a mistake, and integers stay exact below it


@checked
@native_call
def resize(image: Image, size: tuple[int, int]) -> Image:
    """Resize an image to exactly `size`.

    Parameters
    ----------
    image : (H, W, 3) or (H, W) uint8
        The image.
    size : (width, height)
        In pixels, both at least 1.

    Returns
    -------
    (height, width, 3) or (height, width) uint8
        An axis that shrinks is averaged by area, one that grows is interpolated bilinearly. `image` itself if it
        already has that size.

    Raises
    ------
    ValueError
        If the image has no pixels or another type, or the size is not positive.
    """
    import cv2

    width, height = _checked_size(size)
    rows, columns = _checked_image(image).shape[:2]
    smaller = (min(width, columns), min(height, rows))
    result: Array = image
    if smaller != (columns, rows):
        result = cv2.resize(result, smaller, interpolation=cv2.INTER_AREA)
    if smaller != (width, height):
        result = cv2.resize(result, (width, height), interpolation=cv2.INTER_LINEAR)
    return result


@checked
@native_call
def crop(image: Image, box: npt.ArrayLike, *, size: tuple[int, int] | None = None) -> Image:
    """Crop a box, black outside the image, and resize it to `size`.

    A box that is enlarged is sampled bilinearly at its exact position. For a box that is reduced, the edges are rounded
    to whole pixels (an error of at most half a pixel of the image) and areas are averaged. Memory is needed only for
    the part inside the image and the result, however far the box extends beyond the image.

    Parameters
    ----------
    image : (H, W, 3) uint8
        The image.
    box : (4,) array_like
        x0, y0, x1, y1 in pixels, fractions allowed; pixel (0, 0) covers 0 to 1 by 0 to 1.
    size : (width, height), optional
        Size of the result. Default: the size of the box in whole pixels.

    Returns
    -------
    (height, width, 3) uint8
        A copy.

    Raises
    ------
    ValueError
        If the box is empty, not finite or beyond 10 million pixels, or the image is not uint8.
    """
    edges = _checked_box(box)
    whole = np.rint(edges).astype(int)
    span = np.maximum(whole[2:] - whole[:2], 1)
    width, height = _checked_size((int(span[0]), int(span[1])) if size is None else size)
    if size is not None and edges[2] - edges[0] <= width and edges[3] - edges[1] <= height:
        return _sample(_checked_image(image), edges, width, height)
    whole[2:] = whole[:2] + span
    return _average(_checked_image(image), whole, width, height)


def _sample(image: Image, edges: Array, width: int, height: int) -> Image:
    """Sample the box `edges`, which is not larger than the result, bilinearly with a black border."""
    import cv2

    rows, columns = image.shape[:2]
    left, right = _clamp(math.floor(edges[0]) - 2, columns), _clamp(math.ceil(edges[2]) + 2, columns)
    top, bottom = _clamp(math.floor(edges[1]) - 2, rows), _clamp(math.ceil(edges[3]) + 2, rows)
    if left == right or top == bottom:
        return np.zeros((height, width, 3), np.uint8)
    across, down = (edges[2] - edges[0]) / width, (edges[3] - edges[1]) / height
    to_source = np.array(  # pixel centre in the result -> pixel centre in the part
        [[across, 0, edges[0] - left + across / 2 - 0.5], [0, down, edges[1] - top + down / 2 - 0.5]]
    )
    part = image[top:bottom, left:right]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    result: Array = cv2.warpAffine(part, to_source, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT)
    return result


def _average(image: Image, whole: npt.NDArray[np.int_], width: int, height: int) -> Image:
    """Resize the box `whole` (whole pixels) with `resize` and a black border."""
    rows, columns = image.shape[:2]
    left, right = _clamp(whole[0], columns), _clamp(whole[2], columns)
    top, bottom = _clamp(whole[1], rows), _clamp(whole[3], rows)
    result = np.zeros((height, width, 3), np.uint8)
    if left == right or top == bottom:
        return result
    x0, x1, before, after = _place(int(whole[0]), int(whole[2]), left, right, width)
    y0, y1, above, below = _place(int(whole[1]), int(whole[3]), top, bottom, height)
    part: Array = image[top:bottom, left:right]
    if any((above, below, before, after)):
        part = np.pad(part, ((above, below), (before, after), (0, 0)))
    result[y0:y1, x0:x1] = resize(part, (x1 - x0, y1 - y0))
    return result


def _place(first: int, last: int, low: int, high: int, target: int) -> tuple[int, int, int, int]:
    """Locate, along one axis, the part low..high of the box first..last in a result of `target` pixels.

    Returns the first and last pixel of the result that it covers, and how many black pixels to add before and after
    the part to fill them. None are added if that would exceed the part itself, as for a dot in a huge box.
    """
    step = (last - first) / target
    start = min(int((low - first) / step), target - 1)
    stop = max(start + 1, min(math.ceil((high - first) / step), target))
    before, after = low - round(first + start * step), round(first + stop * step) - high
    if max(before, after) > high - low:
        return start, stop, 0, 0
    return start, stop, max(before, 0), max(after, 0)


def _clamp(value: float, limit: int) -> int:
    """Limit `value` to 0..limit."""
    return max(0, min(int(value), limit))


def _checked_box(box: npt.ArrayLike) -> Array:
    """Return the box as (4,) float64; raise unless it has a positive width and height."""
    edges = np.asarray(box, np.float64)
    if edges.shape != (4,):
        raise ArgumentError(f"box has shape {edges.shape}, expected (4,): x0 y0 x1 y1")
    if not (np.abs(edges) <= _MAX_COORDINATE).all() or edges[2] <= edges[0] or edges[3] <= edges[1]:
        limit = f"{_MAX_COORDINATE:.0f} pixels"
        raise ArgumentError(f"box is {edges.tolist()}, expected finite x0 < x1 and y0 < y1 within {limit}")
    return edges


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return (width, height) as integers; raise unless both are at least 1."""
    width, height = size
    if width != int(width) or height != int(height) or width < 1 or height < 1:
        raise ArgumentError(f"size is {size}, expected a width and a height of at least 1")
    return int(width), int(height)


def _checked_image(image: Image) -> Image:
    """Return the image; raise unless it has pixels and is uint8."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
        raise ArgumentError(f"image is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
    return image
