"""Check the inputs and outputs that a caller requests, with the same errors for every engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from faceall.caffe.net import Net
from faceall.caffe.shapes import infer_shapes
from faceall.errors import NetError, ShapeError
from faceall.types import Array, Float32Array


def wanted_outputs(net: Net, outputs: Sequence[str] | None) -> tuple[str, ...]:
    """Return `outputs`, or every blob that no layer reads.

    Raises
    ------
    NetError
        The net does not have one of `outputs`.
    """
    if outputs is None:
        return net.outputs
    known = [top for layer in net.layers for top in layer.tops]
    for name in outputs:
        if name not in known:
            raise NetError(f"net '{net.name}' has no blob '{name}'; its blobs: {', '.join(dict.fromkeys(known))}")
    return tuple(outputs)


def checked_inputs(net: Net, inputs: Mapping[str, Array]) -> dict[str, Float32Array]:
    """Return `inputs` as contiguous float32 arrays.

    Raises
    ------
    ShapeError
        They do not fit the net; the message names the layer.
    """
    missing = [name for name in net.inputs if name not in inputs]
    if missing:
        raise ShapeError(f"net '{net.name}' needs the input '{missing[0]}', given: {', '.join(inputs) or 'none'}")
    infer_shapes(net, {name: np.shape(array) for name, array in inputs.items()}, need_weights=True)
    return {name: np.ascontiguousarray(inputs[name], np.float32) for name in net.inputs}


def checked_arrays(
    declared: Mapping[str, tuple[int | None, ...]], inputs: Mapping[str, Array]
) -> dict[str, Float32Array]:
    """Return `inputs` as contiguous float32 arrays, at a cost that suits every call.

    Parameters
    ----------
    declared : mapping of str to tuple of (int or None)
        The expected shape of each input; None stands for any size.
    inputs : mapping of str to array
        The inputs.

    Raises
    ------
    ShapeError
        An input is missing or has another shape.
    """
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
