"""The engine "opencv": OpenCV 4's Caffe importer, with files in memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from faceall.caffe.caffemodel import write_caffemodel
from faceall.caffe.checks import checked_inputs, wanted_outputs
from faceall.caffe.engines.opencv_compatible import compatible
from faceall.caffe.engines.portable import portable
from faceall.caffe.engines.protocol import CompiledNet, Precision
from faceall.caffe.net import Net
from faceall.caffe.prototxt import write_prototxt
from faceall.caffe.shapes import fit_weights
from faceall.errors import EngineError
from faceall.native import native_call
from faceall.types import Float32Array


class OpencvEngine:
    """Run nets with the DNN module of OpenCV 4.

    Raises
    ------
    EngineError
        If OpenCV is absent or has no Caffe importer, as from version 5 on.
    """

    name = "opencv"

    def __init__(self) -> None:
        try:
            import cv2
        except ImportError as error:
            raise EngineError(
                f"the engine 'opencv' needs OpenCV: pip install opencv-python-headless<5 ({error})"
            ) from error
        if not hasattr(cv2.dnn, "readNetFromCaffe"):
            raise EngineError(
                f"OpenCV {cv2.__version__} has no Caffe importer; "
                "use the engine 'openvino' or install \"opencv-python-headless<5\""
            )
        self._cv2: Any = cv2

    def compile(
        self, net: Net, outputs: Sequence[str] | None = None, *, precision: Precision = "float32"
    ) -> CompiledNet:
        """Make `net` ready to give `outputs` (default: all blobs that no layer reads), always in float32.

        Raises
        ------
        NetError
            If the net cannot run. The message names the layer.
        EngineError
            If OpenCV refuses it.
        """
        return _Compiled(self._cv2, fit_weights(portable(net)), wanted_outputs(net, outputs))


class _Compiled:
    precision = "float32"

    def __init__(self, cv2: Any, net: Net, outputs: tuple[str, ...]) -> None:
        self._net = net
        self._outputs = {f"output:{number}:{name}": name for number, name in enumerate(outputs)}
        self._lock = threading.Lock()
        self._error = cv2.error
        text, binary = _files(compatible(net, self._outputs))
        try:
            self._dnn = cv2.dnn.readNetFromCaffe(np.frombuffer(text, np.uint8), np.frombuffer(binary, np.uint8))
            self._dnn.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
            self._dnn.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)
            self._dnn.enableWinograd(False)  # it costs up to 1e-5 of exactness
        except cv2.error as error:
            raise self._refusal(error) from error

    @native_call
    def __call__(self, inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        arrays = checked_inputs(self._net, inputs)
        with self._lock:  # one OpenCV net holds one set of blobs
            try:
                for name, array in arrays.items():
                    self._dnn.setInput(array, name)
                results = self._dnn.forward(list(self._outputs))
            except self._error as error:
                raise self._refusal(error) from error
            return {
                name: np.array(result, np.float32) for name, result in zip(self._outputs.values(), results, strict=True)
            }

    def _refusal(self, error: Exception) -> EngineError:
        return EngineError(f"OpenCV cannot run the net '{self._net.name}': {' '.join(str(error).split())}")


def _files(net: Net) -> tuple[bytes, bytes]:
    """Return prototxt and caffemodel, with rounding as OpenCV's own option; Caffe's makes OpenCV ignore the others."""
    text = write_prototxt(net)
    text = text.replace("round_mode: FLOOR", "ceil_mode: false").replace("round_mode: CEIL", "ceil_mode: true")
    return text.encode(), write_caffemodel(net)
