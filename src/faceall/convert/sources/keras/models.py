"""Convert a Keras model, Functional or Sequential, to a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from faceall.convert.architectures.definitions import facenet_graph, mobile_facenet_graph
from faceall.convert.architectures.weights import STATISTICS
from faceall.convert.budget import allowed_bytes, charge, limited
from faceall.convert.sources.keras.files import KerasFile, LayerWeights, read_keras
from faceall.convert.sources.keras.layers import LAYERS, CannotReadLayerError, KerasLayer
from faceall.convert.sources.source import Source, digests
from faceall.convert.tensorflow.graph_writer import GraphWriter
from faceall.errors import ConvertError, NetFormatError, UnsupportedGraphError
from faceall.types import Array

Key: TypeAlias = tuple[str, int, int]
"""A tensor of a model: the layer, the number of its call, the number of the call's result."""

_OWN = {"Block35_1_Branch_0_Conv2d_1x1": facenet_graph, "Block_1_Expand": mobile_facenet_graph}
"""Layer that identifies an architecture -> its definition in faceall."""
_MODELS = ("Functional", "Model", "Sequential")
_DEEPEST = 8
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)


def open_keras(path: Path) -> Source:
    """Read a Keras file (`.keras`, `.h5`), with its description, or weights alone of a net that faceall can define.

    A model with Lambda layers is rebuilt from faceall's definition if it is FaceNet's; weights are found by name.

    Raises
    ------
    NetFormatError
        If it is damaged.
    UnsupportedGraphError
        The message lists every layer without a counterpart.
    """
    file = read_keras(path)
    try:
        with limited(allowed_bytes(path.stat().st_size)):
            return _open(path, file)
    except NetFormatError as error:
        raise error.at(path) from error


def _open(path: Path, file: KerasFile) -> Source:
    files = digests([path])
    definition = next((own for layer, own in _OWN.items() if layer in file.weights), None)
    if definition and (file.config is None or _has_code(file.config)):
        try:
            graph = definition(_own_names(file.weights))
        except ConvertError as error:
            raise ConvertError(f"{path}: {error}") from error
        why = "it holds program code (Lambda layers)" if file.config else "it holds weights alone"
        remark = f"{why}: the weights were put into faceall's own definition, which ends in vectors of unit length"
        return Source("keras", path, path.stem, graph, remarks=(remark,), files_sha256=files)
    if file.config is None:
        raise NetFormatError("a Keras file with weights alone, of no net that faceall knows; save the model")
    model = _Model(file)
    try:
        inputs, outputs = model.build(file.config, None, 0)
    except _DAMAGE as error:
        raise NetFormatError("the Keras file is damaged: its description does not add up") from error
    if model.problems:
        listed = ", ".join(model.problems)
        raise UnsupportedGraphError(f"{path}: {len(model.problems)} layers have no counterpart: {listed}")
    return Source(
        "keras",
        path,
        path.stem,
        model.writer.graph(),
        input=inputs[0] if len(inputs) == 1 else None,
        output=outputs[0] if len(outputs) == 1 else None,
        files_sha256=files,
    )


def _own_names(weights: LayerWeights) -> dict[str, Array]:
    """Rename Keras's weights to the names of faceall's definition."""
    found: dict[str, Array] = {}
    for layer, arrays in weights.items():
        if layer.endswith("_BatchNorm"):
            names = STATISTICS[-len(arrays) :] if 3 <= len(arrays) <= 4 else ()
        else:
            names = ("slope",) if layer.endswith("_PReLU") else ("weights", "biases")
        found |= {f"{layer}/{name}": array for name, array in zip(names, arrays, strict=False)}
    return {name: array.reshape(-1) if name.endswith("/slope") else array for name, array in found.items()}


def _has_code(config: Any) -> bool:
    layers = config.get("config", {})
    layers = layers.get("layers", []) if isinstance(layers, Mapping) else layers
    return any(isinstance(layer, Mapping) and layer.get("class_name") == "Lambda" for layer in layers)


