"""Vectors of a folder with one subfolder per person, embedded once per model and kept in a cache folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceall import Detector, Embedder
from faceall.analysis.quality import cut, sharpness, turn
from faceall.evaluate.embedding import embed_images
from faceall.images import find_images, read_image

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class People:
    """The primary face of every image.

    vectors  (n, D) float32, unit vectors
    people   (n,) int64, from 0, ascending
    quality  (n, 4) float32: size in pixels, sharpness, absolute turn, part cut off by the edge of the image
    folders  name of the folder of each person
    """

    name: str
    vectors: Array
    people: npt.NDArray[np.int64]
    quality: Array
    folders: tuple[str, ...]


def load(folder: Path, model: str | None, cache: Path | None) -> People:
    """Embed the images of a folder, or read them from the cache."""
    return load_all(folder, [model], cache)[0]


def load_all(folder: Path, models: Sequence[str | None], cache: Path | None) -> list[People]:
    """Embed the images of a folder with several models, or read them from the cache; detect the faces once."""
    embedders = [Embedder(model) for model in models]
    files = [_cache_file(folder, embedder, cache) for embedder in embedders]
    missing = [number for number, file in enumerate(files) if file is None or not file.exists()]
    embedded = _embed(folder, [embedders[number] for number in missing]) if missing else []
    made = dict(zip(missing, embedded, strict=True))
    for number, people in made.items():
        file = files[number]
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            kept = {"vectors": people.vectors, "people": people.people, "quality": people.quality}
            np.savez(file, **kept, folders=np.array(people.folders))
    return [
        made[number] if number in made else _read(embedder.model.manifest.name, file)
        for number, (embedder, file) in enumerate(zip(embedders, files, strict=True))
    ]


def _cache_file(folder: Path, embedder: Embedder, cache: Path | None) -> Path | None:
    """Return the file in the cache folder with the vectors of a model."""
    key = hashlib.sha256(f"2 {folder.resolve()} {embedder.model.fingerprint}".encode()).hexdigest()[:16]
    return None if cache is None else cache / f"{embedder.model.manifest.name}-{key}.npz"


def _read(name: str, file: Path | None) -> People:
    """Read a file of the cache."""
    assert file is not None
    with np.load(file) as data:
        return People(name, data["vectors"], data["people"], data["quality"], tuple(data["folders"].tolist()))


def _embed(folder: Path, embedders: Sequence[Embedder]) -> list[People]:
    """Detect and embed the primary face of every image."""
    found = embed_images(sorted(find_images([folder])), Detector(), embedders)
    quality = []
    for path, face in zip(found.rows, found.faces, strict=True):
        x0, y0, x1, y1 = face.box.tolist()
        image = read_image(path)
        quality.append(((x1 - x0 + y1 - y0) / 2, sharpness(image, face), abs(turn(face)), cut(image.shape, face)))
    folders, people = np.unique([path.parent.name for path in found.rows], return_inverse=True)
    order = np.argsort(people, kind="stable")
    shared = people[order].astype(np.int64), np.array(quality, np.float32)[order], tuple(folders.tolist())
    names = [embedder.model.manifest.name for embedder in embedders]
    return [People(name, vectors[order], *shared) for name, vectors in zip(names, found.vectors, strict=True)]


def chosen_faces(people: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Return the rows of the first faces of every person, at most so many."""
    first = np.searchsorted(people, people)
    return np.flatnonzero(np.arange(len(people)) - first < most)
