"""Prepare a net for TensorFlow's operations: passes `Net -> Net`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from faceall.caffe.layers import LAYERS, Shape, window
from faceall.caffe.net import Layer, Net
from faceall.caffe.shapes import fit_weights, infer_shapes
from faceall.convert.targets.plan import complete_batch_norm, single_writers, unit_tail
from faceall.convert.targets.savedmodel.pools import always_same
from faceall.errors import ShapeError

_FIXED_SIZE = ("Crop", "Flatten", "InnerProduct", "Reshape", "Slice")


def prepare(net: Net) -> Net:
    """Bring weights to their shapes, give every blob one writer, and merge the layers of portable files."""
    ready = complete_batch_norm(single_writers(fit_weights(net)))
    return unit_tail(drop_flatten(join_floor_pools(ready)))


def takes_any_size(net: Net) -> bool:
    """Return whether the same operations are correct for images of every height and width."""
    return all(layer.type not in _FIXED_SIZE and _pools_at_any_size(layer) for layer in net.layers)


def _pools_at_any_size(layer: Layer) -> bool:
    """Return whether TensorFlow's SAME or VALID gives Caffe's windows at every size."""
    if layer.type != "Pooling" or layer.option("global_pooling"):
        return True
    slid = window(layer)
    floor = layer.option("round_mode") == "FLOOR"
    return not slid.padded and (floor or slid.stride == (1, 1) or always_same(slid))


def drop_flatten(net: Net) -> Net:
    """Remove layers that flatten for inner products only: these flatten themselves.

    Before   pool -> Flatten -> InnerProduct
    After    pool -> InnerProduct
    """
    readers: dict[str, list[Layer]] = {}
    for layer in net.layers:
        for bottom in layer.bottoms:
            readers.setdefault(bottom, []).append(layer)
    aliases: dict[str, str] = {}
    layers = []
    for layer in net.layers:
        read_by = readers.get(layer.tops[0], []) if layer.tops else []
        whole = layer.type == "Flatten" and layer.option("axis") == 1 and layer.option("end_axis") in (-1, 3)
        if whole and read_by and all(other.type == "InnerProduct" and other.option("axis") == 1 for other in read_by):
            aliases[layer.tops[0]] = aliases.get(layer.bottoms[0], layer.bottoms[0])
        else:
            layers.append(replace(layer, bottoms=tuple(aliases.get(blob, blob) for blob in layer.bottoms)))
    return replace(net, layers=tuple(layers))


def join_floor_pools(net: Net) -> Net:
    """Merge the layers that express a pool that rounds down in Caffe's files into one.

    Before   x -> Pooling -> Crop -> y,   or   x -> Slice [-> Slice] -> Pooling -> y
    After    x -> Pooling (FLOOR) -> y

    Only where the one layer makes windows of the same number, sizes being those of the declared input.
    """
    shapes = infer_shapes(net)
    writers = {top: layer for layer in net.layers for top in layer.tops}
    reads: dict[str, int] = {}
    for layer in net.layers:
        for bottom in layer.bottoms:
            reads[bottom] = reads.get(bottom, 0) + 1
    found: dict[str, Layer] = {}
    for layer in net.layers:
        pool, source = _floor_pool(layer, writers, reads)
        if pool is not None and _made(pool, shapes[source]) == shapes[layer.tops[0]]:
            found[layer.name] = replace(pool, name=layer.name, bottoms=(source,), tops=layer.tops)
    layers = tuple(found.get(layer.name, layer) for layer in net.layers)
    return _without_unread(replace(net, layers=layers), net.outputs)


def _floor_pool(layer: Layer, writers: Mapping[str, Layer], reads: Mapping[str, int]) -> tuple[Layer | None, str]:
    """Return the pool, rounding down, that `layer` may be the last part of, and the blob that it reads, or None."""
    if layer.type == "Crop":
        pool = writers[layer.bottoms[0]]
        offsets = [int(offset) for offset in layer.option("offset")]
        if pool.type == "Pooling" and reads[pool.tops[0]] == 1 and layer.option("axis") == 2 and not any(offsets):
            return _rounding_down(pool), pool.bottoms[0]
    if layer.type == "Pooling" and not layer.option("global_pooling") and not window(layer).padded:
        source = layer.bottoms[0]
        while writers[source].type == "Slice" and writers[source].tops[0] == source:
            source = writers[source].bottoms[0]
        if source != layer.bottoms[0]:
            return _rounding_down(layer), source
    return None, ""


def _rounding_down(pool: Layer) -> Layer:
    options = {**pool.parameters["pooling_param"], "round_mode": "FLOOR"}
    return replace(pool, parameters={**pool.parameters, "pooling_param": options})


def _made(pool: Layer, image: Shape) -> Shape:
    try:
        return LAYERS["Pooling"].shapes(pool, (image,))[0]
    except ShapeError:
        return ()


def _without_unread(net: Net, outputs: tuple[str, ...]) -> Net:
    """Remove the layers whose results are not needed."""
    needed, kept = set(outputs), []
    for layer in reversed(net.layers):
        if needed & set(layer.tops) or layer.type == "Input":
            needed |= set(layer.bottoms)
            kept.append(layer)
    return replace(net, layers=tuple(reversed(kept)))
