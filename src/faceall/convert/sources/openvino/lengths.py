"""Translate the normalisation of vectors to unit length, in the forms in which exporters write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from faceall.convert.sources.openvino.arithmetic import Writer, affine
from faceall.convert.sources.openvino.builder import Builder, CannotReadError, Length
from faceall.convert.sources.openvino.graph import Node
from faceall.convert.sources.openvino.unit import normalise


def _reduced(builder: Builder, node: Node) -> tuple[int, ...]:
    """Return the reduced axes of the input's blob."""
    order = builder.unpadded(node.inputs[0]).order
    return tuple(sorted(order[axis % len(order)] for axis in builder.integers(node.inputs[1], "axes")))


def _length(builder: Builder, node: Node) -> None:
    builder.lengths[node.output] = Length(node.inputs[0], _reduced(builder, node), squared=False)


def _sum(builder: Builder, node: Node) -> None:
    """Translate a sum of squares; a layer Power that only it reads goes."""
    x = builder.unpadded(node.inputs[0])
    layer = builder.layers[x.blob]
    plain = layer.type == "Power" and layer.option("power") == 2
    if not plain or (layer.option("scale"), layer.option("shift")) != (1, 0):
        raise CannotReadError("it is no sum of squares")
    source = next(value for value, found in builder.values.items() if found.blob == layer.bottoms[0])
    axes = _reduced(builder, node)
    if builder.readers[x.blob] == 1:
        del builder.layers[x.blob]
    builder.lengths[node.output] = Length(source, axes, squared=True)


def _root(builder: Builder, node: Node) -> None:
    length = builder.lengths.get(node.inputs[0])
    if length is not None and length.squared:
        builder.lengths[node.output] = replace(length, squared=False)
        return
    x = builder.unpadded(node.inputs[0])
    builder.define(node, builder.add(node.name, "Power", [x.blob], builder.shapes[x.blob], {"power": 0.5}), x.order)


def _divide(builder: Builder, node: Node) -> None:
    """Translate a division by a length, by a constant, or of a constant by a value."""
    value, divisor = node.inputs
    if divisor in builder.constants:
        number = builder.constants[divisor].astype(np.float64)
        affine(builder, node, value, 1 / number, np.zeros_like(number))
        return
    length = builder.lengths.get(divisor)
    if length is not None and not length.squared and not length.inverse and value in builder.values:
        normalise(builder, node, value, length)
        return
    x = builder.unpadded(divisor)
    shape = builder.shapes[x.blob]
    inverse = builder.add(f"{node.name}_inverse", "Power", [x.blob], shape, {"power": -1.0})
    if value in builder.constants and builder.constants[value].size == 1:
        options = {"scale": float(builder.constants[value].reshape(()))}
        builder.define(node, builder.add(node.name, "Power", [inverse], shape, options), x.order)
    elif value in builder.values and builder.shape(value) == builder.shape(divisor) and x.plain:
        blobs = [builder.plain(value), inverse]
        builder.define(node, builder.add(node.name, "Eltwise", blobs, shape, {"operation": "PROD"}))
    else:
        raise CannotReadError(f"it divides values of the shapes {[builder.shape(item) for item in node.inputs]}")


def _normalise_l2(builder: Builder, node: Node) -> None:
    epsilon = float(node.attributes["eps"])
    normalise(builder, node, node.inputs[0], Length(node.inputs[0], _reduced(builder, node), False, epsilon))


def _broadcast(builder: Builder, node: Node) -> None:
    """Translate the enlargement of a length, or of one value per channel that a sum or product reads."""
    before, after = builder.shape(node.inputs[0]), node.shapes[0]
    if node.inputs[0] in builder.lengths or before == after:
        builder.alias(node, node.inputs[0])
    elif node.inputs[0] in builder.values and len(before) == len(after) and before[:2] == after[:2]:
        builder.enlarged[node.output] = node.inputs[0]
    else:
        raise CannotReadError(f"it enlarges the shape {before} to {after}")


def _local(builder: Builder, node: Node) -> None:
    x = builder.unpadded(node.inputs[0])
    if _reduced(builder, node) != (1,):
        raise CannotReadError("it normalises other axes than the channels")
    options = {"local_size": int(node.attributes["size"]), "k": float(node.attributes["bias"])}
    options |= {name: float(node.attributes[name]) for name in ("alpha", "beta")}
    builder.define(node, builder.add(node.name, "LRN", [x.blob], builder.shapes[x.blob], options), x.order)


LENGTHS: Mapping[str, Writer] = {
    "Broadcast": _broadcast,
    "Divide": _divide,
    "LRN": _local,
    "NormalizeL2": _normalise_l2,
    "ReduceL2": _length,
    "ReduceSum": _sum,
    "Sqrt": _root,
}
"""Operation -> its writer."""
