"""Translate convolutions, matrix products and pools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from faceall.convert.sources.openvino.arithmetic import Writer
from faceall.convert.sources.openvino.builder import Builder, CannotReadError
from faceall.convert.sources.openvino.graph import Node
from faceall.types import Array

Edges = list[tuple[int, int]]
"""(before, after) for rows and columns."""


def _image(builder: Builder, value: str) -> tuple[str, Edges]:
    """Return the blob of an image (N, C, H, W), and the zeros that a Pad before adds to its rows and columns."""
    found = builder.value(value)
    if len(found.order) != 4:
        raise CannotReadError(f"its input has {len(found.order)} axes, expected 4")
    if not found.pads:
        return builder.plain(value), [(0, 0), (0, 0)]
    if found.order != (0, 1, 2, 3) or any(pad != (0, 0) for pad in found.pads[:2]):
        raise CannotReadError("a Pad before it pads other axes than rows and columns")
    return found.blob, list(found.pads[2:])


def _edges(node: Node, sizes: Sequence[int], extent: Sequence[int], stride: Sequence[int]) -> Edges:
    """Return the padding of a node, computed where the file only names a rule."""
    rule = str(node.attributes.get("auto_pad", "explicit")).lower()
    if rule == "valid":
        return [(0, 0)] * len(sizes)
    if rule in ("same_upper", "same_lower"):
        totals = [max((-(-size // step) - 1) * step + reach - size, 0)
                  for size, reach, step in zip(sizes, extent, stride, strict=True)]  # fmt: skip
        halves = [(total // 2, total - total // 2) for total in totals]
        return halves if rule == "same_upper" else [(after, before) for before, after in halves]
    return list(zip(node.attributes["pads_begin"], node.attributes["pads_end"], strict=True))


def _sides(name: str, stem: str, pair: Sequence[int], default: int, *, several: bool) -> dict[str, Any]:
    """Return an option of rows and columns: one value if they agree, none if it is Caffe's default."""
    first, second = pair
    if first == second:
        return {} if first == default else {name: [first] if several else first}
    return {f"{stem}_h": first, f"{stem}_w": second}


def _convolution(builder: Builder, node: Node) -> None:
    kernel = builder.constant(node.inputs[1], "kernel").astype(np.float64)
    group = 1
    if node.type == "GroupConvolution":
        group = kernel.shape[0]
        kernel = kernel.reshape(-1, *kernel.shape[2:])
    if kernel.ndim != 4:
        raise CannotReadError(f"it has {kernel.ndim - 2} spatial axes, expected 2")
    blob, padded = _image(builder, node.inputs[0])
    stride, dilation = node.attributes["strides"], node.attributes["dilations"]
    extent = [(size - 1) * step + 1 for size, step in zip(kernel.shape[2:], dilation, strict=True)]
    sizes = [size + sum(pad) for size, pad in zip(builder.shapes[blob][2:], padded, strict=True)]
    own = _edges(node, sizes, extent, stride)
    edges = [(before + more[0], after + more[1]) for (before, after), more in zip(own, padded, strict=True)]
    kernel, pad = _evened(kernel, edges, dilation)
    options: dict[str, Any] = {"num_output": len(kernel), "bias_term": False}
    options |= _sides("kernel_size", "kernel", kernel.shape[2:], -1, several=True)
    options |= _sides("stride", "stride", stride, 1, several=True) | _sides("pad", "pad", pad, 0, several=True)
    options |= {"dilation": list(dilation)} if set(dilation) != {1} else {}
    options |= {"group": group} if group != 1 else {}
    builder.define(node, builder.add(node.name, "Convolution", [blob], node.shapes[0], options, [kernel]))


