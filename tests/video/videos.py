"""Make small videos for tests."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceall.types import Face, Faces, Image

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # the writer would start FFmpeg with its messages on

RATE = 10
POINTS = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)  # of a square's side
CODECS = {".mp4": "mp4v", ".avi": "MJPG"}


def write_video(path: Path, frames: Iterable[Image], rate: float = RATE) -> Path:
    """Write RGB images of one size as a video; skip the test if this build of OpenCV cannot."""
    writer = None
    for frame in frames:
        if writer is None:
            four = cv2.VideoWriter.fourcc(*CODECS[path.suffix])
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, four, rate, (frame.shape[1], frame.shape[0]))
            if not writer.isOpened():
                pytest.skip(f"needs OpenCV with FFmpeg, which writes {path.suffix}")
        writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
    assert writer is not None
    writer.release()
    return path


def squares(
    *placed: tuple[int, int, int, tuple[int, int, int]], back: int = 16, size: tuple[int, int] = (320, 240)
) -> Image:
    """An image with squares (x, y, side, colour) on a dark ground, each with a dark bar so that it has edges."""
    image = np.full((size[1], size[0], 3), back, np.uint8)
    for x, y, side, colour in placed:
        image[y : y + side, x : x + side] = colour
        image[y + side // 2 : y + side // 2 + 4, x + 6 : x + side - 6] = 60
    return image


class BrightDetector:
    """Finds bright squares, also after lossy compression; the face is the box of each."""

    def detect_batch(self, images: Sequence[Image], /) -> list[Faces]:
        return [Faces.of(self._find(image)) for image in images]

    def _find(self, image: Image) -> list[Face]:
        bright = (image.max(axis=2) > 100).astype(np.uint8)
        filled = cv2.morphologyEx(bright, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
        count, _, stats, _ = cv2.connectedComponentsWithStats(filled)
        found = []
        for x, y, width, height, area in stats[1:count]:
            if area >= 300:
                box = np.array([x, y, x + width, y + height], np.float32)
                found.append(Face(box, 0.99, box[:2] + POINTS * (box[2:] - box[:2])))
        return found
