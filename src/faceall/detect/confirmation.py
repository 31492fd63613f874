"""Confirm covered and small faces that MTCNN's own nets reject.

The confirmation net is faceall's own. It sees each candidate with its surroundings, so that a mask, a scarf or few
pixels matter less than to MTCNN's output net, which sees the face alone. `training/confirmation` repeats its training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from faceall.caffe.engines import CompiledNet, Engine, Precision, compile_cached
from faceall.caffe.files import read_net
from faceall.detect.batches import run_in_batches
from faceall.detect.boxes import Overlap, are_usable, overlaps, suppress, to_square
from faceall.detect.crops import cut_squares
from faceall.detect.nets import LateNet
from faceall.detect.weights import OUTPUT
from faceall.models import sha256_of
from faceall.types import Array, Faces, Float32Array, Image

PROTOTXT, CAFFEMODEL = "confirmation.prototxt", "confirmation.caffemodel"
SIDE, CONTEXT = 48, 1.5
"""The input's side in pixels, and in sides of the candidate."""

_LARGEST_BATCH = 32
_MOST = 200  # candidates of an image, best first
_EVIDENCE, _LEAST_EVIDENCE = np.array([0.5, 1.0], np.float32), -1.5  # weights of the logits of P- and R-Net
_PORTRAIT = 1 / 4  # share of the shorter side of an image from which its largest face makes it a portrait
_BESIDE, _EVIDENCE_BESIDE = 1 / 2, 0.5  # sides of that face, and evidence, that another candidate needs
_SAME_PLACE = 0.5  # overlap above which only the better one of two candidates is looked at
_CROWDED = 0.4  # overlap with a found face above which a candidate shows that face, or a part of it
_SAME_FACE = 0.4  # overlap above which two boxes show the same face
_PLAUSIBLE, _ACCEPTED = 0.0, 4.0  # least logit of the first pass; least mean of both, less the penalty
_PENALTY, _PLACES = 0.5, 5.1  # logits per log of the number of places in the image, above that of a small photo


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

        self._net = LateNet(compiled, precision)

    def __call__(
        self, scaled_images: Sequence[Image], candidates: Float32Array, logits: Float32Array, faces: Faces
    ) -> Faces:
        """Find further faces among the candidates that MTCNN rejected.

        Parameters
        ----------
        scaled_images : sequence of (h, w, 3) uint8
            The image and its halvings.
        candidates : (N, 4) float32
            Squares that may be faces.
        logits : (N, 2) float32
            The results of P-Net and R-Net.
        faces : Faces
            The faces of the image so far; candidates that show one of them are ignored.

        Returns
        -------
        Faces
            The further faces, best first.
        """
        shape = scaled_images[0].shape
        evidence = logits @ _EVIDENCE
        chosen = np.flatnonzero(_are_promising(candidates, evidence, faces, shape))
        chosen = chosen[~(overlaps(candidates[chosen], to_square(faces.boxes)) > _CROWDED).any(axis=1)]
        if not len(chosen):
            return Faces.empty()
        chosen = chosen[suppress(candidates[chosen], evidence[chosen], _SAME_PLACE)][:_MOST]
        boxes, _, first = self._look(scaled_images, candidates[chosen])
        kept = np.flatnonzero(first > _PLAUSIBLE)
        if not len(kept):
            return Faces.empty()
        kept = kept[suppress(boxes[kept], first[kept], _SAME_FACE)]
        boxes, landmarks, second = self._look(scaled_images, to_square(boxes[kept]))
        mean = np.asarray((first[kept] + second) / 2 - size_penalty(boxes, shape), np.float32)
        usable = are_usable(boxes, shape[1], shape[0]) & (mean > _ACCEPTED)
        usable &= ~(overlaps(boxes, faces.boxes, Overlap.SMALLER) > _CROWDED).any(axis=1)
        kept = np.flatnonzero(usable)
        kept = kept[suppress(boxes[kept], mean[kept], _SAME_FACE, Overlap.SMALLER)]
        scores = 1 / (1 + np.exp(_ACCEPTED - mean[kept]))  # from 0.5: few are as certain as MTCNN's own faces
        return Faces(boxes[kept], np.asarray(scores, np.float32), landmarks[kept])

    def _look(
        self, scaled_images: Sequence[Image], squares: Float32Array
    ) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Run the net on squares (N, 4): boxes (N, 4), landmarks (N, 5, 2), logits (N,)."""
        centres = (squares[:, :2] + squares[:, 2:]) / 2
        sides = squares[:, 2:3] - squares[:, :1]
        wide = np.hstack([centres - CONTEXT / 2 * sides, centres + CONTEXT / 2 * sides])
        found = run_in_batches(self._net, cut_squares(scaled_images, wide, SIDE), _LARGEST_BATCH)
        boxes = np.tile(centres, 2) + sides * found[:, 1:5]
        landmarks = centres[:, None] + sides[:, None] * found[:, 5:].reshape(-1, 5, 2)
        return boxes.astype(np.float32), landmarks.astype(np.float32), found[:, 0]


def _are_promising(candidates: Float32Array, evidence: Array, faces: Faces, shape: tuple[int, ...]) -> Array:
    """Return which candidates (N, 4) are worth the time: on a portrait only likely ones of a second large face."""
    largest = float((faces.boxes[:, 2:] - faces.boxes[:, :2]).mean(axis=1).max(initial=0))
    if largest <= _PORTRAIT * min(shape[:2]):
        return np.asarray(evidence > _LEAST_EVIDENCE)
    return np.asarray((candidates[:, 2] - candidates[:, 0] >= _BESIDE * largest) & (evidence > _EVIDENCE_BESIDE))


def size_penalty(boxes: Array, shape: tuple[int, ...]) -> Float32Array:
    """Return how much evidence is missing for small boxes in large images, where chance resemblances are many.

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
    sides = np.maximum(boxes[:, 2] - boxes[:, 0], 1)
    places = np.log(shape[0] * shape[1] / sides**2)
    return np.asarray(_PENALTY * np.maximum(places - _PLACES, 0), np.float32)
