"""A detector and an embedder without weights, and images for them: a face is a square of one colour on black.

Run as a program it registers photos and prints a JSON line per result: python stand_ins.py GALLERY PATH...
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from faceall.models import Manifest, ModelFolder
from faceall.types import Face, Faces, Float32Array, Image

BACKEND = os.environ.get("FACEALL_TEST_BACKEND", "folder")
"""Where the galleries of the tests lie: "folder", "milvus-lite", or "milvus" for a server."""

SIZE = 8
POINTS = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)  # of a square's side
Colour = tuple[int, int, int]
Square = tuple[int, int, int, Colour]


def paint(squares: Sequence[Square], width: int = 120, height: int = 90) -> Image:
    """Return an image with squares (x, y, side, colour) on black."""
    image = np.zeros((height, width, 3), np.uint8)
    for x, y, side, colour in squares:
        image[y : y + side, x : x + side] = colour
    return image


def write_photo(path: Path, squares: Sequence[Square], **size: int) -> Path:
    """Write such an image as a PNG; create missing parent folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(paint(squares, **size)).save(path, "PNG")
    return path


def one_face(number: int) -> list[Square]:
    """Return one square in the middle, with a colour that depends on the number."""
    return [(40, 25, 40, (1 + number % 250, 1 + number // 250 % 250, 200))]


class ColourDetector:
    """Finds squares of one colour, largest first; counts the images it has analysed."""

    def __init__(self, pause: float = 0.0) -> None:
        self.seen = 0
        self.pause = pause

    def detect_batch(self, images: Sequence[Image], /) -> list[Faces]:
        self.seen += len(images)
        time.sleep(self.pause * len(images))
        return [self._find(image) for image in images]

    def _find(self, image: Image) -> Faces:
        codes = image.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
        found = []
        for code in np.unique(codes):
            if not code:
                continue
            rows, columns = np.nonzero(codes == code)
            box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
            found.append(Face(box, 0.99, box[:2] + POINTS * (box[2:] - box[:2])))
        found.sort(key=lambda face: float(face.box[0] - face.box[2]))
        if not found:
            return Faces.empty()
        return Faces(
            np.stack([face.box for face in found]),
            np.array([face.score for face in found], np.float32),
            np.stack([face.landmarks for face in found]),
        )


class ColourEmbedder:
    """Turns the mean colour of a face into a unit vector."""

    def __init__(self, name: str = "colours", size: int = SIZE) -> None:
        manifest = Manifest(name=name, embedding_size=size, input_size=(4, 4), input_blob="data", output_blob="vector")
        self.model = ModelFolder(Path(name), manifest)
        self.size = size
        self.batches: list[int] = []
        self._matrix = np.random.default_rng(0).normal(size=(3, size)).astype(np.float32)

    def crop(self, image: Image, faces: Faces, /) -> npt.NDArray[np.uint8]:
        crops = np.zeros((len(faces), 4, 4, 3), np.uint8)
        for crop, (x0, y0, x1, y1) in zip(crops, faces.boxes.astype(int), strict=True):
            crop[:] = image[y0:y1, x0:x1].reshape(-1, 3)[0]
        return crops

    def embed_crops(self, crops: npt.NDArray[np.uint8], /) -> Float32Array:
        self.batches.append(len(crops))
        vectors = (crops.mean(axis=(1, 2)) / 255 + 0.01).astype(np.float32) @ self._matrix
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def main() -> None:
    """Register photos and print a JSON line per result."""
    from faceall.gallery import Gallery
    from faceall.gallery.registration import batch_analysis

    batch_analysis.DETECT_FILES = 4  # so that results come one after the other, not all at the end

    folder, pause, *paths = sys.argv[1:]
    with Gallery.open(folder, detector=ColourDetector(float(pause)), embedder=ColourEmbedder()) as gallery:
        for result in gallery.iter_register(paths):
            record = {"path": str(result.path), "status": result.status, "faces": result.faces}
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
