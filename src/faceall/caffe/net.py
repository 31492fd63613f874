"""`Net`: Caffe's graph in memory. Ordered layers, and the weights as a dict of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from faceall.arguments import checked
from faceall.caffe.schema import PARAMETER_FIELDS, defaults
from faceall.errors import NetFormatError
from faceall.types import Array, Float32Array


@dataclass(frozen=True)
class Layer:
    """One layer.

    Parameters
    ----------
    name : str
        Unique in its net.
    type : str
        Caffe's type, as "Convolution".
    bottoms : tuple of str
        Names of the input blobs.
    tops : tuple of str
        Names of the output blobs; the name of an input means in place.
    parameters : mapping
        The other fields of Caffe's LayerParameter: {"convolution_param": {"num_output": 32, ...}}.
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def given(self) -> Mapping[str, Any]:
        """The options of the layer's own type, without defaults."""
        options: Mapping[str, Any] = self.parameters.get(PARAMETER_FIELDS.get(self.type, ""), {})
        return options

    def option(self, name: str) -> Any:
        """Return an option of the layer's own type, or Caffe's default (None if Caffe has none)."""
        given = self.given
        return given[name] if name in given else defaults(PARAMETER_FIELDS[self.type])[name]

    def with_options(self, options: Mapping[str, Any]) -> Layer:
        """Return the layer with `options` in place of those of its own type."""
        return replace(self, parameters={**self.parameters, PARAMETER_FIELDS[self.type]: dict(options)})


@dataclass(frozen=True, eq=False)
class Net:
    """A net: its name, its layers in the order of execution, and its weights.

    Parameters
    ----------
    name : str
        The net's name.
    layers : tuple of Layer
        The layers in the order of execution.
    weights : mapping of str to float32 array
        "LAYER/NUMBER" -> array in Caffe's axis order (the kernel of a convolution is O I H W).
    ranges : mapping of str to float
        Convolution layer -> the largest value of its input, for layers that may be computed in 8 bits; such an input
        is never negative. Not part of Caffe's files.

    Raises
    ------
    NetFormatError
        Two layers have the same name.
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
        """The blobs that no later layer reads, in order."""
        last_reader = {bottom: number for number, layer in enumerate(self.layers) for bottom in layer.bottoms}
        writers = {top: number for number, layer in enumerate(self.layers) for top in layer.tops}
        return tuple(top for top, number in writers.items() if last_reader.get(top, -1) <= number)

    def blobs(self, layer: str) -> tuple[Float32Array, ...]:
        """Return the weights of one layer, in Caffe's order."""
        return self._blobs_by_layer.get(layer, ())

    @cached_property
    def _blobs_by_layer(self) -> dict[str, tuple[Float32Array, ...]]:
        found: dict[str, dict[int, Float32Array]] = {}
        for key, array in self.weights.items():
            layer, _, number = key.rpartition("/")
            found.setdefault(layer, {})[int(number)] = array
        return {layer: tuple(blobs[number] for number in sorted(blobs)) for layer, blobs in found.items()}

    def with_weights(self, weights: Mapping[str, Array]) -> Net:
        """Return the net with other weights."""
        return replace(self, weights={key: np.asarray(array, np.float32) for key, array in weights.items()})


def weight_keys(layer: str, blobs: Iterable[Array]) -> dict[str, Float32Array]:
    """Return the entries of `Net.weights` for the weights of one layer, in Caffe's order."""
    return {f"{layer}/{number}": np.asarray(blob, np.float32, order="C") for number, blob in enumerate(blobs)}


@checked
def input_layer(name: str, shape: tuple[int, ...]) -> Layer:
    """Return an Input layer that declares the blob `name` of `shape`."""
    return Layer(name, "Input", (), (name,), {"input_param": {"shape": [{"dim": list(shape)}]}})


def _input_shapes(layer: Layer) -> list[dict[str, list[int]]]:
    shapes: list[dict[str, list[int]]] = list(layer.option("shape"))
    if len(shapes) == 1:
        shapes *= len(layer.tops)
    if len(shapes) != len(layer.tops):
        raise NetFormatError(f"layer '{layer.name}' (Input) has {len(layer.tops)} tops but {len(shapes)} shapes")
    return shapes
