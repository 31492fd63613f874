"""Single-shot detectors: one net that is run once per image (YuNet, SCRFD), from an installed ONNX model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from faceall.caffe.engines import CompiledNet, Engine, OnnxEngine, Precision, get_engine
from faceall.detect.boxes import are_usable, suppress
from faceall.detect.single_shot.anchor_free import Candidates
from faceall.detect.single_shot.installed import ONNX_FILE, read_graph
from faceall.detect.single_shot.onnx_file import DetectorGraph
from faceall.detect.size_rule import smallest_face
from faceall.errors import EngineError
from faceall.models import ModelFolder
from faceall.types import Faces, Float32Array, Image

MIN_SCORE = 0.6
"""Default minimum score of a face."""

_SAME_FACE = 0.3  # overlap above which two boxes show the same face
_STEP = 32  # input sides are multiples of the largest stride
_FULL_PASS = 2_000_000  # pixels
_COARSE_PASS = 640  # longest side in pixels: faces that fill a large image are too large for the full pass
_COARSE_FROM = 1200
_MAX_CANDIDATES = 5000


class SingleShotDetector:
    """Face detector with five landmarks that runs one ONNX net. Safe to call from several threads.

    The image is reduced to at most 2 million pixels. Images with a side of more than 1200 pixels are searched a second
    time at 640 pixels, for faces that are too large for the net at full size.

    Parameters
    ----------
    model : ModelFolder
        An installed detector.
    min_face : float, optional
        Side of the smallest face in pixels. For values above 20 the image is reduced accordingly. By default it follows
        the size of the image (`smallest_face`).
    min_score : float
        Minimum score of a face, 0 to 1.
    engine : str, optional
        Name of the inference engine: "openvino" or "onnxruntime". Default: the fastest that pip installs.
    precision : Precision
        Precision of the net.
    parallel : bool
        Each call of the net uses one core, for several threads that call it at the same time.

    Raises
    ------
    ModelDamagedError
        If the model's file is damaged or cannot be decoded.
    EngineError
        If the engine is missing or cannot run ONNX files.
    """

    def __init__(
        self,
        model: ModelFolder,
        *,
        min_face: float | None = None,
        min_score: float = MIN_SCORE,
        engine: str | None = None,
        precision: Precision = "float32",
        parallel: bool = False,
    ) -> None:
        self.name = model.name
        self.min_face = min_face
        self.min_score = min_score
        self._graph, data = read_graph(model)
        self._net = _compile(model, self._graph, data, get_engine(engine, parallel=parallel), precision)

    def __call__(self, image: Image) -> Faces:
        """Find the faces of one image (H, W, 3) uint8 RGB, best first."""
        smallest = smallest_face(image.shape[1], image.shape[0]) if self.min_face is None else self.min_face
        found = [self._find(image, size) for size in _pass_sizes(image, smallest, self._graph.input_size)]
        boxes, scores, landmarks = (np.concatenate(parts) for parts in zip(*found, strict=True))
        usable = are_usable(boxes, image.shape[1], image.shape[0]) & np.isfinite(landmarks).all(axis=(1, 2))
        usable &= np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1).clip(0)) >= smallest / 2
        best = np.flatnonzero(usable)
        best = best[np.argsort(-scores[best], kind="stable")[:_MAX_CANDIDATES]]
        kept = best[suppress(boxes[best], scores[best], _SAME_FACE)]
        return Faces(boxes[kept], scores[kept], landmarks[kept])

    def search(self, images: Sequence[Image]) -> list[Faces]:
        """Find the faces of several images, one after the other."""
        return [self(image) for image in images]

    def _find(self, image: Image, size: tuple[int, int]) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Run the net on the image reduced to `size`; returns boxes, scores and landmarks in pixels of the image."""
        width, height = self._graph.input_size or tuple(-(-side // _STEP) * _STEP for side in size)
        blob = _prepare(image, size, (width, height), self._graph)
        outputs = self._net({self._graph.input_name: blob})
        found: Candidates = self._graph.decode(outputs, width, height, self.min_score)
        scale = np.array([image.shape[1] / size[0], image.shape[0] / size[1]], np.float32)
        return found.boxes * np.tile(scale, 2), found.scores, found.landmarks * scale


def _compile(
    model: ModelFolder, graph: DetectorGraph, data: bytes, runner: Engine, precision: Precision
) -> CompiledNet:
    """Compile the net of a model."""
    if not isinstance(runner, OnnxEngine):
        raise EngineError(f"{model.path / ONNX_FILE}: the engine '{runner.name}' cannot run it; use openvino")
    return runner.compile_onnx(data, graph.outputs, name=model.name, precision=precision)


def _pass_sizes(image: Image, min_face: float, fixed: tuple[int, int] | None) -> Iterator[tuple[int, int]]:
    """Yield the sizes (width, height) at which an image is searched."""
    height, width = image.shape[:2]
    if fixed is not None:
        yield _scaled(width, height, min(fixed[0] / width, fixed[1] / height))
        return
    scale = min(1.0, math.sqrt(_FULL_PASS / (width * height)), 20 / min_face)
    yield _scaled(width, height, scale)
    longest = max(width, height)
    if longest * scale > _COARSE_FROM:
        yield _scaled(width, height, _COARSE_PASS / longest)


def _scaled(width: int, height: int, scale: float) -> tuple[int, int]:
    """Return the size multiplied by `scale`, at least 1 x 1."""
    return max(1, round(width * scale)), max(1, round(height * scale))


def _prepare(image: Image, size: tuple[int, int], net_size: tuple[int, int], graph: DetectorGraph) -> Float32Array:
    """Resize the image to `size`, pad it with black at the right and bottom to `net_size`, and standardise it."""
    if size != (image.shape[1], image.shape[0]):
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    mean, scale = graph.mean_and_scale
    padded = np.zeros((net_size[1], net_size[0], 3), np.uint8)
    padded[: size[1], : size[0]] = image[..., ::-1] if graph.channels == "BGR" else image
    pixels = padded.transpose(2, 0, 1)[None].astype(np.float32)
    return np.ascontiguousarray((pixels - np.float32(mean)) * np.float32(scale))
