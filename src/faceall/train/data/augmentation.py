"""Random changes to the crop of a face that keep the identity, to enlarge a training set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceall.errors import TrainError
from faceall.types import Image


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The strength of each random change; zero disables it.

    Attributes
    ----------
    rotation : float
        Largest rotation to either side, in degrees.
    scale : float
        Largest relative change of the size.
    shift : float
        Largest shift, relative to the side of the crop.
    flip : float
        Probability of a mirror image.
    light : float
        Largest relative change of brightness and contrast.
    colour : float
        Largest relative change of the colour channels against each other.
    gray : float
        Probability of a grayscale image.
    blur : float
        Probability of a Gaussian blur.
    jpeg : float
        Probability of JPEG compression, with a quality from 30 to 90.

    Raises
    ------
    TrainError
        If a value is out of range.
    """

    rotation: float = 8.0
    scale: float = 0.08
    shift: float = 0.04
    flip: float = 0.5
    light: float = 0.25
    colour: float = 0.08
    gray: float = 0.08
    blur: float = 0.1
    jpeg: float = 0.1

    def __post_init__(self) -> None:
        for name in ("flip", "gray", "blur", "jpeg"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainError(f"augmentation: {name} is {getattr(self, name)}, expected a share from 0 to 1")
        for name, limit in (("rotation", 180.0), ("scale", 0.9), ("shift", 1.0), ("light", 1.0), ("colour", 1.0)):
            if not 0 <= getattr(self, name) <= limit:
                raise TrainError(f"augmentation: {name} is {getattr(self, name)}, expected 0 to {limit:g}")


NO_AUGMENTATION = Augmentation(rotation=0, scale=0, shift=0, flip=0, light=0, colour=0, gray=0, blur=0, jpeg=0)
"""Changes nothing."""


def augment(
    crop: Image, how: Augmentation, random: np.random.Generator, *, inner: int, size: int
) -> tuple[npt.NDArray[np.uint8], bool]:
    """Cut out the middle of a crop with random changes.

    The same generator state gives the same result: the number of draws does not depend on the options.

    Parameters
    ----------
    crop : (S, S, 3) uint8
        RGB, with a margin around the face.
    how : Augmentation
        Strength of the changes.
    random : numpy.random.Generator
        Source of the random numbers.
    inner : int
        Side in pixels of the middle of `crop` that is used if nothing is changed.
    size : int
        Side in pixels of the result.

    Returns
    -------
    (size, size, 3) uint8
        RGB.
    bool
        Whether the result is mirrored.
    """
    import cv2

    chance = random.random(16)
    spread = 2 * chance - 1
    flip = bool(chance[4] < how.flip)
    matrix = _placement(crop.shape[0], inner, size, how, spread, flip=flip)
    image = cv2.warpAffine(crop, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if how.light or how.colour:
        image = cv2.LUT(image, _light(how, spread))
    if chance[10] < how.gray:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if chance[11] < how.blur:
        image = cv2.GaussianBlur(image, (0, 0), 0.4 + 1.2 * chance[12])
    if chance[13] < how.jpeg:
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(30 + 60 * chance[14])])[1]
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(image, np.uint8), flip


def _placement(
    side: int, inner: int, size: int, how: Augmentation, spread: npt.NDArray[np.float64], *, flip: bool
) -> npt.NDArray[np.float64]:
    """Return the affine map (2, 3) from the crop to the result; integer coordinates are pixel centres."""
    angle = np.deg2rad(how.rotation * spread[0])
    scale = size / inner * (1 + how.scale * spread[1])
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    if flip:
        turn[0] = -turn[0]
    middle = np.full(2, (side - 1) / 2)
    target = np.full(2, (size - 1) / 2) + size * how.shift * spread[2:4]
    return np.column_stack([turn, target - turn @ middle])


def _light(how: Augmentation, spread: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return a lookup table (256, 1, 3) uint8 that changes contrast, brightness and tint."""
    contrast = (1 + how.light * spread[5]) * (1 + how.colour * spread[7:10])
    values = np.arange(256)[:, None] - 127.5
    table = values * contrast + 127.5 * (1 + 0.5 * how.light * spread[6])
    return np.asarray(np.clip(np.rint(table), 0, 255), np.uint8)[:, None]
