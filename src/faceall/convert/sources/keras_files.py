"""Read Keras's files: the model's description and its weights by layer. Nothing in a file is ever executed."""

from __future__ import annotations

import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from faceall.errors import MissingDependencyError, NetFormatError
from faceall.types import Array

LayerWeights: TypeAlias = dict[str, list[Array]]
"""Layer -> its weights, in Keras's order."""

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ZIP_MAGIC = b"PK\x03\x04"

_LARGEST_WEIGHTS = 1 << 30
_LARGEST_CONFIG = 1 << 26
_BROKEN = (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, IndexError, OverflowError)
"""What h5py raises for damaged files."""


@dataclass(frozen=True)
class KerasFile:
    """A Keras model as a file has it.

    config   the model's description, {"class_name": ..., "config": ...}; None where there are weights alone
    weights  layer -> its arrays
    """

    config: Mapping[str, Any] | None
    weights: LayerWeights


def read_keras(path: Path) -> KerasFile:
    """Read a `.keras` archive or an `.h5` file.

    Raises NetFormatError where it is damaged or none, MissingDependencyError without h5py.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
            return _archive(path) if start.startswith(ZIP_MAGIC) else _h5(path)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, UnicodeDecodeError, RecursionError) as error:
        raise NetFormatError(f"{path}: the Keras file is damaged") from error
    except OSError as error:
        raise NetFormatError(f"{path}: cannot be read: {error.strerror or 'the Keras file is damaged'}") from error


def _archive(path: Path) -> KerasFile:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        missing = [name for name in ("config.json", "model.weights.h5") if name not in names]
        if missing:
            raise NetFormatError(f"{path}: expected a Keras file (.keras), the archive lacks {' and '.join(missing)}")
        text = _member(path, archive, "config.json", _LARGEST_CONFIG)
        data = _member(path, archive, "model.weights.h5", _LARGEST_WEIGHTS)
    with _opened(path, io.BytesIO(data)) as file:
        return KerasFile(_json(path, text), _guarded(path, _numbered_weights, file))


def _member(path: Path, archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > limit:
        raise NetFormatError(f"{path}: {name} is said to be {info.file_size} bytes, more than a net has: damaged")
    try:
        with archive.open(info) as file:
            return file.read(info.file_size + 1)[: info.file_size]
    except (zlib.error, lzma.LZMAError, zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError) as error:
        raise NetFormatError(f"{path}: {name} in it is damaged") from error


def _h5(path: Path) -> KerasFile:
    with _opened(path, path) as file:
        config = _guarded(path, lambda f: f.attrs.get("model_config"), file)
        group = _guarded(path, lambda f: f.get("model_weights", f), file)
        return KerasFile(None if config is None else _json(path, config), _guarded(path, _named_weights, group))


def _opened(path: Path, source: Any) -> Any:
    try:
        return _h5py().File(source, "r")
    except _BROKEN as error:
        raise NetFormatError(f"{path}: the Keras file is damaged: its HDF5 part cannot be opened") from error


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError('Keras files need h5py: pip install "faceall[convert]"') from error
    module: ModuleType = h5py
    return module


def _guarded(path: Path, read: Any, file: Any) -> Any:
    try:
        return read(file)
    except _BROKEN as error:
        raise NetFormatError(f"{path}: the Keras file is damaged: {str(error).splitlines()[0][:120]}") from error


def _json(path: Path, text: Any) -> Mapping[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, TypeError) as error:
        raise NetFormatError(f"{path}: the Keras file is damaged: the model's description is no JSON") from error
    if not isinstance(config, dict) or not isinstance(config.get("config"), (dict, list)):
        raise NetFormatError(f"{path}: the Keras file is damaged: it describes no model")
    return config


def _datasets(group: Any) -> dict[str, Any]:
    """Every array below `group` by its path; links to elsewhere are not followed."""
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if hasattr(item, "dtype") and hasattr(item, "shape"):
            found[name] = item

    group.visititems(visit)
    total = sum(item.nbytes for item in found.values())
    if total > _LARGEST_WEIGHTS:
        raise ValueError(f"its arrays are said to be {total} bytes")
    return found


def _array(item: Any) -> Array:
    if item.is_virtual or item.external or item.dtype.kind not in "fiu":
        raise ValueError(f"the array '{item.name}' holds no numbers of its own")
    return np.asarray(item[()])


def _numbered_weights(file: Any) -> LayerWeights:
    """Keras 3: LAYER/vars/0, 1, ...; the group `vars` knows the layer's name."""
    found: dict[str, dict[int, Array]] = {}
    for path, item in _datasets(file).items():
        group, _, number = path.rpartition("/")
        if group.endswith("vars") and number.isdigit():
            name = file[group].attrs.get("name") or group.split("/")[-2]
            if int(number) in found.setdefault(str(name), {}):
                raise ValueError(f"two layers are called '{name}'")
            found[str(name)][int(number)] = _array(item)
    return {name: [arrays[number] for number in sorted(arrays)] for name, arrays in found.items()}


def _named_weights(group: Any) -> LayerWeights:
    """Keras's HDF5 format: LAYER with the attribute weight_names, "SCOPE/LAYER/kernel:0"."""
    datasets = _datasets(group)
    found: LayerWeights = {}
    for layer in _texts(group.attrs, "layer_names"):
        for name in _texts(group[layer].attrs, "weight_names"):
            parts = name.split("/")
            inner = parts[-2] if len(parts) > 1 else layer
            owner = layer if len(_owners(group[layer])) < 2 else inner  # a model as a layer holds several layers
            found.setdefault(owner, []).append(_array(datasets[f"{layer}/{name}"]))
    return found


def _owners(group: Any) -> set[str]:
    names = (name.split("/") for name in _texts(group.attrs, "weight_names"))
    return {parts[-2] for parts in names if len(parts) > 1}


def _texts(attributes: Any, name: str) -> Iterator[str]:
    """A list of texts; long ones are split over NAME0, NAME1, ..."""
    parts = [attributes[name]] if name in attributes else []
    while f"{name}{len(parts)}" in attributes:
        parts.append(attributes[f"{name}{len(parts)}"])
    for part in parts:
        for text in part:
            yield text.decode() if isinstance(text, bytes) else str(text)
