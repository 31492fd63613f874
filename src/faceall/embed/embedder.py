"""Embedder: faces of an image to unit vectors, preprocessed as the model's manifest says."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceall.arguments import checked, checked_methods
from faceall.caffe.engines import CompiledNet, Precision, get_engine
from faceall.embed.cutting import cut_faces
from faceall.embed.nets import compile_model
from faceall.embed.portrait import portraits
from faceall.embed.precision import PrecisionChoice, choose_precision, supported_precisions
from faceall.errors import ArgumentError, ModelError, ModelNotFoundError, SettingError
from faceall.models import EIGHT_BIT, ModelFolder, find_by_fingerprint, find_model
from faceall.native import ForkSafeLock, native_call
from faceall.types import Faces, Float32Array, Image

BATCH = 16
"""Number of crops per batch: larger batches are not faster and need more memory."""


@checked_methods
class Embedder:
    """Compute face embeddings. Safe to call from several threads and after a fork; can be pickled.

    The net is loaded once, at the first use.

    Parameters
    ----------
    model : str or path-like, optional
        The name of an installed model or the path of a model folder. Default: the first installed embedder with
        `size` dimensions.
    size : int, optional
        Dimension of the embeddings. Default: the environment variable EMBEDDING_SIZE if it is set, otherwise that of
        the first installed embedder.
    engine : str, optional
        Name of the inference engine. Default: the fastest that pip installs.
    precision : Precision
        "float32", or "auto" to compute in 8 bits the layers for which this was measured to preserve the embeddings
        (cosine to float32 of at least 0.9999), if the processor supports it.

    Raises
    ------
    ModelNotFoundError
        If no such model is installed.
    ModelError
        If the model folder is invalid, or the model has another dimension than `size`.
    SettingError
        If the environment variable EMBEDDING_SIZE is not a positive integer.
    ArgumentError
        If `size` is not a positive integer.
    EngineError
        If the engine is missing.
    """

    @checked
    def __init__(
        self,
        model: str | Path | None = None,
        size: int | None = None,
        *,
        engine: str | None = None,
        precision: Precision = "auto",
    ) -> None:
        if size is not None and (isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1):
            raise ArgumentError(f"size is {size!r} ({type(size).__name__}), expected a positive integer such as 128")
        wanted = size if size is not None or model is not None else _size_of_environment()
        self.model: ModelFolder = find_model(model, kind="embedder", size=wanted)
        self._engine = engine
        self._precision: Precision = precision
        self._lock = ForkSafeLock()

    def __repr__(self) -> str:
        return f"Embedder('{self.model.manifest.name}', size={self.size})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle and copy the model's place and identity; the net is loaded again, from the cache of compiled nets."""
        return _restored, (self.model.path.absolute(), self.model.fingerprint, self._engine, self._precision)

    @property
    def is_automatic(self) -> bool:
        """Whether engine and precision are chosen automatically, as without these arguments."""
        return self._engine is None and self._precision == "auto"

    @property
    def size(self) -> int:
        """Dimension of the embeddings."""
        return int(self.model.manifest.embedding_size or 0)

    @property
    def precision(self) -> str:
        """Precision of the net on this machine: "float32", "bfloat16" or "int8" (some layers in 8 bits)."""
        return self._net.precision

    def __call__(
        self,
        image: Image,
        faces: Faces | None = None,
        *,
        boxes: npt.ArrayLike | None = None,
        landmarks: npt.ArrayLike | None = None,
    ) -> Float32Array:
        """Embed the faces of one image: those of a detector, or boxes of your own.

        Parameters
        ----------
        image : (H, W, 3) uint8
            RGB.
        faces : Faces, optional
            n faces, as returned by a detector.
        boxes : (n, 4) array, optional
            Instead of `faces`: x0, y0, x1, y1 in pixels.
        landmarks : (n, 5, 2) array, optional
            With `boxes`: x, y in the order of `Face.landmarks`. A model that aligns faces needs them.

        Returns
        -------
        (n, size) float32
            Unit vectors.

        Raises
        ------
        ArgumentError
            If there are neither faces nor boxes, or both, or landmarks that the model needs are missing.
        ModelError
            If the model is damaged or does not match its manifest.
        """
        if (faces is None) == (boxes is None):
            raise ArgumentError("expected the faces of the image, or boxes= (n, 4) of your own: one of them")
        if faces is None:
            faces = self._faces_of(np.asarray(boxes, np.float32), landmarks)
        return self.embed_crops(self.crop(image, faces))

    def _faces_of(self, boxes: Float32Array, landmarks: npt.ArrayLike | None) -> Faces:
        """Return boxes of the caller as faces."""
        boxes = boxes[None] if boxes.ndim == 1 else boxes
        if landmarks is None:
            if self.model.manifest.alignment is not None:
                name = self.model.manifest.name
                raise ArgumentError(f"{name} aligns faces by their landmarks: pass landmarks= (n, 5, 2) beside boxes=")
            landmarks = np.zeros((len(boxes), 5, 2), np.float32)
        points = np.asarray(landmarks, np.float32).reshape(-1, 5, 2)
        return Faces(boxes, np.ones(len(boxes), np.float32), points)

    @native_call
    def crop(self, image: Image, faces: Faces) -> npt.NDArray[np.uint8]:
        """Crop faces as the model expects them.

        Parameters
        ----------
        image : (H, W, 3) uint8
            RGB.
        faces : Faces
            n faces of the image.

        Returns
        -------
        (n, height, width, 3) uint8
            RGB, in the input size of the model.

        Raises
        ------
        ArgumentError
            If the image is not uint8 RGB, or `faces` is no `Faces`.
        """
        if getattr(image, "ndim", 0) != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise ArgumentError(f"image is {found}, expected uint8 (H, W, 3) in RGB; images.as_image converts others")
        if not isinstance(faces, Faces):
            raise ArgumentError(f"faces is {type(faces).__name__}, expected Faces, as a detector returns them")
        manifest = self.model.manifest
        return cut_faces(image, faces.boxes, faces.landmarks, manifest.framing, size=manifest.input_size)

    @native_call
    def embed_crops(self, crops: npt.NDArray[np.uint8]) -> Float32Array:
        """Embed faces that are already cropped.

        Parameters
        ----------
        crops : (n, height, width, 3) uint8
            RGB, in the input size of the model.

        Returns
        -------
        (n, size) float32
            Unit vectors.

        Raises
        ------
        ValueError
            If the crops have another shape or type.
        ModelError
            If the model is damaged or does not match its manifest.
        """
        width, height = self.model.manifest.input_size
        if crops.ndim != 4 or crops.shape[1:] != (height, width, 3) or crops.dtype != np.uint8:
            raise ArgumentError(f"crops is {crops.dtype} {crops.shape}, expected uint8 (n, {height}, {width}, 3)")
        vectors = np.empty((len(crops), self.size), np.float32)
        for start in range(0, len(crops), BATCH):
            vectors[start : start + BATCH] = self._embed_batch(crops[start : start + BATCH])
        return vectors

    def _embed_batch(self, crops: npt.NDArray[np.uint8]) -> Float32Array:
        """Standardise one batch of crops and run the net."""
        manifest = self.model.manifest
        vectors = self._net({manifest.input_blob: self._blob(crops)})[manifest.output_blob].reshape(len(crops), -1)
        if vectors.shape[1] != self.size:
            raise ModelError(
                f"{manifest.name}: the net returns {vectors.shape[1]}-dimensional vectors, its manifest says "
                f"{self.size}: import the model again"
            )
        return _unit(vectors)

    def _blob(self, crops: npt.NDArray[np.uint8]) -> Float32Array:
        """Return the net's input for crops, (n, 3, H, W) float32."""
        manifest = self.model.manifest
        pixels = manifest.standardisation.apply(crops)
        if manifest.channels == "BGR":
            pixels = pixels[..., ::-1]
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))

    @property
    def _net(self) -> CompiledNet:
        with self._lock:
            return self._loaded

    @property
    def precision_choice(self) -> PrecisionChoice:
        """The precision with what was measured on this machine; empty if there was nothing to choose."""
        with self._lock:
            return self._choice

    @cached_property
    def _loaded(self) -> CompiledNet:
        return self._compiled(self._choice.precision)

    @cached_property
    def _choice(self) -> PrecisionChoice:
        if self._precision != "auto":
            return PrecisionChoice(self._precision, {})
        engine = get_engine(self._engine)
        candidates = supported_precisions(engine, eight_bit=EIGHT_BIT in self.model.manifest.files)
        output = self.model.manifest.output_blob
        return choose_precision(engine, self._identity, candidates, self._compiled, self._samples, output)

    @property
    def _identity(self) -> str:
        """The net's identity with the layers in 8 bits."""
        return f"{self.model.fingerprint} {self.model.manifest.files.get(EIGHT_BIT)}"

    def _compiled(self, precision: Precision) -> CompiledNet:
        return compile_model(self.model, get_engine(self._engine), precision=precision, identity=self._identity)

    def _samples(self) -> dict[str, Float32Array]:
        """Return standardised faces to measure precisions on."""
        manifest = self.model.manifest
        return {manifest.input_blob: self._blob(portraits(manifest.framing, manifest.input_size, BATCH))}


