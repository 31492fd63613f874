"""Write a SavedModel: the graph of one net or several, with its signatures, in a folder for TensorFlow Serving.

The weights are constants of the graph, so that the folder holds no variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from faceall.caffe.net import Net
from faceall.caffe.shapes import infer_shapes
from faceall.convert.sources.tensorflow.savedmodel import EXTRA, MANIFEST_FILE, SAVED_MODEL, is_version
from faceall.convert.sources.tensorflow.schema import messages
from faceall.convert.targets.plan import feature_name
from faceall.convert.targets.savedmodel.cascade import Role, names_of_results
from faceall.convert.targets.savedmodel.encode import FLOAT, TEXT, fill_shape, graph_bytes, tensor_number
from faceall.convert.targets.savedmodel.images import decode, standardise
from faceall.convert.targets.savedmodel.layers import write_layers
from faceall.convert.targets.savedmodel.prepare import prepare, takes_any_size
from faceall.convert.tensorflow.graph_writer import GraphWriter
from faceall.files import write_file
from faceall.models import Manifest
from faceall.protobuf import Message

EMBEDDINGS = "embeddings"
FILES, IMAGES = "image_bytes", "images"
_EPSILON = 1e-10
_VERSION = "2.3.0"
"""The TensorFlow version whose operations are written."""


@dataclass(frozen=True)
class Part:
    """One net of a SavedModel.

    Attributes
    ----------
    net : Net
        What is written.
    manifest : Manifest
        The description of its input.
    role : Role | None
        Its place in MTCNN; None for any other net.
    """

    net: Net
    manifest: Manifest
    role: Role | None = None

    @property
    def scope(self) -> str:
        """The prefix of the names of its nodes."""
        return f"{self.role.name}/" if self.role else ""

    @property
    def signature(self) -> str:
        """The name of the signature that takes files; the one that takes images has `_from_images` appended."""
        if self.role:
            return f"{self.role.name}_predict"
        return "calculate_embeddings" if self.manifest.kind == "embedder" else "predict"

    @property
    def results(self) -> Mapping[str, str]:
        """Blob of the net -> its name in the signatures."""
        if self.manifest.kind == "embedder":
            return {self.manifest.output_blob: EMBEDDINGS}
        return names_of_results(self.net) if self.role else {blob: feature_name(blob) for blob in self.net.outputs}


class _Tensor(NamedTuple):
    """A tensor at the boundary: its name, its type and its shape, -1 for a free size."""

    name: str
    kind: int
    shape: tuple[int, ...]


def version_folder(place: Path, written: Path) -> Path:
    """Return the version's folder in `written`, which becomes `place`; a numeric place is a version itself."""
    return written if is_version(place.name) else written / "1"


def write_savedmodel(parts: Sequence[Part], folder: Path) -> None:
    """Write the version folder `folder`: saved_model.pb, and the manifests beside it.

    Every part has a signature that takes whole files (`image_bytes`, text (n,)) and one that takes images (`images`,
    float32 (n, H, W, 3) RGB, 0 .. 255); of a single part the latter is `serving_default`, too.

    Raises
    ------
    ConvertError
        That lists every layer without a counterpart.
    """
    writer, functions, signatures = GraphWriter(), list[Message](), dict[str, Message]()
    for part in parts:
        files, images, results, called = _write_part(writer, part)
        functions += called
        signatures[part.signature] = _signature({FILES: files}, results)
        signatures[f"{part.signature}_from_images"] = _signature({IMAGES: images}, results)
        if len(parts) == 1:
            signatures["serving_default"] = _signature({IMAGES: images}, results)
    saved = messages()["SavedModel"](saved_model_schema_version=1)
    meta = saved.meta_graphs.add()
    meta.meta_info_def.tags.append("serve")
    meta.meta_info_def.tensorflow_version = _VERSION
    meta.graph_def = graph_bytes(writer.nodes.values(), functions)
    for name, signature in signatures.items():
        meta.signature_def[name].CopyFrom(signature)
    (folder / EXTRA).mkdir(parents=True)
    write_file(folder / SAVED_MODEL, saved.SerializeToString())
    for part in parts:
        name = f"{part.role.name}.{MANIFEST_FILE}" if part.role else MANIFEST_FILE
        write_file(folder / EXTRA / name, replace(part.manifest, files={}).to_json().encode())


def _write_part(writer: GraphWriter, part: Part) -> tuple[_Tensor, _Tensor, dict[str, _Tensor], list[Message]]:
    """Write one net with its two inputs, its results and the functions that it calls."""
    net, scope = prepare(part.net), part.scope
    shapes = infer_shapes(net)
    ((_, _, height, width),) = net.inputs.values()
    free = part.manifest.kind == "detector" and takes_any_size(net)
    files = writer.node(f"{scope}{FILES}", "Placeholder", dtype=TEXT, shape=(-1,))
    decoded, functions = decode(writer, files, None if free else (height, width), scope)
    shape = (-1, -1, -1, 3) if free else (-1, height, width, 3)
    images = writer.node(f"{scope}{IMAGES}", "PlaceholderWithDefault", [decoded], shape=shape)
    numbers = standardise(writer, images, part.manifest, scope)
    if part.role:
        numbers = _turned(writer, numbers, f"{scope}turned")
    tensors = write_layers(writer, net, shapes, numbers, f"{scope}net/")
    units = {layer.tops[0] for layer in net.layers if layer.type == "Normalize" and not net.blobs(layer.name)}
    results = {
        name: _result(writer, part, tensors[blob], shapes[blob], name, free=free, unit=blob in units)
        for blob, name in part.results.items()
    }
    return _Tensor(files, TEXT, (-1,)), _Tensor(images, FLOAT, shape), results, functions


def _result(
    writer: GraphWriter, part: Part, tensor: str, shape: tuple[int, ...], name: str, *, free: bool, unit: bool
) -> _Tensor:
    """Write a result under its name: an embedding as a row of unit length, a map of the cascade upright."""
    called, channels = f"{part.scope}{name}", shape[1]
    if part.manifest.kind == "embedder":
        if len(shape) == 4:
            rows = np.array([-1, channels], np.int32)
            tensor = writer.node("row", "Reshape", [tensor, writer.constant("row/shape", rows)])
        if not unit:
            return _Tensor(writer.unit_length(tensor, called, _EPSILON), FLOAT, (-1, channels))
    elif part.role and len(shape) == 4:
        tensor = _turned(writer, tensor, f"{called}/turned")
    sizes = () if len(shape) == 2 else (-1, -1) if free else shape[2:]
    return _Tensor(writer.node(called, "Identity", [tensor]), FLOAT, (-1, *sizes, channels))


def _turned(writer: GraphWriter, images: str, name: str) -> str:
    """Exchange height and width: MTCNN's nets in Caffe's format were trained on transposed images."""
    order = writer.constant(f"{name}/perm", np.array([0, 2, 1, 3], np.int32))
    return writer.node(name, "Transpose", [images, order])


def _signature(inputs: Mapping[str, _Tensor], outputs: Mapping[str, _Tensor]) -> Message:
    made = messages()["SignatureDef"](method_name="tensorflow/serving/predict")
    for side, tensors in ((made.inputs, inputs), (made.outputs, outputs)):
        for name, tensor in tensors.items():
            side[name].name, side[name].dtype = tensor_number(tensor.name), tensor.kind
            fill_shape(side[name].tensor_shape, tensor.shape)
    return made
