"""Detect and embed the faces of an image; the detector and the embedder are created at first use."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from faceall.arguments import checked
from faceall.errors import ArgumentError
from faceall.images import ImageSource, as_image, crop, encode_jpeg
from faceall.native import ForkSafeLock
from faceall.types import Face, Faces, Float32Array, Image, similarity

if TYPE_CHECKING:
    from faceall.models import ModelFolder

Crops: TypeAlias = npt.NDArray[np.uint8]

THUMBNAIL = 112  # pixels, width and height
THUMBNAIL_MARGIN = 0.25  # of the box, on every side
_THUMBNAIL_QUALITY = 85
_FINGERPRINT = 12
"""Digits of a fingerprint in a label."""


class FaceDetector(Protocol):
    """Finds faces, as `faceall.detect.Detector` does."""

    def detect_batch(self, images: Sequence[Image], /) -> list[Faces]:
        """Detect the faces of several RGB images (H, W, 3) uint8; returns one `Faces` per image, best first."""


class FaceEmbedder(Protocol):
    """Turns faces into vectors, as `faceall.embed.Embedder` does."""

    @property
    def size(self) -> int:
        """Dimension D of the vectors."""

    @property
    def model(self) -> ModelFolder:
        """The model that computes the vectors."""

    def crop(self, image: Image, faces: Faces, /) -> Crops:
        """Cut n faces out of an image, as the model expects them: (n, H, W, 3) uint8."""

    def embed_crops(self, crops: Crops, /) -> Float32Array:
        """Compute the vectors of crops (n, H, W, 3) uint8: (n, D) float32 of unit length."""


class Analyser:
    """Detects and embeds faces. Safe to use from several threads.

    Parameters
    ----------
    detector : FaceDetector, optional
        By default a `Detector`, created at first use.
    embedder : FaceEmbedder, optional
        By default an `Embedder`, created at first use.
    remembered : callable, optional
        Returns the label of the model whose vectors the new ones will be compared with, or None. If that model is
        installed, it is the default.
    detector_name : callable, optional
        Returns the name of the default detector; None for MTCNN.
    """

    def __init__(
        self,
        detector: FaceDetector | None = None,
        embedder: FaceEmbedder | None = None,
        *,
        remembered: Callable[[], str | None] = lambda: None,
        detector_name: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.has_own_detector = detector is not None
        self.detector_name = detector_name
        self.min_face: float | None = None
        self._detector = detector
        self._embedder = embedder
        self._remembered = remembered
        self._locks = {"detector": ForkSafeLock(), "embedder": ForkSafeLock()}

    @property
    def detector(self) -> FaceDetector:
        """The detector.

        Raises
        ------
        ModelError
            Its weights cannot be found.
        """
        with self._locks["detector"]:
            if self._detector is None:
                from faceall.detect import Detector

                self._detector = Detector(self.detector_name() or "mtcnn", min_face=self.min_face)
            return self._detector

    def limit_faces(self, min_face: float | None) -> None:
        """Search for faces of at least `min_face` pixels from now on; None lets the limit follow the photo.

        Raises ArgumentError for a custom detector, which has its own limit.
        """
        with self._locks["detector"]:
            if min_face == self.min_face:
                return
            if self.has_own_detector:
                raise ArgumentError("min_face applies to the default detectors: give the limit to your own detector")
            if min_face is not None and not 12 <= min_face < math.inf:
                raise ArgumentError(f"min_face is {min_face}, expected at least 12 pixels")
            self.min_face, self._detector = min_face, None

    def smallest_face(self, width: int, height: int) -> float | None:
        """Return the smallest face in pixels that is searched for in a photo; None for a custom detector."""
        if self.has_own_detector:
            return None
        from faceall.detect import smallest_face

        return smallest_face(width, height) if self.min_face is None else self.min_face

    def reduction(self, width: int, height: int) -> int:
        """Return by which factor a photo may be reduced before its faces are searched, without losing any."""
        if self.has_own_detector or self.min_face is not None:
            return 1
        from faceall.detect import reduction

        return reduction(width, height)

    @property
    def embedder(self) -> FaceEmbedder:
        """The embedder.

        Raises
        ------
        ModelNotFoundError
            No model is installed.
        """
        with self._locks["embedder"]:
            if self._embedder is None:
                self._embedder = self._default_embedder()
            return self._embedder

    def use(self, embedder: FaceEmbedder) -> None:
        """Replace the embedder."""
        with self._locks["embedder"]:
            self._embedder = embedder

    def _default_embedder(self) -> FaceEmbedder:
        from faceall.embed import Embedder

        label = None if os.environ.get("EMBEDDING_SIZE") else self._remembered()  # an explicit size has priority
        model = model_of_label(label) if label else None
        return Embedder(model.path if model else None)

    @property
    def model_label(self) -> str:
        """Label of the embedder's model: its name and the start of its fingerprint."""
        return label_of(self.embedder.model)

    def warm_up(self) -> None:
        """Load both models now, one after the other.

        Inference can hang if OpenVINO has compiled two nets at the same time in two threads.
        """
        width, height = self.embedder.model.manifest.input_size
        self.embedder.embed_crops(np.zeros((1, height, width, 3), np.uint8))  # its net is loaded at the first use
        _ = self.detector

    def find(self, image: Image) -> tuple[Faces, Float32Array]:
        """Detect and embed the faces of one image.

        Parameters
        ----------
        image : (H, W, 3) uint8
            RGB.

        Returns
        -------
        Faces
            The faces, best first.
        (n, D) float32
            Their vectors, of unit length.

        Raises
        ------
        ModelError
            The weights of the detector cannot be found.
        ModelNotFoundError
            No embedder is installed.
        """
        (faces,) = self.detector.detect_batch([image])
        if not len(faces):
            return faces, np.zeros((0, self.embedder.size), np.float32)
        return faces, self.embedder.embed_crops(self.embedder.crop(image, faces))


