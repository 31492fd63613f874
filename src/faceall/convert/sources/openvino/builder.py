"""`Builder`: a net under construction from the operations of an OpenVINO graph."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from faceall.caffe.net import Layer, Net, input_layer, weight_keys
from faceall.convert.sources.openvino.graph import Node, OpenvinoGraph
from faceall.types import Array, Float32Array

Shape = tuple[int, ...]

_SPARE = 1 << 25
_GROWTH = 4
"""Weights may have 32 million numbers, and 4 times those of the file's constants."""


class CannotReadError(Exception):
    """One operation has no counterpart in Caffe; the message says why. The reader collects these."""


@dataclass(frozen=True)
class Value:
    """A value of the graph in a blob of the net.

    Parameters
    ----------
    blob : str
        The blob.
    order : tuple of int
        The value is the blob with its axes in this order.
    pads : tuple of (int, int)
        Zeros (before, after) around each axis of the blob that are still to be added; empty for none.
    """

    blob: str
    order: tuple[int, ...]
    pads: tuple[tuple[int, int], ...] = ()

    @property
    def plain(self) -> bool:
        """Whether the blob holds the value as it is."""
        return self.order == tuple(range(len(self.order))) and not self.pads


@dataclass(frozen=True)
class Length:
    """The Euclidean length of a value along some axes, or its square.

    Parameters
    ----------
    source : str
        The value.
    axes : tuple of int
        The axes of its blob that are summed over.
    squared : bool
        Whether the square root is still to be taken.
    epsilon : float
        What is added to the sum of squares.
    inverse : bool
        Whether it is one over the length.
    """

    source: str
    axes: tuple[int, ...]
    squared: bool
    epsilon: float = 0.0
    inverse: bool = False


