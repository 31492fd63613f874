"""Write the normalisation of values to unit length."""

from __future__ import annotations

import numpy as np

from faceall.convert.sources.openvino.builder import Builder, CannotReadError, Length
from faceall.convert.sources.openvino.graph import Node

SMALLEST = 1e-24
"""What is at least added to a sum of squares, so that a vector of zeros stays finite."""


def normalise(builder: Builder, node: Node, value: str, length: Length) -> None:
    """Write a value of unit length: of vectors with layers that every Caffe has, of images with a Normalize.

    Raises
    ------
    CannotReadError
        If the length is that of another value, or along other axes than the channels.
    """
    if builder.values[length.source].blob != builder.value(value).blob:
        raise CannotReadError("it divides by the length of another value")
    axes = length.axes
    blob = builder.unpadded(value).blob
    order, shape, epsilon = builder.values[value].order, builder.shapes[blob], max(length.epsilon, SMALLEST)
    if axes == (1,) and len(shape) == 2:
        name, ones = node.name, np.ones((1, shape[1]))
        x = builder.add(f"{name}_square", "Power", [blob], shape, {"power": 2.0})
        options = {"num_output": 1, "bias_term": False}
        x = builder.add(f"{name}_sum", "InnerProduct", [x], (shape[0], 1), options, [ones])
        x = builder.add(f"{name}_inverse", "Power", [x], (shape[0], 1), {"power": -0.5, "shift": epsilon})
        options = {"num_output": shape[1], "bias_term": False}
        x = builder.add(f"{name}_copies", "InnerProduct", [x], shape, options, [ones.T])
        builder.define(node, builder.add(name, "Eltwise", [blob, x], shape, {"operation": "PROD"}), order)
    elif axes in ((1,), tuple(range(1, len(shape)))):
        settings: dict[str, float] = {"across_spatial": axes != (1,), "eps": epsilon}
        builder.define(node, builder.add(node.name, "Normalize", [blob], shape, settings), order)
    else:
        raise CannotReadError(f"it normalises the axes {axes} of {len(shape)}, expected the channels")