def _restored(path: Path, fingerprint: str, engine: str | None, precision: Precision) -> Embedder:
    """Return an embedder that was pickled, also on a machine that has its model in another folder."""
    try:
        same = ModelFolder.open(path).fingerprint == fingerprint
    except ModelError:
        same = False
    if not same:
        found = find_by_fingerprint(fingerprint)
        if found is None:
            raise ModelNotFoundError(
                f"the embedder was pickled with the model '{path.name}' ({fingerprint[:12]}), which is not installed "
                "here: install it with faceall models import"
            )
        path = found.path
    return Embedder(path, engine=engine, precision=precision)


def _unit(vectors: Float32Array) -> Float32Array:
    """Normalise rows to length 1, as facenet does: x / sqrt(max(sum of squares, 1e-10))."""
    squares = np.einsum("nd,nd->n", vectors, vectors)
    lengths = np.sqrt(np.maximum(squares, np.float32(1e-10)))
    return np.asarray(vectors / lengths[:, None], np.float32)


def _size_of_environment() -> int | None:
    """Return the environment variable EMBEDDING_SIZE, None if it is not set; raise SettingError if it is invalid."""
    text = os.environ.get("EMBEDDING_SIZE", "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) == 0:
        raise SettingError(f"the environment variable EMBEDDING_SIZE is '{text}', expected an integer such as 512")
    return int(text)
