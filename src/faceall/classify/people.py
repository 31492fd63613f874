"""Labelled vectors to train a classifier on: of a gallery, or of a folder with one subfolder per person."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from faceall.analysis.analyser import FaceDetector, label_of
from faceall.arguments import checked
from faceall.embed import Embedder
from faceall.errors import EvaluationError
from faceall.evaluate.embedding import UnusableImage, embed_images
from faceall.evaluate.identification import read_people
from faceall.gallery import Gallery
from faceall.types import Float32Array, Int64Array

MOST_PEOPLE = 10_000
MOST_FACES = 200
"""Larger galleries are sampled: number of people, number of faces of each."""


@dataclass(frozen=True, eq=False)
class LabelledVectors:
    """Vectors of faces and their people.

    Attributes
    ----------
    names : (p,) tuple of str
        The people.
    people : (n,) int64
        Index of each face's person in `names`, ascending.
    vectors : (n, D) float32
        Unit vectors.
    model : str
        Label of the embedder that made them: its name and the start of its fingerprint.
    unusable : tuple of UnusableImage
        Images of the folder without a face vector.
    """

    names: tuple[str, ...]
    people: Int64Array
    vectors: Float32Array
    model: str
    unusable: tuple[UnusableImage, ...] = ()


@checked
def vectors_of_gallery(gallery: Gallery) -> LabelledVectors:
    """Return the vectors of the people who have a name, of large galleries those of a reproducible sample.

    Raises
    ------
    EvaluationError
        If the gallery has no face.
    """
    if gallery.model is None:
        raise EvaluationError("the gallery is empty; register photos first")
    named = gallery.people.named_vectors(most_people=MOST_PEOPLE, most_faces=MOST_FACES)
    return LabelledVectors(named.names, named.people, named.vectors, gallery.model)


@checked
def vectors_of_folder(
    folder: str | os.PathLike[str],
    embedder: Embedder,
    detector: FaceDetector,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> LabelledVectors:
    """Embed the primary face of every image in a folder with one subfolder per person.

    Parameters
    ----------
    folder : path-like
        The folder.
    embedder : Embedder
        Makes the vectors.
    detector : FaceDetector
        Detects the faces.
    progress : callable, optional
        Called with the number of processed images and the total.

    Raises
    ------
    EvaluationError
        If the folder cannot be read, or shows no face.
    """
    listed = read_people(folder)
    found = embed_images([path for paths in listed.values() for path in paths], detector, [embedder], progress=progress)
    rows = {name: [found.rows[path] for path in paths if path in found.rows] for name, paths in listed.items()}
    names = tuple(name for name, own in rows.items() if own)
    if not names:
        raise EvaluationError(f"{os.fspath(folder)}: no face found in any image")
    people = np.repeat(np.arange(len(names), dtype=np.int64), [len(rows[name]) for name in names])
    vectors = found.vectors[0][[row for name in names for row in rows[name]]]
    return LabelledVectors(names, people, vectors, label_of(embedder.model), found.unusable)
