"""Run a net on many crops, in batches of a few fixed sizes."""

from __future__ import annotations

import numpy as np

from faceall.caffe.engines import CompiledNet
from faceall.detect.weights import OUTPUT
from faceall.types import Float32Array

_BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)


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
