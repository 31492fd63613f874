"""The layer type LRN, local response normalisation across channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from faceall.caffe.layers.rules import per_channel
from faceall.caffe.layers.spec import LayerLike, LayerSpec, OptionSchema, Shapes
from faceall.caffe.onnx_graph import OnnxGraph
from faceall.errors import ShapeError, UnsupportedLayerError
from faceall.types import Array


def _shapes(layer: LayerLike, bottoms: Shapes) -> Shapes:
    if layer.option("norm_region") != "ACROSS_CHANNELS":
        raise UnsupportedLayerError(f"has norm_region: {layer.option('norm_region')}, supported is ACROSS_CHANNELS")
    if layer.option("local_size") % 2 == 0:
        raise ShapeError(f"has local_size {layer.option('local_size')}, expected an odd number")
    return per_channel(layer, bottoms)


def _operation(layer: LayerLike, bottoms: Sequence[Array], _: Sequence[Array]) -> tuple[Array, ...]:
    """Compute x / (k + alpha / n * the sum of squares over n neighbouring channels) ** beta."""
    array, count = bottoms[0], int(layer.option("local_size"))
    edges = [(0, 0)] * array.ndim
    edges[1] = (count // 2, count // 2)
    squares = np.pad(array * array, edges)
    channels = array.shape[1]
    total = sum((squares[:, first : first + channels] for first in range(count)), np.zeros((), array.dtype))
    return (array / (layer.option("k") + layer.option("alpha") / count * total) ** layer.option("beta"),)


def _onnx(graph: OnnxGraph, layer: LayerLike, bottoms: list[str]) -> list[str]:
    alpha, beta, k = (float(layer.option(name)) for name in ("alpha", "beta", "k"))
    return [graph.node("LRN", bottoms, size=int(layer.option("local_size")), alpha=alpha, beta=beta, bias=k)]


LRN = LayerSpec(
    "LRN",
    _shapes,
    _operation,
    _onnx,
    options=OptionSchema(
        "lrn_param",
        118,
        "LRNParameter",
        """
        enum NormRegion = ACROSS_CHANNELS 0, WITHIN_CHANNEL 1
        optional uint32 local_size = 1 5
        optional float alpha = 2 1
        optional float beta = 3 0.75
        optional NormRegion norm_region = 4 ACROSS_CHANNELS
        optional float k = 5 1
        optional Engine engine = 6 DEFAULT""",
        v1_number=18,
    ),
    v1_type="LRN",
)
