"""Vectors of a folder with one subfolder per person, embedded once per model and kept in a cache folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceall import Detector, Embedder
from faceall.analysis.quality import sharpness, turn
from faceall.evaluate.embedding import embed_images
from faceall.images import find_images, read_image

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class People:
    """The primary face of every image.

    vectors  (n, D) float32, unit vectors
    people   (n,) int64, from 0, ascending
    quality  (n, 3) float32: size in pixels, sharpness, absolute turn
    """

    name: str
    vectors: Array
    people: npt.NDArray[np.int64]
    quality: Array


def load(folder: Path, model: str | None, cache: Path | None) -> People:
    """Embed the images of a folder, or read them from the cache."""
    embedder = Embedder(model)
    name = embedder.model.manifest.name
    key = hashlib.sha256(f"{folder.resolve()} {embedder.model.fingerprint}".encode()).hexdigest()[:16]
    file = None if cache is None else cache / f"{name}-{key}.npz"
    if file is not None and file.exists():
        with np.load(file) as data:
            return People(name, data["vectors"], data["people"], data["quality"])
    paths = sorted(find_images([folder]))
    found = embed_images(paths, Detector(), [embedder])
    quality = []
    for path, face in zip(found.rows, found.faces, strict=True):
        x0, y0, x1, y1 = face.box.tolist()
        quality.append(((x1 - x0 + y1 - y0) / 2, sharpness(read_image(path), face), abs(turn(face))))
    people = np.unique([path.parent.name for path in found.rows], return_inverse=True)[1].astype(np.int64)
    order = np.argsort(people, kind="stable")
    loaded = People(name, found.vectors[0][order], people[order], np.array(quality, np.float32)[order])
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, vectors=loaded.vectors, people=loaded.people, quality=loaded.quality)
    return loaded


def chosen_faces(people: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Return the rows of the first faces of every person, at most so many."""
    first = np.searchsorted(people, people)
    return np.flatnonzero(np.arange(len(people)) - first < most)
