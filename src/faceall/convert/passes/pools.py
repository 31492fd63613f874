"""Write pools that round down for Caffe, whose pools round up: four ways, each a pass `Net -> Net`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from faceall.caffe.layers import LAYERS, Shape, window
from faceall.caffe.net import Layer, Net, weight_keys
from faceall.caffe.shapes import infer_shapes
from faceall.errors import ConvertError, ShapeError
from faceall.types import Float32Array

FloorPool: TypeAlias = Literal["crop", "slice", "conv", "round-mode"]
"""The form of a pool that rounds down.

crop        a Crop to the size of a branch that it is joined with, else as "slice"; every Caffe and OpenCV 4 read it
slice       a Slice of the image in front of the pool, the rest into Silence; just as portable
conv        a convolution behind the pool whose 2x2 kernel [[1, 0], [0, 0]] keeps all but the last row and column
round-mode  the option `round_mode: FLOOR`, which BVLC's Caffe has had since March 2018, after its release 1.0, and
            neither OpenCV nor most other Caffes
"""


def write_floor_pools(net: Net, style: FloorPool = "crop") -> Net:
    """Rewrite pools that round down for Caffe, whose pools round up; blobs keep their names and values.

    Before      x -> Pooling (FLOOR) -> y
    crop        x -> Pooling -> y_whole; y_whole, branch -> Crop -> y
    slice       x -> Slice -> Slice -> Pooling -> y, with a Silence for what each Slice cuts off
    conv        x -> Pooling -> y_whole -> Convolution, a group per channel -> y
    round-mode  as before

    Where rounding up gives the same size, the pool becomes a plain one in every style; where its last window would
    lie outside of the image, there is a Slice in any case. Sizes are those of the declared input.

    Raises
    ------
    ValueError
        For an unknown style.
    ConvertError
        If a style does not fit.
    """
    if style not in get_args(FloorPool):
        raise ValueError(f"unknown floor pool style '{style}'; known: {', '.join(get_args(FloorPool))}")
    if not any(map(rounds_down, net.layers)):
        return net
    draft = _Draft(net, infer_shapes(net))
    for layer in net.layers:
        if not rounds_down(layer):
            draft.layers.append(layer)
            continue
        plain = _without_rounding(layer)
        whole = _size(plain, draft.shapes[layer.bottoms[0]])
        if whole == draft.shapes[layer.tops[0]]:
            draft.layers.append(plain)
        elif whole or style == "round-mode":
            _WRITERS[style](draft, layer, plain, whole)
        else:
            _slice(draft, layer, plain, whole)
    return replace(net, layers=tuple(draft.layers), weights={**net.weights, **draft.weights})


def rounds_down(layer: Layer) -> bool:
    """Return whether a layer is a pool that rounds down."""
    return layer.type == "Pooling" and not layer.option("global_pooling") and layer.option("round_mode") == "FLOOR"


@dataclass
class _Draft:
    net: Net
    shapes: Mapping[str, Shape]
    layers: list[Layer] = field(default_factory=list)
    weights: dict[str, Float32Array] = field(default_factory=dict)

    def unused(self, name: str) -> str:
        taken = {layer.name for layer in (*self.net.layers, *self.layers)} | set(self.shapes)
        taken |= {top for layer in self.layers for top in layer.tops}
        result, number = name, 2
        while result in taken:
            result, number = f"{name}_{number}", number + 1
        return result

    def sibling(self, pool: Layer) -> str:
        """Return a blob as large as the pool's, already written, that is joined with it; empty if there is none."""
        top, written = pool.tops[0], {top for layer in self.layers for top in layer.tops}
        for reader in self.net.layers:
            if reader.type == "Concat" and top in reader.bottoms:
                for blob in reader.bottoms:
                    if blob != top and blob in written and self.shapes[blob][2:] == self.shapes[top][2:]:
                        return blob
        return ""


def _size(pool: Layer, image: Shape) -> Shape:
    """Return the output shape of a pool, or () if a window would be outside of the image."""
    try:
        return LAYERS["Pooling"].shapes(pool, (image,))[0]
    except ShapeError:
        return ()


