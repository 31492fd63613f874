"""Recognise near duplicates: copies of an image that were resized, recompressed or brightened.

The print of an image is the difference hash of Krawetz on 17 x 16 gray pixels: one bit for each pixel that is lighter
than its left neighbour. No two of 1,549 images of LFW differ by less than 53 of 256 bits. A copy at half the size
differs by at most 13 bits, one at JPEG quality 40 by at most 24.

References
----------
N. Krawetz: Kind of Like That. hackerfactor.com (2013).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from faceall.native import native_call
from faceall.types import Image

NEAR = 28
"""The largest number of bits by which near duplicates differ."""

_SIDE = 16
_ENOUGH = 1024  # pixels; larger images are halved first, which is much faster and moves a few bits at most
BYTES = _SIDE * _SIDE // 8
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1).astype(np.uint8)

Print = npt.NDArray[np.uint8]


@native_call
def print_of(image: Image) -> Print:
    """Compute the print (32,) uint8 of an RGB image (H, W, 3) uint8."""
    while min(image.shape[:2]) >= _ENOUGH:
        height, width = image.shape[0] // 2, image.shape[1] // 2
        half = cv2.resize(image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
        image = np.asarray(half, np.uint8)
    shrunk = cv2.resize(image, (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(shrunk, cv2.COLOR_RGB2GRAY)
    return np.packbits(gray[:, 1:] > gray[:, :-1])


def bits_apart(first: Print, second: Print) -> int:
    """Count the bits that differ in two prints, 0 to 256."""
    return int(_BITS[first ^ second].sum(dtype=np.int64))


def distances_to(prints: npt.NDArray[np.uint8], found: Print) -> npt.NDArray[np.int64]:
    """Count the bits in which each of several prints (n, 32) differs from one (32,): (n,) int64, 0 to 256."""
    return np.asarray(_BITS[prints ^ found].sum(axis=1, dtype=np.int64))
