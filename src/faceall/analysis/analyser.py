"""From pixels to faces with vectors: the detector and the embedder, made when they are first needed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from faceall.images import ImageSource, as_image, crop, encode_jpeg
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
    """What finds faces, as `faceall.detect.Detector` does."""

    def detect_batch(self, images: Sequence[Image], /) -> list[Faces]:
        """The faces of several pictures."""


class FaceEmbedder(Protocol):
    """What turns faces into vectors, as `faceall.embed.Embedder` does."""

    @property
    def size(self) -> int:
        """Numbers per vector."""

    @property
    def model(self) -> ModelFolder:
        """The model that makes them."""

    def crop(self, image: Image, faces: Faces, /) -> Crops:
        """The parts of a picture that the net gets to see, (n, H, W, 3) uint8."""

    def embed_crops(self, crops: Crops, /) -> Float32Array:
        """(n, H, W, 3) uint8 -> (n, size) float32 of unit length."""


class Analyser:
    """A detector and an embedder; the ones that are not given are made with their defaults at first use.

    detector_name  tells the name of the default detector; None for MTCNN
    remembered  tells the label of the model that made the vectors which new ones are to be compared with; where that
                model is installed it is the default
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
        self._detector = detector
        self._embedder = embedder
        self._remembered = remembered
        self._locks = {"detector": threading.Lock(), "embedder": threading.Lock()}

    @property
    def detector(self) -> FaceDetector:
        """The detector; raises ModelError where its weights cannot be found."""
        with self._locks["detector"]:
            if self._detector is None:
                from faceall.detect import Detector

                self._detector = Detector(self.detector_name() or "mtcnn")
            return self._detector

    @property
    def embedder(self) -> FaceEmbedder:
        """The embedder; raises ModelNotFoundError where no model is installed."""
        with self._locks["embedder"]:
            if self._embedder is None:
                self._embedder = self._default_embedder()
            return self._embedder

    def use(self, embedder: FaceEmbedder) -> None:
        """Embed with this one from now on."""
        with self._locks["embedder"]:
            self._embedder = embedder

    def _default_embedder(self) -> FaceEmbedder:
        from faceall.embed import Embedder

        label = None if os.environ.get("EMBEDDING_SIZE") else self._remembered()  # a size that is asked for counts
        model = model_of_label(label) if label else None
        return Embedder(model.path if model else None)

    @property
    def model_label(self) -> str:
        """The embedder's model as a gallery remembers it: its name and the start of its fingerprint."""
        return label_of(self.embedder.model)

    def warm_up(self) -> None:
        """Load both now: first the embedder, then the detector.

        Not in two threads at once: inference can hang after OpenVINO has compiled two nets at the same moment.
        """
        width, height = self.embedder.model.manifest.input_size
        self.embedder.embed_crops(np.zeros((1, height, width, 3), np.uint8))  # its net is loaded at the first use
        _ = self.detector

    def find(self, image: Image) -> tuple[Faces, Float32Array]:
        """The faces of one picture, best first, and their vectors (n, size) float32."""
        (faces,) = self.detector.detect_batch([image])
        if not len(faces):
            return faces, np.zeros((0, self.embedder.size), np.float32)
        return faces, self.embedder.embed_crops(self.embedder.crop(image, faces))


def label_of(model: ModelFolder) -> str:
    """A model as galleries remember it."""
    return f"{model.manifest.name} ({model.fingerprint[:_FINGERPRINT]})"


def model_of_label(label: str) -> ModelFolder | None:
    """Return the installed model that a gallery remembers, found by its fingerprint."""
    from faceall.models import find_by_fingerprint

    fingerprint = label.rpartition("(")[2].rstrip(")")
    model = find_by_fingerprint(fingerprint) if len(fingerprint) == _FINGERPRINT else None
    return model if model is not None and model.manifest.kind == "embedder" else None


def known_label(name: str) -> str:
    """A model's name as galleries remember it: with its fingerprint, where a model of that name is installed."""
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
    """Two faces beside each other.

    distance    squared L2 of their vectors: 0 same, 4 opposite
    similarity  their cosine: 1 same, -1 opposite
    first, second  the faces, each the chief one of its picture
    """

    distance: float
    similarity: float
    first: Face
    second: Face


def compare_images(first: ImageSource, second: ImageSource, analyser: Analyser) -> Comparison | None:
    """The chief faces of two pictures compared; None where one of them shows no face."""
    chosen: list[tuple[Face, Float32Array]] = []
    for source in (first, second):
        image = as_image(source)
        (faces,) = analyser.detector.detect_batch([image])
        if not len(faces):
            return None
        chief = faces.take([primary_face(faces, image.shape)])
        crops = analyser.embedder.crop(image, chief)
        chosen.append((chief[0], analyser.embedder.embed_crops(crops)[0]))
    (face_a, vector_a), (face_b, vector_b) = chosen
    distance = float(np.sum((vector_a - vector_b) ** 2))
    return Comparison(distance, similarity(distance), face_a, face_b)


def primary_face(faces: Faces, shape: tuple[int, ...]) -> int:
    """The number of the face that a portrait is of: large and central, area - 2 * (distance from the centre)**2.

    shape  (height, width, ...) of the picture; there has to be a face
    """
    boxes = faces.boxes.astype(np.float64)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    offsets = centres - np.array([shape[1], shape[0]]) / 2
    return int(np.argmax(areas - 2 * (offsets**2).sum(axis=1)))


def make_thumbnail(image: Image, face: Face) -> bytes:
    """A square JPEG of one face with some of what is around it."""
    x0, y0, x1, y1 = face.box.astype(np.float64)
    half = max(x1 - x0, y1 - y0, 2.0) * (0.5 + THUMBNAIL_MARGIN)
    centre_x, centre_y = (x0 + x1) / 2, (y0 + y1) / 2
    box = (centre_x - half, centre_y - half, centre_x + half, centre_y + half)
    return encode_jpeg(crop(image, box, size=(THUMBNAIL, THUMBNAIL)), _THUMBNAIL_QUALITY)
