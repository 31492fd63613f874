"""Square cut-outs of one picture, all of one size, sampled in one go."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from faceall.types import Array, Float32Array, Image

_COARSE = 8  # more pixels than this between two samples, and a halved picture is sampled instead
_OUTSIDE = (127.0, 127.0, 127.0)  # a middle gray: nothing, as the nets see it
_LONGEST = 32000  # OpenCV samples pictures with sides below 2^15
_ROWS = 1 << 14


def halvings(image: Image) -> list[Image]:
    """The picture (H, W, 3) and its halvings, down to 12 pixels and to sides that OpenCV can sample."""
    found = [image]
    while min(found[-1].shape[:2]) >= 24 or max(found[-1].shape[:2]) > _LONGEST:
        height, width = found[-1].shape[:2]
        half = cv2.resize(found[-1], ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
        found.append(np.asarray(half, np.uint8))
    return found


def cut_squares(pictures: Sequence[Image], boxes: Array, size: int) -> Float32Array:
    """Cut every box out of a picture and scale it to `size` pixels; what lies outside the picture is gray.

    pictures  the picture and its halvings, (H, W, 3) uint8
    boxes     (N, 4) float32, squares in pixels of the first of the pictures
    returns   (N, 3, size, size) float32, 0 .. 255
    """
    crops = np.empty((len(boxes), size, size, 3), np.uint8)
    chosen = _choose(pictures, boxes[:, 2] - boxes[:, 0], size)
    for number in np.unique(chosen):
        these = np.flatnonzero(chosen == number)
        for start in range(0, len(these), _ROWS // size):
            part = these[start : start + _ROWS // size]
            crops[part] = _sample(pictures[number], boxes[part], pictures[0].shape, size)
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)


def _choose(pictures: Sequence[Image], sides: Array, size: int) -> Array:
    """The number of the halving to sample for a box of each side (N,)."""
    least = next(number for number, picture in enumerate(pictures) if max(picture.shape) <= _LONGEST)
    steps = np.ceil(np.log2(np.maximum(sides / (size * _COARSE), 1))).astype(int)
    return np.asarray(np.clip(steps, least, len(pictures) - 1))


def _sample(picture: Image, boxes: Array, shape: Sequence[int], size: int) -> Image:
    """`size` x `size` samples of each box (N, 4), which counts in pixels of a picture of `shape`: (N, S, S, 3)."""
    along = np.linspace(0, 1, size, dtype=np.float32)
    x, y = (
        (boxes[:, axis, None] + (boxes[:, axis + 2] - boxes[:, axis])[:, None] * along) * ((pixels - 1) / whole)
        for axis, pixels, whole in ((0, picture.shape[1], shape[1]), (1, picture.shape[0], shape[0]))
    )
    across = np.broadcast_to(x[:, None, :], (len(boxes), size, size)).reshape(-1, size).astype(np.float32)
    down = np.broadcast_to(y[:, :, None], (len(boxes), size, size)).reshape(-1, size).astype(np.float32)
    samples = cv2.remap(picture, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=_OUTSIDE)
    return np.asarray(samples, np.uint8).reshape(-1, size, size, 3)
