"""Read Keras's files: the model's description and its weights by layer. Nothing in a file is ever executed."""

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

from faceall.errors import MissingDependencyError, NetFormatError
from faceall.types import Array

LayerWeights: TypeAlias = dict[str, list[Array]]
"""Layer -> its weights, in Keras's order."""

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ZIP_MAGIC = b"PK\x03\x04"

_LARGEST_WEIGHTS = 1 << 30
_LARGEST_CONFIG = 1 << 26
_READER = "faceall.convert.sources.keras.hdf5"
_PATIENCE = 4
"""Seconds of work that reading any file may take, and"""
_SLOWEST = 20_000_000
"""the bytes per second that are read at least."""
_WAIT = 30
"""Seconds that a busy machine may need on top."""


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
        data = _member(path, archive, "model.weights.h5", _LARGEST_WEIGHTS)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.weights.h5"
        file.write_bytes(data)
        return KerasFile(_json(path, text), _hdf5(path, file, numbered=True)[1])


def _member(path: Path, archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > limit:
        raise NetFormatError(f"{path}: {name} is said to be {info.file_size} bytes, more than a net has: damaged")
    try:
        with archive.open(info) as file:
            return file.read(info.file_size + 1)[: info.file_size]
    except (zlib.error, lzma.LZMAError, zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError) as error:
        raise NetFormatError(f"{path}: {name} in it is damaged") from error


def _hdf5(path: Path, file: Path, *, numbered: bool) -> tuple[Any, LayerWeights]:
    """The description (None where there is none) and the weights in an HDF5 file.

    A child process reads it, as HDF5's library hangs or ends the process on some damaged files.
    """
    if importlib.util.find_spec("h5py") is None:
        raise MissingDependencyError('Keras files need h5py: pip install "faceall[convert]"')
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "weights.npz"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
        seconds = _PATIENCE + file.stat().st_size // _SLOWEST
        command = [sys.executable, "-m", _READER, str(file), str(result), "1" if numbered else "0", str(seconds)]
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
        weights = {name: [archive[str(number)] for number in numbers] for name, numbers in listed["weights"].items()}
    return listed["config"], weights


def _json(path: Path, text: Any) -> Mapping[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, TypeError) as error:
        raise NetFormatError(f"{path}: the Keras file is damaged: the model's description is no JSON") from error
    if not isinstance(config, dict) or not isinstance(config.get("config"), (dict, list)):
        raise NetFormatError(f"{path}: the Keras file is damaged: it describes no model")
    return config
