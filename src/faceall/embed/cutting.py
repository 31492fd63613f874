"""Cut faces out of images as a model expects them: by a crop rule or by an alignment."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from faceall import images
from faceall.models import Alignment, CropRule
from faceall.types import Image


def cut_faces(
    image: Image,
    boxes: npt.ArrayLike,
    landmarks: npt.ArrayLike,
    framing: CropRule | Alignment,
    *,
    size: tuple[int, int],
) -> npt.NDArray[np.uint8]:
    """Cut faces out of an image.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB.
    boxes : (n, 4) array_like
        x0, y0, x1, y1 in pixels.
    landmarks : (n, 5, 2) array_like
        x, y in pixels, in the order of `faceall.Face.landmarks`; not read by a crop rule.
    framing : CropRule or Alignment
        Of the model's manifest.
    size : (width, height)
        The model's input size in pixels.

    Returns
    -------
    (n, height, width, 3) uint8
        RGB.
    """
    if isinstance(framing, Alignment):
        fit = framing.fit(landmarks, boxes, size=size)
        crops = [images.warp(image, matrix, size=size, border=framing.border) for matrix in fit.matrices]
    else:
        regions = framing.regions(boxes, image_size=(image.shape[1], image.shape[0]))
        crops = [images.crop(image, region, size=size) for region in regions]
    return np.stack(crops) if crops else np.empty((0, size[1], size[0], 3), np.uint8)
