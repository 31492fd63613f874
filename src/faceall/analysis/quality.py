"""Notes on what makes a face hard to recognise: size, blur, pose, cropping.

The limits were first set on LFW and agree with what cutting, shrinking and blurring do to vectors, measured on whole
photos of CelebA (`benchmarks/poor_faces.py`): beyond them a vector has moved by 0.1 to 0.9 (squared distance). They
flag one in a hundred faces of LFW and of CelebA.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from faceall.arguments import checked
from faceall.images import crop
from faceall.native import native_call
from faceall.types import Face, Image

MIN_SIZE = 24.0
"""Mean of a box's width and height, in pixels, below which a face is small."""

MIN_SHARPNESS = 0.12
"""`sharpness` below which a face is blurred."""

MAX_TURN = 0.45
"""`turn` above which a face is turned away."""

MAX_CUT = 0.1
"""`cut` above which a face is cut off."""

SIDE = 80
_RIM = 2  # pixels at the edge, where the Laplacian is incomplete


NoteKind = Literal["small", "blurred", "turned-away", "cut-off", "near-duplicate", "truncated", "metadata"]


@dataclass(frozen=True)
class Note:
    """A remark on a photo.

    Attributes
    ----------
    kind : str
        What the remark is about; "near-duplicate" means that another photo shows nearly the same image, "metadata" that
        names in the metadata were not used.
    text : str
        The remark for people; also `str(note)`.
    photo_id, path : int or None, str or None
        The other photo of a near-duplicate, and a file that holds it.
    """

    kind: NoteKind
    text: str
    photo_id: int | None = None
    path: str | None = None

    def __str__(self) -> str:
        return self.text


@checked
def notes_on(image: Image, face: Face) -> tuple[Note, ...]:
    """Describe what makes a face hard to recognise.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB.
    face : Face
        One of its faces.

    Returns
    -------
    tuple of Note
        Empty for a good face.
    """
    side = float(face.box[2] - face.box[0] + face.box[3] - face.box[1]) / 2
    small = side < MIN_SIZE
    found = {
        Note("small", f"small ({side:.0f} pixels)"): small,
        Note("blurred", "blurred"): not small and sharpness(image, face) < MIN_SHARPNESS,  # small faces always are
        Note("turned-away", "turned away"): abs(turn(face)) > MAX_TURN,
        Note("cut-off", "cut off by the edge of the image"): cut(image.shape, face) > MAX_CUT,
    }
    return tuple(note for note, holds in found.items() if holds)


@native_call
def is_poor(face: Face, size: tuple[int, int] | None = None) -> bool:
    """Return whether a face is small, turned away or cut off, as far as its box and landmarks tell.

    An imported vector has a box of one pixel; nothing is known of its face.

    Parameters
    ----------
    face : Face
        The face.
    size : (int, int), optional
        Width and height of its image; without it nothing is known of what is cut off.
    """
    x0, y0, x1, y1 = face.box.tolist()
    if max(x1 - x0, y1 - y0) <= 1:
        return False
    if (x1 - x0 + y1 - y0) / 2 < MIN_SIZE or abs(turn(face)) > MAX_TURN:
        return True
    return size is not None and cut((size[1], size[0]), face) > MAX_CUT


def sharpness(image: Image, face: Face) -> float:
    """Measure the sharpness of a face: standard deviation of its Laplacian relative to that of its gray values.

    The face is resized to 80 x 80 pixels. The median on LFW is 0.34.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB.
    face : Face
        One of its faces.

    References
    ----------
    J. Pech-Pacheco et al.: Diatom autofocusing in brightfield microscopy: a comparative study. ICPR (2000), for the
    variance of the Laplacian.
    """
    x0, y0, x1, y1 = face.box.tolist()
    gray = cv2.cvtColor(crop(image, (x0, y0, x1, y1), size=(SIDE, SIDE)), cv2.COLOR_RGB2GRAY)
    return relative_edges(np.asarray(gray, np.uint8))


@native_call
def relative_edges(gray: npt.NDArray[Any]) -> float:
    """Return the standard deviation of the Laplacian of a gray face (SIDE, SIDE), relative to that of its pixels."""
    edges = cv2.Laplacian(gray, cv2.CV_32F)[_RIM:-_RIM, _RIM:-_RIM]
    return deviation(edges) / max(deviation(gray), 1.0)


def deviation(values: npt.NDArray[Any]) -> float:
    """Return the standard deviation of an array (H, W); ten times as fast as NumPy on a small one."""
    return float(cv2.meanStdDev(values)[1][0, 0])


def turn(face: Face) -> float:
    """Measure the yaw: offset of the nose from the middle of the eyes along their line, in eye distances.

    0 for a frontal face.
    """
    left, right, nose = face.landmarks[:3].astype(np.float64)
    eyes = right - left
    squared = float(eyes @ eyes)
    return float((nose - (left + right) / 2) @ eyes) / squared if squared else 1.0


def cut(shape: tuple[int, ...], face: Face) -> float:
    """Return the largest part of a box's side that lies beyond an edge of the image, shape (height, width, ...)."""
    x0, y0, x1, y1 = face.box.tolist()
    height, width = shape[:2]
    across, down = max(x1 - x0, 1.0), max(y1 - y0, 1.0)
    beyond = (-x0 / across, (x1 - width) / across, -y0 / down, (y1 - height) / down)
    return float(max(0.0, *beyond))
