"""`Detector`: three small nets, one after the other, each looking closer at what the one before let through."""

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

_REFINED, _FINAL = 24, 48  # sides of the windows of the second and third net
_SAME_FACE = 0.7  # overlap from which two boxes show the same face
_SURER = 4  # the power of its score with which a box counts
_SECOND_LOOK = 0.3
_MOST_PROPOSALS = 1_000_000
_BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_LARGEST_BATCH = {_REFINED: 128, _FINAL: 16}  # more at once fall out of the processor's cache


class Detector:
    """Finds faces with MTCNN (Zhang et al. 2016). Safe to call from several threads.

    min_face       side in pixels of the smallest face that is looked for; twice as large is about four times as fast
    thresholds     how sure each of the three nets has to be, 0 .. 1
    factor         from one size of the picture to the next smaller one, 0 .. 1
    weights        a folder that holds det1, det2 and det3; by default the files of the package mtcnn are read
    engine         what runs the nets, by name
    precision      of the nets; "auto" lets the engine choose
    max_proposals  at most this many places, the surest ones, are looked at closely: the bound on the work that one
                   picture can cause
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
        """Raises ValueError for a value out of its range, ModelError where the weights are absent or damaged."""
        self.min_face = _in_range("min_face", min_face, 12, math.inf)
        self.thresholds = tuple(_in_range("each of the thresholds", value, 0, 1) for value in thresholds)
        if len(self.thresholds) != 3:
            raise ValueError(f"thresholds has {len(self.thresholds)} numbers, expected 3")
        self.factor = _in_range("factor", factor, 0.1, 0.95)
        self.max_proposals = int(_in_range("max_proposals", min(max_proposals, _MOST_PROPOSALS), 1, math.inf))
        runner = get_engine(engine)
        self._nets = [
            compile_cached(runner, source.fingerprint, source.read, [OUTPUT], precision)
            for source in net_sources(weights)
        ]

    def __call__(self, image: Image) -> Faces:
        """Find every face in one RGB picture (H, W, 3) uint8, best first.

        Raises ValueError where the array is not such a picture.
        """
        picture = _checked(image)
        pyramid = plan_pyramid(picture.shape[1], picture.shape[0], self.min_face, self.factor)
        if not pyramid.levels:
            return Faces.empty()
        pictures = halvings(picture)
        boxes = self._propose(pictures, pyramid)  # P-Net over an image pyramid
        boxes = self._refine(pictures, boxes)  # R-Net on 24 x 24 crops
        return self._finish(pictures, boxes)  # O-Net on 48 x 48 crops, landmarks

    def detect_batch(self, images: Iterable[Image]) -> list[Faces]:
        """The faces of every picture, in order; they may differ in size.

        Several pictures are searched at a time, one in each thread: that fills the processor better than many
        threads in one small net.
        """
        pictures = [_checked(image) for image in images]
        if len(pictures) < 2:
            return [self(picture) for picture in pictures]
        with ThreadPoolExecutor(min(len(pictures), os.cpu_count() or 1)) as pool:
            return list(pool.map(self, pictures))

    def _propose(self, pictures: Sequence[Image], pyramid: Pyramid) -> Float32Array:
        least = _logit(self.thresholds[0])
        return to_square(propose(pictures, pyramid, self._nets[0], least, self.max_proposals))

    def _refine(self, pictures: Sequence[Image], boxes: Float32Array) -> Float32Array:
        boxes, found = self._judge(pictures, boxes, _REFINED, self._nets[1], self.thresholds[1])
        moved = apply_offsets(boxes, found[:, 1:5])
        return to_square(moved[suppress(moved, found[:, 0], _SAME_FACE)])

    def _finish(self, pictures: Sequence[Image], boxes: Float32Array) -> Faces:
        boxes, found = self._judge(pictures, boxes, _FINAL, self._nets[2], self.thresholds[2])
        if not len(boxes):
            return Faces.empty()
        moved, landmarks, scores = *_placed(boxes, found), _probability(found[:, 0])
        kept = suppress(moved, scores, _SAME_FACE, Overlap.SMALLER)
        moved, landmarks = _means(moved, landmarks, scores, kept)
        moved, landmarks = self._look_again(pictures, moved, landmarks)
        return Faces(moved, scores[kept], landmarks)

    def _look_again(
        self, pictures: Sequence[Image], boxes: Float32Array, landmarks: Float32Array
    ) -> tuple[Float32Array, Float32Array]:
        """Ask the last net once more, now that the faces are known better, and go a part of the way to its answer."""
        squares = to_square(boxes)
        found = run_in_batches(self._nets[2], cut_squares(pictures, squares, _FINAL), _LARGEST_BATCH[_FINAL])
        part = np.where(found[:, 0] > 0, _SECOND_LOOK, 0).astype(np.float32)
        new_boxes, new_landmarks = _placed(squares, found)
        boxes = boxes + part[:, None] * (new_boxes - boxes)
        return boxes, landmarks + part[:, None, None] * (new_landmarks - landmarks)

    def _judge(
        self, pictures: Sequence[Image], boxes: Float32Array, size: int, net: CompiledNet, threshold: float
    ) -> tuple[Float32Array, Float32Array]:
        """The boxes that `net` takes for faces, and its output for them."""
        boxes = boxes[are_usable(boxes, pictures[0].shape[1], pictures[0].shape[0])]
        found = run_in_batches(net, cut_squares(pictures, boxes, size), _LARGEST_BATCH[size])
        passed = found[:, 0] > _logit(threshold)
        return boxes[passed], found[passed]


def run_in_batches(net: CompiledNet, crops: Float32Array, largest: int) -> Float32Array:
    """What `net` says about every crop (N, 3, S, S) -> (N, outputs).

    Batches have one of few sizes, the last one filled up with blanks: an engine prepares itself for each new size.
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
    """Boxes and landmarks in pixels, from what the last net says about `squares`."""
    return apply_offsets(squares, found[:, 1:5]), place_points(squares, found[:, 5:])


def _means(
    boxes: Float32Array, landmarks: Float32Array, scores: Float32Array, kept: Int64Array
) -> tuple[Float32Array, Float32Array]:
    """For each kept box, the mean of all that nearly cover it, surer ones counting more: steadier than the best alone.

    boxes (N, 4), landmarks (N, 5, 2), scores (N,), kept (M,) -> (M, 4), (M, 5, 2)
    """
    weights = (overlaps(boxes[kept], boxes) > _SAME_FACE) * scores**_SURER
    weights /= weights.sum(axis=1, keepdims=True)
    return weights @ boxes, np.einsum("mn,nij->mij", weights, landmarks)


def _logit(probability: float) -> float:
    """What the nets give for this probability."""
    if probability <= 0 or probability >= 1:
        return math.inf if probability >= 1 else -math.inf
    return math.log(probability / (1 - probability))


def _probability(logits: Array) -> Float32Array:
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def _in_range(name: str, value: float, least: float, most: float) -> float:
    if not least <= value <= most:
        bounds = f"at least {least}" if most == math.inf else f"{least} .. {most}"
        raise ValueError(f"{name} is {value}, expected {bounds}")
    return float(value)


def _checked(image: Image) -> Image:
    picture = np.asarray(image)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ValueError(f"a picture is (H, W, 3) uint8 RGB; this array is {picture.shape} {picture.dtype}")
    return picture
