"""`Net`: Caffe's graph in memory. Ordered layers, and the weights as a dict of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from faceall.caffe.schema import PARAMETER_FIELDS, defaults
from faceall.errors import NetFormatError
from faceall.types import Array, Float32Array


@dataclass(frozen=True)
class Layer:
    """One layer.

    name        unique in its net
    type        Caffe's type, as "Convolution"
    bottoms     names of the blobs it reads
    tops        names of the blobs it writes; the same name as a bottom means in place
    parameters  the rest of Caffe's LayerParameter, as plain values: {"convolution_param": {"num_output": 32, ...}}
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def option(self, name: str) -> Any:
        """The option `name` of the layer's own type, or Caffe's default for it (None where Caffe has none)."""
        parameter_field = PARAMETER_FIELDS[self.type]
        options = self.parameters.get(parameter_field, {})
        return options[name] if name in options else defaults(parameter_field)[name]


@dataclass(frozen=True, eq=False)
class Net:
    """A net: its name, its layers in the order of execution, and its weights.

    weights  "LAYER/NUMBER" -> float32 array, in Caffe's axis order (a convolution's kernel is O I H W)
    ranges   Convolution layer -> the largest value of its input, for the layers that may be computed in 8 bits; such
             an input is never negative. Not part of Caffe's files
    """

    name: str
    layers: tuple[Layer, ...]
    weights: Mapping[str, Float32Array] = field(default_factory=dict)
    ranges: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for layer in self.layers:
            if layer.name in seen:
                raise NetFormatError(f"net '{self.name}' has two layers called '{layer.name}'; names must be unique")
            seen.add(layer.name)

    @cached_property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Every input blob with its declared shape, as (1, 3, 160, 160)."""
        return {
            top: tuple(shape.get("dim", ()))
            for layer in self.layers
            if layer.type == "Input"
            for top, shape in zip(layer.tops, _input_shapes(layer), strict=True)
        }

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The blobs that no other layer reads, in order."""
        last_reader = {bottom: number for number, layer in enumerate(self.layers) for bottom in layer.bottoms}
        writers = {top: number for number, layer in enumerate(self.layers) for top in layer.tops}
        return tuple(top for top, number in writers.items() if last_reader.get(top, -1) <= number)

    def blobs(self, layer: str) -> tuple[Float32Array, ...]:
        """The weights of one layer, in Caffe's order."""
        return self._blobs_by_layer.get(layer, ())

    @cached_property
    def _blobs_by_layer(self) -> dict[str, tuple[Float32Array, ...]]:
        found: dict[str, dict[int, Float32Array]] = {}
        for key, array in self.weights.items():
            layer, _, number = key.rpartition("/")
            found.setdefault(layer, {})[int(number)] = array
        return {layer: tuple(blobs[number] for number in sorted(blobs)) for layer, blobs in found.items()}

    def with_weights(self, weights: Mapping[str, Array]) -> Net:
        """The same layers with other weights."""
        return replace(self, weights={key: np.asarray(array, np.float32) for key, array in weights.items()})


def weight_keys(layer: str, blobs: Iterable[Array]) -> dict[str, Float32Array]:
    """The entries of `Net.weights` for one layer's `blobs`."""
    return {f"{layer}/{number}": np.asarray(blob, np.float32, order="C") for number, blob in enumerate(blobs)}


def input_layer(name: str, shape: tuple[int, ...]) -> Layer:
    """An Input layer that declares blob `name` of `shape`."""
    return Layer(name, "Input", (), (name,), {"input_param": {"shape": [{"dim": list(shape)}]}})


def _input_shapes(layer: Layer) -> list[dict[str, list[int]]]:
    shapes: list[dict[str, list[int]]] = list(layer.option("shape"))
    if len(shapes) == 1:
        shapes *= len(layer.tops)
    if len(shapes) != len(layer.tops):
        raise NetFormatError(f"layer '{layer.name}' (Input) has {len(layer.tops)} tops but {len(shapes)} shapes")
    return shapes
