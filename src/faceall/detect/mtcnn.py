"""MTCNN: a cascade of three small nets, each refining the boxes that the previous one accepted."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from faceall.caffe.engines import CompiledNet, Precision, compile_cached, get_engine
from faceall.detect.boxes import Overlap, apply_offsets, are_usable, overlaps, place_points, suppress, to_square
from faceall.detect.crops import cut_squares, halvings
from faceall.detect.proposals import propose
from faceall.detect.pyramid import Pyramid, plan_pyramid
from faceall.detect.weights import OUTPUT, net_sources
from faceall.types import Array, Faces, Float32Array, Image, Int64Array

_REFINED, _FINAL = 24, 48  # input sides of R-Net and O-Net
_SAME_FACE = 0.7  # overlap above which two boxes show the same face
_SCORE_POWER = 4  # boxes are averaged with score ** power as weights
_SECOND_PASS = 0.3  # how far boxes and landmarks move towards the result of the second pass
_MAX_PROPOSALS = 1_000_000
_BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_LARGEST_BATCH = {_REFINED: 128, _FINAL: 16}  # larger batches do not fit the processor's cache


class Detector:
    """Face detector with five landmarks (MTCNN). Safe to call from several threads.

    Parameters
    ----------
    min_face : float
        Side of the smallest face in pixels, at least 12. Doubling it is about four times as fast.
    thresholds : sequence of three float
        Minimum probability of a face in P-Net, R-Net and O-Net, 0 to 1.
    factor : float
        Ratio of one level of the image pyramid to the next, 0.1 to 0.95.
    weights : path-like, optional
        A folder with det1, det2 and det3 (.prototxt and .caffemodel). Default: the files of the PyPI package mtcnn.
    engine : str, optional
        Name of the inference engine. Default: the fastest that pip installs.
    precision : Precision
        Precision of the nets; "auto" lets the engine choose.
    max_proposals : int
        Maximum number of proposals, best first, that are passed to R-Net. Bounds the time for one image.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    ModelError
        If the weights are missing or damaged.

    References
    ----------
    K. Zhang, Z. Zhang, Z. Li, Y. Qiao: Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
    Networks. IEEE Signal Processing Letters 23 (2016).
    """

    def __init__(
        self,
        *,
        min_face: float = 20,
        thresholds: Sequence[float] = (0.6, 0.7, 0.7),
        factor: float = 0.709,
        weights: str | Path | None = None,
        engine: str | None = None,
        precision: Precision = "auto",
        max_proposals: int = 2000,
    ) -> None:
        self.min_face = _in_range("min_face", min_face, 12, math.inf)
        self.thresholds = tuple(_in_range("each of the thresholds", value, 0, 1) for value in thresholds)
        if len(self.thresholds) != 3:
            raise ValueError(f"thresholds has {len(self.thresholds)} numbers, expected 3")
        self.factor = _in_range("factor", factor, 0.1, 0.95)
        self.max_proposals = int(_in_range("max_proposals", min(max_proposals, _MAX_PROPOSALS), 1, math.inf))
        runner = get_engine(engine)
        self._nets = [
            compile_cached(runner, source.fingerprint, source.read, [OUTPUT], precision)
            for source in net_sources(weights)
        ]

    def __call__(self, image: Image) -> Faces:
        """Find the faces of one image.

        Parameters
        ----------
        image : (H, W, 3) uint8
            RGB.

        Returns
        -------
        Faces
            Best first.

        Raises
        ------
        ValueError
            If the array has another shape or type.
        """
        image = _checked(image)
        pyramid = plan_pyramid(image.shape[1], image.shape[0], self.min_face, self.factor)
        if not pyramid.levels:
            return Faces.empty()
        scaled_images = halvings(image)
        boxes = self._propose(scaled_images, pyramid)  # P-Net over an image pyramid
        boxes = self._refine(scaled_images, boxes)  # R-Net on 24 x 24 crops
        return self._finish(scaled_images, boxes)  # O-Net on 48 x 48 crops, landmarks

    def detect_batch(self, images: Iterable[Image]) -> list[Faces]:
        """Find the faces of several images, which may differ in size.

        Each image is processed in its own thread: that uses the processor better than several threads in one small
        net.

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
        checked = [_checked(image) for image in images]
        if len(checked) < 2:
            return [self(image) for image in checked]
        with ThreadPoolExecutor(min(len(checked), os.cpu_count() or 1)) as pool:
            return list(pool.map(self, checked))

    def _propose(self, scaled_images: Sequence[Image], pyramid: Pyramid) -> Float32Array:
        """Run P-Net on the pyramid; returns squares (N, 4)."""
        least = _logit(self.thresholds[0])
        return to_square(propose(scaled_images, pyramid, self._nets[0], least, self.max_proposals))

    def _refine(self, scaled_images: Sequence[Image], boxes: Float32Array) -> Float32Array:
        """Run R-Net on the proposals; returns squares (M, 4)."""
        boxes, found = self._classify(scaled_images, boxes, _REFINED, self._nets[1], self.thresholds[1])
        moved = apply_offsets(boxes, found[:, 1:5])
        return to_square(moved[suppress(moved, found[:, 0], _SAME_FACE)])

    def _finish(self, scaled_images: Sequence[Image], boxes: Float32Array) -> Faces:
        """Run O-Net on the refined boxes and merge its results into faces."""
        boxes, found = self._classify(scaled_images, boxes, _FINAL, self._nets[2], self.thresholds[2])
        if not len(boxes):
            return Faces.empty()
        moved, landmarks, scores = *_placed(boxes, found), _probability(found[:, 0])
        kept = suppress(moved, scores, _SAME_FACE, Overlap.SMALLER)
        moved, landmarks = _means(moved, landmarks, scores, kept)
        moved, landmarks = self._second_pass(scaled_images, moved, landmarks)
        return Faces(moved, scores[kept], landmarks)

    def _second_pass(
        self, scaled_images: Sequence[Image], boxes: Float32Array, landmarks: Float32Array
    ) -> tuple[Float32Array, Float32Array]:
        """Run O-Net again on the final boxes and move a part of the way towards its result."""
        squares = to_square(boxes)
        found = run_in_batches(self._nets[2], cut_squares(scaled_images, squares, _FINAL), _LARGEST_BATCH[_FINAL])
        part = np.where(found[:, 0] > 0, _SECOND_PASS, 0).astype(np.float32)
        new_boxes, new_landmarks = _placed(squares, found)
        boxes = boxes + part[:, None] * (new_boxes - boxes)
        return boxes, landmarks + part[:, None, None] * (new_landmarks - landmarks)

    def _classify(
        self, scaled_images: Sequence[Image], boxes: Float32Array, size: int, net: CompiledNet, threshold: float
    ) -> tuple[Float32Array, Float32Array]:
        """Return the boxes that `net` accepts as faces, and its output for them."""
        boxes = boxes[are_usable(boxes, scaled_images[0].shape[1], scaled_images[0].shape[0])]
        found = run_in_batches(net, cut_squares(scaled_images, boxes, size), _LARGEST_BATCH[size])
        passed = found[:, 0] > _logit(threshold)
        return boxes[passed], found[passed]


