"""What a caller asks of a net, checked: one answer to one mistake, whatever the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from faceall.caffe.net import Net
from faceall.caffe.shapes import infer_shapes
from faceall.errors import NetError, ShapeError
from faceall.types import Array, Float32Array


def wanted_outputs(net: Net, outputs: Sequence[str] | None) -> tuple[str, ...]:
    """`outputs`, or every blob that no layer reads; raises NetError for one that the net does not have."""
    if outputs is None:
        return net.outputs
    known = [top for layer in net.layers for top in layer.tops]
    for name in outputs:
        if name not in known:
            raise NetError(f"net '{net.name}' has no blob '{name}'; its blobs: {', '.join(dict.fromkeys(known))}")
    return tuple(outputs)


def checked_inputs(net: Net, inputs: Mapping[str, Array]) -> dict[str, Float32Array]:
    """`inputs` as contiguous float32; raises ShapeError, which names the layer, where they do not fit the net."""
    missing = [name for name in net.inputs if name not in inputs]
    if missing:
        raise ShapeError(f"net '{net.name}' needs the input '{missing[0]}', given: {', '.join(inputs) or 'none'}")
    infer_shapes(net, {name: np.shape(array) for name, array in inputs.items()}, need_weights=True)
    return {name: np.ascontiguousarray(inputs[name], np.float32) for name in net.inputs}


def checked_arrays(
    declared: Mapping[str, tuple[int | None, ...]], inputs: Mapping[str, Array]
) -> dict[str, Float32Array]:
    """`inputs` as contiguous float32, compared with `declared` shapes, where None stands for any size: cheap enough
    for every call. Raises ShapeError that names the input, its shape and the expected one."""
    arrays: dict[str, Float32Array] = {}
    for name, expected in declared.items():
        if name not in inputs:
            raise ShapeError(f"the net needs the input '{name}', given: {', '.join(inputs) or 'none'}")
        array = arrays[name] = np.ascontiguousarray(inputs[name], np.float32)
        fits = len(array.shape) == len(expected) and all(
            wanted is None or size == wanted for size, wanted in zip(array.shape, expected, strict=True)
        )
        if not fits:
            text = ", ".join("any" if size is None else str(size) for size in expected)
            raise ShapeError(f"input '{name}' has shape {array.shape}, the net takes ({text})")
    return arrays
