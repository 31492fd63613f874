"""Write Caffe's pools in TensorFlow: windows that round up, borders that count in an average."""

from __future__ import annotations

import numpy as np

from faceall.caffe.layers import Pair, Window, window
from faceall.caffe.net import Layer
from faceall.convert.tensorflow.graph_writer import GraphWriter
from faceall.types import Array


def write_pool(writer: GraphWriter, layer: Layer, x: str, name: str, size: Pair, out: Pair) -> str:
    """Write a Pooling layer on images (N, H, W, C); return its tensor.

    Parameters
    ----------
    size : Pair
        (height, width) of what it reads, in pixels.
    out : Pair
        (height, width) of what it makes in Caffe.
    """
    largest = layer.option("pool") == "MAX"
    if layer.option("global_pooling"):
        axes = writer.constant(f"{name}/axes", np.array([1, 2], np.int32))
        op = "Max" if largest else "Mean"
        return writer.node(f"{name}/{op}", op, [x, axes], keep_dims=True)
    slid, kind = window(layer), "MaxPool" if largest else "AvgPool"
    rounds_up = layer.option("round_mode") != "FLOOR"
    word = "SAME" if rounds_up and always_same(slid) else _word(slid, size, out, counts_border=not largest)
    if word:
        return writer.pool(x, name, kind, slid.kernel, slid.stride, word)
    edges = [(pad, _after(slid, axis, size, out)) for axis, pad in enumerate(slid.pad)]
    if largest:
        explicit = (0, 0, *edges[0], *edges[1], 0, 0)
        return writer.pool(x, name, kind, slid.kernel, slid.stride, "EXPLICIT", explicit)
    amounts = writer.constant(f"{name}/paddings", np.array([(0, 0), *edges, (0, 0)], np.int32))
    y = writer.pool(writer.node(f"{name}/Pad", "Pad", [x, amounts]), name, kind, slid.kernel, slid.stride)
    shares = _shares(slid, size, out)
    if np.all(shares == 1):
        return y
    return writer.node(f"{name}/Mul", "Mul", [y, writer.constant(f"{name}/shares", shares[None, :, :, None])])


def always_same(slid: Window) -> bool:
    """Return whether windows that round up are TensorFlow's SAME ones for every image size.

    They lie side by side, and at most one row or column is missing, which TensorFlow adds at the end as Caffe does.
    """
    return not slid.padded and slid.stride == slid.kernel and max(slid.kernel) <= 2


def _word(slid: Window, size: Pair, out: Pair, *, counts_border: bool) -> str:
    """Return VALID or SAME if TensorFlow then has the same windows as Caffe; empty if neither fits."""
    made = tuple((room - kernel) // stride + 1 for room, kernel, stride in _axes(slid, size))
    if not slid.padded and made == out:
        return "VALID"
    if slid.padded and counts_border:
        return ""
    same = tuple(-(-room // stride) for room, _, stride in _axes(slid, size))
    totals = [max(0, (count - 1) * stride + kernel - room) for count, (room, kernel, stride) in
              zip(same, _axes(slid, size), strict=True)]  # fmt: skip
    return "SAME" if same == out and tuple(total // 2 for total in totals) == slid.pad else ""


def _axes(slid: Window, size: Pair) -> list[tuple[int, int, int]]:
    """Return (pixels, kernel, stride) for rows and for columns."""
    return list(zip(size, slid.kernel, slid.stride, strict=True))


def _after(slid: Window, axis: int, size: Pair, out: Pair) -> int:
    """Return how far the last window reaches beyond the image."""
    return max(0, (out[axis] - 1) * slid.stride[axis] + slid.kernel[axis] - size[axis] - slid.pad[axis])


def _shares(slid: Window, size: Pair, out: Pair) -> Array:
    """Return the factors for the mean of a whole window, as Caffe counts only up to the border: (rows, columns)."""
    factors = []
    for axis in (0, 1):
        starts = np.arange(out[axis]) * slid.stride[axis] - slid.pad[axis]
        counts = np.minimum(starts + slid.kernel[axis], size[axis] + slid.pad[axis]) - starts
        factors.append(slid.kernel[axis] / counts)
    return np.outer(*factors).astype(np.float32)
