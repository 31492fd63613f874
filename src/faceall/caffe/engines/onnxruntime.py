"""onnxruntime, fed with ONNX made in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from faceall.caffe.engines.protocol import Precision
from faceall.caffe.net import Net
from faceall.caffe.onnx import to_onnx
from faceall.errors import EngineError
from faceall.types import Float32Array


class OnnxruntimeEngine:
    """Runs nets with onnxruntime, in float32. Raises EngineError where the package is absent."""

    name = "onnxruntime"

    def __init__(self) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(
                'the engine \'onnxruntime\' is not installed: pip install "faceall[onnxruntime]"'
            ) from error
        self._runtime = onnxruntime

    def compile(self, net: Net, outputs: Sequence[str] | None = None, *, precision: Precision = "float32") -> _Compiled:
        """Make `net` ready to run; every precision is float32 here."""
        names = list(outputs if outputs is not None else net.outputs)
        options = self._runtime.SessionOptions()
        options.log_severity_level = 3
        session = self._runtime.InferenceSession(to_onnx(net, names), options, providers=["CPUExecutionProvider"])
        return _Compiled(session, names)


class _Compiled:
    precision = "float32"

    def __init__(self, session: Any, outputs: list[str]) -> None:
        self._session = session
        self._outputs = outputs

    def __call__(self, inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        feeds = {name: np.ascontiguousarray(array, np.float32) for name, array in inputs.items()}
        return dict(zip(self._outputs, self._session.run(self._outputs, feeds), strict=True))
