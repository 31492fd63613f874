"""Rewrite layer types that only some versions of Caffe have with layers that all of them have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from faceall.caffe.layers import clip_limits
from faceall.caffe.net import Layer, Net
from faceall.caffe.shapes import infer_shapes


def portable(net: Net) -> Net:
    """Rewrite Axpy, Clip and Swish, which BVLC's release 1.0 and OpenCV lack.

    Raises
    ------
    UnsupportedLayerError, NetFormatError, ShapeError
        As `shapes.infer_shapes` does.
    """
    if not any(layer.type in _RULES for layer in net.layers):
        return net
    ranks = {blob: len(shape) for blob, shape in infer_shapes(net).items()}
    layers: list[Layer] = []
    for layer in net.layers:
        layers += _RULES[layer.type](layer, ranks[layer.bottoms[0]]) if layer.type in _RULES else [layer]
    return replace(net, layers=tuple(layers))


def _step(layer: Layer, part: str, kind: str, bottoms: tuple[str, ...], **options: object) -> Layer:
    name = f"{layer.name}@{part}"
    step = Layer(name, kind, bottoms, (name,))
    return step.with_options(options) if options else step


def _clip(layer: Layer, _: int) -> list[Layer]:
    """Write y = relu(x - low), then y - relu(y - (high - low)) + low; y is the output, also of a layer in place."""
    low, high = clip_limits(layer)
    (top,) = layer.tops
    excess = _step(layer, "excess", "Power", layer.tops, shift=low - high)
    return [
        Layer(f"{layer.name}@shifted", "Power", layer.bottoms, layer.tops).with_options({"shift": -low}),
        Layer(f"{layer.name}@above", "ReLU", layer.tops, layer.tops),
        excess,
        Layer(f"{layer.name}@cut", "ReLU", excess.tops, excess.tops),
        Layer(f"{layer.name}@limited", "Eltwise", (top, *excess.tops), layer.tops).with_options({"coeff": [1.0, -1.0]}),
        Layer(layer.name, "Power", layer.tops, layer.tops).with_options({"shift": low}),
    ]


def _swish(layer: Layer, _: int) -> list[Layer]:
    """Write x * sigmoid(beta * x)."""
    scaled = _step(layer, "scaled", "Power", layer.bottoms, scale=layer.option("beta"))
    gate = _step(layer, "sigmoid", "Sigmoid", scaled.tops)
    last = Layer(layer.name, "Eltwise", (*layer.bottoms, *gate.tops), layer.tops)
    return [scaled, gate, last.with_options({"operation": "PROD"})]


def _axpy(layer: Layer, rank: int) -> list[Layer]:
    """Write Scale by the factors (N, C), then a sum."""
    factors, first, second = layer.bottoms
    flat = [_step(layer, "flat", "Flatten", (factors,))] if rank > 2 else []
    scaled = _step(layer, "scaled", "Scale", (first, flat[0].tops[0] if flat else factors), axis=0)
    last = Layer(layer.name, "Eltwise", (*scaled.tops, second), layer.tops)
    return [*flat, scaled, last.with_options({"operation": "SUM"})]


_RULES: dict[str, Callable[[Layer, int], list[Layer]]] = {"Axpy": _axpy, "Clip": _clip, "Swish": _swish}
"""Layer type -> the function that rewrites a layer, given the number of axes of its first input."""
