"""Run a net in plain NumPy: the measure of every other engine, and the finder of the first layer that differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from faceall.caffe.checks import checked_inputs
from faceall.caffe.net import Net
from faceall.caffe.operations import OPERATIONS
from faceall.caffe.shapes import layer_blobs
from faceall.types import Array


def run_all(net: Net, inputs: Mapping[str, Array], *, dtype: type[np.floating[Any]] = np.float64) -> dict[str, Array]:
    """Every blob of `net` by name, in the order of execution; one written in place has its last value.

    inputs  every input blob of the net, (N, C, H, W) or what the net takes, any number type
    dtype   what is computed in, and the dtype of the result

    Raises ShapeError, NetFormatError or UnsupportedLayerError, which name the layer, as `shapes.infer_shapes` does.
    """
    blobs: dict[str, Array] = {name: array.astype(dtype) for name, array in checked_inputs(net, inputs).items()}
    for layer in net.layers:
        if layer.type == "Input":
            continue
        bottoms = [blobs[name] for name in layer.bottoms]
        weights = layer_blobs(net, layer, tuple(bottom.shape for bottom in bottoms))
        tops = OPERATIONS[layer.type](layer, bottoms, [blob.astype(dtype) for blob in weights])
        blobs.update(zip(layer.tops, tops, strict=True))
    return blobs
