"""Read and run an .mlpackage or .mlmodel without coremltools and without a Mac."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from google.protobuf.message import DecodeError

from faceall.convert.targets.coreml.options import Format, InputKind
from faceall.convert.targets.coreml.run_network import run_network, scaled_image
from faceall.convert.targets.coreml.run_program import run_program
from faceall.convert.targets.coreml.schema import BGR, RGB, messages
from faceall.convert.targets.coreml.weights import BlobFile
from faceall.errors import NetFormatError, ShapeError
from faceall.protobuf import Message
from faceall.types import Array, Float32Array

_LARGEST_FILE = 1 << 30
_LARGEST_INPUT = 1 << 26
"""The most values of an input."""


@dataclass(frozen=True)
class Feature:
    """An input.

    Attributes
    ----------
    name : str
        As the file has it.
    kind : InputKind
        "image": (H, W, 3) uint8 in RGB; "array": float32.
    shape : tuple[int | None, ...]
        Of an image (1, 3, H, W), of an array as declared; None for a size that is free.
    color : Literal['RGB', 'BGR']
        The order in which an image's channels go into the net.
    """

    name: str
    kind: InputKind
    shape: tuple[int | None, ...]
    color: Literal["RGB", "BGR"] = "RGB"


@dataclass(frozen=True)
class CoremlModel:
    """A Core ML file in memory.

    Attributes
    ----------
    format : Format
        "mlprogram" or "neuralnetwork".
    specification : int
        The number of the file format; 6 is iOS 15, 7 iOS 16, and so on.
    inputs : Mapping[str, Feature]
        By name.
    outputs : tuple[str, ...]
        Names of the results, in the file's order.
    metadata : Mapping[str, str]
        "author", "license", "shortDescription" and whatever the writer added.
    """

    path: Path
    format: Format
    specification: int
    inputs: Mapping[str, Feature]
    outputs: tuple[str, ...]
    metadata: Mapping[str, str]
    _model: Message = field(repr=False)
    _blobs: BlobFile = field(repr=False)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Float32Array]:
        """Run the model and return its results by name, float32.

        Parameters
        ----------
        inputs : Mapping[str, Array]
            By name; an image as (H, W, 3) uint8 in RGB, an array as float32 of its declared shape.

        Raises
        ------
        ShapeError
            If an input is absent or of another shape.
        NetFormatError
            Which names the file and the operation, where the file is damaged or has an operation that faceall does not
            know.
        """
        ready = {name: self._prepared(feature, inputs) for name, feature in self.inputs.items()}
        try:
            with np.errstate(all="ignore"):
                if self.format == "mlprogram":
                    made = run_program(self._model.mlProgram, self._blobs, ready, self.outputs)
                else:
                    made = run_network(self._model.neuralNetwork, self._scaled(ready), self.outputs)
        except NetFormatError as error:
            raise NetFormatError(f"{self.path}: {error}") from error
        return {name: np.asarray(array, np.float32) for name, array in made.items()}

    def _prepared(self, feature: Feature, inputs: Mapping[str, Array]) -> Float32Array:
        if feature.name not in inputs:
            raise ShapeError(f"{self.path.name} needs the input '{feature.name}', given: {', '.join(inputs) or 'none'}")
        array = np.asarray(inputs[feature.name])
        if feature.kind == "image":
            if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
                raise ShapeError(
                    f"input '{feature.name}' is {array.dtype} {array.shape}, expected uint8 (height, width, 3)"
                )
            ordered = array if feature.color == "RGB" else array[:, :, ::-1]
            array = ordered.transpose(2, 0, 1)[None]
        fits = len(feature.shape) == array.ndim and all(
            wanted is None or wanted == size for wanted, size in zip(feature.shape, array.shape, strict=True)
        )
        if not fits or array.size > _LARGEST_INPUT:
            raise ShapeError(f"input '{feature.name}' has shape {array.shape}, the model takes {feature.shape}")
        return np.ascontiguousarray(array, np.float32)

    def _scaled(self, arrays: Mapping[str, Float32Array]) -> dict[str, Array]:
        """Scale the images; the channels are ordered RGB for it, because the network's scaler works by colour."""
        found: dict[str, Array] = {}
        for name, array in arrays.items():
            if self.inputs[name].kind == "array":
                found[name] = array
            elif self.inputs[name].color == "RGB":
                found[name] = scaled_image(self._model.neuralNetwork, name, array)
            else:
                found[name] = scaled_image(self._model.neuralNetwork, name, array[:, ::-1])[:, ::-1]
        return found


