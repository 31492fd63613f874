"""Write ONNX: one file for any batch size, with the manifest in its metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from faceall.caffe.net import Net
from faceall.caffe.onnx import to_onnx
from faceall.convert.sources.source import MANIFEST_KEY
from faceall.errors import EngineError
from faceall.models import Manifest
from faceall.types import Float32Array

Runner: TypeAlias = Callable[[Mapping[str, Float32Array]], dict[str, Float32Array]]

_METADATA_PROPS = 14
"""The field of ONNX's ModelProto that holds its metadata: messages of a key (1) and a value (2)."""


def onnx_bytes(net: Net, outputs: Sequence[str], manifest: Manifest) -> bytes:
    """Return the file: named inputs and outputs, a free first axis, the manifest in the metadata."""
    entry = _field(1, MANIFEST_KEY.encode()) + _field(2, manifest.to_json().encode())
    return to_onnx(net, outputs) + _field(_METADATA_PROPS, entry)  # messages written one after the other are merged


def open_onnx(path: Path) -> tuple[Runner, str]:
    """Return a runner of the file and its name: onnxruntime if it is installed, else OpenVINO.

    Raises
    ------
    EngineError
        If the file cannot be run.
    """
    try:
        import onnxruntime
    except ImportError:
        return open_with_openvino(path), "openvino"
    return _open_with_onnxruntime(onnxruntime, path), "onnxruntime"


def _open_with_onnxruntime(onnxruntime: Any, path: Path) -> Runner:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EngineError(f"{path}: onnxruntime cannot read it: {_first_line(error)}") from error
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        return dict(zip(names, map(np.asarray, session.run(names, dict(inputs))), strict=True))

    return run


def open_with_openvino(path: Path) -> Runner:
    """Return a runner of the file in OpenVINO.

    Raises
    ------
    EngineError
        If it cannot be run.
    """
    from faceall.caffe.engines.openvino import import_openvino

    core = import_openvino().Core()
    try:
        compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as error:
        raise EngineError(f"{path}: OpenVINO cannot read it: {_first_line(error)}") from error

    def run(inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        results = compiled(dict(inputs))
        return {name: np.array(results[output]) for output in compiled.outputs for name in output.names}

    return run


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _field(number: int, content: bytes) -> bytes:
    """Return a field of bytes in protobuf's wire format."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])
