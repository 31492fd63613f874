"""Changes to a crop of a face that leave the person the same: they make few pictures many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceall.errors import TrainError
from faceall.types import Image


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How much a crop may change. Zero switches a change off.

    rotation  degrees, at most, to either side
    scale     the share by which the face grows or shrinks, at most
    shift     the share of the crop's side by which it moves, at most
    flip      how often it is mirrored
    light     the share by which brightness and contrast change, at most
    colour    the share by which the colours change against each other, at most
    gray      how often it loses its colours
    blur      how often it is blurred
    jpeg      how often it is compressed, with a quality from 30 to 90
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
"""Leaves every crop as it is."""


def augment(
    crop: Image, how: Augmentation, random: np.random.Generator, *, inner: int, size: int
) -> tuple[npt.NDArray[np.uint8], bool]:
    """Cut the middle out of a crop, turned, moved, scaled and coloured as chance will have it.

    crop     (S, S, 3) uint8 RGB, with room around the face
    inner    rows and columns of the middle of `crop` that the net would see without any change
    size     rows and columns of the result
    returns  (size, size, 3) uint8 RGB, and whether it is mirrored

    The same `random` gives the same result: it is asked for the same numbers whatever the options are.
    """
    import cv2

    chance = random.random(16)
    spread = 2 * chance - 1
    flip = bool(chance[4] < how.flip)
    matrix = _placement(crop.shape[0], inner, size, how, spread, flip=flip)
    picture = cv2.warpAffine(crop, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if how.light or how.colour:
        picture = cv2.LUT(picture, _light(how, spread))
    if chance[10] < how.gray:
        picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if chance[11] < how.blur:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.4 + 1.2 * chance[12])
    if chance[13] < how.jpeg:
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(30 + 60 * chance[14])])[1]
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(picture, np.uint8), flip


def _placement(
    side: int, inner: int, size: int, how: Augmentation, spread: npt.NDArray[np.float64], *, flip: bool
) -> npt.NDArray[np.float64]:
    """The map (2, 3) from places in the crop to places in the result; whole pixels are numbered at their centres."""
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
    """A table (256, 1, 3) uint8: each channel's numbers with other contrast, brightness and tint."""
    contrast = (1 + how.light * spread[5]) * (1 + how.colour * spread[7:10])
    values = np.arange(256)[:, None] - 127.5
    table = values * contrast + 127.5 * (1 + 0.5 * how.light * spread[6])
    return np.asarray(np.clip(np.rint(table), 0, 255), np.uint8)[:, None]
