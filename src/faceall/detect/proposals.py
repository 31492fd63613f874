"""First stage of MTCNN: propose windows of any size that may contain a face (P-Net)."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from faceall.detect.boxes import apply_offsets, suppress
from faceall.detect.nets import MARGIN, CascadeNet
from faceall.detect.pyramid import STRIDE, WINDOW, Pyramid, draw_pyramid, strips
from faceall.detect.weights import OUTPUT
from faceall.types import Array, Float32Array, Image

_OVERLAP_IN_LEVEL, _OVERLAP_ACROSS_LEVELS = 0.5, 0.7  # limits of the two suppressions
_FEW = 0.02  # share of the cells above which computing all of them exactly takes no longer
_AROUND = np.ones((3, 3), np.uint8)
_memory = threading.local()
_LARGE = 1_000_000  # pixels of a canvas; in smaller ones a larger share of the cells is near the threshold


def propose(
    scaled_images: Sequence[Image], pyramid: Pyramid, net: CascadeNet, least: float, most: int
) -> tuple[Float32Array, Float32Array]:
    """Run P-Net over an image pyramid.

    Parameters
    ----------
    scaled_images : sequence of (h, w, 3) uint8
        The image and its halvings.
    pyramid : Pyramid
        The layout of the image pyramid.
    net : CascadeNet
        P-Net.
    least : float
        Minimum logit of a proposal.
    most : int
        Maximum number of proposals.

    Returns
    -------
    boxes : (N, 4) float32
        x0, y0, x1, y1 in pixels of the image, best first.
    logits : (N,) float32
        Logit of a face.
    """
    if not pyramid.levels:
        return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
    canvas = draw_pyramid(scaled_images, pyramid)
    found, helped = [], net.coarse is not None and canvas.size >= 3 * _LARGE
    for start, end in strips(pyramid):
        pixels = _as_input(canvas[start:end])
        owned = pyramid.owners[start // STRIDE :] >= 0
        output = _output_where_it_matters(net, pixels, owned, least) if helped else None
        helped = output is not None  # the next strip will be as busy as this one
        output = net.exact({"data": pixels})[OUTPUT][0] if output is None else output
        found.append(_peaks(output, pyramid, start // STRIDE, least))
    cells, logits, offsets, owners = (np.concatenate(parts) for parts in zip(*found, strict=True))
    best = np.argsort(-logits, kind="stable")[: 2 * most]
    logits, owners = logits[best], owners[best]
    boxes = _boxes_of_cells(cells[best], offsets[best], owners, pyramid)
    within_levels = suppress(boxes, logits, _OVERLAP_IN_LEVEL, groups=owners)
    boxes, logits = boxes[within_levels], logits[within_levels]
    kept = suppress(boxes, logits, _OVERLAP_ACROSS_LEVELS)[:most]
    return np.asarray(boxes[kept], np.float32), np.asarray(logits[kept], np.float32)


def _as_input(strip: Image) -> Float32Array:
    """Return a strip of a canvas (H, W, 3) as P-Net's input (1, 3, H, W), valid until the thread asks for the next.

    The system would have to clear the memory of each array again, which takes longer than writing the numbers.
    """
    height, width = strip.shape[:2]
    kept = getattr(_memory, "pixels", None)
    if kept is None or kept.size < strip.size:
        kept = _memory.pixels = np.empty(strip.size, np.float32)
    pixels: Float32Array = kept[: strip.size].reshape(1, 3, height, width)
    np.copyto(pixels[0], strip.transpose(2, 0, 1))
    return pixels


def _peaks(output: Float32Array, pyramid: Pyramid, row: int, least: float) -> tuple[Array, Array, Array, Array]:
    """Return the local maxima above `least` in the rows from `row` on: column and row, logit, offsets, level."""
    owners = pyramid.owners[row : row + output.shape[1], : output.shape[2]]
    logits = np.where(owners >= 0, output[0, : owners.shape[0], : owners.shape[1]], -np.inf).astype(np.float32)
    peaks = (logits > least) & (logits >= cv2.dilate(logits, _AROUND))
    rows, columns = np.nonzero(peaks)
    cells = np.stack([columns, rows + row], axis=1)
    return cells, logits[rows, columns], output[1:, rows, columns].T, owners[rows, columns]


def _output_where_it_matters(net: CascadeNet, pixels: Float32Array, owned: Array, least: float) -> Float32Array | None:
    """Return P-Net's output (5, rows, columns), exact where it decides on a proposal.

    Proposals are the local maxima above `least`. A cell is computed exactly if it may be one, or may exceed such a
    neighbour. The logits of others below the threshold are -inf.

    Returns None where so many cells are near the threshold that computing all of them exactly is faster.

    Parameters
    ----------
    net : CascadeNet
        P-Net.
    pixels : (1, 3, H, W) float32
        A strip of the canvas.
    owned : (rows or more, columns or more) bool
        The cells that belong to a level.
    least : float
        The threshold.
    """
    assert net.coarse is not None
    output: Float32Array = net.coarse({"data": pixels})[OUTPUT][0]
    near = output[0] > least - MARGIN
    near &= owned[: near.shape[0], : near.shape[1]]
    output[0] = np.where(near, output[0], -np.inf)
    rows, columns = np.nonzero(_deciding(output[0]))
    if len(rows) > _FEW * near.size:
        return None
    windows = sliding_window_view(pixels[0], (WINDOW, WINDOW), axis=(1, 2))[:, ::STRIDE, ::STRIDE]
    found = net.run(np.ascontiguousarray(windows[:, rows, columns].transpose(1, 0, 2, 3)))
    output[:, rows, columns] = found.reshape(len(rows), len(output)).T if len(rows) else 0
    return output


def _deciding(logits: Float32Array) -> Array:
    """Return which cells decide on the local maxima, for logits (rows, columns) within `MARGIN` of the exact ones."""
    candidates = np.isfinite(logits) & (logits >= cv2.dilate(logits, _AROUND) - 2 * MARGIN)
    weakest = cv2.erode(np.where(candidates, logits, np.float32(np.inf)), _AROUND)  # candidate around each cell
    return np.asarray(np.isfinite(logits) & (logits >= weakest - 2 * MARGIN))


def _boxes_of_cells(cells: Array, offsets: Array, owners: Array, pyramid: Pyramid) -> Float32Array:
    """Return the windows of `cells` (N, 2) in pixels of the image, moved by their offsets (N, 4)."""
    scales = pyramid.scales[owners, None]
    corners = (STRIDE * cells - pyramid.corners[owners] + 1) / scales  # without the first row and column of the
    windows = np.hstack([corners, corners + (WINDOW - 1) / scales])  # window, the convention of these weights
    return apply_offsets(windows, offsets)