class _Model:
    """A graph under construction."""

    def __init__(self, file: KerasFile) -> None:
        self.weights = file.weights
        self.writer = GraphWriter()
        self.problems: list[str] = []

    def build(self, model: Mapping[str, Any], feeds: Sequence[str] | None, depth: int) -> tuple[list[str], list[str]]:
        """Write a model; its inputs and outputs. As a layer of another it reads `feeds`."""
        if depth > _DEEPEST:
            raise ValueError("models in models without end")
        if model["class_name"] == "Sequential":
            return self._sequential(model["config"], feeds, depth)
        if model["class_name"] not in _MODELS or "layers" not in model["config"]:
            self.problems.append(
                f"'{model['config'].get('name', 'model')}' ({model['class_name']}: its code is needed)"
            )
            return [], []
        return self._functional(model["config"], feeds, depth)

    def _sequential(self, config: Any, feeds: Sequence[str] | None, depth: int) -> tuple[list[str], list[str]]:
        layers = config if isinstance(config, list) else config["layers"]
        start = "" if feeds is None else feeds[0]
        x = start
        for layer in layers:
            if layer["class_name"] == "InputLayer" or not x:
                x = x or self._image(layer["config"], "input")
                start = start or x
            if layer["class_name"] != "InputLayer":
                x = self._call(layer, layer["config"]["name"], [x], depth)[0]
        return [start], [x]

    def _functional(
        self, config: Mapping[str, Any], feeds: Sequence[str] | None, depth: int
    ) -> tuple[list[str], list[str]]:
        tensors: dict[Key, str] = {}
        inputs = []
        named = {layer["name"]: layer for layer in config["layers"]}
        for number, key in enumerate(_keys(config["input_layers"])):
            tensors[key] = feeds[number] if feeds is not None else self._image(named[key[0]]["config"], key[0])
            inputs.append(tensors[key])
        waiting = [
            (layer, call, _reads(node))
            for layer in config["layers"]
            if layer["class_name"] != "InputLayer"
            for call, node in enumerate(layer["inbound_nodes"])
        ]
        while waiting:
            charge(parts=len(waiting))
            later = []
            for layer, call, keys in waiting:
                if not all(key in tensors for key in keys):
                    later.append((layer, call, keys))
                    continue
                name = f"{layer['name']}_call_{call}" if call else layer["name"]
                made = self._call(layer, name, [tensors[key] for key in keys], depth)
                tensors.update(((layer["name"], call, place), tensor) for place, tensor in enumerate(made))
            if len(later) == len(waiting):
                raise ValueError("layers wait for each other")
            waiting = later
        return inputs, [tensors[key] for key in _keys(config["output_layers"])]

    def _image(self, config: Mapping[str, Any], name: str) -> str:
        shape = config.get("batch_shape") or config.get("batch_input_shape")
        if not shape or len(shape) != 4:
            raise ValueError(f"the input has the shape {shape}")
        height, width, channels = (size if isinstance(size, int) else -1 for size in shape[1:])
        return self.writer.image(height, width, channels, name)

    def _call(self, layer: Mapping[str, Any], name: str, inputs: Sequence[str], depth: int) -> list[str]:
        """Write one call of a layer; its results."""
        kind, config = layer["class_name"], layer["config"]
        charge(parts=1 + len(inputs))
        if kind in _MODELS:
            return self.build(layer, inputs, depth + 1)[1]
        if kind not in LAYERS:
            self.problems.append(f"'{name}' ({kind})")
            return list(inputs[:1])
        call = KerasLayer(name, config, inputs, self.weights.get(config["name"], []))
        try:
            return [LAYERS[kind](self.writer, call)]
        except CannotReadLayerError as error:
            self.problems.append(f"'{name}' ({kind}: {error})")
            return list(inputs[:1])


def _keys(items: Any) -> list[Key]:
    """Return the tensors that a model reads or writes: one [layer, call, result], or a list of such."""
    if items and isinstance(items[0], str):
        items = [items]
    return [(str(item[0]), int(item[1]), int(item[2])) for item in items]


def _reads(node: Any) -> list[Key]:
    """Return the tensors that one call of a layer reads, in Keras 2's lists or Keras 3's arguments."""
    if isinstance(node, Mapping):
        return _histories(node["args"])
    return _keys(node)


def _histories(value: Any) -> list[Key]:
    if isinstance(value, Mapping):
        return _keys(value["config"]["keras_history"]) if value.get("class_name") == "__keras_tensor__" else []
    return [key for item in value for key in _histories(item)] if isinstance(value, list) else []
