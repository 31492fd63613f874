"""Detector: the common interface of all face detectors."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from faceall.arguments import checked, checked_methods
from faceall.caffe.engines import Precision
from faceall.cores import available_cores
from faceall.detect.size_rule import smallest_face
from faceall.errors import ArgumentError, ModelNotFoundError
from faceall.native import ForkSafeLock, native_call
from faceall.types import Faces, Image

MTCNN = "mtcnn"
"""Name of the default detector, which needs no installed model."""

_TURNS = (1, 3, 2)  # quarter turns counterclockwise, most frequent first
_PORTRAIT = 0.25  # share of the shorter side of an image from which its largest face makes it a portrait
_SPECK = 1 / 12  # share of a portrait's face below which another one has to be certain
_CERTAIN = 0.9
_TOGETHER = 600_000  # pixels of the images that share the calls of the nets
_CONFIDENT = 0.95  # without a face of this score, the other orientations are searched for one


class FaceFinder(Protocol):
    """A detection method: finds the upright faces of one image."""

    name: str
    min_face: float | None

    def __call__(self, image: Image) -> Faces:
        """Find the faces of one image (H, W, 3) uint8 RGB, best first."""

    def search(self, images: Sequence[Image]) -> list[Faces]:
        """Find the faces of several images, together if that is faster."""


@checked_methods
class Detector:
    """Face detector with five landmarks. Safe to call from several threads and after a fork; can be pickled.

    Parameters
    ----------
    model : str or path-like
        "mtcnn", the name of an installed detector such as "yunet", or the path of a model folder.
    min_face : float, optional
        Side of the smallest face in pixels, at least 12. Doubling it is up to four times as fast. By default it follows
        the photo: 20 pixels, and a sixtieth of the shorter side in photos where that is more (`smallest_face`).
    rotate : bool
        Search an image without a confident face again in the three other orientations (90, 180 and 270 degrees). The
        landmarks of a face found there tell its orientation.
    engine : str, optional
        Name of the inference engine. Default: the fastest that pip installs.
    precision : Precision
        Precision of the nets; "auto" lets the engine choose.

    Attributes
    ----------
    name : str
        Name of the detector.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    ModelError
        If no such detector is installed, or its files are missing or damaged.
    EngineError
        If the engine is missing or cannot run the detector.

    Examples
    --------
    >>> from faceall import Detector, read_image
    >>> faces = Detector("mtcnn", min_face=40)(read_image("photo.jpg"))  # doctest: +SKIP
    """

    @checked
    def __init__(
        self,
        model: str | Path = MTCNN,
        *,
        min_face: float | None = None,
        rotate: bool = True,
        engine: str | None = None,
        precision: Precision = "auto",
    ) -> None:
        if min_face is not None and not 12 <= min_face < math.inf:
            raise ArgumentError(f"min_face is {min_face}, expected at least 12")
        self.rotate = rotate
        self._model = model if isinstance(model, str) else Path(os.path.abspath(model))
        self._options: dict[str, Any] = {"min_face": min_face, "engine": engine, "precision": precision}
        self._finder = _make_finder(model, **self._options)
        self._parallel: FaceFinder | None = None
        self._lock = ForkSafeLock()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle and copy the arguments; the nets are loaded again, from the cache of compiled nets."""
        return functools.partial(Detector, self._model, rotate=self.rotate, **self._options), ()

    @property
    def name(self) -> str:
        """Name of the detector."""
        return self._finder.name

    def __repr__(self) -> str:
        return f"Detector('{self.name}')"

    def smallest_face(self, width: int, height: int) -> float:
        """Return the side in pixels of the smallest face that is searched for in an image of that size."""
        fixed = self._finder.min_face
        return smallest_face(width, height) if fixed is None else fixed

    @native_call
    def __call__(self, image: Image) -> Faces:
        """Find the faces of one image.

        Parameters
        ----------
        image : (H, W, 3) uint8
            RGB.

        Returns
        -------
        Faces
            Best first; empty if there are none.

        Raises
        ------
        ValueError
            If the array has another shape or type.
        """
        return self._find(self._finder, [checked_image(image)])[0]

    @native_call
    def _find(self, finder: FaceFinder, images: Sequence[Image]) -> list[Faces]:
        """Find the faces of images with one of the two forms of the detection method."""
        found = [without_specks(faces, image.shape) for image, faces in zip(images, finder.search(images), strict=True)]
        unsure = [number for number, faces in enumerate(found) if not (faces.scores >= _CONFIDENT).any()]
        if not self.rotate or not unsure:
            return found
        for number, rotated in zip(unsure, _find_rotated(finder, [images[number] for number in unsure]), strict=True):
            found[number] = rotated if len(rotated) else found[number]
        return found

    def detect_batch(self, images: Iterable[Image]) -> list[Faces]:
        """Find the faces of several images, which may differ in size.

        Each core processes some of the images: that uses the processor better than several threads in one small net.
        Small images share the calls of the nets.

        Parameters
        ----------
        images : iterable of (H, W, 3) uint8
            RGB.

        Returns
        -------
        list of Faces
            In the order of the images.

        Raises
        ------
        ValueError
            If an array has another shape or type.
        """
        checked = [checked_image(image) for image in images]
        threads = min(len(checked), available_cores())
        groups = _groups(checked, threads)
        if threads < 2:
            return [faces for group in groups for faces in self._find(self._finder, group)]
        find = functools.partial(self._find, self._parallel_finder())
        with ThreadPoolExecutor(threads) as pool:
            return [faces for found in pool.map(find, groups) for faces in found]

    def _parallel_finder(self) -> FaceFinder:
        """Return the method whose nets use one core per call; it is made at the first use."""
        with self._lock:
            if self._parallel is None:
                self._parallel = _make_finder(self._model, **self._options, parallel=True)
            return self._parallel


