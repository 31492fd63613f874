"""The net of an embedder's model folder, in Caffe's formats or in a file that an engine runs as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from faceall.caffe.engines import CompiledFile, CompiledNet, Engine, NetFile, Precision, compile_cached, compile_net
from faceall.caffe.files import read_net
from faceall.caffe.net import Net
from faceall.errors import EngineError
from faceall.models import Manifest, ModelFolder
from faceall.types import Float32Array


def compile_model(
    model: ModelFolder, engine: Engine, *, precision: Precision = "float32", identity: str | None = None
) -> CompiledNet:
    """Compile the net of an embedder for any batch size.

    Parameters
    ----------
    model : ModelFolder
        The embedder.
    engine : Engine
        The engine.
    precision : Precision
        The precision.
    identity : str, optional
        The net's identity, under which its compiled form is kept on disk. Default: it is not kept.

    Returns
    -------
    CompiledNet
        Takes the manifest's input blob, (n, 3, H, W), and returns its output blob.

    Raises
    ------
    ModelDamagedError
        If a file does not match its checksum.
    EngineError
        If the engine cannot run the net.
    """
    outputs = [model.manifest.output_blob]

    def make() -> Net | NetFile:
        model.verify()
        return _read(model)

    if identity is None:
        compiled = compile_net(engine, make(), outputs, precision)
    else:
        compiled = compile_cached(engine, identity, make, outputs, precision)
    return compiled if model.net_file is None else _FileNet(compiled, model.manifest)  # type: ignore[arg-type]


def _read(model: ModelFolder) -> Net | NetFile:
    if model.net_file is not None:
        return NetFile(model.net_file, model.manifest.output_blob)
    return replace(read_net(model.prototxt, model.caffemodel), ranges=model.ranges)


class _FileNet:
    """A net in its file's form: it may have its channels last, or take one image at a time."""

    def __init__(self, compiled: CompiledFile, manifest: Manifest) -> None:
        if len(compiled.inputs) != 1:
            raise EngineError(f"{manifest.name}: the net has {len(compiled.inputs)} inputs, expected one")
        ((self._input, shape),) = compiled.inputs.items()
        self.precision = compiled.precision
        self._run, self._manifest = compiled, manifest
        self._batch_is_free = not shape or shape[0] is None
        self._channels_last = len(shape) == 4 and shape[3] == 3 and shape[1] != 3

    def __call__(self, inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        images = inputs[self._manifest.input_blob]
        if self._channels_last:
            images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        parts = [images] if self._batch_is_free else [images[place : place + 1] for place in range(len(images))]
        output = self._manifest.output_blob
        vectors = [self._run({self._input: part})[output].reshape(len(part), -1) for part in parts]
        return {output: np.concatenate(vectors)}
