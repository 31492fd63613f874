"""Vectors for the benchmarks of the index: synthetic clusters, embeddings of LFW, and samples distributed like them.

Usage: python benchmarks/index_vectors.py LFW_DIR FILE.npz [--variants N]
  embeds the central face of every image, and N - 1 variants of each (mirrored, shifted, larger, smaller)
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from faceall import Detector, Embedder, Faces, read_image
from faceall.types import Float32Array

_SHIFT, _GROW = 0.06, 0.08  # of a face's side, the deviation of a variant


def unit(vectors: Any) -> Float32Array:
    """Normalise every row to length one."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def clustered(count: int, dimension: int, people: int) -> Float32Array:
    """Make unit vectors around random centres, one per person: cosine about 0.75 within a person.

    Nothing is harder for a graph: strangers are all equally far from each other, in every direction.
    """
    random = np.random.default_rng(0)
    centres = unit(random.standard_normal((people, dimension), np.float32))
    vectors = random.standard_normal((count, dimension), np.float32)
    vectors *= np.float32(0.6 / np.sqrt(dimension))
    vectors += centres[random.integers(people, size=count)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


class RealFaces:
    """Embeddings of LFW computed by `main`, and samples distributed like them."""

    def __init__(self, file: Path, dimension: int) -> None:
        with np.load(file) as found:
            self.vectors, people = found["vectors"], found["people"]
        if dimension < self.vectors.shape[1]:  # the directions that tell most, as a shortened model does
            mean = self.vectors.mean(axis=0)
            axes = np.linalg.eigh(np.cov(self.vectors.T))[1][:, : -dimension - 1 : -1]
            self.vectors = unit((self.vectors - mean) @ axes)
        _, who = np.unique(people, return_inverse=True)
        counts = np.bincount(who)
        sums = np.stack([np.bincount(who, column, len(counts)) for column in self.vectors.T], axis=1)
        self._centres = (sums / counts[:, None]).astype(np.float32)
        rest = (self.vectors - self._centres[who])[counts[who] > 1]
        self._within = _root(np.cov(rest.T) * counts.mean() / (counts.mean() - 1))
        self._between = _root(np.cov(self._centres.T))
        self._mean = self._centres.mean(axis=0)

    def similar(self, count: int, people: int) -> Float32Array:
        """Sample `count` unit vectors of `people` synthetic people with the real means and covariances."""
        random = np.random.default_rng(0)
        dimension = len(self._mean)
        centres = self._mean + random.standard_normal((people, dimension), np.float32) @ self._between
        vectors = np.empty((count, dimension), np.float32)
        for start in range(0, count, 50_000):
            part = vectors[start : start + 50_000]
            part[:] = random.standard_normal(part.shape, np.float32) @ self._within
            part += centres[random.integers(people, size=len(part))]
            part /= np.linalg.norm(part, axis=1, keepdims=True)
        return vectors


def _root(covariance: Any) -> Float32Array:
    values, axes = np.linalg.eigh(covariance)
    return np.asarray((axes * np.sqrt(np.maximum(values, 0))).T, np.float32)


def _central(faces: Faces, shape: tuple[int, ...]) -> Faces:
    middle = np.array([shape[1], shape[0]]) / 2
    offset = (faces.boxes[:, 2:] + faces.boxes[:, :2]) / 2 - middle
    best = int(np.argmin((offset**2).sum(axis=1)))
    return Faces(faces.boxes[[best]], faces.scores[[best]], faces.landmarks[[best]])


def _variants(faces: Faces, count: int, random: np.random.Generator) -> Faces:
    """Return the face and `count - 1` variations of its box."""
    boxes = np.repeat(faces.boxes, count, axis=0)
    sides = boxes[:, 2:] - boxes[:, :2]
    middles = (boxes[:, 2:] + boxes[:, :2]) / 2
    middles[1:] += sides[1:] * random.normal(scale=_SHIFT, size=(count - 1, 2))
    sides[1:] *= np.exp(random.normal(scale=_GROW, size=(count - 1, 1)))
    boxes = np.concatenate((middles - sides / 2, middles + sides / 2), axis=1)
    return Faces(boxes, np.repeat(faces.scores, count), np.repeat(faces.landmarks, count, axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="LFW_DIR")
    parser.add_argument("file", type=Path, metavar="FILE.npz")
    parser.add_argument("--variants", type=int, default=8)
    given = parser.parse_args()
    detector, embedder, random = Detector(), Embedder(), np.random.default_rng(0)
    vectors, people = [], []
    for path in sorted(given.folder.glob("*/*.jpg")):
        image = read_image(path)
        faces = detector(image)
        if not len(faces):
            continue
        wanted = _variants(_central(faces, image.shape), given.variants, random)
        crops = embedder.crop(image, wanted)
        crops[1::2] = crops[1::2, :, ::-1]
        vectors.append(embedder.embed_crops(crops))
        people.extend([path.parent.name] * given.variants)
    np.savez(given.file, vectors=np.concatenate(vectors), people=np.array(people))
    print(f"{len(people)} vectors of {len(set(people))} people in {given.file}")


if __name__ == "__main__":
    main()
