"""The first stage: everything in a picture, at any size, that might be a face."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from faceall.caffe.engines import CompiledNet
from faceall.detect.boxes import apply_offsets, suppress
from faceall.detect.pyramid import STRIDE, WINDOW, Pyramid, draw_pyramid, strips
from faceall.detect.weights import OUTPUT
from faceall.types import Array, Float32Array, Image

_SAME_PLACE, _SAME_THING = 0.5, 0.7  # overlap within a level, and across levels


def propose(pictures: Sequence[Image], pyramid: Pyramid, net: CompiledNet, least: float, most: int) -> Float32Array:
    """The boxes (N, 4) of a picture whose logit is above `least`; at most `most`, best first.

    pictures  the picture and its halvings
    pyramid   the plan for it
    """
    if not pyramid.levels:
        return np.zeros((0, 4), np.float32)
    canvas = draw_pyramid(pictures, pyramid)
    found = [_cells_of_strip(net, canvas, pyramid, start, end, least) for start, end in strips(pyramid)]
    cells, logits, offsets, owners = (np.concatenate(parts) for parts in zip(*found, strict=True))
    best = np.argsort(-logits, kind="stable")[: 2 * most]
    logits, owners = logits[best], owners[best]
    boxes = _boxes_of_cells(cells[best], offsets[best], owners, pyramid)
    span = np.float32(2 * max(pictures[0].shape))
    within_levels = suppress(boxes + span * owners[:, None], logits, _SAME_PLACE)  # levels moved apart
    boxes, logits = boxes[within_levels], logits[within_levels]
    return np.asarray(boxes[suppress(boxes, logits, _SAME_THING)[:most]], np.float32)


def _cells_of_strip(
    net: CompiledNet, canvas: Image, pyramid: Pyramid, start: int, end: int, least: float
) -> tuple[Array, Array, Array, Array]:
    """The promising cells of the canvas rows `start` .. `end`: row and column, logit, offsets, level."""
    pixels = np.ascontiguousarray(canvas[start:end].transpose(2, 0, 1), np.float32)[None]
    output = net({"data": pixels})[OUTPUT][0]
    row = start // STRIDE
    owners = pyramid.owners[row : row + output.shape[1], : output.shape[2]]
    logits = np.where(owners >= 0, output[0, : owners.shape[0], : owners.shape[1]], -np.inf).astype(np.float32)
    peaks = (logits > least) & (logits >= cv2.dilate(logits, np.ones((3, 3), np.uint8)))
    rows, columns = np.nonzero(peaks)
    cells = np.stack([columns, rows + row], axis=1)
    return cells, logits[rows, columns], output[1:, rows, columns].T, owners[rows, columns]


def _boxes_of_cells(cells: Array, offsets: Array, owners: Array, pyramid: Pyramid) -> Float32Array:
    """The windows of `cells` (N, 2) in the picture's pixels, moved by their offsets (N, 4)."""
    scales = pyramid.scales[owners, None]
    corners = (STRIDE * cells - pyramid.corners[owners] + 1) / scales  # without the window's first row and column,
    windows = np.hstack([corners, corners + (WINDOW - 1) / scales])  # as everyone has it who uses these weights
    return apply_offsets(windows, offsets)
