"""One call per task, for scripts and notebooks: detect, represent, verify, find.

The detector and the embedders are created on first use and kept. Programs that process many images are faster with
`Detector.detect_batch`, `Embedder` and `Gallery`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from faceall.analysis import Analyser, primary_face
from faceall.analysis.open_set import pair_threshold_of
from faceall.arguments import checked
from faceall.errors import ArgumentError, ImageError
from faceall.images import ImageSource, as_image, find_images
from faceall.native import ForkSafeLock
from faceall.types import Face, Faces, Float32Array, Image, Results, similarity

Channels = Literal["rgb", "bgr"]

_lock = ForkSafeLock()
_analysers: dict[str | None, Analyser] = {}


@dataclass(frozen=True, eq=False)
class Verified:
    """The comparison of two faces.

    Attributes
    ----------
    match : bool
        Whether the distance is at most the threshold.
    distance : float
        Squared L2 distance of the embeddings, 0 (identical) to 4 (opposite).
    threshold : float
        The largest distance of a match.
    first, second : Face
        The compared faces, the primary one of each image.
    """

    match: bool
    distance: float
    threshold: float
    first: Face
    second: Face

    @property
    def similarity(self) -> float:
        """Cosine of the embeddings."""
        return similarity(self.distance)

    def __bool__(self) -> bool:
        return self.match

    def __repr__(self) -> str:
        return f"Verified(match={self.match}, distance={self.distance:.3f}, threshold={self.threshold:.3f})"

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one row with plain values."""
        return [
            {
                "match": self.match,
                "distance": self.distance,
                "similarity": self.similarity,
                "threshold": self.threshold,
                "first": self.first.to_dict(),
                "second": self.second.to_dict(),
            }
        ]


@dataclass(frozen=True, eq=False)
class FoundFace:
    """A face of a folder that resembles a query.

    Attributes
    ----------
    path : Path
        The image file.
    face : Face
        The face in it.
    distance : float
        Squared L2 distance to the query.
    match : bool
        Whether the distance is at most the threshold.
    """

    path: Path
    face: Face
    distance: float
    match: bool

    def __repr__(self) -> str:
        return f"FoundFace('{self.path}', distance={self.distance:.3f}, match={self.match})"


@dataclass(frozen=True, eq=False)
class Found:
    """The nearest faces of a folder for one face of the query.

    Attributes
    ----------
    query : Face
        The face of the query.
    faces : tuple of FoundFace
        Nearest first.
    threshold : float
        The largest distance of a match.
    """

    query: Face
    faces: tuple[FoundFace, ...]
    threshold: float

    def __repr__(self) -> str:
        best = f", best={self.faces[0]!r}" if self.faces else ""
        return f"Found({len(self.faces)} faces{best})"

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one row per found face."""
        return [
            {
                "query_box": self.query.box.tolist(),
                "path": str(found.path),
                "box": found.face.box.tolist(),
                "distance": found.distance,
                "similarity": similarity(found.distance),
                "match": found.match,
            }
            for found in self.faces
        ]


@checked
def detect_faces(image: ImageSource, *, channels: Channels = "rgb") -> list[Face]:
    """Find the faces of an image.

    The name is not `detect`, because `faceall.detect` is the package of the detector.

    Parameters
    ----------
    image : object
        Anything that `faceall.images.as_image` accepts: a path, bytes, a file, a Pillow image, an array, a tensor.
    channels : {"rgb", "bgr"}
        Order of the channels of an array.

    Returns
    -------
    list of Face
        Best first; empty if there is no face.

    Raises
    ------
    ImageError
        If the image cannot be read.
    ArgumentError
        If `image` is of another kind.
    ModelError
        If the weights of the detector are missing.
    """
    pixels = as_image(image, channels=channels)
    (faces,) = _analyser(None).detector.detect_batch([pixels])
    return [replace(face, pixels=face.crop(pixels, margin=0.2)) for face in faces]


@checked
def represent(image: ImageSource, *, model: str | None = None, channels: Channels = "rgb") -> list[Face]:
    """Find the faces of an image and embed them.

    Parameters
    ----------
    image : object
        As for `detect_faces`.
    model : str, optional
        Name of an installed embedder or path of a model folder; by default the first installed one.
    channels : {"rgb", "bgr"}
        Order of the channels of an array.

    Returns
    -------
    list of Face
        Best first, each with its `embedding`; empty if there is no face.

    Raises
    ------
    ImageError
        If the image cannot be read.
    ArgumentError
        If `image` is of another kind.
    ModelError
        If a model is missing or damaged.
    """
    return _represent(as_image(image, channels=channels), _analyser(model))


@checked
def verify(
    first: ImageSource,
    second: ImageSource,
    *,
    threshold: float | None = None,
    model: str | None = None,
    channels: Channels = "rgb",
) -> Verified:
    """Decide whether two images show the same person.

    The primary face of each image is compared: large and central.

    Parameters
    ----------
    first, second : object
        As for `detect_faces`.
    threshold : float, optional
        The largest distance of a match, 0 to 4; by default that of the model.
    model : str, optional
        As for `represent`.
    channels : {"rgb", "bgr"}
        Order of the channels of arrays.

    Returns
    -------
    Verified
        The verdict, which is also its truth value, the distance, the threshold and both faces.

    Raises
    ------
    ImageError
        If an image cannot be read or shows no face.
    ArgumentError
        If an argument is of another kind, or the model has no threshold and none is given.
    ModelError
        If a model is missing or damaged.
    """
    analyser = _analyser(model)
    limit = _threshold(analyser, threshold)
    chosen = []
    for name, source in (("first", first), ("second", second)):
        pixels = as_image(source, channels=channels)
        faces = _represent(pixels, analyser)
        if not faces:
            raise ImageError(_path_of(source), f"the {name} image shows no face")
        chosen.append(faces[primary_face(Faces.of(faces), pixels.shape)])
    distance = float(_distances(_vectors(chosen[:1]), _vectors(chosen[1:]))[0, 0])
    return Verified(distance <= limit, distance, limit, chosen[0], chosen[1])


@checked
def find(
    image: ImageSource,
    folder: str | os.PathLike[str],
    *,
    k: int = 5,
    threshold: float | None = None,
    model: str | None = None,
    channels: Channels = "rgb",
) -> Results[Found]:
    """Find the faces of an image in the images of a folder, without a gallery.

    Every image of the folder is analysed on each call; to search a folder more than once, register it in a `Gallery`.

    Parameters
    ----------
    image : object
        The query, as for `detect_faces`.
    folder : path-like
        A folder of images, with subfolders.
    k : int
        Number of faces to return for each face of the query.
    threshold : float, optional
        The largest distance of a match, 0 to 4; by default that of the model.
    model : str, optional
        As for `represent`.
    channels : {"rgb", "bgr"}
        Order of the channels of an array.

    Returns
    -------
    Results of Found
        One per face of the query, with `to_dicts` and `to_pandas`. Images that cannot be read are skipped with a
        warning.

    Raises
    ------
    ImageError
        If the query cannot be read, or the folder does not exist.
    ArgumentError
        If an argument is of another kind, or the model has no threshold and none is given.
    ModelError
        If a model is missing or damaged.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ArgumentError(f"k is {k!r}, expected an integer of at least 1")
    analyser = _analyser(model)
    limit = _threshold(analyser, threshold)
    queries = _represent(as_image(image, channels=channels), analyser)
    if not queries:
        return Results()
    known = list(_faces_of_folder(Path(folder), analyser))
    if not known:
        return Results(Found(query, (), limit) for query in queries)
    distances = _distances(_vectors(queries), _vectors([face for _, face in known]))
    results: Results[Found] = Results()
    for query, row in zip(queries, distances, strict=True):
        nearest = np.argsort(row, kind="stable")[:k]
        faces = tuple(_found_face(known[number], float(row[number]), limit) for number in nearest)
        results.append(Found(query, faces, limit))
    return results


