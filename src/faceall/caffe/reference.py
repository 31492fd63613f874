"""Run a net in plain NumPy: the reference of every other engine, with every blob of every layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from faceall.caffe.checks import checked_inputs
from faceall.caffe.layers import LAYERS
from faceall.caffe.net import Net
from faceall.caffe.shapes import layer_blobs
from faceall.types import Array


def run_all(net: Net, inputs: Mapping[str, Array], *, dtype: type[np.floating[Any]] = np.float64) -> dict[str, Array]:
    """Compute every blob of a net.

    Parameters
    ----------
    net : Net
        The net with its weights.
    inputs : mapping of str to array
        Every input blob, of any number type and of a shape that the net takes, as (N, C, H, W).
    dtype : floating type
        The type of the computation and of the result.

    Returns
    -------
    dict of str to array
        Every blob, in the order of execution; one that is written in place has its last value.

    Raises
    ------
    ShapeError, NetFormatError, UnsupportedLayerError
        As `shapes.infer_shapes` does.
    """
    blobs: dict[str, Array] = {name: array.astype(dtype) for name, array in checked_inputs(net, inputs).items()}
    for layer in net.layers:
        if layer.type == "Input":
            continue
        bottoms = [blobs[name] for name in layer.bottoms]
        weights = layer_blobs(net, layer, tuple(bottom.shape for bottom in bottoms))
        tops = LAYERS[layer.type].operation(layer, bottoms, [blob.astype(dtype) for blob in weights])
        blobs.update(zip(layer.tops, tops, strict=True))
    return blobs
