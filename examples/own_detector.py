"""Use a detector of your own in a gallery: any object with `detect_batch`."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from faceall import Detector, Faces, Gallery
from faceall.types import Image


class LargestFace:
    """Find only the largest face of each image."""

    def __init__(self) -> None:
        self._detector = Detector(min_face=60)

    def detect_batch(self, images: Sequence[Image], /) -> list[Faces]:
        """Return the faces of several images."""
        found = self._detector.detect_batch(images)
        return [Faces.of(sorted(faces, key=lambda face: face.box[2] - face.box[0])[-1:]) for faces in found]


with tempfile.TemporaryDirectory() as folder, Gallery.open(folder, detector=LargestFace()) as gallery:
    for photo in gallery.register(Path(__file__).parent / "photos"):
        print(photo.status, photo.faces, photo.path.name)
