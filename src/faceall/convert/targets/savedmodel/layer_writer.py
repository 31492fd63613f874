"""The names, constants and tensors of one net in a SavedModel, for the writers of its layers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from faceall.caffe.layers import Shape
from faceall.caffe.net import Layer, Net
from faceall.convert.tensorflow.graph_writer import GraphWriter
from faceall.types import Array

NHWC = (0, 2, 3, 1)
"""The axes of (N, H, W, C) in Caffe's order."""
NCHW = (0, 3, 1, 2)
"""The axes of (N, C, H, W) in TensorFlow's order."""


class CannotWriteLayerError(Exception):
    """A layer has no counterpart; the message says why. Collected by `write_layers`."""


@dataclass
class LayerWriter:
    """The net written so far.

    Attributes
    ----------
    writer : GraphWriter
        Takes the nodes.
    net : Net
        What is written.
    shapes : Mapping[str, Shape]
        Blob -> its shape in Caffe's order, for the declared input.
    scope : str
        Stands in front of every node's name, with its slash.
    tensors : dict[str, str]
        Blob -> the tensor that holds it.
    """

    writer: GraphWriter
    net: Net
    shapes: Mapping[str, Shape]
    scope: str
    tensors: dict[str, str] = field(default_factory=dict)

    def name(self, layer: Layer, part: str = "") -> str:
        """Return a node's name: the layer's with `part` appended."""
        called = re.sub(r"[^A-Za-z0-9_.\-/]", "_", layer.name).lstrip("_-/") or "layer"
        return f"{self.scope}{called}/{part}" if part else f"{self.scope}{called}"

    def node(self, layer: Layer, part: str, op: str, inputs: Sequence[str], **attrs: Any) -> str:
        """Add one operation of a layer."""
        return self.writer.node(self.name(layer, part), op, inputs, **attrs)

    def constant(self, layer: Layer, part: str, value: Any) -> str:
        """Add a constant of a layer: float32 unless it is an array."""
        return self.writer.constant(self.name(layer, part), value)

    def integers(self, layer: Layer, part: str, values: Any) -> str:
        """Add an int32 constant of a layer."""
        return self.constant(layer, part, np.array(values, np.int32))

    def x(self, layer: Layer) -> str:
        """Return the tensor of the layer's first bottom."""
        return self.tensors[layer.bottoms[0]]

    def shape(self, layer: Layer, number: int = 0) -> Shape:
        """Return the shape of one of the layer's bottoms, in Caffe's order."""
        return self.shapes[layer.bottoms[number]]

    def transpose(self, layer: Layer, part: str, tensor: str, order: Sequence[int]) -> str:
        """Transpose a tensor."""
        return self.node(layer, part, "Transpose", [tensor, self.integers(layer, f"{part}/perm", order)])

    def reshape(self, layer: Layer, part: str, tensor: str, sizes: Sequence[int]) -> str:
        """Reshape a tensor (n, ...) behind its batch."""
        return self.node(layer, part, "Reshape", [tensor, self.integers(layer, f"{part}/shape", [-1, *sizes])])

    def sliced(self, layer: Layer, part: str, tensor: str, axis: int, start: int, size: int) -> str:
        """Take a part of an image along one axis of (N, H, W, C)."""
        begins, sizes = [0, 0, 0, 0], [-1, -1, -1, -1]
        begins[axis], sizes[axis] = start, size
        operands = [self.integers(layer, f"{part}/begin", begins), self.integers(layer, f"{part}/size", sizes)]
        return self.node(layer, f"{part}/Slice", "Slice", [tensor, *operands])

    def biased(self, layer: Layer, y: str, bias: Sequence[Array]) -> str:
        """Add the bias of a product, if it has one."""
        if not bias:
            return y
        return self.node(layer, "BiasAdd", "BiasAdd", [y, self.constant(layer, "biases", bias[0])])
