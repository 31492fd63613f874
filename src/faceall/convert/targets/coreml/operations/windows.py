"""Operations with a window that slides over an image, and with its border."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from faceall.convert.targets.coreml.arithmetic import Edges, Sliding, convolve, pool, same_edges
from faceall.convert.targets.coreml.operations.arguments import Arguments, Operation
from faceall.errors import NetFormatError
from faceall.types import Array


def _edges(given: Arguments, spatial: Sequence[int], extent: Sequence[int], stride: Sequence[int]) -> Edges:
    kind = given.text("pad_type", "valid")
    if kind == "valid":
        return [(0, 0)] * len(spatial)
    if kind == "custom":
        amounts = given.integers("pad")
        if len(amounts) != 2 * len(spatial):
            raise NetFormatError(f"has {len(amounts)} sizes of its border, expected {2 * len(spatial)}")
        return list(zip(amounts[::2], amounts[1::2], strict=True))
    if kind not in ("same", "same_lower"):
        raise NetFormatError(f"has the unknown border '{kind[:40]}'")
    return same_edges(spatial, extent, stride, heavy_end=kind == "same")


def _conv(given: Arguments) -> Array:
    array, kernel = given.array("x"), given.array("weight")
    stride, dilation = given.integers("strides", [1, 1]), given.integers("dilations", [1, 1])
    extent = [(size - 1) * gap + 1 for size, gap in zip(kernel.shape[2:], dilation, strict=True)]
    if min(stride) < 1:
        raise NetFormatError(f"has the strides {stride}")
    return convolve(
        array,
        kernel,
        given.array("bias") if "bias" in given else None,
        given.budget,
        Sliding(stride, _edges(given, array.shape[2:], extent, stride), dilation),
        group=given.integer("groups", 1),
    )


def _pool(average: bool) -> Operation:
    def run(given: Arguments) -> Array:
        array, kernel = given.array("x"), given.integers("kernel_sizes")
        stride = given.integers("strides", kernel)
        if min(stride) < 1:
            raise NetFormatError(f"has the strides {stride}")
        return pool(
            array,
            given.budget,
            kernel,
            Sliding(stride, _edges(given, array.shape[2:], kernel, stride)),
            average=average,
            last_pixel=bool(given.integer("ceil_mode", 0)),
            count_border=not given.integer("exclude_padding_from_average", 0),
        )

    return run


def _pad(given: Arguments) -> Array:
    array, amounts = given.array("x"), given.integers("pad")
    if given.text("mode", "constant") != "constant" or len(amounts) % 2 or min(amounts, default=0) < 0:
        raise NetFormatError("has a border that faceall does not know")
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    pairs = [(0, 0)] * (array.ndim - len(pairs)) + pairs
    given.budget.room([size + low + high for size, (low, high) in zip(array.shape, pairs, strict=True)])
    return np.pad(array, pairs, constant_values=given.number("constant_val", 0.0))


WINDOWS: Mapping[str, Operation] = {
    "avg_pool": _pool(average=True),
    "conv": _conv,
    "max_pool": _pool(average=False),
    "pad": _pad,
}
"""Operation -> what it computes."""
