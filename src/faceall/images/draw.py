"""Draw detected faces on an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from faceall.arguments import checked
from faceall.errors import ArgumentError
from faceall.types import Array, Faces, Image

_RED = (255, 0, 0)
_GREEN = (0, 255, 0)
_WHITE = (255, 255, 255)


@checked
def draw_faces(image: Image, faces: Faces, labels: Sequence[str | None] | None = None) -> Image:
    """Draw a red box and green landmarks for every face on a copy of the image.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB; not modified.
    faces : Faces
        The faces to draw. The line width grows with the image.
    labels : sequence of str or None, optional
        One text per face, or None for a face without a text.

    Returns
    -------
    (H, W, 3) uint8

    Raises
    ------
    ValueError
        If the number of labels differs from the number of faces.
    """
    texts = [None] * len(faces) if labels is None else list(labels)
    if len(texts) != len(faces):
        raise ArgumentError(f"{len(texts)} labels for {len(faces)} faces")
    drawing = PillowImage.fromarray(image)
    canvas = ImageDraw.Draw(drawing)
    width = max(1, round(max(drawing.size) / 900))
    for face, text in zip(faces, texts, strict=True):
        box = _clip(face.box.reshape(2, 2), drawing.size).reshape(4)
        canvas.rectangle(box.tolist(), outline=_RED, width=width)
        for x, y in _clip(face.landmarks, drawing.size).tolist():
            canvas.ellipse((x - width, y - width, x + width, y + width), fill=_GREEN)
        if text:
            _draw_label(canvas, text, box, drawing.size)
    return np.array(drawing)


def _clip(points: Array, size: tuple[int, int]) -> Array:
    """Move points (n, 2) to the nearest pixel of the image."""
    moved: Array = np.clip(np.nan_to_num(points), 0, np.array(size) - 1)
    return moved


def _draw_label(canvas: ImageDraw.ImageDraw, text: str, box: Array, size: tuple[int, int]) -> None:
    """Write white text on red above the box, or inside it if there is no space above."""
    font = ImageFont.load_default(max(11, round(max(size) / 60)))
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    x = max(0.0, min(float(box[0]), size[0] - right))
    y = float(box[1]) - bottom if box[1] >= bottom else float(box[1])
    canvas.rectangle((x + left, y + top, x + right, y + bottom), fill=_RED)
    canvas.text((x, y), text, fill=_WHITE, font=font)
