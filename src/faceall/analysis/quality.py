"""Is a face good enough to be recognised by? What speaks against it, in words.

The limits were set on 1,549 pictures of LFW, of which they flag one in a hundred, and by what spoils the vector of
FaceNet: it moves by half of the distance at which two people begin (0.4) where a face is 24 pixels wide, or blurred by
a Gaussian of 3 pixels' deviation at 160 pixels' width.
"""

from __future__ import annotations

import cv2
import numpy as np

from faceall.images import crop
from faceall.types import Face, Image

SMALLEST = 24.0
"""Pixels, the mean of a box's width and height, below which a face is small."""

BLUNTEST = 0.12
"""Deviation of the Laplacian in proportion to that of the picture, at 80 x 80 pixels, below which a face is blurred."""

FARTHEST_TURN = 0.45
"""How far the nose lies beside the middle of the eyes, in distances of the eyes, from which a face is turned away."""

LARGEST_CUT = 0.1
"""The part of a box's side that may lie beyond the picture's edge."""

_SIDE = 80
_RIM = 2  # pixels that the Laplacian does not see whole


def notes_on(image: Image, face: Face) -> tuple[str, ...]:
    """What makes a face hard to recognise, a phrase each; empty for a good one.

    image  (H, W, 3) uint8 RGB
    face   one of its faces
    """
    side = float(face.box[2] - face.box[0] + face.box[3] - face.box[1]) / 2
    small = side < SMALLEST
    found = {
        f"small ({side:.0f} pixels)": small,
        "blurred": not small and sharpness(image, face) < BLUNTEST,  # a small one always is
        "turned away": abs(turn(face)) > FARTHEST_TURN,
        "cut by the picture's edge": cut(image.shape, face) > LARGEST_CUT,
    }
    return tuple(phrase for phrase, holds in found.items() if holds)


def sharpness(image: Image, face: Face) -> float:
    """The deviation of the Laplacian of a face in proportion to the deviation of its light; 0.34 for half of LFW."""
    x0, y0, x1, y1 = face.box.tolist()
    gray = cv2.cvtColor(crop(image, (x0, y0, x1, y1), size=(_SIDE, _SIDE)), cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges = cv2.Laplacian(gray, cv2.CV_32F)[_RIM:-_RIM, _RIM:-_RIM]
    return float(edges.std() / max(gray.std(), 1.0))


def turn(face: Face) -> float:
    """How far the nose lies beside the middle of the eyes, along their line, in distances of the eyes; 0 from ahead."""
    left, right, nose = face.landmarks[:3].astype(np.float64)
    eyes = right - left
    squared = float(eyes @ eyes)
    return float((nose - (left + right) / 2) @ eyes) / squared if squared else 1.0


def cut(shape: tuple[int, ...], face: Face) -> float:
    """The largest part of a box's side that lies beyond an edge of the picture, shape (height, width, ...)."""
    x0, y0, x1, y1 = face.box.tolist()
    height, width = shape[:2]
    across, down = max(x1 - x0, 1.0), max(y1 - y0, 1.0)
    beyond = (-x0 / across, (x1 - width) / across, -y0 / down, (y1 - height) / down)
    return float(max(0.0, *beyond))
