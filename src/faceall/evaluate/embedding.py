"""Embed image files for an evaluation: one face per image, detected once, embedded by every model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np

from faceall.analysis.analyser import Crops, FaceDetector, FaceEmbedder, primary_face
from faceall.errors import ImageError, ImageTooLargeError
from faceall.images import read_image
from faceall.types import Face, Faces, Float32Array, Image

Read: TypeAlias = Callable[[Path], Image]
"""Reads an image file, such as `read_image`; raises `ImageError`."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of processed images and the total."""

Problem: TypeAlias = Literal["missing", "unreadable", "too-large", "no-face"]

SAMPLES = 16
"""Number of crops per model that are kept to measure its speed."""

_BATCH = 16  # images
_PIXELS = 4_000_000


class MeasuredEmbedder(FaceEmbedder, Protocol):
    """An embedder that can be evaluated, such as `faceall.embed.Embedder`."""

    @property
    def precision(self) -> str:
        """Precision of its net."""


@dataclass(frozen=True)
class UnusableImage:
    """An image that yields no vector.

    Attributes
    ----------
    path : Path
        The file.
    problem : Problem
        Why it cannot be used.
    message : str
        The problem in one line, with the path.
    """

    path: Path
    problem: Problem
    message: str


@dataclass(frozen=True, eq=False)
class EmbeddedImages:
    """The primary face of every usable image, embedded by every model.

    Attributes
    ----------
    rows : dict of Path to int
        The row of each usable image.
    faces : tuple of Face
        The face of each row: if an image shows several, the large and central one.
    vectors : tuple of (n, size) float32
        Unit vectors, one array per model.
    samples : tuple of (m, H, W, 3) uint8
        The first crops of each model, at most `SAMPLES`.
    unusable : tuple of UnusableImage
        The other images.
    """

    rows: dict[Path, int]
    faces: tuple[Face, ...]
    vectors: tuple[Float32Array, ...]
    samples: tuple[Crops, ...]
    unusable: tuple[UnusableImage, ...]


def embed_images(
    paths: Iterable[Path],
    detector: FaceDetector,
    models: Sequence[MeasuredEmbedder],
    *,
    flip: bool = False,
    read: Read = read_image,
    progress: Progress | None = None,
) -> EmbeddedImages:
    """Detect the primary face of every image and embed it with every model.

    Parameters
    ----------
    paths : iterable of Path
        Image files; duplicates are processed once.
    detector : FaceDetector
        Detects the faces.
    models : sequence of MeasuredEmbedder
        Each crops the same face in its own way.
    flip : bool
        Average the vectors of the crop and of its mirror image.
    read : callable
        Reads an image; raises `ImageError` if that is impossible.
    progress : callable, optional
        Called with the number of processed images and the total.

    Returns
    -------
    EmbeddedImages

    Raises
    ------
    ModelError
        If a model or the weights of the detector cannot be loaded.
    """
    wanted = list(dict.fromkeys(paths))
    unusable: list[UnusableImage] = []
    found: list[tuple[Path, Face]] = []
    parts: list[list[Float32Array]] = [[] for _ in models]
    samples: list[list[Crops]] = [[] for _ in models]
    for batch, done in _batches(wanted, unusable, read):
        detected = _primary_faces(batch, detector, unusable)
        found += [(path, faces[0]) for path, _, faces in detected]
        for number, model in enumerate(models if detected else ()):
            crops = np.concatenate([model.crop(image, faces) for _, image, faces in detected])
            parts[number].append(embed(model, crops, flip=flip))
            if len(found) - len(detected) < SAMPLES:
                samples[number].append(crops)
        if progress:
            progress(done, len(wanted))
    return EmbeddedImages(
        {path: row for row, (path, _) in enumerate(found)},
        tuple(face for _, face in found),
        tuple(
            np.concatenate(part) if part else np.zeros((0, model.size), np.float32)
            for part, model in zip(parts, models, strict=True)
        ),
        tuple(np.concatenate(kept)[:SAMPLES] for kept in samples if kept),
        tuple(unusable),
    )


def embed(model: MeasuredEmbedder, crops: Crops, *, flip: bool = False) -> Float32Array:
    """Embed crops (n, H, W, 3) uint8 as unit vectors (n, size), optionally averaged with their mirror images."""
    vectors = model.embed_crops(crops)
    if not flip:
        return vectors
    both = vectors + model.embed_crops(np.ascontiguousarray(crops[:, :, ::-1]))
    lengths = np.linalg.norm(both, axis=1, keepdims=True)
    return np.asarray(both / np.maximum(lengths, np.float32(1e-10)), np.float32)


def _batches(
    paths: Sequence[Path], unusable: list[UnusableImage], read: Read
) -> Iterator[tuple[list[tuple[Path, Image]], int]]:
    """Yield batches of readable images, and how many paths are processed after each."""
    batch: list[tuple[Path, Image]] = []
    pixels = 0
    for number, path in enumerate(paths, 1):
        try:
            image = read(path)
        except ImageError as error:
            unusable.append(UnusableImage(path, _problem(path, error, read), str(error)))
        else:
            batch.append((path, image))
            pixels += image.shape[0] * image.shape[1]
        if number == len(paths) or len(batch) == _BATCH or pixels >= _PIXELS:
            yield batch, number
            batch, pixels = [], 0


def _problem(path: Path, error: ImageError, read: Read) -> Problem:
    """Return the kind of an error."""
    if isinstance(error, ImageTooLargeError):
        return "too-large"
    return "missing" if read is read_image and not os.path.lexists(path) else "unreadable"


def _primary_faces(
    batch: Sequence[tuple[Path, Image]], detector: FaceDetector, unusable: list[UnusableImage]
) -> list[tuple[Path, Image, Faces]]:
    """Return the images that show a face, each with its primary face only."""
    detected = []
    found = detector.detect_batch([image for _, image in batch]) if batch else []
    for (path, image), faces in zip(batch, found, strict=True):
        if len(faces):
            detected.append((path, image, faces.take([primary_face(faces, image.shape)])))
        else:
            unusable.append(UnusableImage(path, "no-face", f"{path}: no face found"))
    return detected
