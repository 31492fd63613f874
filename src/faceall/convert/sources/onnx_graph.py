"""Read the graph of an ONNX file: a net under construction, to which each operation's reader adds layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from faceall.caffe.net import Layer, Net, input_layer, weight_keys
from faceall.caffe.onnx_schema import FLOAT, INT64
from faceall.caffe.schema import PARAMETER_FIELDS
from faceall.errors import UnsupportedGraphError
from faceall.protobuf import Message
from faceall.types import Array

FREE_SIZE = 160
"""The height and width of an input whose size the file leaves free."""


class CannotReadNodeError(Exception):
    """One node has no counterpart; the message says why."""


class GraphReader:
    """A net under construction, and the blob of each value of the graph."""

    def __init__(self, graph: Message, operations: Mapping[str, ReadNode]) -> None:
        self.graph = graph
        self.operations = operations
        self.constants = {item.name: _array(item) for item in graph.initializer}
        self.blobs: dict[str, str] = {}
        self.sizes: dict[str, str] = {}
        """A value that is a blob's shape, or computed from it -> the blob."""
        self.layers: dict[str, Layer] = {}
        self.weights: dict[str, list[Array]] = {}

    def net(self) -> Net:
        """Return the whole net; its results have the names that the file gives them.

        Raises
        ------
        UnsupportedGraphError
            If operations have no counterpart; the message lists them.
        """
        for item in self.graph.input:
            sizes = [dim.dim_value or FREE_SIZE for dim in item.type.tensor_type.shape.dim]
            self.layers[item.name] = input_layer(item.name, (1, *sizes[1:]))
            self.blobs[item.name] = item.name
        problems = [problem for node in self.graph.node if (problem := self._read(node))]
        if problems:
            raise UnsupportedGraphError(f"{len(problems)} operations have no counterpart: {', '.join(problems)}")
        results = {self.blobs[item.name]: item.name for item in self.graph.output}
        return self._named(results)

    def _read(self, node: Message) -> str:
        """Write one node's layer; return the reason if that is not possible."""
        try:
            if node.op_type not in self.operations:
                raise CannotReadNodeError
            self.operations[node.op_type](self, node, {item.name: _option(item) for item in node.attribute})
        except CannotReadNodeError as error:
            self.blobs |= dict.fromkeys(node.output, "?")
            return f"'{node.name}' ({node.op_type}{error})"
        return ""

    def blob(self, value: str) -> str:
        """Return the blob of a value."""
        return self.blobs[value]

    def constant(self, value: str) -> Array:
        """Return a value that the file holds.

        Raises
        ------
        CannotReadNodeError
            If it is computed.
        """
        if value not in self.constants:
            raise CannotReadNodeError(": an operand is not a constant")
        return self.constants[value]

    def add(
        self, node: Message, kind: str, bottoms: Sequence[str], options: dict[str, Any], *blobs: Array, suffix: str = ""
    ) -> str:
        """Append a layer that writes the node's first output; its blob has the layer's name."""
        name = f"{node.name}{suffix}"
        parameters = {PARAMETER_FIELDS[kind]: options} if options else {}
        self.layers[name] = Layer(name, kind, tuple(bottoms), (name,), parameters)
        self.weights[name] = list(blobs)
        self.blobs[node.output[0]] = name
        return name

    def _named(self, results: dict[str, str]) -> Net:
        def renamed(blobs: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(results.get(blob, blob) for blob in blobs)

        weights: dict[str, Any] = {}
        layers = []
        for layer in self.layers.values():
            name = results.get(layer.name, layer.name)
            layers.append(replace(layer, name=name, bottoms=renamed(layer.bottoms), tops=renamed(layer.tops)))
            weights |= weight_keys(name, self.weights.get(layer.name, []))
        return Net(self.graph.name or "net", tuple(layers), weights)


ReadNode: TypeAlias = Callable[["GraphReader", Message, dict[str, Any]], None]
"""Function(reader, node, attributes) that adds the layers of one node."""


def _array(item: Message) -> Array:
    kinds = {FLOAT: "<f4", INT64: "<i8"}
    if item.data_type not in kinds:
        return np.zeros(0, np.float32)
    return np.frombuffer(item.raw_data, kinds[item.data_type]).reshape(tuple(item.dims))


def _option(item: Message) -> Any:
    if item.ints:
        return list(item.ints)
    return item.f if item.HasField("f") else item.i
