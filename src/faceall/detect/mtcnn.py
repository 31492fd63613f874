"""MTCNN: a cascade of three small nets, each refining the boxes that the previous one accepted."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceall.caffe.engines import Precision, get_engine
from faceall.detect.boxes import Overlap, apply_offsets, are_usable, overlaps, place_points, suppress, to_square
from faceall.detect.cascade import Cascade, in_range
from faceall.detect.confirmation import Confirmation, least_refined, size_penalty
from faceall.detect.crops import cut_squares, halvings
from faceall.detect.nets import cascade_nets
from faceall.detect.proposals import propose
from faceall.detect.pyramid import Pyramid, plan_pyramid
from faceall.detect.size_rule import smallest_face
from faceall.detect.together import Judged, Steps, run_together
from faceall.types import Array, Faces, Float32Array, Image, Int64Array

_REFINED, _FINAL = 24, 48  # input sides of R-Net and O-Net
_SAME_FACE = 0.7  # overlap above which two boxes show the same face
_SCORE_POWER = 4  # boxes are averaged with score ** power as weights
_SECOND_PASS = 0.3  # how far boxes and landmarks move towards the result of the second pass
_FLOORS = (0.3, 0.05)  # thresholds of P-Net and R-Net for candidates that the confirmation net may accept
_JOINT_FLOOR = 0.2  # threshold of R-Net for candidates that may pass by joint evidence
_HIGHEST_LOGIT = 4.0  # of O-Net for the mirrored crop of a candidate that fails a threshold; rarely exceeded
_JOINT_WEIGHTS = np.array([0.08, 0.19, 0.40, 0.34], np.float32)  # of the logits of P-, R- and O-Net, and O-Net mirrored
_JOINT_BIAS = -1.27
_JOINT_THRESHOLD = 0.42
_PART_OF_A_FACE = 0.4  # overlap with a better face above which a face that fails a threshold is dropped


class MtcnnDetector:
    """Detection with MTCNN, a cascade of three nets over an image pyramid. Safe to call from several threads.

    Parameters
    ----------
    min_face : float, optional
        Side of the smallest face in pixels, at least 12. Doubling it is about four times as fast. By default it follows
        the size of the image (`smallest_face`).
    cascade : Cascade, optional
        Thresholds, pyramid and number of candidates.
    weights : path-like, optional
        A folder with det1, det2 and det3 (.prototxt and .caffemodel). Default: the files of the PyPI package mtcnn.
    engine : str, optional
        Name of the inference engine. Default: the fastest that pip installs.
    precision : Precision
        Precision of the nets; "auto" gives the faces of float32, and uses bfloat16 to reject what is no face if the
        processor computes in it.
    parallel : bool
        Each call of a net uses one core, for several threads that call the detector at the same time.

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

    name = "mtcnn"

    def __init__(
        self,
        *,
        min_face: float | None = None,
        cascade: Cascade | None = None,
        weights: str | Path | None = None,
        engine: str | None = None,
        precision: Precision = "auto",
        parallel: bool = False,
    ) -> None:
        self.min_face = None if min_face is None else in_range("min_face", min_face, 12, math.inf)
        self.cascade = cascade or Cascade()
        self._weights, self._engine, self._precision = weights, engine, precision
        self._floors = _FLOORS if self.cascade.lenient else (1.0, 1.0)
        self._parallel = parallel
        self._judged_from = min(self.cascade.thresholds[1], _JOINT_FLOOR if self.cascade.lenient else 1.0)
        runner = get_engine(engine, parallel=parallel)
        self._nets = cascade_nets(weights, runner, precision)
        exact: Precision = "float32" if precision == "auto" else precision
        self._confirmation = Confirmation(runner, exact) if self.cascade.lenient else None

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle and copy the arguments; the nets are loaded again, from the cache of compiled nets."""
        made = functools.partial(
            MtcnnDetector,
            min_face=self.min_face,
            cascade=self.cascade,
            weights=self._weights,
            engine=self._engine,
            precision=self._precision,
            parallel=self._parallel,
        )
        return made, ()

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
        """
        return self.search([image])[0]

    def search(self, images: Sequence[Image]) -> list[Faces]:
        """Find the faces of several images, each net on the crops of all; faster if they are small.

        Parameters
        ----------
        images : sequence of (H, W, 3) uint8
            RGB.

        Returns
        -------
        list of Faces
            Of each image, best first.
        """
        return run_together([self._steps(image) for image in images])

    def _steps(self, image: Image) -> Steps[Faces]:
        """Search one image."""
        width, height = image.shape[1], image.shape[0]
        smallest = smallest_face(width, height) if self.min_face is None else self.min_face
        pyramid = plan_pyramid(width, height, smallest, self.cascade.factor)
        if not pyramid.levels:
            return Faces.empty()
        scaled_images = halvings(image)
        candidates = self._propose(scaled_images, pyramid)  # P-Net over an image pyramid
        candidates = yield from self._refine(scaled_images, candidates)  # R-Net on 24 x 24 crops
        return (yield from self._finish(scaled_images, candidates))  # O-Net on 48 x 48 crops, landmarks

    def _propose(self, scaled_images: Sequence[Image], pyramid: Pyramid) -> _Candidates:
        """Run P-Net on the pyramid; returns squares with P-Net's logit."""
        least = _logit(min(self.cascade.thresholds[0], self._floors[0]))
        boxes, logits = propose(scaled_images, pyramid, self._nets[0], least, self.cascade.max_proposals)
        return _Candidates(to_square(boxes), logits[:, None])

    def _refine(self, scaled_images: Sequence[Image], candidates: _Candidates) -> Steps[_Candidates]:
        """Run R-Net on the proposals; returns squares with the logits of two nets."""
        candidates = candidates.usable(scaled_images[0].shape)
        crops = cut_squares(scaled_images, candidates.boxes, _REFINED)
        least = self._least_refined(candidates)
        found = yield Judged(self._nets[1], crops, least)
        passed = np.flatnonzero(found[:, 0] > least)
        moved = apply_offsets(candidates.boxes[passed], found[passed, 1:5])
        logits = np.column_stack([candidates.logits[passed], found[passed, 0]])
        kept = suppress(moved, logits[:, 1], _SAME_FACE)
        return _Candidates(to_square(moved[kept]), logits[kept])

    def _least_refined(self, candidates: _Candidates) -> Float32Array:
        """Return R-Net's logit (N,) up to which neither O-Net nor the confirmation net sees a candidate."""
        judged = np.full(len(candidates.boxes), _logit(self._judged_from), np.float32)
        if self._confirmation is None:
            return judged
        looked_at = np.maximum(least_refined(candidates.logits[:, 0]), _logit(self._floors[1]))
        return np.asarray(np.minimum(judged, looked_at), np.float32)

    def _finish(self, scaled_images: Sequence[Image], candidates: _Candidates) -> Steps[Faces]:
        """Run O-Net and the confirmation net on the refined boxes."""
        candidates = candidates.usable(scaled_images[0].shape)
        likely = candidates.take(candidates.logits[:, 1] > _logit(self._judged_from))
        faces, passed = yield from self._judge(scaled_images, likely)
        if self._confirmation is None:
            return faces
        return (yield from self._confirmation.steps(scaled_images, candidates.boxes, candidates.logits, faces, passed))

    def _judge(self, scaled_images: Sequence[Image], candidates: _Candidates) -> Steps[tuple[Faces, Array]]:
        """Run O-Net on the refined boxes and merge the accepted ones; also return which are certain."""
        crops = cut_squares(scaled_images, candidates.boxes, _FINAL)
        found = yield Judged(self._nets[2], crops, self._least_needed(candidates, scaled_images[0].shape))
        scores, passed = yield from self._accept(candidates, found, crops, scaled_images[0].shape)
        accepted = passed | (scores >= _JOINT_THRESHOLD) if self.cascade.lenient else passed
        if not accepted.any():
            return Faces.empty(), np.zeros(0, bool)
        scores, passed = scores[accepted], passed[accepted]
        good = self._pass_late(candidates, found)[accepted] | passed
        moved, landmarks = _placed(candidates.boxes[accepted], found[accepted])
        kept = suppress(moved, scores, _SAME_FACE, Overlap.SMALLER)
        kept = kept[passed[kept] | ~_overlap_better(moved[kept])]
        sure = (overlaps(moved[kept], moved[good], Overlap.SMALLER) > _SAME_FACE).any(axis=1)
        moved, landmarks = _means(moved, landmarks, scores, kept)
        moved, landmarks = yield from self._second_pass(scaled_images, moved, landmarks)
        return Faces(moved, scores[kept], landmarks), np.asarray(sure)

    def _pass_late(self, candidates: _Candidates, found: Float32Array) -> Array:
        """Return which candidates pass the thresholds of R- and O-Net; a better proposal may have been suppressed."""
        limits = np.array([_logit(threshold) for threshold in self.cascade.thresholds[1:]])
        return np.asarray((np.column_stack([candidates.logits[:, 1], found[:, 0]]) > limits).all(axis=1))

    def _accept(
        self, candidates: _Candidates, found: Float32Array, crops: Float32Array, shape: tuple[int, ...]
    ) -> Steps[tuple[Float32Array, Array]]:
        """Score every candidate and decide whether it passes the thresholds: (N,) float32 and (N,) bool.

        With `lenient`, the score is the joint evidence of the nets. It includes O-Net's result for the mirrored crop
        of those that fail a threshold and may still become faces.
        """
        three = np.column_stack([candidates.logits, found[:, 0]])
        limits = np.array([_logit(threshold) for threshold in self.cascade.thresholds])
        passed = np.asarray((three > limits).all(axis=1))
        if not self.cascade.lenient:
            return _probability(found[:, 0]), passed
        again = found[:, 0].copy()
        evidence = three @ _JOINT_WEIGHTS[:3] + _JOINT_BIAS - np.where(passed, 0, size_penalty(candidates.boxes, shape))
        unsure = np.flatnonzero(~passed & (evidence + _JOINT_WEIGHTS[3] * _HIGHEST_LOGIT >= _logit(_JOINT_THRESHOLD)))
        mirrored = np.ascontiguousarray(crops[unsure][..., ::-1])
        needed = (_logit(_JOINT_THRESHOLD) - evidence[unsure]) / _JOINT_WEIGHTS[3]
        again[unsure] = (yield Judged(self._nets[2], mirrored, needed.astype(np.float32)))[:, 0]
        return _probability(evidence + _JOINT_WEIGHTS[3] * again), passed

    def _least_needed(self, candidates: _Candidates, shape: tuple[int, ...]) -> Float32Array:
        """Return O-Net's logit (N,) up to which a candidate becomes no face, whatever its mirrored crop gives."""
        limits = np.array([_logit(threshold) for threshold in self.cascade.thresholds])
        least = np.where((candidates.logits > limits[:2]).all(axis=1), limits[2], np.inf)
        if self.cascade.lenient:
            evidence = candidates.logits @ _JOINT_WEIGHTS[:2] + _JOINT_BIAS - size_penalty(candidates.boxes, shape)
            missing = _logit(_JOINT_THRESHOLD) - evidence - _JOINT_WEIGHTS[3] * _HIGHEST_LOGIT
            least = np.minimum(least, missing / _JOINT_WEIGHTS[2])
        return np.asarray(least, np.float32)

    def _second_pass(
        self, scaled_images: Sequence[Image], boxes: Float32Array, landmarks: Float32Array
    ) -> Steps[tuple[Float32Array, Float32Array]]:
        """Run O-Net again on the final boxes and move a part of the way towards its result."""
        squares = to_square(boxes)
        found = yield Judged(self._nets[2], cut_squares(scaled_images, squares, _FINAL))
        part = np.where(found[:, 0] > 0, _SECOND_PASS, 0).astype(np.float32)
        new_boxes, new_landmarks = _placed(squares, found)
        boxes = boxes + part[:, None] * (new_boxes - boxes)
        return boxes, landmarks + part[:, None, None] * (new_landmarks - landmarks)


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Squares (N, 4) that may be faces, with the logits (N, nets) of the nets that they passed."""

    boxes: Float32Array
    logits: Float32Array

    def usable(self, shape: tuple[int, ...]) -> _Candidates:
        """Return the candidates that touch an image of `shape`."""
        return self.take(are_usable(self.boxes, shape[1], shape[0]))

    def take(self, chosen: Array) -> _Candidates:
        """Return the candidates that `chosen` (N,) bool selects."""
        return _Candidates(self.boxes[chosen], self.logits[chosen])


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


def _overlap_better(boxes: Float32Array) -> Array:
    """Return which boxes (N, 4), best first, cover or lie in a better one: parts of a face, not faces."""
    return np.asarray(np.triu(overlaps(boxes, boxes, Overlap.SMALLER) > _PART_OF_A_FACE, 1).any(axis=0))


def _logit(probability: float) -> float:
    """Return the logit of a probability; infinite at 0 and 1."""
    if probability <= 0 or probability >= 1:
        return math.inf if probability >= 1 else -math.inf
    return math.log(probability / (1 - probability))


def _probability(logits: Array) -> Float32Array:
    """Return the probabilities of logits."""
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)
