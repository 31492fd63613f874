"""Read Keras files: the description of the model and its weights by layer. No code in a file is executed."""

from __future__ import annotations

import importlib.util
import json
import lzma
import os
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from faceall.convert.budget import allowed_bytes
from faceall.convert.interpreter import module_command
from faceall.errors import MissingDependencyError, NetFormatError
from faceall.types import Array

LayerWeights: TypeAlias = dict[str, list[Array]]
"""Layer -> its weights, in Keras's order."""

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ZIP_MAGIC = b"PK\x03\x04"

_LARGEST_CONFIG = 8 << 20
"""Bytes of a description; that of 500 layers has 1 MB, and as objects it takes 30 times as much."""
_READER = "faceall.convert.sources.keras.hdf5"
_SECONDS = 4
"""The CPU seconds for reading any file, in addition to those by size."""
_SLOWEST = 20_000_000
"""The slowest expected reading, in bytes per second."""
_WAIT = 30
"""Additional seconds for a busy machine."""


@dataclass(frozen=True)
class KerasFile:
    """A Keras model as read from a file.

    Parameters
    ----------
    config : Mapping[str, Any], optional
        The model's description, {"class_name": ..., "config": ...}; None if there are weights alone.
    weights : LayerWeights
        Layer -> its arrays.
    """

    config: Mapping[str, Any] | None
    weights: LayerWeights


def read_keras(path: Path) -> KerasFile:
    """Read a `.keras` archive or an `.h5` file.

    Raises
    ------
    NetFormatError
        If it is damaged or of another format.
    MissingDependencyError
        Without h5py.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
        if start.startswith(ZIP_MAGIC):
            return _archive(path)
        config, weights = _hdf5(path, path, numbered=False)
        return KerasFile(None if config is None else _json(path, config), weights)
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
        data = _member(path, archive, "model.weights.h5", allowed_bytes(path.stat().st_size))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.weights.h5"
        file.write_bytes(data)
        return KerasFile(_json(path, text), _hdf5(path, file, numbered=True)[1])


def _member(path: Path, archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > limit:
        raise NetFormatError(f"{path}: {name} declares {info.file_size:,} bytes, at most {limit:,} are read")
    try:
        with archive.open(info) as file:
            return file.read(info.file_size + 1)[: info.file_size]
    except (zlib.error, lzma.LZMAError, zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError) as error:
        raise NetFormatError(f"{path}: {name} in it is damaged") from error


def _hdf5(path: Path, file: Path, *, numbered: bool) -> tuple[Any, LayerWeights]:
    """Read the description (or None) and the weights of an HDF5 file.

    A child process reads it, as HDF5's library hangs or ends the process on some damaged files.
    """
    if importlib.util.find_spec("h5py") is None:
        raise MissingDependencyError('Keras files need h5py: pip install "faceall[convert]"')
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "weights.npz"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
        seconds = _SECONDS + file.stat().st_size // _SLOWEST
        most = allowed_bytes(path.stat().st_size)
        options = ["1" if numbered else "0", str(seconds), str(most)]
        command = module_command(_READER, str(file), str(result), *options)
        try:
            wait = _WAIT + 10 * seconds
            child = subprocess.run(command, env=environment, capture_output=True, timeout=wait, check=False)
        except subprocess.TimeoutExpired as error:
            raise NetFormatError(f"{path}: the Keras file is damaged: it could not be read in time") from error
        if child.returncode:
            reason = child.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [
                "its HDF5 part cannot be read"
            ]
            raise NetFormatError(f"{path}: the Keras file is damaged: {reason[0][:160]}")
        return _unpacked(result)


def _unpacked(result: Path) -> tuple[Any, LayerWeights]:
    with np.load(result, allow_pickle=False) as archive:
        listed = json.loads(archive["listed"].tobytes())
        arrays = {number: archive[number] for number in archive.files if number != "listed"}
        weights = {name: [arrays[str(number)] for number in numbers] for name, numbers in listed["weights"].items()}
    return listed["config"], weights


def _json(path: Path, text: Any) -> Mapping[str, Any]:
    if isinstance(text, str | bytes) and len(text) > _LARGEST_CONFIG:
        raise NetFormatError(f"{path}: its description has {len(text):,} bytes, at most {_LARGEST_CONFIG:,} are read")
    try:
        config = json.loads(text)
    except (ValueError, TypeError) as error:
        raise NetFormatError(f"{path}: the Keras file is damaged: the model's description is no JSON") from error
    if not isinstance(config, dict) or not isinstance(config.get("config"), (dict, list)):
        raise NetFormatError(f"{path}: the Keras file is damaged: it describes no model")
    return config
