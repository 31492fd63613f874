"""Cut square crops of one size from an image, all at once."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from faceall.types import Array, Float32Array, Image

_MAX_STEP = 8  # pixels between two samples; beyond it, a halved image is sampled instead
_OUTSIDE = (127.0, 127.0, 127.0)  # mid-gray: zero after standardisation
_MAX_SIDE = 32000  # OpenCV can only sample images with sides below 2^15
_ROWS = 1 << 14


def halvings(image: Image) -> list[Image]:
    """Halve an image repeatedly.

    Parameters
    ----------
    image : (H, W, 3) uint8
        The image.

    Returns
    -------
    list of (h, w, 3) uint8
        The image itself, then each halving, down to 12 pixels and to sides that OpenCV can sample.
    """
    found = [image]
    while min(found[-1].shape[:2]) >= 24 or max(found[-1].shape[:2]) > _MAX_SIDE:
        height, width = found[-1].shape[:2]
        half = cv2.resize(found[-1], ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
        found.append(np.asarray(half, np.uint8))
    return found


def cut_squares(scaled_images: Sequence[Image], boxes: Array, size: int) -> Float32Array:
    """Crop squares and resize each to `size` pixels; the area outside the image is gray.

    Parameters
    ----------
    scaled_images : sequence of (h, w, 3) uint8
        The image and its halvings, from `halvings`.
    boxes : (N, 4) float32
        Squares x0, y0, x1, y1 in pixels of the first image.
    size : int
        Side of the crops in pixels.

    Returns
    -------
    (N, 3, size, size) float32
        RGB, 0 to 255.
    """
    crops = np.empty((len(boxes), size, size, 3), np.uint8)
    chosen = _choose(scaled_images, boxes[:, 2] - boxes[:, 0], size)
    for number in np.flatnonzero(np.bincount(chosen)).tolist():  # np.unique would load numpy.ma
        members = np.flatnonzero(chosen == number)
        for start in range(0, len(members), _ROWS // size):
            part = members[start : start + _ROWS // size]
            crops[part] = _sample(scaled_images[number], boxes[part], scaled_images[0].shape, size)
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)


def _choose(scaled_images: Sequence[Image], sides: Array, size: int) -> Array:
    """Return the number of the halving to sample for a box of each side (N,)."""
    least = next(number for number, image in enumerate(scaled_images) if max(image.shape) <= _MAX_SIDE)
    steps = np.ceil(np.log2(np.maximum(sides / (size * _MAX_STEP), 1))).astype(int)
    return np.asarray(np.clip(steps, least, len(scaled_images) - 1))


def _sample(image: Image, boxes: Array, shape: Sequence[int], size: int) -> Image:
    """Sample `size` x `size` points of each box (N, 4), given in pixels of an image of `shape`: (N, S, S, 3)."""
    along = np.linspace(0, 1, size, dtype=np.float32)
    x, y = (
        (boxes[:, axis, None] + (boxes[:, axis + 2] - boxes[:, axis])[:, None] * along) * ((pixels - 1) / whole)
        for axis, pixels, whole in ((0, image.shape[1], shape[1]), (1, image.shape[0], shape[0]))
    )
    across = np.broadcast_to(x[:, None, :], (len(boxes), size, size)).reshape(-1, size).astype(np.float32)
    down = np.broadcast_to(y[:, :, None], (len(boxes), size, size)).reshape(-1, size).astype(np.float32)
    samples = cv2.remap(image, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=_OUTSIDE)
    return np.asarray(samples, np.uint8).reshape(-1, size, size, 3)
