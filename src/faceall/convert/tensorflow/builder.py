"""Write a `Net` layer by layer while a graph is walked, recording how each blob holds its tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from faceall.caffe.net import Layer, Net, input_layer, weight_keys
from faceall.caffe.schema import PARAMETER_FIELDS
from faceall.convert.tensorflow.graph import Graph, Node
from faceall.types import Array, Float32Array

Form: TypeAlias = Literal["image", "vector", "pixels"]
"""How a blob holds a tensor.

image   (N, H, W, C) in a blob (N, C, H, W)
vector  (N, C) or (N, 1, 1, C) in a blob (N, C)
pixels  (N, H * W * C), rows first, in a blob (N, C, H, W): a flattening still to be done
"""


class CannotConvertError(Exception):
    """One node has no counterpart in Caffe; the message says why. The converter collects these."""


@dataclass(frozen=True)
class Value:
    """A tensor of the graph in a blob of the net.

    Parameters
    ----------
    blob : str
        The blob's name.
    shape : tuple[int, ...]
        The tensor's shape without the batch, as (17, 17, 768) or (512,).
    form : Form
        How the blob holds it.
    image : tuple[int, ...]
        For pixels, the shape (H, W, C) before the flattening.
    """

    blob: str
    shape: tuple[int, ...]
    form: Form
    image: tuple[int, ...] = ()

    @property
    def channels(self) -> int:
        """The size of the last axis."""
        return self.shape[-1]


@dataclass
class Builder:
    """A net under construction.

    Parameters
    ----------
    graph : Graph
        The graph to convert.
    shapes : Mapping[str, tuple[int, ...]]
        Tensor -> its shape without the batch.
    fixed : Mapping[str, Array]
        The values of constant tensors, by node.
    values : dict[str, Value]
        Tensor -> its blob, for tensors already written.
    sources : dict[str, str]
        Blob -> the tensor whose values it holds.
    """

    graph: Graph
    shapes: Mapping[str, tuple[int, ...]]
    fixed: Mapping[str, Array]
    values: dict[str, Value] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    weights: dict[str, Float32Array] = field(default_factory=dict)

    def start(self, tensor: str, blob: str, shape: tuple[int, int, int]) -> None:
        """Declare the input `tensor`, an image of `shape` (H, W, C)."""
        height, width, channels = shape
        self.layers.append(input_layer(blob, (1, channels, height, width)))
        self.values[tensor] = Value(blob, shape, "image")
        self.sources[blob] = tensor

    def add(
        self,
        name: str,
        kind: str,
        bottoms: Sequence[str],
        options: Mapping[str, Any] | None = None,
        blobs: Sequence[Array] = (),
        tops: int = 1,
    ) -> str:
        """Append a layer and return its (first) top, which has the layer's name."""
        name = self.unused(name)
        names = (name, *(f"{name}_{number}" for number in range(1, tops)))
        parameters = {PARAMETER_FIELDS[kind]: dict(options)} if options else {}
        self.layers.append(Layer(name, kind, tuple(bottoms), names if tops else (), parameters))
        self.weights |= weight_keys(name, blobs)
        return name

    def unused(self, name: str) -> str:
        """Return `name`, with a number if another layer has it."""
        taken = {layer.name for layer in self.layers} | {top for layer in self.layers for top in layer.tops}
        base = name.replace("/", "_").replace(":", "_")
        result, number = base, 2
        while result in taken:
            result, number = f"{base}_{number}", number + 1
        return result

    def define(self, tensor: str, blob: str, form: Form, *, image: tuple[int, ...] = (), alias: bool = False) -> None:
        """Record that `blob` holds `tensor`; with `alias`, another tensor wrote it first."""
        self.values[tensor] = Value(blob, self.shapes[tensor], form, image)
        if not alias:
            self.sources[blob] = tensor

    def constant(self, tensor: str, what: str) -> Array:
        """Return the value of an operand that has to be a constant.

        Raises
        ------
        CannotConvertError
            If it is computed.
        """
        if tensor not in self.fixed:
            raise CannotConvertError(f"its {what} is not a constant")
        return self.fixed[tensor]

    def image(self, tensor: str) -> Value:
        """Return the image `tensor`, in a blob (N, C, H, W).

        Raises
        ------
        CannotConvertError
            If it is a vector.
        """
        value = self.values[tensor]
        if value.form == "image":
            return value
        if len(value.shape) != 3:
            raise CannotConvertError(f"it expects an image, '{tensor}' is a vector of {value.shape}")
        shape = {"dim": [0, value.channels, 1, 1]}
        blob = self.add(f"{value.blob}_image", "Reshape", [value.blob], {"shape": shape})
        return self._moved(tensor, Value(blob, value.shape, "image"))

    def vector(self, tensor: str) -> Value:
        """Return the vector `tensor`, in a blob (N, C) with TensorFlow's order of numbers.

        Raises
        ------
        CannotConvertError
            If it is an image.
        """
        value = self.values[tensor]
        if value.form == "vector":
            return value
        if value.form == "image" and value.shape[:2] != (1, 1):
            raise CannotConvertError(f"it expects a vector, '{tensor}' is an image of {value.shape}")
        blob = value.blob
        if value.form == "pixels":
            blob = self.add(f"{value.blob}_rows", "Permute", [blob], {"order": [0, 2, 3, 1]})
        blob = self.add(f"{value.blob}_flat", "Flatten", [blob])
        return self._moved(tensor, Value(blob, value.shape, "vector"))

    def channelled(self, tensor: str) -> Value:
        """Return `tensor` in a blob whose axis 1 is TensorFlow's last axis."""
        return self.vector(tensor) if self.values[tensor].form == "pixels" else self.values[tensor]

    def _moved(self, tensor: str, value: Value) -> Value:
        self.values[tensor] = value
        return value

    def net(self, name: str) -> Net:
        """Return the net of all layers so far."""
        return Net(name, tuple(self.layers), self.weights)


def layer_name(node: Node) -> str:
    """Return a readable layer name: the node's scope, without the operation's own name where this says nothing new.

    "InceptionResnetV1/Conv2d_1a_3x3/Conv2D" -> "InceptionResnetV1_Conv2d_1a_3x3"
    """
    path = str(node.attrs.get("scope", node.name)).split("/")
    says_nothing = path[-1].rstrip("_0123456789").lower() in _LEAVES
    return "_".join(path[:-1] if says_nothing and len(path) > 1 else path)


_LEAVES = (
    "avgpool", "biasadd", "concat", "conv", "conv2d", "convolution", "depthwise", "flatten", "matmul", "maxpool",
    "mean", "reshape", "squeeze",
)  # fmt: skip
