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
    """Write high - relu(high - low - relu(x - low)), each step in place: Caffe refuses a blob that is written twice."""
    low, high = clip_limits(layer)

    def step(part: str, kind: str, **options: float) -> Layer:
        made = Layer(f"{layer.name}@{part}", kind, layer.tops, layer.tops)
        return made.with_options(options) if options else made

    return [
        replace(step("shifted", "Power", shift=-low), bottoms=layer.bottoms),
        step("above", "ReLU"),
        step("turned", "Power", scale=-1.0, shift=high - low),
        step("below", "ReLU"),
        replace(step("", "Power", scale=-1.0, shift=high), name=layer.name),
    ]


def _swish(layer: Layer, _: int) -> list[Layer]:
    """Write x * sigmoid(beta * x)."""
    scaled = _step(layer, "scaled", "Power", layer.bottoms, scale=layer.option("beta"))
    factor = _step(layer, "sigmoid", "Sigmoid", scaled.tops)
    last = Layer(layer.name, "Eltwise", (*layer.bottoms, *factor.tops), layer.tops)
    return [scaled, factor, last.with_options({"operation": "PROD"})]


def _axpy(layer: Layer, rank: int) -> list[Layer]:
    """Write Scale by the factors (N, C), then a sum."""
    factors, first, second = layer.bottoms
    flat = [_step(layer, "flat", "Flatten", (factors,))] if rank > 2 else []
    scaled = _step(layer, "scaled", "Scale", (first, flat[0].tops[0] if flat else factors), axis=0)
    last = Layer(layer.name, "Eltwise", (*scaled.tops, second), layer.tops)
    return [*flat, scaled, last.with_options({"operation": "SUM"})]


_RULES: dict[str, Callable[[Layer, int], list[Layer]]] = {"Axpy": _axpy, "Clip": _clip, "Swish": _swish}
"""Layer type -> the function that rewrites a layer, given the number of axes of its first input."""
