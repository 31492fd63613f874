"""Decode the outputs of single-shot detectors that predict a box per grid cell: YuNet and SCRFD.

References
----------
W. Wu, H. Peng, S. Yu: YuNet: A Tiny Millisecond-level Face Detector. Machine Intelligence Research 20 (2023).
J. Guo, J. Deng, A. Lattas, S. Zafeiriou: Sample and Computation Redistribution for Efficient Face Detection.
ICLR 2022 (SCRFD).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from faceall.types import Array, Float32Array

STRIDES = (8, 16, 32)
"""Pixels between neighbouring grid cells of the three output levels."""

_MAX_LOG_SIZE = 10.0  # larger predicted sizes are nonsense and would overflow


@dataclass(frozen=True, eq=False)
class Candidates:
    """Decoded boxes before suppression.

    Attributes
    ----------
    boxes : (n, 4) float32
        x0, y0, x1, y1 in pixels of the net's input.
    scores : (n,) float32
        0 to 1.
    landmarks : (n, 5, 2) float32
        x, y in pixels of the net's input.
    """

    boxes: Float32Array
    scores: Float32Array
    landmarks: Float32Array


def decode_yunet(
    outputs: Mapping[str, Float32Array], width: int, height: int, min_score: float, strides: Sequence[int] = STRIDES
) -> Candidates:
    """Decode the outputs of YuNet.

    A cell predicts the offset of the box centre in cells, the logarithm of its size in cells, and the landmarks as
    offsets in cells. The score is the geometric mean of the class and the objectness probability.

    Parameters
    ----------
    outputs : mapping of str to array
        cls_S, obj_S (1, cells, 1), bbox_S (1, cells, 4) and kps_S (1, cells, 10) for every stride S.
    width, height : int
        Size of the net's input in pixels, multiples of the largest stride.
    min_score : float
        Cells with a lower score are ignored.
    strides : sequence of int
        The strides of the levels.

    Returns
    -------
    Candidates
    """
    parts = []
    for stride in strides:
        probabilities = [np.clip(outputs[f"{name}_{stride}"].reshape(-1), 0, 1) for name in ("cls", "obj")]
        scores = np.sqrt(probabilities[0] * probabilities[1])
        chosen = np.flatnonzero(scores >= min_score)
        cells = _cells(width, height, stride)[chosen]
        offsets = outputs[f"bbox_{stride}"].reshape(-1, 4)[chosen]
        points = outputs[f"kps_{stride}"].reshape(-1, 5, 2)[chosen]
        centres = (cells + offsets[:, :2]) * stride
        halves = np.exp(np.minimum(offsets[:, 2:], _MAX_LOG_SIZE)) * stride / 2
        boxes = np.hstack([centres - halves, centres + halves])
        parts.append((boxes, scores[chosen], (points + cells[:, None]) * stride))
    return _joined(parts)


@dataclass(frozen=True)
class ScrfdLevel:
    """Names of the outputs of one level of SCRFD.

    Attributes
    ----------
    stride : int
        Pixels between cells.
    score, box, landmarks : str
        Names of the outputs.
    """

    stride: int
    score: str
    box: str
    landmarks: str


def decode_scrfd(
    outputs: Mapping[str, Float32Array], levels: Sequence[ScrfdLevel], width: int, height: int, min_score: float
) -> Candidates:
    """Decode the outputs of SCRFD.

    An anchor predicts the distances from its centre to the four sides of the box, and the offsets of the landmarks
    from its centre, in strides. Every cell may have several anchors.

    Parameters
    ----------
    outputs : mapping of str to array
        (anchors, 1), (anchors, 4) and (anchors, 10) for every level, with or without a batch axis.
    levels : sequence of ScrfdLevel
        The levels.
    width, height : int
        Size of the net's input in pixels, multiples of the largest stride.
    min_score : float
        Anchors with a lower score are ignored.

    Returns
    -------
    Candidates
    """
    parts = []
    for level in levels:
        scores = outputs[level.score].reshape(-1)
        cells = _cells(width, height, level.stride)
        centres = np.repeat(cells, max(1, len(scores) // max(1, len(cells))), axis=0) * level.stride
        chosen = np.flatnonzero(scores >= min_score)
        centres = centres[chosen]
        distances = outputs[level.box].reshape(-1, 4)[chosen] * level.stride
        points = outputs[level.landmarks].reshape(-1, 5, 2)[chosen] * level.stride
        boxes = np.hstack([centres - distances[:, :2], centres + distances[:, 2:]])
        parts.append((boxes, scores[chosen], points + centres[:, None]))
    return _joined(parts)


def _cells(width: int, height: int, stride: int) -> Float32Array:
    """Return column and row of every grid cell (cells, 2), row by row."""
    rows, columns = np.mgrid[: height // stride, : width // stride]
    return np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float32)


def _joined(parts: Sequence[tuple[Array, Array, Array]]) -> Candidates:
    """Concatenate the levels."""
    boxes, scores, landmarks = (np.concatenate(arrays).astype(np.float32) for arrays in zip(*parts, strict=True))
    return Candidates(boxes, scores, landmarks)
