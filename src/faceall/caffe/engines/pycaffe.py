"""The engine "pycaffe": Caffe itself, if its Python module can be imported."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format

from faceall.caffe.checks import checked_inputs, wanted_outputs
from faceall.caffe.engines.portable import portable
from faceall.caffe.engines.protocol import CompiledNet, Precision
from faceall.caffe.files import write_net
from faceall.caffe.layers import groups
from faceall.caffe.net import Layer, Net
from faceall.caffe.prototxt import write_prototxt
from faceall.caffe.shapes import fit_weights, infer_shapes
from faceall.errors import EngineError
from faceall.types import Float32Array

_HOW_TO = (
    "the engine 'pycaffe' needs a built Caffe whose folder 'python' is on PYTHONPATH; use the engine 'openvino' instead"
)


class PycaffeEngine:
    """Run nets with Caffe.

    Raises
    ------
    EngineError
        If Caffe's Python module cannot be imported.
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

        Raises
        ------
        NetError
            If the net cannot run. The message names the layer.
        EngineError
            If Caffe refuses it.
        """
        wanted = wanted_outputs(net, outputs)
        fitted = _compatible(fit_weights(portable(net)))  # Caffe accepts old shapes of weights only in old files
        self._check(fitted)
        return _Compiled(self._caffe, fitted, wanted)

    def _check(self, net: Net) -> None:
        """Refuse what this Caffe does not know, because Caffe itself would end the process."""
        known = set(self._caffe.layer_type_list())
        for layer in net.layers:
            if layer.type not in known:
                raise EngineError(f"layer '{layer.name}' has the type '{layer.type}', which this Caffe does not have")
        try:
            text_format.Parse(write_prototxt(net), self._caffe.proto.caffe_pb2.NetParameter())
        except text_format.ParseError as error:
            raise EngineError(f"net '{net.name}' has an option that this Caffe does not have: {error}") from error


def _compatible(net: Net) -> Net:
    """Rewrite the net for every version of Caffe: depthwise convolutions as groups, no `round_mode: CEIL`."""
    shapes = infer_shapes(net)
    layers = []
    for layer in net.layers:
        options = dict(layer.given)
        if layer.type == "ConvolutionDepthwise":
            options["group"] = groups(layer, shapes[layer.bottoms[0]][1])
            layer = replace(layer, type="Convolution").with_options(options)
        elif layer.type == "Pooling" and options.get("round_mode") == "CEIL":
            del options["round_mode"]
            layer = layer.with_options(options)
        layers.append(layer)
    return replace(net, layers=tuple(layers))


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