@dataclass
class Builder:
    """A net under construction.

    Parameters
    ----------
    graph : OpenvinoGraph
        The graph.
    values : dict of str to Value
        Value -> its blob, for values already translated.
    lengths : dict of str to Length
        Values that are lengths of others, which a division by them turns into a normalisation.
    enlarged : dict of str to str
        Values that repeat another one along rows and columns, which a sum or product with them does by itself.
    """

    graph: OpenvinoGraph
    values: dict[str, Value] = field(default_factory=dict)
    lengths: dict[str, Length] = field(default_factory=dict)
    enlarged: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    weights: dict[str, list[Array]] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    readers: dict[str, int] = field(default_factory=dict)
    reserved: set[str] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)
    spent: int = 0

    def __post_init__(self) -> None:
        self.constants = dict(self.graph.constants)
        self.allowed = _SPARE + _GROWTH * sum(array.size for array in self.constants.values())

    def declare_input(self, value: str, name: str, shape: Shape, order: tuple[int, ...]) -> None:
        """Declare an input blob of `shape` (N, C, H, W); `value` is it with its axes in `order`."""
        blob = self.unused(name)
        self.layers[blob] = input_layer(blob, shape)
        self.shapes[blob] = shape
        self.values[value] = Value(blob, order)
        self.readers[blob] = self.graph.reads[value]

    def unused(self, name: str) -> str:
        """Return `name` as the name of a layer, with a number if another layer has it."""
        plain = re.sub(r"[^\w./:-]+", "_", name).strip("_") or "layer"
        result = plain
        while result in self.layers or result in self.reserved:
            number = self.numbers[plain] = self.numbers.get(plain, 1) + 1  # goes on, as thousands may have one name
            result = f"{plain}_{number}"
        return result

    def constant(self, value: str, what: str = "operand") -> Array:
        """Return a constant.

        Raises
        ------
        CannotReadError
            If the value is computed.
        """
        if value not in self.constants:
            raise CannotReadError(f"its {what} is not a constant")
        return self.constants[value]

    def integers(self, value: str, what: str) -> list[int]:
        """Return a constant as integers."""
        return [int(number) for number in np.ravel(self.constant(value, what))]

    def value(self, value: str) -> Value:
        """Return where a value is, its axes in any order.

        Raises
        ------
        CannotReadError
            If it is repeated to a shape, a constant or the length of a vector.
        """
        if value in self.enlarged:
            raise CannotReadError(f"it reads a value that is repeated to the shape {self.shape(value)}")
        if value not in self.values:
            raise CannotReadError("it reads a constant, or the length of a vector, where it expects a value")
        return self.values[value]

    def unpadded(self, value: str) -> Value:
        """Return where a value is, its axes in any order, without zeros that are still to be added.

        Raises
        ------
        CannotReadError
            If zeros are still to be added.
        """
        found = self.value(value)
        if found.pads:
            raise CannotReadError("it reads a Pad, which only convolutions can take over")
        return found

    def shape(self, value: str) -> Shape:
        """Return the shape of a value, for a batch of one."""
        return self.graph.shapes[value]

    def plain(self, value: str) -> str:
        """Return a blob that holds a value with its axes in their order."""
        found = self.unpadded(value)
        if found.plain:
            return found.blob
        blob = self.add(f"{found.blob}_permuted", "Permute", [found.blob], self.shape(value), {"order": found.order})
        self.values[value] = Value(blob, tuple(range(len(found.order))))
        self.readers[blob] = self.graph.reads[value]
        return blob

    def add(
        self,
        name: str,
        kind: str,
        bottoms: Sequence[str],
        shape: Shape,
        options: Mapping[str, Any] | None = None,
        weights: Sequence[Array] = (),
    ) -> str:
        """Append a layer; return its output blob of `shape`, which has the layer's name.

        Raises
        ------
        CannotReadError
            If the weights have become far more than the file can hold.
        """
        name = self.unused(name)
        self.spent += sum(array.size for array in weights)
        if self.spent > self.allowed:
            raise CannotReadError(f"the weights have more than {self.allowed:,} numbers, far more than the file")
        layer = Layer(name, kind, tuple(bottoms), (name,))
        self.layers[name] = layer.with_options(options) if options else layer
        self.weights[name] = [np.asarray(array, np.float64) for array in weights]
        self.shapes[name] = shape
        return name

    def define(self, node: Node, blob: str, order: tuple[int, ...] | None = None, port: int = 0) -> None:
        """Record that an output of `node` is `blob` with its axes in `order` (default: as they are)."""
        value = f"{node.key}:{port}"
        self.values[value] = Value(blob, order or tuple(range(len(self.shapes[blob]))))
        self.readers[blob] = self.graph.reads[value]

    def alias(self, node: Node, value: str) -> None:
        """Record that the output of `node` equals `value`."""
        if value in self.constants:
            self.constants[node.output] = self.constants[value]
        elif value in self.lengths:
            self.lengths[node.output] = self.lengths[value]
        else:
            found = self.values[node.output] = self.value(value)
            self.readers[found.blob] = self.readers.get(found.blob, 0) + self.graph.reads[node.output] - 1

    def blob_order(self, array: Array, value: Value) -> Array:
        """Return a constant that broadcasts against a value, with the axes of the value's blob.

        Raises
        ------
        CannotReadError
            If the constant has more axes than the value.
        """
        rank = len(value.order)
        if array.ndim > rank:
            raise CannotReadError(f"its constant of shape {array.shape} has more axes than its input")
        whole = array.reshape((1,) * (rank - array.ndim) + array.shape)
        return whole.transpose(np.argsort(value.order))

    def net(self, name: str) -> Net:
        """Return the net; its results have the file's names."""
        results = {}
        for value, label in self.graph.outputs.items():
            blob = self.plain(value)
            if len(self.graph.outputs) > 1:  # keeps their order, also where a layer reads a result
                blob = self.add(f"{label}_result", "Split", [blob], self.shapes[blob])
            results[blob] = self._result_name(blob, label)

        def renamed(blobs: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(results.get(blob, blob) for blob in blobs)

        layers = []
        weights: dict[str, Float32Array] = {}
        for layer in self.layers.values():
            called = results.get(layer.name, layer.name)
            layers.append(Layer(called, layer.type, renamed(layer.bottoms), renamed(layer.tops), layer.parameters))
            weights |= weight_keys(called, self.weights.get(layer.name, []))
        return Net(name, tuple(layers), weights)

    def _result_name(self, blob: str, label: str) -> str:
        """Return the file's name of a result as the name of its blob."""
        plain = re.sub(r"[^\w./:-]+", "_", label).strip("_") or "output"
        return plain if plain == blob else self.unused(plain)