def without_specks(faces: Faces, shape: tuple[int, ...]) -> Faces:
    """Drop tiny, uncertain faces on a large portrait: cloth, hair and jewellery at many times the pixels of a face.

    Parameters
    ----------
    faces : Faces
        Of one image.
    shape : tuple of int
        (height, width, ...) of the image.

    Returns
    -------
    Faces
        Without those whose side is below a twelfth of the largest face and whose score is below 0.9, if the largest
        face fills a quarter of the shorter side of the image.
    """
    if len(faces) < 2:
        return faces
    sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).mean(axis=1)
    largest = float(sides.max())
    if largest < _PORTRAIT * min(shape[:2]):
        return faces
    return faces.take((sides >= _SPECK * largest) | (faces.scores >= _CERTAIN))


def checked_image(image: Image) -> Image:
    """Return the image as an array.

    Raises
    ------
    ValueError
        If it is not (H, W, 3) uint8 or has no pixels.
    """
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ArgumentError(f"expected an image (H, W, 3) uint8 RGB; this array is {array.shape} {array.dtype}")
    return array


@checked
def installed_detectors() -> list[str]:
    """List the names of the available detectors, the default one first."""
    from faceall.models import installed_models

    return [MTCNN, *(model.name for model in installed_models("detector") if model.name != MTCNN)]


def _make_finder(
    model: str | Path, *, min_face: float | None, engine: str | None, precision: Precision, parallel: bool = False
) -> FaceFinder:
    """Create the detection method of that name; with `parallel`, each call of its nets uses one core."""
    if model == MTCNN:
        from faceall.detect.mtcnn import MtcnnDetector

        return MtcnnDetector(min_face=min_face, engine=engine, precision=precision, parallel=parallel)
    from faceall.detect.single_shot import SingleShotDetector
    from faceall.models import find_model

    try:
        folder = find_model(model, kind="detector")
    except ModelNotFoundError as error:
        known = ", ".join(installed_detectors())
        raise ModelNotFoundError(
            f"no detector '{model}' is installed; available are {known}; install one with: faceall models import FILE"
        ) from error
    chosen: Precision = "float32" if precision == "auto" else precision
    return SingleShotDetector(folder, min_face=min_face, engine=engine, precision=chosen, parallel=parallel)


def _groups(images: Sequence[Image], threads: int) -> list[list[Image]]:
    """Divide images, in order, into groups of about as many pixels, an equal number for each thread."""
    pixels = np.array([image.shape[0] * image.shape[1] for image in images], np.int64)
    count = threads * math.ceil(pixels.sum() / max(threads * _TOGETHER, 1))
    places = (np.cumsum(pixels) - pixels // 2 - 1) * count // max(pixels.sum(), 1)
    groups: dict[int, list[Image]] = {}
    for place, image in zip(places.tolist(), images, strict=True):
        groups.setdefault(place, []).append(image)
    return list(groups.values())


def _find_rotated(finder: FaceFinder, images: Sequence[Image]) -> list[Faces]:
    """Search the three other orientations; return the faces of the best one of each in pixels of the given image."""
    best, found = [0.0] * len(images), [Faces.empty()] * len(images)
    for turns in _TURNS:
        rotated = finder.search([np.ascontiguousarray(np.rot90(image, turns)) for image in images])
        for number, faces in enumerate(rotated):
            sure = faces.take(faces.scores >= _CONFIDENT)
            if (total := float(sure.scores.sum())) > best[number]:
                best[number], found[number] = total, _rotated_back(sure, turns, images[number].shape)
    return found


def _rotated_back(faces: Faces, turns: int, shape: tuple[int, ...]) -> Faces:
    """Map faces of an image that was rotated by `turns` quarters (as by `np.rot90`) to the image of `shape`."""
    corners = faces.boxes.reshape(-1, 2, 2)
    points = np.concatenate([corners, faces.landmarks], axis=1)
    height, width = shape[:2]
    x, y = points[..., 0], points[..., 1]
    moved = {1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[turns]
    points = np.stack(moved, axis=-1)
    boxes = np.hstack([points[:, :2].min(axis=1), points[:, :2].max(axis=1)])
    return Faces(boxes, faces.scores, points[:, 2:])