@checked
def label_of(model: ModelFolder) -> str:
    """Return the label by which galleries refer to a model: name and start of the fingerprint."""
    return f"{model.manifest.name} ({model.fingerprint[:_FINGERPRINT]})"


def model_of_label(label: str) -> ModelFolder | None:
    """Return the installed embedder with a label, found by its fingerprint; None if it is not installed."""
    from faceall.models import find_by_fingerprint

    fingerprint = label.rpartition("(")[2].rstrip(")")
    model = find_by_fingerprint(fingerprint) if len(fingerprint) == _FINGERPRINT else None
    return model if model is not None and model.manifest.kind == "embedder" else None


@checked
def known_label(name: str) -> str:
    """Return the label of the installed embedder with a name; the name itself if there is none."""
    from faceall.models import installed_models

    return next((label_of(model) for model in installed_models("embedder") if model.name == name), name)


@dataclass(frozen=True, eq=False)
class AnalysedImage:
    """An image with its faces and their vectors.

    Attributes
    ----------
    image : (H, W, 3) uint8
        RGB, upright.
    faces : Faces
        The faces, best first.
    vectors : (n, D) float32
        Their embeddings, of unit length.
    """

    image: Image
    faces: Faces
    vectors: Float32Array


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result of comparing two faces.

    Attributes
    ----------
    distance : float
        Squared L2 distance of their vectors: 0 identical, 4 opposite.
    similarity : float
        Cosine of their vectors: 1 identical, -1 opposite.
    first, second : Face
        The primary faces of the two images.
    """

    distance: float
    similarity: float
    first: Face
    second: Face


@checked
def compare_images(first: ImageSource, second: ImageSource, analyser: Analyser) -> Comparison | None:
    """Compare the primary faces of two images.

    Parameters
    ----------
    first, second : path-like, bytes or (H, W, 3) uint8
        The images, as `as_image` accepts them.
    analyser : Analyser
        The detector and the embedder.

    Returns
    -------
    Comparison or None
        None if no face was found in one of the images.

    Raises
    ------
    ImageError
        An image cannot be read.
    ModelError
        The weights of the detector cannot be found.
    ModelNotFoundError
        No embedder is installed.
    """
    chosen: list[tuple[Face, Float32Array]] = []
    for source in (first, second):
        image = as_image(source)
        (faces,) = analyser.detector.detect_batch([image])
        if not len(faces):
            return None
        primary = faces.take([primary_face(faces, image.shape)])
        crops = analyser.embedder.crop(image, primary)
        chosen.append((primary[0], analyser.embedder.embed_crops(crops)[0]))
    (face_a, vector_a), (face_b, vector_b) = chosen
    distance = float(np.sum((vector_a - vector_b) ** 2))
    return Comparison(distance, similarity(distance), face_a, face_b)


@checked
def primary_face(faces: Faces, shape: tuple[int, ...]) -> int:
    """Choose the face that an image is a portrait of: large and central.

    It has the largest value of area - 2 * (distance of its centre from the image's centre)**2.

    Parameters
    ----------
    faces : Faces
        At least one.
    shape : tuple of int
        (height, width, ...) of the image.

    Returns
    -------
    int
        Index in `faces`.
    """
    boxes = faces.boxes.astype(np.float64)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    offsets = centres - np.array([shape[1], shape[0]]) / 2
    return int(np.argmax(areas - 2 * (offsets**2).sum(axis=1)))


@checked
def make_thumbnail(image: Image, face: Face) -> bytes:
    """Encode one face with a margin around it as a square JPEG of 112 x 112 pixels."""
    x0, y0, x1, y1 = face.box.astype(np.float64)
    half = max(x1 - x0, y1 - y0, 2.0) * (0.5 + THUMBNAIL_MARGIN)
    centre_x, centre_y = (x0 + x1) / 2, (y0 + y1) / 2
    box = (centre_x - half, centre_y - half, centre_x + half, centre_y + half)
    return encode_jpeg(crop(image, box, size=(THUMBNAIL, THUMBNAIL)), _THUMBNAIL_QUALITY)
