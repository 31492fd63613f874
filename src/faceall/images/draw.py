"""Show faces on a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from faceall.types import Array, Faces, Image

_RED = (255, 0, 0)
_GREEN = (0, 255, 0)
_WHITE = (255, 255, 255)


def draw_faces(image: Image, faces: Faces, labels: Sequence[str | None] | None = None) -> Image:
    """A copy of a picture with a red box and green landmarks for every face.

    image    (H, W, 3) uint8 RGB, left as it is
    faces    what to draw; lines are as wide as suits the picture
    labels   one text per face, or None for none
    returns  (H, W, 3) uint8

    Raises ValueError if the number of labels is not that of the faces.
    """
    texts = [None] * len(faces) if labels is None else list(labels)
    if len(texts) != len(faces):
        raise ValueError(f"{len(texts)} labels for {len(faces)} faces")
    picture = PillowImage.fromarray(image)
    canvas = ImageDraw.Draw(picture)
    width = max(1, round(max(picture.size) / 400))
    for face, text in zip(faces, texts, strict=True):
        box = _within(face.box.reshape(2, 2), picture.size).reshape(4)
        canvas.rectangle(box.tolist(), outline=_RED, width=width)
        for x, y in _within(face.landmarks, picture.size).tolist():
            canvas.ellipse((x - width, y - width, x + width, y + width), fill=_GREEN)
        if text:
            _write(canvas, text, box, picture.size)
    return np.array(picture)


def _within(points: Array, size: tuple[int, int]) -> Array:
    """Points (n, 2) moved to the nearest place on the picture."""
    moved: Array = np.clip(np.nan_to_num(points), 0, np.array(size) - 1)
    return moved


def _write(canvas: ImageDraw.ImageDraw, text: str, box: Array, size: tuple[int, int]) -> None:
    """A white text on red above the box, or in it where there is no room above."""
    font = ImageFont.load_default(max(10, round(max(size) / 45)))
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    x = max(0.0, min(float(box[0]), size[0] - right))
    y = float(box[1]) - bottom if box[1] >= bottom else float(box[1])
    canvas.rectangle((x + left, y + top, x + right, y + bottom), fill=_RED)
    canvas.text((x, y), text, fill=_WHITE, font=font)
