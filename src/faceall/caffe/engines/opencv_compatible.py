"""Rewrite a net into the equivalent form that OpenCV's Caffe importer reads correctly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from faceall.caffe.layers import window
from faceall.caffe.net import Layer, Net
from faceall.errors import EngineError
from faceall.types import Float32Array


def compatible(net: Net, outputs: Mapping[str, str]) -> Net:
    """Rewrite `net` for OpenCV and append one layer per output.

    OpenCV finds results by the names of layers, and so cannot return the second output of a layer.

    Parameters
    ----------
    net : Net
        The net; its weights have the shapes of `layers.LAYERS` (see `shapes.fit_weights`).
    outputs : mapping of str to str
        Name of the new layer -> blob that it returns.

    Raises
    ------
    EngineError
        The net has a layer that OpenCV would compute incorrectly without an error.
    """
    layers = tuple(
        COMPATIBLE_FORMS[layer.type](layer) if layer.type in COMPATIBLE_FORMS else layer for layer in net.layers
    )
    ends = tuple(Layer(name, "Split", (blob,), (name,)) for name, blob in outputs.items())
    return replace(net, layers=layers + ends, weights=_weights(net))


def _weights(net: Net) -> dict[str, Float32Array]:
    """Give weights without axes one axis, and undo `transpose` of matrices."""
    weights = {key: array.reshape(array.shape or (1,)) for key, array in net.weights.items()}
    for layer in net.layers:
        if layer.type == "Bias":
            terms = weights[f"{layer.name}/0"]
            weights |= {f"{layer.name}/0": np.ones_like(terms), f"{layer.name}/1": terms}
        if layer.type == "InnerProduct" and layer.option("transpose"):
            weights[f"{layer.name}/0"] = np.ascontiguousarray(weights[f"{layer.name}/0"].T)
    return weights


def _with(layer: Layer, options: Mapping[str, Any], *without: str) -> Layer:
    kept = {name: value for name, value in options.items() if name not in without}
    return layer.with_options(kept)


def _convolution(layer: Layer) -> Layer:
    """Give both sides of every option, because OpenCV ignores a pad_h without a pad_w."""
    slid = window(layer)
    return _with(layer, dict(layer.given) | _sides(slid.kernel, slid.stride, slid.pad), *_SHORT)


def _pooling(layer: Layer) -> Layer:
    """Give the method always and the window only where the pooling is not global."""
    options = dict(layer.given) | {"pool": layer.option("pool")}
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
    """Make the rule that renames an old axis option to `axis`."""

    def rename(layer: Layer) -> Layer:
        options = dict(layer.given)
        return _with(layer, options | {"axis": options[old]}, old) if old in options else layer

    return rename


def _inner_product(layer: Layer) -> Layer:
    return _with(layer, dict(layer.given), "transpose")


def _bias(layer: Layer) -> Layer:
    """Write a Scale by one with the terms as its bias, because OpenCV has no Bias."""
    if len(layer.bottoms) == 2:
        raise EngineError(
            f"layer '{layer.name}' (Bias) has a second input, which OpenCV lacks; use the engine 'openvino'"
        )
    parameters = {"scale_param": {**layer.given, "bias_term": True}}
    return replace(layer, type="Scale", parameters=parameters)


def _lrn(layer: Layer) -> Layer:
    raise EngineError(f"layer '{layer.name}' (LRN): OpenCV computes another formula; use the engine 'openvino'")


def _scale(layer: Layer) -> Layer:
    if len(layer.bottoms) == 2 and layer.option("bias_term"):
        raise EngineError(
            f"layer '{layer.name}' (Scale) has a second input and a bias, of which OpenCV would drop the bias; "
            "use the engine 'openvino'"
        )
    return layer


COMPATIBLE_FORMS: dict[str, Callable[[Layer], Layer]] = {
    "Bias": _bias,
    "Concat": _axis("concat_dim"),
    "Convolution": _convolution,
    "ConvolutionDepthwise": _convolution,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "Pooling": _pooling,
    "Scale": _scale,
    "Slice": _axis("slice_dim"),
}
"""Layer type -> the rule that rewrites it; OpenCV reads the other types correctly as they are."""
