"""`LayerSpec`: everything faceall knows of one layer type, in one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol, TypeAlias

from faceall.caffe.onnx_graph import OnnxGraph
from faceall.types import Array

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = tuple[Shape, ...]


class LayerLike(Protocol):
    """The attributes of a layer that the rules of its type read; `faceall.caffe.net.Layer` has them."""

    @property
    def name(self) -> str:
        """The layer's name."""

    @property
    def type(self) -> str:
        """Caffe's name of the type."""

    @property
    def bottoms(self) -> tuple[str, ...]:
        """The names of the input blobs."""

    @property
    def tops(self) -> tuple[str, ...]:
        """The names of the output blobs."""

    @property
    def given(self) -> Mapping[str, Any]:
        """The options that the layer gives."""

    def option(self, name: str) -> Any:
        """Return the value of an option, or Caffe's default."""


ShapeRule: TypeAlias = Callable[[LayerLike, Shapes], Shapes]
"""(layer, shapes of its inputs) -> shapes, of its outputs or of its weights.

An error of a rule says only what is wrong ("expects ..."); `shapes.infer_shapes` adds the layer's name.
"""

Operation: TypeAlias = Callable[[LayerLike, Sequence[Array], Sequence[Array]], tuple[Array, ...]]
"""(layer, inputs, weights) -> outputs, in plain NumPy and in the dtype of the inputs; shapes are checked before."""

OnnxRule: TypeAlias = Callable[[OnnxGraph, LayerLike, list[str]], list[str]]
"""(graph, layer, names of its input values) -> names of its output values; appends nodes to the graph."""


@dataclass(frozen=True)
class OptionSchema:
    """The message of Caffe's file format that holds the options of a layer type.

    Parameters
    ----------
    field : str
        Its field in LayerParameter, as "convolution_param".
    number : int
        The field's number, as in caffe.proto.
    message : str
        The message's name.
    text : str
        The message's fields, as `protobuf.build_messages` reads them.
    v1_number : int or None
        The field's number in V1LayerParameter, where the old format has the field.
    """

    field: str
    number: int
    message: str
    text: str
    v1_number: int | None = None


@dataclass(frozen=True)
class LayerSpec:
    """One layer type.

    Parameters
    ----------
    type : str
        Caffe's name of the type, as "Convolution".
    shapes : ShapeRule
        The shapes of the outputs. Raises ShapeError or UnsupportedLayerError.
    operation : Operation
        What the type computes.
    onnx : OnnxRule
        The same as ONNX nodes.
    options : OptionSchema or None
        The type's options in Caffe's file format.
    weights : ShapeRule or None
        The shapes of the weights; None for a type without weights.
    optional_weights : int
        How many of the last weights may be absent.
    bottoms, tops : (int, int or inf)
        The smallest and the largest number of inputs and of outputs.
    v1_type : str or None
        The type's name in V1 files, as "CONVOLUTION".
    fixed_size : bool
        Whether a net with such a layer takes only images of its declared height and width when it runs as ONNX.
    """

    type: str
    shapes: ShapeRule
    operation: Operation
    onnx: OnnxRule
    options: OptionSchema | None = None
    weights: ShapeRule | None = None
    optional_weights: int = 0
    bottoms: tuple[int, float] = (1, 1)
    tops: tuple[int, float] = (1, 1)
    v1_type: str | None = None
    fixed_size: bool = False


ANY_NUMBER = (1, inf)
"""At least one input or output."""
