"""The engine "onnxruntime", which reads ONNX from memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from faceall.caffe.checks import checked_arrays, wanted_outputs
from faceall.caffe.engines.protocol import NetFile, Precision
from faceall.caffe.net import Net
from faceall.caffe.onnx import to_onnx
from faceall.errors import EngineError
from faceall.native import native_call
from faceall.types import Float32Array


class OnnxruntimeEngine:
    """Run nets with onnxruntime in float32.

    Raises
    ------
    EngineError
        If the package is absent.
    """

    name = "onnxruntime"

    def __init__(self) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(
                "the engine 'onnxruntime' is not installed: pip install \"faceall[onnxruntime]\""
            ) from error
        self._runtime = onnxruntime
        self._errors = _errors(onnxruntime)

    def compile(self, net: Net, outputs: Sequence[str] | None = None, *, precision: Precision = "float32") -> _Compiled:
        """Make `net` ready to run; every precision is float32 here."""
        names = wanted_outputs(net, outputs)
        return self.compile_onnx(to_onnx(net, names), names, name=net.name, precision=precision)

    @native_call
    def compile_onnx(
        self, model: bytes, outputs: Sequence[str], *, name: str, precision: Precision = "float32"
    ) -> _Compiled:
        """Compile an ONNX model, given as the content of its file and the names of its outputs; always float32.

        Raises
        ------
        EngineError
            If onnxruntime refuses the net.
        """
        options = self._runtime.SessionOptions()
        options.log_severity_level = 3
        try:
            session = self._runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except self._errors as error:
            raise EngineError(f"onnxruntime refuses the net '{name}': {' '.join(str(error).split())}") from error
        return _Compiled(session, outputs, self._errors)

    def compile_file(self, file: NetFile, *, precision: Precision = "float32") -> _Compiled:
        """Compile an ONNX file for `file.output` alone; always float32.

        Raises
        ------
        EngineError
            If it is not an ONNX file, cannot be read, or is refused by ONNX Runtime.
        """
        if file.path.suffix != ".onnx":
            raise EngineError(f"{file.path}: the engine 'onnxruntime' runs ONNX files only; use openvino")
        try:
            data = file.path.read_bytes()
        except OSError as error:
            raise EngineError(f"{file.path}: cannot be read ({error.strerror})") from error
        return self.compile_onnx(data, [file.output], name=file.path.name, precision=precision)


def _errors(runtime: Any) -> tuple[type[Exception], ...]:
    """Return the exceptions of onnxruntime, which have no common base of their own."""
    state = vars(runtime.capi.onnxruntime_pybind11_state)
    return tuple(entry for entry in state.values() if isinstance(entry, type) and issubclass(entry, Exception))


class _Compiled:
    precision = "float32"

    def __init__(self, session: Any, outputs: Sequence[str], errors: tuple[type[Exception], ...]) -> None:
        self._session = session
        self._errors = errors
        self._outputs = outputs
        self.inputs = {
            entry.name: tuple(size if isinstance(size, int) else None for size in entry.shape)
            for entry in session.get_inputs()
        }

    @native_call
    def __call__(self, inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        feeds = checked_arrays(self.inputs, inputs)
        try:
            results = self._session.run(list(self._outputs), feeds)
        except self._errors as error:
            raise EngineError(f"onnxruntime cannot run the net: {' '.join(str(error).split())}") from error
        return dict(zip(self._outputs, results, strict=True))