def _found_face(known: tuple[Path, Face], distance: float, limit: float) -> FoundFace:
    """Return one face of the folder with its distance to the query."""
    path, face = known
    return FoundFace(path, face, distance, distance <= limit)


def _analyser(model: str | None) -> Analyser:
    """Return the detector with an embedder; the detector is shared."""
    with _lock:
        if None not in _analysers:
            _analysers[None] = Analyser()
        if model not in _analysers:
            from faceall.embed import Embedder

            _analysers[model] = Analyser(_analysers[None].detector, Embedder(model))
        return _analysers[model]


def _threshold(analyser: Analyser, given: float | None) -> float:
    """Return the threshold that applies."""
    if given is not None:
        if not 0 <= given <= 4:
            raise ArgumentError(f"threshold is {given}, expected a squared distance from 0 to 4")
        return float(given)
    manifest = analyser.embedder.model.manifest
    stated = pair_threshold_of(manifest)
    if stated is None:
        raise ArgumentError(f"the model '{manifest.name}' has no match threshold: pass threshold=")
    return stated[0]


def _represent(pixels: Image, analyser: Analyser) -> list[Face]:
    """Detect and embed the faces of an image."""
    faces, vectors = analyser.find(pixels)
    return [
        replace(face, embedding=vector, pixels=face.crop(pixels, margin=0.2))
        for face, vector in zip(faces, vectors, strict=True)
    ]


def _faces_of_folder(folder: Path, analyser: Analyser) -> Iterator[tuple[Path, Face]]:
    """Yield the faces of all images of a folder."""
    for path in find_images(folder):
        try:
            pixels = as_image(path)
        except ImageError as error:
            warnings.warn(f"skipped: {error}", stacklevel=3)
            continue
        for face in _represent(pixels, analyser):
            yield path, replace(face, pixels=None)


def _vectors(faces: list[Face]) -> Float32Array:
    """Stack the embeddings of faces."""
    return np.stack([face.embedding for face in faces])  # type: ignore[misc]


def _distances(first: Float32Array, second: Float32Array) -> Float32Array:
    """Return the squared distances (n, m) of unit vectors (n, D) and (m, D)."""
    return np.asarray(np.maximum(2 - 2 * (first @ second.T), 0), np.float32)


def _path_of(source: Any) -> str | None:
    """Return the path of an image that is one."""
    return os.fspath(source) if isinstance(source, str | os.PathLike) else None