def _evened(kernel: Array, edges: Edges, dilation: Sequence[int]) -> tuple[Array, list[int]]:
    """Return a kernel and a padding that is equal before and after; zeros in the kernel make up for the difference."""
    pad = [max(pair) for pair in edges]
    more = [(0, 0), (0, 0)]
    for (before, after), size, step in zip(edges, pad, dilation, strict=True):
        if (size - before) % step or (size - after) % step:
            raise CannotReadError(f"its padding {edges} is uneven, and its dilation is {list(dilation)}")
        more.append(((size - before) // step, (size - after) // step))
    return np.pad(kernel, more), pad


def _matrix_product(builder: Builder, node: Node) -> None:
    weights = builder.constant(node.inputs[1], "second operand").astype(np.float64)
    shape = builder.shape(node.inputs[0])
    if node.attributes.get("transpose_a") or weights.ndim != 2 or len(shape) < 2:
        raise CannotReadError(f"it multiplies a value of shape {shape} by a constant of shape {weights.shape}")
    matrix = weights if node.attributes.get("transpose_b") else weights.T
    options: dict[str, Any] = {"num_output": len(matrix), "bias_term": False}
    options |= {"axis": len(shape) - 1} if len(shape) > 2 else {}
    blob = builder.plain(node.inputs[0])
    builder.define(node, builder.add(node.name, "InnerProduct", [blob], node.shapes[0], options, [matrix]))


def _pool(method: str) -> Writer:
    def write(builder: Builder, node: Node) -> None:
        found = builder.value(node.inputs[0])
        if found.pads:
            raise CannotReadError("it reads a Pad, which only convolutions can take over")
        blob = builder.plain(node.inputs[0])
        sizes, kernel = builder.shapes[blob][2:], node.attributes["kernel"]
        if len(sizes) != 2 or set(node.attributes.get("dilations", [1])) != {1}:
            raise CannotReadError(f"it has {len(sizes)} spatial axes or a dilation")
        edges = _edges(node, sizes, kernel, node.attributes["strides"])
        if tuple(kernel) == sizes and node.shapes[0][2:] == (1, 1) and not any(map(any, edges)):
            options: dict[str, Any] = {"pool": method, "global_pooling": True}
        else:
            options = _pool_options(node, method, sizes, edges)
        builder.define(node, builder.add(node.name, "Pooling", [blob], node.shapes[0], options))

    return write


def _pool_options(node: Node, method: str, sizes: Sequence[int], edges: Edges) -> dict[str, Any]:
    """Return Caffe's options, or refuse a pool whose border Caffe treats in another way."""
    kernel, stride = node.attributes["kernel"], node.attributes["strides"]
    counts = node.shapes[0][2:]
    pad = [before for before, _ in edges]
    rounded = {}
    for mode in ("FLOOR", "CEIL"):
        made = []
        for size, border, reach, step in zip(sizes, pad, kernel, stride, strict=True):
            room = size + 2 * border - reach
            count = (room // step if mode == "FLOOR" else -(-room // step)) + 1
            made.append(count - 1 if any(pad) and (count - 1) * step >= size + border else count)
        rounded[mode] = tuple(made)
    mode = next((name for name, sizes_made in rounded.items() if sizes_made == counts), "")
    whole = all(after <= before or mode == "CEIL" for before, after in edges)
    if not mode or not whole:
        raise CannotReadError(f"its border {edges} gives {counts} rows and columns, which Caffe's pools cannot")
    if method == "AVE" and any(map(any, edges)) and not _same_average(node, edges):
        raise CannotReadError(f"it averages over its border {edges} in another way than Caffe")
    options: dict[str, Any] = {"pool": method} | ({"round_mode": "FLOOR"} if mode == "FLOOR" else {})
    options |= _sides("kernel_size", "kernel", kernel, -1, several=False)
    options |= _sides("stride", "stride", stride, 1, several=False)
    return options | _sides("pad", "pad", pad, 0, several=False)


def _same_average(node: Node, edges: Edges) -> bool:
    """Return whether Caffe divides by the same counts: it counts a border before the image, none after it."""
    if any(before for before, _ in edges):
        return not node.attributes.get("exclude-pad") and all(before == after for before, after in edges)
    return bool(node.attributes.get("exclude-pad"))


def _reduce(method: str) -> Writer:
    """Make the writer of a mean or maximum over rows and columns."""

    def write(builder: Builder, node: Node) -> None:
        x = builder.unpadded(node.inputs[0])
        rank = len(x.order)
        axes = sorted(x.order[axis % rank] for axis in builder.integers(node.inputs[1], "axes"))
        if rank != 4 or axes != [2, 3]:
            raise CannotReadError(f"it reduces the axes {axes} of {rank}, expected the rows and columns of an image")
        shape = builder.shapes[x.blob]
        options = {"pool": method, "global_pooling": True}
        blob = builder.add(node.name, "Pooling", [x.blob], (*shape[:2], 1, 1), options)
        if len(node.shapes[0]) == 4:
            builder.define(node, blob, x.order)
        else:
            builder.define(node, builder.add(f"{node.name}_flat", "Flatten", [blob], shape[:2]))

    return write


PRODUCTS: Mapping[str, Callable[[Builder, Node], None]] = {
    "AvgPool": _pool("AVE"),
    "Convolution": _convolution,
    "GroupConvolution": _convolution,
    "MatMul": _matrix_product,
    "MaxPool": _pool("MAX"),
    "ReduceMax": _reduce("MAX"),
    "ReduceMean": _reduce("AVE"),
}
"""Operation -> its writer."""