def run_in_batches(net: CompiledNet, crops: Float32Array, largest: int) -> Float32Array:
    """Run `net` on crops, in batches of a few fixed sizes, because engines prepare for each new size.

    Parameters
    ----------
    net : CompiledNet
        The net.
    crops : (N, 3, S, S) float32
        Its inputs.
    largest : int
        Largest batch size.

    Returns
    -------
    (N, outputs) float32
    """
    found = []
    for start in range(0, len(crops), largest):
        part = crops[start : start + largest]
        size = next(size for size in _BATCHES if size >= len(part))
        filled = np.zeros((size, *part.shape[1:]), np.float32)
        filled[: len(part)] = part
        found.append(net({"data": filled if size > len(part) else part})[OUTPUT][: len(part)])
    return np.concatenate(found) if found else np.zeros((0, 15), np.float32)


def _placed(squares: Float32Array, found: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Convert the output of O-Net for `squares` to boxes and landmarks in pixels."""
    return apply_offsets(squares, found[:, 1:5]), place_points(squares, found[:, 5:])


def _means(
    boxes: Float32Array, landmarks: Float32Array, scores: Float32Array, kept: Int64Array
) -> tuple[Float32Array, Float32Array]:
    """Average each kept box with all that overlap it, weighted by score: more stable than the best alone.

    boxes (N, 4), landmarks (N, 5, 2), scores (N,), kept (M,) -> (M, 4), (M, 5, 2)
    """
    weights = (overlaps(boxes[kept], boxes) > _SAME_FACE) * scores**_SCORE_POWER
    weights /= weights.sum(axis=1, keepdims=True)
    return weights @ boxes, np.einsum("mn,nij->mij", weights, landmarks)


def _logit(probability: float) -> float:
    """Return the logit of a probability; infinite at 0 and 1."""
    if probability <= 0 or probability >= 1:
        return math.inf if probability >= 1 else -math.inf
    return math.log(probability / (1 - probability))


def _probability(logits: Array) -> Float32Array:
    """Return the probabilities of logits."""
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def _in_range(name: str, value: float, least: float, most: float) -> float:
    """Return `value`; raise ValueError if it is out of range."""
    if not least <= value <= most:
        bounds = f"at least {least}" if most == math.inf else f"{least} .. {most}"
        raise ValueError(f"{name} is {value}, expected {bounds}")
    return float(value)


def _checked(image: Image) -> Image:
    """Return the image; raise ValueError if it has another shape or type."""
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ValueError(f"expected an image (H, W, 3) uint8 RGB; this array is {array.shape} {array.dtype}")
    return array
