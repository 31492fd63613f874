"""Translate operations that move values: Transpose, Reshape, Concat, Split, slices and Pad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np

from faceall.convert.sources.openvino.arithmetic import Writer
from faceall.convert.sources.openvino.builder import Builder, CannotReadError, Value
from faceall.convert.sources.openvino.graph import Node


def _transpose(builder: Builder, node: Node) -> None:
    found = builder.value(node.inputs[0])
    if found.pads:
        raise CannotReadError("it reads a Pad, which only convolutions can take over")
    order = builder.integers(node.inputs[1], "order") or list(reversed(range(len(found.order))))
    builder.values[node.output] = Value(found.blob, tuple(found.order[axis] for axis in order))
    reads = builder.graph.reads
    builder.readers[found.blob] += reads[node.output] - 1


def _reshape(builder: Builder, node: Node) -> None:
    """Translate Reshape, Squeeze and Unsqueeze by the shapes before and after."""
    before, after = builder.shape(node.inputs[0]), node.shapes[0]
    if before == after or node.inputs[0] in builder.lengths:
        builder.alias(node, node.inputs[0])
        return
    if not after or before[0] != after[0]:
        raise CannotReadError(f"it turns the shape {before} into {after}, which mixes samples")
    blob = builder.plain(node.inputs[0])
    if len(after) == 2:
        builder.define(node, builder.add(node.name, "Flatten", [blob], after))
    else:
        options = {"shape": {"dim": [0, *after[1:]]}}
        builder.define(node, builder.add(node.name, "Reshape", [blob], after, options))


def _concat(builder: Builder, node: Node) -> None:
    values = [builder.unpadded(value) for value in node.inputs]
    order = values[0].order
    if len({value.order for value in values}) > 1:
        blobs, order = [builder.plain(value) for value in node.inputs], tuple(range(len(order)))
    else:
        blobs = [value.blob for value in values]
    axis = order[int(node.attributes["axis"]) % len(order)]
    if axis == 0:
        raise CannotReadError("it joins samples")
    shape = list(builder.shapes[blobs[0]])
    shape[axis] = sum(builder.shapes[blob][axis] for blob in blobs)
    builder.define(node, builder.add(node.name, "Concat", blobs, tuple(shape), {"axis": axis}), order)


def _cut(builder: Builder, node: Node, axis: int, sizes: Sequence[int], ports: Sequence[int | None]) -> None:
    """Cut the first input along an axis; `ports` has the node's output of each part, or None for an unused part."""
    x = builder.unpadded(node.inputs[0])
    axis = x.order[axis % len(x.order)]
    shape = builder.shapes[x.blob]
    if axis == 0 or sum(sizes) != shape[axis]:
        raise CannotReadError(f"it cuts axis {axis} of {shape} into {list(sizes)}")
    name = builder.unused(node.name)
    tops = [name if number == 0 else builder.unused(f"{name}_{number}") for number in range(len(sizes))]
    options = {"axis": axis, "slice_point": list(accumulate(sizes))[:-1]}
    builder.add(name, "Slice", [x.blob], shape, options)
    layer = builder.layers[name]
    builder.layers[name] = type(layer)(layer.name, layer.type, layer.bottoms, tuple(tops), layer.parameters)
    for top, size, port in zip(tops, sizes, ports, strict=True):
        builder.shapes[top] = (*shape[:axis], size, *shape[axis + 1 :])
        if top != name:
            builder.reserved.add(top)
        if port is None or not builder.graph.reads[f"{node.key}:{port}"]:
            rest = builder.unused(f"{top}_rest")
            builder.layers[rest] = type(layer)(rest, "Silence", (top,), ())
        if port is not None:
            builder.define(node, top, x.order, port)
        builder.readers[top] = 2  # a Slice is no layer that can be folded into


def _split(builder: Builder, node: Node) -> None:
    (axis,) = builder.integers(node.inputs[1], "axis")
    count = len(node.shapes)
    if node.type == "Split":
        sizes = [builder.shape(node.inputs[0])[axis] // count] * count
    else:
        sizes = [shape[axis] for shape in node.shapes]
    _cut(builder, node, axis, sizes, range(count))


def _slice(builder: Builder, node: Node) -> None:
    """Translate a Slice or StridedSlice that keeps a range of one axis, by the shapes before and after."""
    before, after = builder.shape(node.inputs[0]), node.shapes[0]
    starts = builder.integers(node.inputs[1], "start")
    if len(before) != len(after):
        raise CannotReadError(f"it turns the shape {before} into {after}")
    changed = [axis for axis, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    if not changed:
        builder.alias(node, node.inputs[0])
        return
    steps = builder.integers(node.inputs[3], "step") if len(node.inputs) > 3 else [1]
    if len(changed) != 1 or set(steps) != {1}:
        raise CannotReadError(f"it cuts several axes of {before}, or in steps")
    (axis,) = changed
    if node.type == "Slice" and len(node.inputs) > 4:
        axes = [number % len(before) for number in builder.integers(node.inputs[4], "axes")]
        start = starts[axes.index(axis)]
    else:
        start = starts[axis] if axis < len(starts) else 0
    mask = node.attributes.get("begin_mask", [])
    start = 0 if node.type == "StridedSlice" and axis < len(mask) and mask[axis] else start
    start = max(0, start + before[axis] if start < 0 else start)
    parts = [(start, None), (after[axis], 0), (before[axis] - start - after[axis], None)]
    kept = [part for part in parts if part[0] > 0]
    _cut(builder, node, axis, [size for size, _ in kept], [port for _, port in kept])


def _pad(builder: Builder, node: Node) -> None:
    """Record zeros that the following convolution adds."""
    found = builder.value(node.inputs[0])
    begins, ends = (builder.integers(value, "border") for value in node.inputs[1:3])
    fill = float(builder.constant(node.inputs[3], "value").reshape(())) if len(node.inputs) > 3 else 0.0
    mode = str(node.attributes.get("pad_mode", "constant")).lower()
    if mode != "constant" or fill != 0 or min([*begins, *ends], default=0) < 0:
        raise CannotReadError(f"it pads in the mode '{mode}' with {fill:g}, expected zeros")
    pads = [(0, 0)] * len(found.order)
    for axis, pair in zip(found.order, zip(begins, ends, strict=True), strict=True):
        pads[axis] = pair
    if found.pads:
        pads = [(a + c, b + d) for (a, b), (c, d) in zip(pads, found.pads, strict=True)]
    builder.values[node.output] = Value(found.blob, found.order, tuple(pads) if any(map(any, pads)) else ())
    builder.readers[found.blob] = 2  # more than one value is in the blob now


def _same(builder: Builder, node: Node) -> None:
    """Translate Convert and Identity, which change nothing here."""
    if node.inputs[0] in builder.constants:
        kind = str(node.attributes.get("destination_type", "f32"))
        array = builder.constants[node.inputs[0]]
        builder.constants[node.output] = array.astype(np.float32) if kind.startswith(("f", "bf")) else array
    else:
        builder.alias(node, node.inputs[0])


def _softmax(builder: Builder, node: Node) -> None:
    x = builder.unpadded(node.inputs[0])
    axis = x.order[int(node.attributes["axis"]) % len(x.order)]
    shape = builder.shapes[x.blob]
    builder.define(node, builder.add(node.name, "Softmax", [x.blob], shape, {"axis": axis}), x.order)


ARRANGEMENT: Mapping[str, Writer] = {
    "Concat": _concat,
    "Convert": _same,
    "Identity": _same,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Squeeze": _reshape,
    "StridedSlice": _slice,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
    "VariadicSplit": _split,
}
"""Operation -> its writer."""
