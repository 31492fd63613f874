"""Warp images by affine maps, averaging areas first where the image is reduced."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from faceall.arguments import checked
from faceall.errors import ArgumentError
from faceall.native import native_call
from faceall.types import Array, Image

WarpBorder = Literal["black", "replicate"]

_LARGEST_FACTOR = 1 << 16


@checked
@native_call
def warp(image: Image, matrix: npt.ArrayLike, *, size: tuple[int, int], border: WarpBorder = "black") -> Image:
    """Warp an image by a similarity or another affine map.

    Where the map reduces the image at least twofold, blocks of k x k pixels are averaged first, k being the largest
    whole number that leaves a reduction to finish: so nothing aliases. The rest is bilinear. Only the part of the image
    that the result shows is read.

    Parameters
    ----------
    image : (H, W, 3) uint8
        The image.
    matrix : (2, 3) array_like
        Maps a point x, y of the image to the result, as ``matrix @ (x, y, 1)``. In both, pixel (0, 0) covers 0 to 1 by
        0 to 1, so that its centre is (0.5, 0.5).
    size : (width, height)
        Size of the result in pixels.
    border : {"black", "replicate"}
        What the result shows outside the image: black, or the nearest pixel of the image.

    Returns
    -------
    (height, width, 3) uint8
        A copy.

    Raises
    ------
    ValueError
        If the map is not finite or not invertible, or the image is not (H, W, 3) uint8.
    """
    forward = _checked_matrix(matrix)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ArgumentError(f"image is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
    if border not in get_args(WarpBorder):
        raise ArgumentError(f"border is {border!r}, known are {', '.join(get_args(WarpBorder))}")
    backward = np.linalg.inv(np.vstack([forward, [0, 0, 1]]))[:2]
    factor = _reduction(forward)
    left, top, right, bottom = _shown_part(backward, size, image.shape, factor)
    if left >= right or top >= bottom:
        return _outside(image, backward, size, border)
    part = _average_blocks(image[top:bottom, left:right], factor)
    to_part = backward.copy()  # a point of the result -> a point of the part, reduced
    to_part[:, 2] -= left, top
    return _sample(part, to_part / factor, size, border)


def _reduction(forward: Array) -> int:
    """Return the side in pixels of the blocks to average: the largest whole reduction within the map's."""
    scale = math.sqrt(abs(np.linalg.det(forward[:, :2])))
    return max(1, min(math.floor(1 / scale + 1e-9), _LARGEST_FACTOR))


def _shown_part(
    backward: Array, size: tuple[int, int], shape: tuple[int, ...], factor: int
) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the part of the image that the result shows, with two blocks around it."""
    width, height = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ backward.T
    low, high = corners.min(axis=0) - 2 * factor, corners.max(axis=0) + 2 * factor
    limits = np.array([shape[1], shape[0]])
    first = np.floor(np.clip(low, 0, limits)).astype(int)
    last = np.ceil(np.clip(high, 0, limits)).astype(int)
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])


def _average_blocks(part: Image, factor: int) -> Image:
    """Average blocks of factor x factor pixels; the last row and column of the part are repeated to fill blocks."""
    if factor == 1:
        return np.ascontiguousarray(part)
    import cv2

    rows, columns = -(-part.shape[0] // factor), -(-part.shape[1] // factor)
    below, after = rows * factor - part.shape[0], columns * factor - part.shape[1]
    if below or after:
        part = np.pad(part, ((0, below), (0, after), (0, 0)), mode="edge")
    result: Array = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    return result


def _sample(part: Image, to_part: Array, size: tuple[int, int], border: WarpBorder) -> Image:
    """Sample the part bilinearly; `to_part` maps points of the result to points of the part."""
    import cv2

    centres = to_part.copy()  # OpenCV counts from pixel centres
    centres[:, 2] += to_part[:, :2].sum(axis=1) / 2 - 0.5
    mode = cv2.BORDER_CONSTANT if border == "black" else cv2.BORDER_REPLICATE
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    result: Array = cv2.warpAffine(part, centres, size, flags=flags, borderMode=mode)
    return result


def _outside(image: Image, backward: Array, size: tuple[int, int], border: WarpBorder) -> Image:
    """Return the result of a map that shows no pixel of the image."""
    width, height = size
    if border == "black" or not image.size:
        return np.zeros((height, width, 3), np.uint8)
    centre = backward @ (width / 2, height / 2, 1)
    x, y = (int(np.clip(value, 0, limit - 1)) for value, limit in zip(centre, image.shape[1::-1], strict=True))
    return np.broadcast_to(image[y, x], (height, width, 3)).copy()


def _checked_matrix(matrix: npt.ArrayLike) -> Array:
    """Return the map as (2, 3) float64; raise unless it is finite and can be inverted."""
    values = np.asarray(matrix, np.float64)
    if values.shape != (2, 3):
        raise ArgumentError(f"matrix has shape {values.shape}, expected (2, 3)")
    if not np.isfinite(values).all() or abs(np.linalg.det(values[:, :2])) < 1e-12:
        raise ArgumentError(f"matrix is {values.tolist()}, expected finite numbers and a map that can be inverted")
    return values
