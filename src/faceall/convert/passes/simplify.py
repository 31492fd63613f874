"""Passes `Net -> Net` that run after a translation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np

from faceall.caffe.net import Layer, Net, weight_keys
from faceall.caffe.schema import PARAMETER_FIELDS
from faceall.types import Array

BatchNormStyle: TypeAlias = Literal["keep", "fold"]

_LINEAR = ("Convolution", "InnerProduct")


def apply_batch_norm(net: Net, style: BatchNormStyle) -> Net:
    """Keep batch normalisation, or fold it into the layer before.

    Raises
    ------
    ValueError
        For an unknown style.
    """
    if style == "keep":
        return net
    if style == "fold":
        return fold_scale(merge_batch_norm(net))
    raise ValueError(f"unknown batch norm style '{style}'; known: fold, keep")


def keep_output(net: Net, blob: str) -> Net:
    """Drop the layers that a blob does not depend on.

    Before   x -> a -> first result, x -> b -> second result
    After    x -> a -> first result
    """
    needed, kept = {blob}, []
    for layer in reversed(net.layers):
        if needed & set(layer.tops) or layer.type == "Input":
            needed.update(layer.bottoms)
            kept.append(layer)
    names = {layer.name for layer in kept}
    weights = {key: array for key, array in net.weights.items() if key.rpartition("/")[0] in names}
    unread = [top for layer in kept for top in layer.tops if top not in needed and layer.type != "Input"]
    silence = [Layer(f"{top}_unused", "Silence", (top,), ()) for top in unread]
    return replace(net, layers=(*reversed(kept), *silence), weights=weights)


def merge_batch_norm(net: Net) -> Net:
    """Replace each normalisation by one Scale.

    Before   x -> BatchNorm -> Scale -> y
    After    x -> Scale -> y
    """
    for layer in net.layers:
        if layer.type == "BatchNorm":
            net = _merge_one(net, layer)
    return net


def _merge_one(net: Net, layer: Layer) -> Net:
    mean, variance, *factors = (blob.astype(np.float64) for blob in net.blobs(layer.name))
    factor = float(factors[0].reshape(-1)[0]) if factors else 1.0
    unit = 0.0 if factor == 0 else 1.0 / factor
    gamma = 1.0 / np.sqrt(variance * unit + layer.option("eps"))
    beta = -mean * unit * gamma
    reader = _only_reader(net, layer.tops[0])
    last = layer
    if reader is not None and reader.type == "Scale" and len(reader.bottoms) == 1 and _is_per_channel(net, reader):
        scale, *shift = net.blobs(reader.name)
        gamma, beta, last = gamma * scale, beta * scale + (shift[0] if shift else 0.0), reader
    merged = _with_options(replace(layer, type="Scale", tops=last.tops), {"bias_term": True})
    return _replaced(net, {layer.name: merged, last.name: merged}, {layer.name: [gamma, beta]})


def fold_scale(net: Net) -> Net:
    """Fold each Scale into the convolution or product before it.

    Before   x -> Convolution -> Scale -> y
    After    x -> Convolution -> y
    """
    for layer in net.layers:
        if layer.type == "Scale" and len(layer.bottoms) == 1 and _is_per_channel(net, layer):
            source = next((other for other in net.layers if layer.bottoms[0] in other.tops), None)
            if source is not None and source.type in _LINEAR and _only_reader(net, source.tops[0]) is not None:
                net = _fold_one(net, source, layer)
    return net


def _fold_one(net: Net, source: Layer, scale: Layer) -> Net:
    weights, *bias = (blob.astype(np.float64) for blob in net.blobs(source.name))
    gamma, *beta = net.blobs(scale.name)
    weights = weights * gamma.reshape(-1, *[1] * (weights.ndim - 1))
    shift = (bias[0] * gamma if bias else 0.0) + (beta[0] if beta else 0.0)
    options = {**source.parameters[PARAMETER_FIELDS[source.type]], "bias_term": True}
    folded = _with_options(replace(source, tops=scale.tops), options)
    blobs = [weights, np.broadcast_to(shift, gamma.shape)]
    return _replaced(net, {source.name: folded, scale.name: folded}, {source.name: blobs})


def blobs_after_layers(net: Net, keep: Collection[str] = ()) -> tuple[Net, dict[str, str]]:
    """Rename each blob to the layer that writes it, and return the new names.

    Before   conv (Convolution) writes the blob conv_BatchNorm_Scale, as folding left it
    After    conv (Convolution) writes the blob conv

    Parameters
    ----------
    keep : Collection[str]
        Blobs that have a name of their own.
    """
    names = {layer.tops[0]: layer.name for layer in net.layers if len(layer.tops) == 1 and layer.tops[0] not in keep}

    def renamed(blobs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names.get(blob, blob) for blob in blobs)

    layers = tuple(replace(layer, bottoms=renamed(layer.bottoms), tops=renamed(layer.tops)) for layer in net.layers)
    return replace(net, layers=layers), names


def layer_after_blob(net: Net, blob: str) -> Net:
    """Rename the layer that writes `blob` to the blob's name; readers such as OpenCV look for layers by name.

    Before   embeddings_unit (Eltwise) writes the blob embeddings
    After    embeddings (Eltwise) writes the blob embeddings
    """
    if any(layer.name == blob for layer in net.layers):
        return net
    writer = next(layer for layer in reversed(net.layers) if blob in layer.tops)
    kept = {key: array for key, array in net.weights.items() if key.rpartition("/")[0] != writer.name}
    layers = tuple(replace(layer, name=blob) if layer is writer else layer for layer in net.layers)
    return replace(net, layers=layers, weights=kept | weight_keys(blob, net.blobs(writer.name)))


def _is_per_channel(net: Net, layer: Layer) -> bool:
    return layer.option("axis") == 1 and layer.option("num_axes") == 1 and bool(net.blobs(layer.name))


def _only_reader(net: Net, blob: str) -> Layer | None:
    """Return the layer that reads `blob` if there is exactly one."""
    readers = [layer for layer in net.layers for bottom in layer.bottoms if bottom == blob]
    return readers[0] if len(readers) == 1 else None


def _with_options(layer: Layer, options: Mapping[str, Any]) -> Layer:
    return replace(layer, parameters={PARAMETER_FIELDS[layer.type]: dict(options)})


def _replaced(net: Net, changed: Mapping[str, Layer], blobs: Mapping[str, list[Array]]) -> Net:
    """Return the net with the layers in `changed` replaced; layers with one replacement merge at the first place."""
    layers: dict[str, Layer] = {}
    for layer in net.layers:
        new = changed.get(layer.name, layer)
        layers.setdefault(new.name, new)
    kept = {key: array for key, array in net.weights.items() if key.rpartition("/")[0] not in changed}
    for name, arrays in blobs.items():
        kept |= weight_keys(name, arrays)
    return replace(net, layers=tuple(layers.values()), weights=kept)