def _without_rounding(layer: Layer) -> Layer:
    options = {name: value for name, value in layer.parameters["pooling_param"].items() if name != "round_mode"}
    return replace(layer, parameters={**layer.parameters, "pooling_param": options})


def _crop(draft: _Draft, pool: Layer, plain: Layer, whole: Shape) -> None:
    sibling = draft.sibling(pool)
    if not sibling:
        return (_slice if _can_slice(draft, pool, plain) else _conv)(draft, pool, plain, whole)
    name = draft.unused(f"{pool.name}_whole")
    draft.layers.append(replace(plain, name=name, tops=(name,)))
    options = {"crop_param": {"axis": 2, "offset": [0]}}
    return draft.layers.append(Layer(pool.name, "Crop", (name, sibling), pool.tops, options))


def _slice(draft: _Draft, pool: Layer, plain: Layer, whole: Shape) -> None:
    if not _can_slice(draft, pool, plain):
        raise ConvertError(
            f"the pool '{pool.name}' rounds down and has a border, which no Slice in front of it can do; "
            "choose another --floor-pool: crop, conv or round-mode"
        )
    blob = pool.bottoms[0]
    for axis, size, used in zip((2, 3), draft.shapes[blob][2:], _used(draft, pool), strict=True):
        if used < size:
            name = draft.unused(f"{pool.name}_{'rows' if axis == 2 else 'columns'}")
            options = {"slice_param": {"axis": axis, "slice_point": [used]}}
            draft.layers.append(Layer(name, "Slice", (blob,), (name, f"{name}_1"), options))
            draft.layers.append(Layer(f"{name}_rest", "Silence", (f"{name}_1",), ()))
            blob = name
    draft.layers.append(replace(plain, bottoms=(blob,)))


def _can_slice(draft: _Draft, pool: Layer, plain: Layer) -> bool:
    """Return whether a plain pool of the covered part alone has as many windows as it should."""
    wanted = draft.shapes[pool.tops[0]]
    return _size(plain, (*wanted[:2], *_used(draft, pool))) == wanted


def _used(draft: _Draft, pool: Layer) -> tuple[int, ...]:
    """Return the rows and columns of the image that the pool's windows cover."""
    frame, sizes = window(pool), draft.shapes[pool.bottoms[0]][2:]
    numbers = zip(sizes, draft.shapes[pool.tops[0]][2:], frame.kernel, frame.stride, frame.pad, strict=True)
    return tuple(min(size, (out - 1) * stride + kernel - pad) for size, out, kernel, stride, pad in numbers)


def _conv(draft: _Draft, pool: Layer, plain: Layer, whole: Shape) -> None:
    name = draft.unused(f"{pool.name}_whole")
    draft.layers.append(replace(plain, name=name, tops=(name,)))
    channels, rows, columns = draft.shapes[pool.tops[0]][1:]
    kernel = np.zeros((channels, 1, whole[2] - rows + 1, whole[3] - columns + 1), np.float32)
    kernel[:, :, 0, 0] = 1
    options: dict[str, Any] = {"num_output": channels, "bias_term": False, "group": channels}
    if kernel.shape[2] == kernel.shape[3]:
        options["kernel_size"] = [kernel.shape[2]]
    else:
        options |= {"kernel_h": kernel.shape[2], "kernel_w": kernel.shape[3]}
    draft.layers.append(Layer(pool.name, "Convolution", (name,), pool.tops, {"convolution_param": options}))
    draft.weights |= weight_keys(pool.name, [kernel])


def _round_mode(draft: _Draft, pool: Layer, plain: Layer, whole: Shape) -> None:
    draft.layers.append(pool)


_WRITERS: Mapping[FloorPool, Callable[[_Draft, Layer, Layer, Shape], None]] = {
    "crop": _crop,
    "slice": _slice,
    "conv": _conv,
    "round-mode": _round_mode,
}
