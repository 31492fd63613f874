"""Variations of a portrait in the public domain, to compare an embedder's precisions on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceall import images
from faceall.embed.cutting import cut_faces
from faceall.models import Alignment, CropRule
from faceall.native import native_call
from faceall.types import Array, Image

IMAGES = 24
"""The number of variations."""

_PORTRAIT = Path(__file__).with_name("portrait.jpg")  # Eileen Collins, NASA, public domain
_BOX = (70.0, 60.1, 154.9, 169.6)
"""The box of the face in it."""
_LANDMARKS = ((93.4, 99.3), (135.5, 101.7), (114.3, 126.5), (91.1, 136.8), (134.3, 138.7))
"""Its landmarks."""


def portraits(framing: CropRule | Alignment, size: tuple[int, int], count: int = IMAGES) -> npt.NDArray[np.uint8]:
    """Return variations of a portrait: shifted, flipped, with other light, in gray, blurred and noisy.

    Parameters
    ----------
    framing : CropRule or Alignment
        Of the model's manifest.
    size : tuple of int
        Width and height of the crops.
    count : int
        The number of crops.

    Returns
    -------
    (count, height, width, 3) uint8
        The same at every call.
    """
    image = images.read_image(_PORTRAIT)
    random = np.random.default_rng(0)
    box = np.array(_BOX)
    shifts = random.normal(0, 0.06, (count, 4)) * (box[2] - box[0])
    landmarks = np.array(_LANDMARKS) + shifts.reshape(count, 2, 2).mean(axis=1, keepdims=True)
    return np.stack([vary(crop, random) for crop in cut_faces(image, box + shifts, landmarks, framing, size=size)])


@native_call
def vary(crop: Image, random: np.random.Generator) -> Image:
    """Return a crop with other light, and at random mirrored, in gray, blurred or noisy."""
    import cv2

    varied = crop[:, ::-1] if random.random() < 0.5 else crop
    values: Array = (varied.astype(np.float32) - 127.5) * random.uniform(0.5, 1.6) + 127.5 + random.uniform(-60, 60)
    if random.random() < 0.3:
        values = np.repeat(values.mean(axis=2, keepdims=True), 3, axis=2)
    if random.random() < 0.3:
        values = cv2.GaussianBlur(values, (0, 0), random.uniform(0.5, 3))
    if random.random() < 0.3:
        values = values + random.normal(0, 10, values.shape)
    return np.asarray(np.clip(values, 0, 255), np.uint8)
