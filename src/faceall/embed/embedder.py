"""`Embedder`: faces of a picture -> unit vectors, prepared as the model's manifest says."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceall import images
from faceall.caffe.engines import CompiledNet, Precision, compile_cached, get_engine
from faceall.caffe.files import read_net
from faceall.caffe.net import Net
from faceall.errors import ModelError
from faceall.models import EIGHT_BIT, ModelFolder, find_model
from faceall.types import Faces, Float32Array, Image

BATCH = 16
"""How many crops go through the net at once: larger batches are not faster and take more memory."""


class Embedder:
    """Turns faces into unit vectors of `size` numbers.

    model      a model's name or the path of its folder; by default the first installed one that makes `size` numbers
    size       how many numbers a vector has; by default what the environment's EMBEDDING_SIZE says, else what the
               first installed model makes
    engine     the engine that runs the net; by default the fastest that pip installs
    precision  "float32", or "auto" for 8 bits in the layers that were measured to keep the vectors (cosine to float32
               of at least 0.9999), where the processor has them

    The net is loaded at the first use, once, also when several threads ask for it at once.
    Raises ModelNotFoundError, ModelError or EngineError.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        size: int | None = None,
        *,
        engine: str | None = None,
        precision: Precision = "auto",
    ) -> None:
        wanted = size if size is not None or model is not None else _size_of_environment()
        self.model: ModelFolder = find_model(model, kind="embedder", size=wanted)
        self._engine = engine
        self._precision: Precision = precision
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Embedder('{self.model.manifest.name}', size={self.size})"

    @property
    def size(self) -> int:
        """How many numbers a vector has."""
        return int(self.model.manifest.embedding_size or 0)

    @property
    def precision(self) -> str:
        """What the net computes in on this machine: "float32", "bfloat16" or "int8" (some layers in 8 bits)."""
        return self._net.precision

    def __call__(self, image: Image, faces: Faces) -> Float32Array:
        """Embed the faces of one picture.

        image    (H, W, 3) uint8 RGB
        faces    n of them, as a Detector finds them
        returns  (n, size) float32, unit length
        """
        return self.embed_crops(self.crop(image, faces))

    def crop(self, image: Image, faces: Faces) -> npt.NDArray[np.uint8]:
        """Cut faces out of a picture as the model wants to see them.

        image    (H, W, 3) uint8 RGB
        returns  (n, height, width, 3) uint8 RGB
        """
        manifest = self.model.manifest
        width, height = manifest.input_size
        picture = (image.shape[1], image.shape[0])
        crops = np.empty((len(faces), height, width, 3), np.uint8)
        for number, region in enumerate(manifest.crop.regions(faces.boxes, picture=picture)):
            crops[number] = images.crop(image, region, size=manifest.input_size)
        return crops

    def embed_crops(self, crops: npt.NDArray[np.uint8]) -> Float32Array:
        """Embed faces that are cut out already.

        crops    (n, height, width, 3) uint8 RGB, of the model's input size
        returns  (n, size) float32, unit length
        """
        width, height = self.model.manifest.input_size
        if crops.ndim != 4 or crops.shape[1:] != (height, width, 3) or crops.dtype != np.uint8:
            raise ValueError(f"crops is {crops.dtype} {crops.shape}, expected uint8 (n, {height}, {width}, 3)")
        vectors = np.empty((len(crops), self.size), np.float32)
        for start in range(0, len(crops), BATCH):
            vectors[start : start + BATCH] = self._embed_batch(crops[start : start + BATCH])
        return vectors

    def _embed_batch(self, crops: npt.NDArray[np.uint8]) -> Float32Array:
        manifest = self.model.manifest
        numbers = manifest.standardisation.apply(crops)
        if manifest.channels == "BGR":
            numbers = numbers[..., ::-1]
        blob = np.ascontiguousarray(numbers.transpose(0, 3, 1, 2))
        vectors = self._net({manifest.input_blob: blob})[manifest.output_blob].reshape(len(crops), -1)
        if vectors.shape[1] != self.size:
            raise ModelError(
                f"{manifest.name}: the net makes {vectors.shape[1]} numbers, its manifest says {self.size}: "
                "import the model again"
            )
        return _unit(vectors)

    @property
    def _net(self) -> CompiledNet:
        with self._lock:
            return self._loaded

    @cached_property
    def _loaded(self) -> CompiledNet:
        manifest = self.model.manifest
        eight_bit = manifest.files.get(EIGHT_BIT)
        precision: Precision = "int8" if self._precision == "auto" and eight_bit else self._precision
        fingerprint = f"{self.model.fingerprint} {eight_bit}"
        return compile_cached(get_engine(self._engine), fingerprint, self._read_net, [manifest.output_blob], precision)

    def _read_net(self) -> Net:
        self.model.verify()
        net = read_net(self.model.prototxt, self.model.caffemodel)
        return replace(net, ranges=self.model.ranges)


def _unit(vectors: Float32Array) -> Float32Array:
    """Rows scaled to length 1, as facenet does: x / sqrt(max(sum of squares, 1e-10))."""
    squares = np.einsum("nd,nd->n", vectors, vectors)
    lengths = np.sqrt(np.maximum(squares, np.float32(1e-10)))
    return np.asarray(vectors / lengths[:, None], np.float32)


def _size_of_environment() -> int | None:
    """The environment's EMBEDDING_SIZE, or None where it is not set. Raises ModelError for anything but a number."""
    text = os.environ.get("EMBEDDING_SIZE", "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) == 0:
        raise ModelError(f"the environment's EMBEDDING_SIZE is '{text}', expected a whole number, as 128 or 512")
    return int(text)
