"""A net as OpenCV's Caffe importer understands it: the same meaning, spelled in the one way that it reads rightly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from faceall.caffe.net import Layer, Net
from faceall.caffe.schema import PARAMETER_FIELDS
from faceall.caffe.window import window
from faceall.errors import EngineError
from faceall.types import Float32Array


def spell(net: Net, outputs: Mapping[str, str]) -> Net:
    """`net` for OpenCV, with one more layer for each of `outputs`, name of the layer -> blob that it gives.

    OpenCV knows results by the names of layers, which cannot name the second top of one. The weights must have
    the shapes of `shapes.WEIGHT_SHAPES`. Raises EngineError for what OpenCV would compute wrongly without a word.
    """
    layers = tuple(SPELLINGS[layer.type](layer) if layer.type in SPELLINGS else layer for layer in net.layers)
    ends = tuple(Layer(name, "Split", (blob,), (name,)) for name, blob in outputs.items())
    return replace(net, layers=layers + ends, weights=_weights(net))


def _weights(net: Net) -> dict[str, Float32Array]:
    """A blob without axes gets one; a transposed matrix is turned back."""
    weights = {key: array.reshape(array.shape or (1,)) for key, array in net.weights.items()}
    for layer in net.layers:
        if layer.type == "InnerProduct" and layer.option("transpose"):
            weights[f"{layer.name}/0"] = np.ascontiguousarray(weights[f"{layer.name}/0"].T)
    return weights


def _options(layer: Layer) -> dict[str, Any]:
    return dict(layer.parameters.get(PARAMETER_FIELDS[layer.type], {}))


def _with(layer: Layer, options: Mapping[str, Any], *without: str) -> Layer:
    kept = {name: value for name, value in options.items() if name not in without}
    return replace(layer, parameters={**layer.parameters, PARAMETER_FIELDS[layer.type]: kept})


def _convolution(layer: Layer) -> Layer:
    """Both sides of everything, as OpenCV passes over a pad_h without a pad_w."""
    slid = window(layer)
    return _with(layer, _options(layer) | _sides(slid.kernel, slid.stride, slid.pad), *_SHORT)


def _pooling(layer: Layer) -> Layer:
    """The method is always named; a global one has no window."""
    options = _options(layer) | {"pool": layer.option("pool")}
    if layer.option("global_pooling"):
        return _with(layer, {"pool": options["pool"], "global_pooling": True})
    slid = window(layer)
    return _with(layer, options | _sides(slid.kernel, slid.stride, slid.pad), *_SHORT)


_SHORT = ("kernel_size", "stride", "pad")


def _sides(*pairs: tuple[int, int]) -> dict[str, int]:
    names = ("kernel", "stride", "pad")
    return {
        f"{name}_{side}": size
        for name, pair in zip(names, pairs, strict=True)
        for side, size in zip(("h", "w"), pair, strict=True)
    }


def _axis(old: str) -> Callable[[Layer], Layer]:
    """The axis under its new name."""

    def rename(layer: Layer) -> Layer:
        options = _options(layer)
        return _with(layer, options | {"axis": options[old]}, old) if old in options else layer

    return rename


def _inner_product(layer: Layer) -> Layer:
    return _with(layer, _options(layer), "transpose")


def _scale(layer: Layer) -> Layer:
    if len(layer.bottoms) == 2 and layer.option("bias_term"):
        raise EngineError(
            f"layer '{layer.name}' (Scale) has a second input and a bias, of which OpenCV would drop the bias; "
            "use the engine 'openvino'"
        )
    return layer


SPELLINGS: dict[str, Callable[[Layer], Layer]] = {
    "Concat": _axis("concat_dim"),
    "Convolution": _convolution,
    "ConvolutionDepthwise": _convolution,
    "InnerProduct": _inner_product,
    "Pooling": _pooling,
    "Scale": _scale,
    "Slice": _axis("slice_dim"),
}
"""Layer type -> the layer as OpenCV reads it rightly."""
