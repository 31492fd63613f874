"""From paths to vectors: one face per picture, found once, embedded by every model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np

from faceall.analysis.analyser import Crops, FaceDetector, FaceEmbedder, chief_face
from faceall.errors import ImageError, ImageTooLargeError
from faceall.images import read_image
from faceall.types import Face, Faces, Float32Array, Image

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of pictures that are done and the number of all."""

Trouble: TypeAlias = Literal["missing", "unreadable", "too-large", "no-face"]

SAMPLES = 16
"""How many crops are kept of what each model got to see."""

_BATCH = 16  # pictures
_PIXELS = 4_000_000


class Contestant(FaceEmbedder, Protocol):
    """An embedder that can be measured, as `faceall.embed.Embedder`."""

    @property
    def precision(self) -> str:
        """What it computes in."""


@dataclass(frozen=True)
class UnusablePicture:
    """A picture that gives no vector, and why."""

    path: Path
    trouble: Trouble
    message: str


@dataclass(frozen=True, eq=False)
class Portraits:
    """What came of some pictures.

    rows      a usable picture's path -> its row
    faces     the face that each row is of: of several the large and central one
    vectors   per model (n, size) float32, unit length
    samples   per model the first crops, (at most SAMPLES, H, W, 3) uint8
    unusable  the others
    """

    rows: dict[Path, int]
    faces: tuple[Face, ...]
    vectors: tuple[Float32Array, ...]
    samples: tuple[Crops, ...]
    unusable: tuple[UnusablePicture, ...]


def embed_pictures(
    paths: Iterable[Path],
    detector: FaceDetector,
    models: Sequence[Contestant],
    *,
    flip: bool = False,
    progress: Progress | None = None,
) -> Portraits:
    """Find the chief face of every picture and embed it with every model; each path counts once.

    flip  a vector is the mean of those of the crop and of its mirror image, at unit length
    """
    wanted = list(dict.fromkeys(paths))
    unusable: list[UnusablePicture] = []
    found: list[tuple[Path, Face]] = []
    parts: list[list[Float32Array]] = [[] for _ in models]
    samples: list[list[Crops]] = [[] for _ in models]
    for batch, done in _batches(wanted, unusable):
        portraits = _chief_faces(batch, detector, unusable)
        found += [(path, faces[0]) for path, _, faces in portraits]
        for number, model in enumerate(models if portraits else ()):
            crops = np.concatenate([model.crop(image, faces) for _, image, faces in portraits])
            parts[number].append(embed(model, crops, flip=flip))
            if len(found) - len(portraits) < SAMPLES:
                samples[number].append(crops)
        if progress:
            progress(done, len(wanted))
    return Portraits(
        {path: row for row, (path, _) in enumerate(found)},
        tuple(face for _, face in found),
        tuple(
            np.concatenate(part) if part else np.zeros((0, model.size), np.float32)
            for part, model in zip(parts, models, strict=True)
        ),
        tuple(np.concatenate(kept)[:SAMPLES] for kept in samples if kept),
        tuple(unusable),
    )


def embed(model: Contestant, crops: Crops, *, flip: bool = False) -> Float32Array:
    """(n, H, W, 3) uint8 -> (n, size) float32 of unit length."""
    vectors = model.embed_crops(crops)
    if not flip:
        return vectors
    both = vectors + model.embed_crops(np.ascontiguousarray(crops[:, :, ::-1]))
    lengths = np.linalg.norm(both, axis=1, keepdims=True)
    return np.asarray(both / np.maximum(lengths, np.float32(1e-10)), np.float32)


def _batches(paths: Sequence[Path], unusable: list[UnusablePicture]) -> Iterator[tuple[list[tuple[Path, Image]], int]]:
    """Readable pictures in groups that fit the detector, and how many paths are done after each."""
    batch: list[tuple[Path, Image]] = []
    pixels = 0
    for number, path in enumerate(paths, 1):
        try:
            image = read_image(path)
        except ImageError as error:
            unusable.append(UnusablePicture(path, _trouble(path, error), str(error)))
        else:
            batch.append((path, image))
            pixels += image.shape[0] * image.shape[1]
        if number == len(paths) or len(batch) == _BATCH or pixels >= _PIXELS:
            yield batch, number
            batch, pixels = [], 0


def _trouble(path: Path, error: ImageError) -> Trouble:
    if isinstance(error, ImageTooLargeError):
        return "too-large"
    return "unreadable" if os.path.lexists(path) else "missing"


def _chief_faces(
    batch: Sequence[tuple[Path, Image]], detector: FaceDetector, unusable: list[UnusablePicture]
) -> list[tuple[Path, Image, Faces]]:
    """The pictures that show a face, each with its chief one alone."""
    portraits = []
    found = detector.detect_batch([image for _, image in batch]) if batch else []
    for (path, image), faces in zip(batch, found, strict=True):
        if len(faces):
            portraits.append((path, image, faces.take([chief_face(faces, image.shape)])))
        else:
            unusable.append(UnusablePicture(path, "no-face", f"{path}: no face found"))
    return portraits
