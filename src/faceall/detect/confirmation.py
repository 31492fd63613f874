"""Confirm covered and small faces that MTCNN's own nets reject.

The confirmation net is faceall's own. It sees each candidate with its surroundings, so that a mask, a scarf or few
pixels matter less than to MTCNN's output net, which sees the face alone. `training/confirmation` repeats its training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceall.caffe.engines import CompiledNet, Engine, Precision, compile_cached
from faceall.caffe.files import read_net
from faceall.detect.boxes import Overlap, are_usable, areas, overlaps, suppress, to_square
from faceall.detect.crops import cut_squares
from faceall.detect.nets import CascadeNet, LateNet
from faceall.detect.together import Judged, Steps
from faceall.detect.weights import OUTPUT
from faceall.models import sha256_of
from faceall.types import Array, Faces, Float32Array, Image, Int64Array

PROTOTXT, CAFFEMODEL = "confirmation.prototxt", "confirmation.caffemodel"
SIDE, CONTEXT = 48, 1.5
"""The input's side in pixels, and in sides of the candidate."""

_LARGEST_BATCH = 32
_MOST = 200  # candidates of an image, best first
_EVIDENCE, _LEAST_EVIDENCE = np.array([0.5, 1.0], np.float32), -1.5  # weights of the logits of P- and R-Net
_PORTRAIT = 0.36  # share of the shorter side of an image from which its largest face makes it a portrait
_BESIDE, _EVIDENCE_BESIDE = 0.15, 2.0  # sides of that face, and evidence, that another candidate needs
_SAME_PLACE = 0.5  # overlap above which only the better one of two candidates is looked at
_CROWDED = 0.4  # overlap with a found face above which a candidate shows that face, or a part of it
_SAME_FACE = 0.4  # overlap above which two boxes show the same face
_CERTAIN = 0.95  # score from which a face that fails a threshold is certain
_SCORE_WEIGHT, _DOUBTFUL = 1.0, -1.5  # weight of the logit of a doubtful face; least sum with the net's
_AGREE = 0.6  # overlap with the net's box below which a face is placed again
_SAME_BOX = 0.7  # overlap with a certain face above which a candidate says nothing new about its box
_INSIDE, _TRUSTED = 0.75, 3.0  # share of the smaller of two boxes inside the other, and logit, that correct a face
_PART, _OVERRULES = 0.4, 4.0  # overlap below which a box inside another is a part of it; logit that overrules a part
_STEPS, _STILL = (0.25, 0.5, 0.75, 1.0), 0.5  # shares of the way to the net's box; overlap with the old one to keep
_PLAUSIBLE, _ACCEPTED = -1.0, -1.0  # least logit of the first pass; least mean of both, less the penalty
_RATE, _PLACES = 1.0, 3.5  # logits per log of the number of places in the image, above that of a large face
_JOINT_RATE, _JOINT_PLACES = 0.5, 5.1  # the same for joint evidence
_MIRRORED = [0, 3, 2, 1, 4, 7, 8, 5, 6, 9, 10, 13, 14, 11, 12]  # the net's outputs for a mirrored crop, in place
_SIGNS = np.array([1, -1, 1, -1, 1, *(-1, 1) * 5], np.float32)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the net sees: boxes (N, 4), landmarks (N, 5, 2), logits (N,)."""

    boxes: Float32Array
    landmarks: Float32Array
    logits: Float32Array


class Confirmation:
    """The confirmation net. Safe to call from several threads.

    Parameters
    ----------
    engine : Engine
        The inference engine.
    precision : Precision
        Precision of the net.
    """

    def __init__(self, engine: Engine, precision: Precision) -> None:
        folder = Path(__file__).parent
        files = folder / PROTOTXT, folder / CAFFEMODEL

        def compiled() -> CompiledNet:
            fingerprint = " ".join(map(sha256_of, files))
            return compile_cached(engine, fingerprint, lambda: read_net(*files), [OUTPUT], precision)

        self._net = CascadeNet(LateNet(compiled, precision), largest=_LARGEST_BATCH)

    def steps(
        self,
        scaled_images: Sequence[Image],
        candidates: Float32Array,
        logits: Float32Array,
        faces: Faces,
        passed: Array,
    ) -> Steps[Faces]:
        """Check the doubtful faces, and find further ones among the candidates that MTCNN rejected.

        Parameters
        ----------
        scaled_images : sequence of (h, w, 3) uint8
            The image and its halvings.
        candidates : (N, 4) float32
            Squares that may be faces.
        logits : (N, 2) float32
            The results of P-Net and R-Net.
        faces : Faces
            The faces of the image so far.
        passed : (F,) bool
            Which of them are certain: those are kept, and candidates that show one of them are ignored, with the
            exception of a face around a certain box on an eye.

        Returns
        -------
        Steps of Faces
            A part of a search, for `run_together`: the certain faces, the doubtful ones that the net confirms, and
            further ones, best first. A certain face goes if it is a small part of a further one and looks like no face.
        """
        sure = passed | (faces.scores > _CERTAIN)
        certain, doubtful = faces.take(sure), faces.take(~sure)
        evidence = logits @ _EVIDENCE
        shape = scaled_images[0].shape
        chosen = _promising(candidates, evidence, certain, shape)
        if not len(chosen) and not len(doubtful):
            return faces
        looked_at = np.concatenate([to_square(doubtful.boxes), candidates[chosen]])
        boxes, landmarks, first = yield from self._look(scaled_images, looked_at)
        count = len(doubtful)
        values = _value_of_doubtful(doubtful.scores, first[:count])
        usable = are_usable(boxes, shape[1], shape[0])[:count]
        kept = _placed_again(doubtful, boxes[:count], landmarks[:count], usable).take(values > 0)
        seen = yield from self._look_again(scaled_images, boxes[count:], first[count:])
        certain = certain if _is_portrait(certain, shape) else _corrected(certain, seen)
        further, more_values = _further(seen, certain, kept, shape)
        certain = yield from self._without_parts(scaled_images, certain, further)
        both, values = _joined(kept, further), np.concatenate([values[values > 0], more_values])
        found = _joined(certain, both.take(suppress(both.boxes, values, _SAME_FACE, Overlap.SMALLER)))
        return found.take(np.argsort(-found.scores, kind="stable"))

    def _look_again(self, scaled_images: Sequence[Image], boxes: Float32Array, first: Float32Array) -> Steps[_Seen]:
        """Look a second time at the boxes (N, 4) of plausible candidates."""
        plausible = np.flatnonzero(first > _PLAUSIBLE)
        if not len(plausible):
            return _Seen(boxes[:0], np.zeros((0, 5, 2), np.float32), first[:0])
        plausible = plausible[suppress(boxes[plausible], first[plausible], _SAME_FACE)]
        boxes, landmarks, second = yield from self._look(scaled_images, to_square(boxes[plausible]), mirrored=True)
        usable = are_usable(boxes, scaled_images[0].shape[1], scaled_images[0].shape[0])
        logits = np.asarray((first[plausible] + second) / 2, np.float32)
        return _Seen(boxes[usable], landmarks[usable], logits[usable])

    def _without_parts(self, scaled_images: Sequence[Image], certain: Faces, further: Faces) -> Steps[Faces]:
        """Drop certain faces that are a small part of a further one, if they look like no face: an eye, glasses."""
        parts = np.flatnonzero(_parts(certain.boxes, further.boxes).any(axis=1))
        if not len(parts):
            return certain
        _, _, logits = yield from self._look(scaled_images, to_square(certain.boxes[parts]))
        return certain.take(np.delete(np.arange(len(certain)), parts[logits <= _PLAUSIBLE]))

    def _look(
        self, scaled_images: Sequence[Image], squares: Float32Array, *, mirrored: bool = False
    ) -> Steps[tuple[Float32Array, Float32Array, Float32Array]]:
        """Run the net on squares (N, 4): boxes (N, 4), landmarks (N, 5, 2), logits (N,).

        With `mirrored`, these are means of the results for the squares and for their mirror images.
        """
        centres = (squares[:, :2] + squares[:, 2:]) / 2
        sides = squares[:, 2:3] - squares[:, :1]
        wide = np.hstack([centres - CONTEXT / 2 * sides, centres + CONTEXT / 2 * sides])
        crops = cut_squares(scaled_images, wide, SIDE)
        found = yield Judged(self._net, np.concatenate([crops, crops[..., ::-1]]) if mirrored else crops)
        if mirrored:
            found = np.asarray((found[: len(crops)] + found[len(crops) :, _MIRRORED] * _SIGNS) / 2, np.float32)
        boxes = np.tile(centres, 2) + sides * found[:, 1:5]
        landmarks = centres[:, None] + sides[:, None] * found[:, 5:].reshape(-1, 5, 2)
        return boxes.astype(np.float32), landmarks.astype(np.float32), found[:, 0]


def least_refined(proposed: Float32Array) -> Float32Array:
    """Return R-Net's logit up to which candidates with P-Net's logits `proposed` (N,) are never looked at."""
    return np.asarray((_LEAST_EVIDENCE - _EVIDENCE[0] * proposed) / _EVIDENCE[1], np.float32)


def _promising(candidates: Float32Array, evidence: Array, certain: Faces, shape: tuple[int, ...]) -> Int64Array:
    """Return the numbers of the candidates (N, 4) that are worth the time, the best of each place.

    On a portrait these are only likely ones of a second large face.
    """
    largest = _largest(certain)
    if _is_portrait(certain, shape):
        likely = (candidates[:, 2] - candidates[:, 0] >= _BESIDE * largest) & (evidence > _EVIDENCE_BESIDE)
        chosen = np.flatnonzero(likely)
        limit = _CROWDED
    else:
        chosen, limit = np.flatnonzero(evidence > _LEAST_EVIDENCE), _SAME_BOX
    chosen = chosen[~(overlaps(candidates[chosen], to_square(certain.boxes)) > limit).any(axis=1)]
    return chosen[suppress(candidates[chosen], evidence[chosen], _SAME_PLACE)][:_MOST]


def _largest(faces: Faces) -> float:
    """Return the side of the largest face."""
    return float((faces.boxes[:, 2:] - faces.boxes[:, :2]).mean(axis=1).max(initial=0))


def _is_portrait(certain: Faces, shape: tuple[int, ...]) -> bool:
    """Return whether a face dominates the image."""
    return _largest(certain) > _PORTRAIT * min(shape[:2])


def _value_of_doubtful(scores: Float32Array, again: Float32Array) -> Float32Array:
    """Combine the scores (N,) of doubtful faces with the logits (N,) of the net; above 0 is a face."""
    return np.asarray(again + _SCORE_WEIGHT * np.log(scores / (1 - scores)) - _DOUBTFUL, np.float32)


def _further(seen: _Seen, certain: Faces, kept: Faces, shape: tuple[int, ...]) -> tuple[Faces, Float32Array]:
    """Return the faces that no other face shows, and by how much they are accepted."""
    values = np.asarray(seen.logits - _size_penalty(seen.boxes, shape, _RATE, _PLACES) - _ACCEPTED, np.float32)
    usable = values > 0
    beside = overlaps(seen.boxes, certain.boxes, Overlap.SMALLER) > _CROWDED
    overruled = _parts(certain.boxes, seen.boxes).T & (seen.logits > _OVERRULES)[:, None]
    usable &= ~(beside & ~overruled).any(axis=1)
    usable &= ~(overlaps(seen.boxes, kept.boxes) > _SAME_PLACE).any(axis=1)
    scores = 1 / (1 + np.exp(-values[usable] / 2))  # from 0.5: few are as certain as MTCNN's own faces
    return Faces(seen.boxes[usable], np.asarray(scores, np.float32), seen.landmarks[usable]), values[usable]


def _parts(boxes: Float32Array, others: Float32Array) -> Array:
    """Return which of some boxes (N, 4) are a small part of which others (M, 4): (N, M) bool."""
    inside = overlaps(boxes, others, Overlap.SMALLER) > _INSIDE
    return np.asarray(inside & (overlaps(boxes, others) < _PART) & (areas(boxes)[:, None] < areas(others)))


def _corrected(certain: Faces, seen: _Seen) -> Faces:
    """Move each certain face towards a larger one that the net sees there, as far as its old box still overlaps it.

    A mask or a hand misleads MTCNN into boxes of half a face.
    """
    if not len(certain) or not len(seen.boxes):
        return certain
    same = overlaps(seen.boxes, certain.boxes, Overlap.SMALLER) > _INSIDE
    rivals = same & (same.sum(axis=1, keepdims=True) == 1) & (overlaps(seen.boxes, certain.boxes) < _SAME_BOX)
    rivals &= areas(seen.boxes)[:, None] > areas(certain.boxes)
    logits = np.where(rivals, seen.logits[:, None], -np.inf)
    best, trusted = logits.argmax(axis=0), logits.max(axis=0) > _TRUSTED
    way = seen.boxes[best] - certain.boxes
    share = np.zeros(len(certain), np.float32)
    for step in _STEPS:
        near = np.diagonal(overlaps(certain.boxes + np.float32(step) * way, certain.boxes)) >= _STILL
        share[trusted & near] = step
    landmarks = certain.landmarks + share[:, None, None] * (seen.landmarks[best] - certain.landmarks)
    return Faces(certain.boxes + share[:, None] * way, certain.scores, landmarks)


def _placed_again(faces: Faces, boxes: Float32Array, landmarks: Float32Array, usable: Array) -> Faces:
    """Replace the boxes and landmarks of faces by the usable ones of the net where the two disagree."""
    apart = (np.diagonal(overlaps(faces.boxes, boxes)) < _AGREE) & usable
    return Faces(
        np.where(apart[:, None], boxes, faces.boxes),
        faces.scores,
        np.where(apart[:, None, None], landmarks, faces.landmarks),
    )


def _joined(first: Faces, second: Faces) -> Faces:
    """Return the faces of both."""
    if not len(second):
        return first
    scores = np.concatenate([first.scores, second.scores])
    boxes = np.concatenate([first.boxes, second.boxes])
    return Faces(boxes, scores, np.concatenate([first.landmarks, second.landmarks]))


def size_penalty(boxes: Array, shape: tuple[int, ...]) -> Float32Array:
    """Return how much joint evidence is missing for small boxes in large images, where chance resemblances are many.

    Parameters
    ----------
    boxes : (N, 4) float32
        x0, y0, x1, y1 in pixels.
    shape : tuple of int
        (height, width, ...) of the image.

    Returns
    -------
    (N,) float32
        Logits to subtract.
    """
    return _size_penalty(boxes, shape, _JOINT_RATE, _JOINT_PLACES)


def _size_penalty(boxes: Array, shape: tuple[int, ...], rate: float, least: float) -> Float32Array:
    """Return the logits (N,) to subtract: `rate` per log of the number of places, from `least` on."""
    sides = np.maximum(boxes[:, 2] - boxes[:, 0], 1)
    places = np.log(shape[0] * shape[1] / sides**2)
    return np.asarray(rate * np.maximum(places - least, 0), np.float32)
