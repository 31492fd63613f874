"""`OnnxGraph`: an ONNX model under construction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from faceall.caffe.onnx_schema import (
    ATTRIBUTE_FLOAT,
    ATTRIBUTE_INT,
    ATTRIBUTE_INTS,
    ATTRIBUTE_STRING,
    FLOAT,
    INT8,
    INT64,
    UINT8,
    messages,
)
from faceall.protobuf import Message
from faceall.types import Array

OPSET = 13
IR_VERSION = 8
_ELEMENTS = {"f": (FLOAT, "<f4"), "i8": (INT64, "<i8"), "i1": (INT8, "i1"), "u1": (UINT8, "u1")}


class OnnxGraph:
    """An ONNX graph under construction: its nodes, its constants, and the value of every Caffe blob.

    Parameters
    ----------
    name : str
        The graph's name.
    shapes : mapping of str to tuple of int
        The shape of every blob.
    weights : mapping of str to tuple of arrays
        The weights of every layer that has any, by the layer's name.
    ranges : mapping of str to float
        The largest input of every Convolution that is computed in 8 bits.
    """

    def __init__(
        self,
        name: str,
        shapes: Mapping[str, tuple[int, ...]],
        weights: Mapping[str, tuple[Array, ...]],
        ranges: Mapping[str, float],
    ) -> None:
        self.shapes = shapes
        self.ranges = ranges
        self.values: dict[str, str] = {}
        self.model = messages()["ModelProto"](ir_version=IR_VERSION, producer_name="faceall")
        self.model.opset_import.add(domain="", version=OPSET)
        self.message = self.model.graph
        self.message.name = name or "net"
        self._weights = weights
        self._quantised: dict[str, str] = {}
        self._count = 0

    def rank(self, blob: str) -> int:
        """Return the number of axes of a blob."""
        return len(self.shapes[blob])

    def blobs(self, layer: str) -> tuple[Array, ...]:
        """Return the weights of a layer."""
        return self._weights.get(layer, ())

    def node(self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Append a node with one output; return the output's name."""
        self._count += 1
        output = output or f"{kind}:{self._count}"
        node = self.message.node.add(op_type=kind, name=f"{kind}_{self._count}", input=inputs, output=[output])
        for name, value in attributes.items():
            _set_attribute(node.attribute.add(name=name), value)
        return output

    def constant(self, array: Array) -> str:
        """Append a constant (float32, int64, int8 or uint8); return its name."""
        self._count += 1
        kind, dtype = _ELEMENTS[array.dtype.str[1:] if array.dtype.kind in "iu" else "f"]
        values = np.ascontiguousarray(array, dtype)
        name = f"constant:{self._count}"
        initializer = self.message.initializer.add(name=name, data_type=kind, dims=values.shape)
        initializer.raw_data = values.tobytes()
        return name

    def integers(self, *numbers: int) -> str:
        """Append an int64 constant with one axis; return its name."""
        return self.constant(np.array(numbers, np.int64))

    def scalar(self, number: float) -> str:
        """Append a float32 constant without axes; return its name."""
        return self.constant(np.array(number, np.float32))

    def broadcast(self, array: Array, blob: str, axis: int) -> str:
        """Append `array` as a constant that broadcasts against `blob` from `axis` on; return its name."""
        trailing = self.rank(blob) - axis - array.ndim
        return self.constant(array.reshape(array.shape + (1,) * trailing))

    def quantised(self, value: str, largest: float) -> str:
        """Append the rounding of a value from 0 to `largest` to 255 steps, which engines compute in 8 bits."""
        if value not in self._quantised:
            step = [self.scalar(largest / 255), self.constant(np.array(0, np.uint8))]
            rounded = self.node("QuantizeLinear", [value, *step])
            self._quantised[value] = self.node("DequantizeLinear", [rounded, *step])
        return self._quantised[value]


def declare(info: Message, shape: Sequence[int | str]) -> None:
    """Declare a float32 input or output; a size given as text is free and has that name."""
    info.type.tensor_type.elem_type = FLOAT
    info.type.tensor_type.shape.SetInParent()
    for size in shape:
        name = "dim_param" if isinstance(size, str) else "dim_value"
        info.type.tensor_type.shape.dim.add(**{name: size})


def _set_attribute(attribute: Message, value: Any) -> None:
    if isinstance(value, str):
        attribute.type, attribute.s = ATTRIBUTE_STRING, value.encode()
    elif isinstance(value, float):
        attribute.type, attribute.f = ATTRIBUTE_FLOAT, value
    elif isinstance(value, int):
        attribute.type, attribute.i = ATTRIBUTE_INT, value
    else:
        attribute.type = ATTRIBUTE_INTS
        attribute.ints.extend(value)