def read_coreml(path: str | Path) -> CoremlModel:
    """Read the model in an .mlpackage or .mlmodel.

    Raises
    ------
    NetFormatError
        If the file cannot be read, is damaged or holds another kind of model.
    """
    place = Path(path)
    try:
        contents, weights = _package(place) if place.is_dir() else (_contents(place), b"")
        return _parsed(place, contents, weights)
    except OSError as error:
        raise NetFormatError(f"{place}: cannot be read: {error.strerror or error}") from error
    except NetFormatError as error:
        raise NetFormatError(f"{place}: {error}") from error


def _contents(path: Path) -> bytes:
    if path.stat().st_size > _LARGEST_FILE:
        raise NetFormatError(f"{path.name} is larger than {_LARGEST_FILE >> 20} MiB")
    return path.read_bytes()


def _package(path: Path) -> tuple[bytes, bytes]:
    """Read the model and the weight file beside it."""
    try:
        manifest: Any = json.loads(_contents(path / "Manifest.json"))
        part = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NetFormatError("its Manifest.json is damaged or names no model") from error
    if not isinstance(part, str) or "\0" in part:
        raise NetFormatError("its Manifest.json names no model")
    inside = PurePosixPath(part)
    if inside.is_absolute() or ".." in inside.parts:
        raise NetFormatError("its Manifest.json names a model outside the package")
    model = path / "Data" / inside
    weights = model.parent / "weights" / "weight.bin"
    return _contents(model), _contents(weights) if weights.is_file() else b""


def _parsed(path: Path, contents: bytes, weights: bytes) -> CoremlModel:
    model = messages()["Model"]()
    try:
        model.ParseFromString(contents)
    except (DecodeError, RecursionError) as error:
        raise NetFormatError("is damaged, or no Core ML model") from error
    if model.HasField("mlProgram") == model.HasField("neuralNetwork"):
        raise NetFormatError("holds neither an ML Program nor a NeuralNetwork, or is damaged")
    description = model.description
    inputs = [_checked(_feature(feature)) for feature in description.input]
    outputs = tuple(feature.name for feature in description.output)
    if not inputs or not outputs:
        raise NetFormatError("declares no inputs or no results")
    metadata = {name: str(getattr(description.metadata, name)) for name in ("author", "license", "shortDescription")}
    return CoremlModel(
        path=path,
        format="mlprogram" if model.HasField("mlProgram") else "neuralnetwork",
        specification=int(model.specificationVersion),
        inputs={feature.name: feature for feature in inputs},
        outputs=outputs,
        metadata=metadata | {entry.key: entry.value for entry in description.metadata.userDefined},
        _model=model,
        _blobs=BlobFile(weights),
    )


def _checked(feature: Feature) -> Feature:
    sizes = [1 if size is None else size for size in feature.shape]
    if min(sizes, default=0) < 1 or prod(sizes) > _LARGEST_INPUT:
        raise NetFormatError(f"its input '{feature.name[:60]}' has the shape {feature.shape[:8]}: damaged")
    return feature


def _feature(described: Message) -> Feature:
    kind, name = described.type, str(described.name)
    if kind.HasField("imageType"):
        image = kind.imageType
        if image.colorSpace not in (RGB, BGR):
            raise NetFormatError(f"its input '{name[:60]}' is an image without colours, expected RGB or BGR")
        free = image.HasField("imageSizeRange") or image.HasField("enumeratedSizes")
        sides = (None, None) if free else (int(image.height), int(image.width))
        return Feature(name, "image", (1, 3, *sides), "RGB" if image.colorSpace == RGB else "BGR")
    if not kind.HasField("multiArrayType"):
        raise NetFormatError(f"its input '{name[:60]}' is neither an image nor an array")
    array = kind.multiArrayType
    shape: list[int | None] = [int(size) for size in array.shape]
    if array.HasField("shapeRange") or array.HasField("enumeratedShapes"):
        shape = [size if place < 2 else None for place, size in enumerate(shape)]
    return Feature(name, "array", tuple(shape))
