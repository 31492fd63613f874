"""The engine "pycaffe": Caffe itself, where its Python module can be imported."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from faceall.caffe.checks import checked_inputs, wanted_outputs
from faceall.caffe.engines.protocol import CompiledNet, Precision
from faceall.caffe.files import write_net
from faceall.caffe.net import Layer, Net
from faceall.caffe.shapes import fit_weights
from faceall.errors import EngineError
from faceall.types import Float32Array

_HOW_TO = (
    "the engine 'pycaffe' needs a built Caffe whose folder 'python' is on PYTHONPATH; use the engine 'openvino' instead"
)


class PycaffeEngine:
    """Runs a net with Caffe.

    Raises EngineError where Caffe's Python module cannot be imported.
    """

    name = "pycaffe"

    def __init__(self) -> None:
        try:
            import caffe
        except ImportError as error:
            raise EngineError(f"{_HOW_TO} ({error})") from error
        if not hasattr(caffe, "Net"):
            raise EngineError(f"{_HOW_TO} (the module 'caffe' found here is not Caffe; PyPI's is an empty placeholder)")
        self._caffe: Any = caffe

    def compile(
        self, net: Net, outputs: Sequence[str] | None = None, *, precision: Precision = "float32"
    ) -> CompiledNet:
        """Make `net` ready to give `outputs` (default: all blobs that no layer reads), always in float32.

        Raises NetError, which names the layer, where the net cannot run, and EngineError where Caffe refuses it.
        """
        fitted = fit_weights(net)  # Caffe takes an old shape only from an old file
        known = set(self._caffe.layer_type_list())
        for layer in net.layers:
            if layer.type not in known:
                raise EngineError(f"layer '{layer.name}' has the type '{layer.type}', which this Caffe does not have")
        return _Compiled(self._caffe, fitted, wanted_outputs(net, outputs))


class _Compiled:
    precision = "float32"

    def __init__(self, caffe: Any, net: Net, outputs: tuple[str, ...]) -> None:
        self._net = net
        self._outputs = {f"output:{number}:{name}": name for number, name in enumerate(outputs)}
        self._lock = threading.Lock()
        ends = tuple(Layer(name, "Split", (blob,), (name,)) for name, blob in self._outputs.items())
        with tempfile.TemporaryDirectory(prefix="faceall-") as folder:
            prototxt, caffemodel = Path(folder) / "model.prototxt", Path(folder) / "model.caffemodel"
            write_net(replace(net, layers=net.layers + ends), prototxt, caffemodel)
            try:
                self._caffe_net = caffe.Net(str(prototxt), str(caffemodel), caffe.TEST)
            except (RuntimeError, ValueError) as error:
                raise EngineError(f"Caffe cannot read the net '{net.name}': {error}") from error

    def __call__(self, inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        arrays = checked_inputs(self._net, inputs)
        with self._lock:  # a Caffe net holds one set of blobs
            for name, array in arrays.items():
                self._caffe_net.blobs[name].reshape(*array.shape)
            self._caffe_net.reshape()
            for name, array in arrays.items():
                self._caffe_net.blobs[name].data[...] = array
            self._caffe_net.forward()
            blobs = self._caffe_net.blobs
            return {blob: np.array(blobs[end].data, np.float32) for end, blob in self._outputs.items()}
