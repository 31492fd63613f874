"""The default engine "openvino", which reads ONNX from memory."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from faceall.caffe.checks import checked_arrays, wanted_outputs
from faceall.caffe.engines.protocol import CompiledNet, NetFile, Precision
from faceall.caffe.net import Net
from faceall.caffe.onnx import to_onnx
from faceall.cores import allowed_cores, available_cores
from faceall.errors import EngineError
from faceall.native import ForkSafeLock, native_call
from faceall.types import Float32Array

_SMALL_CACHE = {"CPU_RUNTIME_CACHE_CAPACITY": "256"}
"""The number of kernels kept, one per shape; OpenVINO's 5,000 fill the memory if sizes keep changing."""

_loading = ForkSafeLock()
"""Held while OpenVINO loads or compiles; two threads that do so at the same time can hang."""


@cache
def _core() -> Any:
    """Return OpenVINO's core, one for the process.

    Raises
    ------
    EngineError
        If the package is absent or cannot be loaded.
    """
    try:
        openvino = import_openvino()
    except ImportError as error:
        raise EngineError(f"the engine 'openvino' cannot be loaded ({error}): pip install openvino") from error
    return openvino.Core()


def import_openvino() -> Any:
    """Import the package without its model converter, which reports every import over the network."""
    converter = "openvino.tools.ovc"
    blocked = "openvino" not in sys.modules and converter not in sys.modules
    if blocked:
        sys.modules[converter] = None  # type: ignore[assignment]  # makes its import fail, which openvino expects
    try:
        import openvino
    finally:
        if blocked:
            del sys.modules[converter]
    return openvino


class OpenvinoEngine:
    """Run nets with OpenVINO on the CPU.

    Parameters
    ----------
    parallel : bool
        Compile nets for several threads that call them at the same time: each call runs on one core. By default one
        call uses all cores.
    """

    name = "openvino"

    def __init__(self, *, parallel: bool = False) -> None:
        self._parallel = parallel
        with _loading:
            self._core = _core()

    def for_parallel_calls(self) -> OpenvinoEngine:
        """Return the engine that compiles nets for several threads that call them at the same time."""
        return OpenvinoEngine(parallel=True)

    def compile(self, net: Net, outputs: Sequence[str] | None = None, *, precision: Precision = "float32") -> _Compiled:
        """Make `net` ready to run, for any batch size."""
        names = wanted_outputs(net, outputs)
        model = to_onnx(net, names, eight_bit=_chosen(precision) == "int8")
        return self.compile_onnx(model, names, name=net.name, precision=precision)

    @native_call
    def compile_onnx(
        self, model: bytes, outputs: Sequence[str], *, name: str, precision: Precision = "float32"
    ) -> _Compiled:
        """Compile an ONNX model, given as the content of its file and the names of its outputs in their order.

        Raises
        ------
        EngineError
            If OpenVINO refuses the net.
        """
        chosen = _chosen(precision)
        try:
            with _loading:
                compiled = self._core.compile_model(self._core.read_model(model), "CPU", self._properties(chosen))
        except RuntimeError as error:
            raise EngineError(f"OpenVINO refuses the net '{name}': {' '.join(str(error).split())}") from error
        return _Compiled(compiled, outputs, chosen)

    @native_call
    def compile_file(self, file: NetFile, *, precision: Precision = "float32") -> _Compiled:
        """Compile an ONNX or OpenVINO file, which must have one input, for `file.output` alone.

        Raises
        ------
        EngineError
            If a file cannot be read, or OpenVINO refuses the net.
        """
        import openvino

        chosen = _chosen(precision)
        try:
            with _loading:
                if file.path.suffix == ".onnx":  # from memory, so that no other file is read
                    model = self._core.read_model(file.path.read_bytes())
                else:
                    model = self._core.read_model(file.path, file.path.with_suffix(".bin"))
                result = _result(model, file)
                model = openvino.Model([result], model.get_parameters(), file.path.stem)
                _free_batch(model)
                compiled = self._core.compile_model(model, "CPU", self._properties(chosen))
        except (RuntimeError, OSError) as error:
            raise EngineError(f"{file.path}: OpenVINO refuses the net: {' '.join(str(error).split())[:300]}") from error
        return _Compiled(compiled, [file.output], chosen)

    def identity(self, precision: Precision) -> str:
        """Return what a compiled net depends on besides the net itself."""
        import openvino

        name = self._core.get_property("CPU", "FULL_DEVICE_NAME")
        threads = [f"{key}={value}" for key, value in _threads(self._parallel).items()]
        return "\n".join(
            ["openvino", openvino.get_version(), _chosen(precision), name, *threads, *sorted(processor_flags())]
        )

    def _properties(self, precision: str) -> dict[str, str]:
        """Return OpenVINO's settings for a net that runs in `precision`."""
        hints = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
        return {"INFERENCE_PRECISION_HINT": hints[precision], **_threads(self._parallel), **_SMALL_CACHE}

    @native_call
    def export(self, compiled: CompiledNet) -> bytes:
        """Return a compiled net as bytes, its weights included."""
        data = compiled.inner.export_model()  # type: ignore[attr-defined]
        return data if isinstance(data, bytes) else bytes(data.getbuffer())

    @native_call
    def restore(self, data: npt.NDArray[np.uint8], outputs: Sequence[str], precision: Precision) -> CompiledNet:
        """Return the net that `export` made bytes of; `data` is used in place and stays alive with it.

        Raises
        ------
        EngineError
            If the bytes are no net, or come from another version of OpenVINO.
        """
        import openvino

        try:
            with _loading:
                compiled = self._core.import_model(
                    openvino.Tensor(data, shared_memory=True), "CPU", self._properties(_chosen(precision))
                )  # without its properties a net would come back in another precision
        except (RuntimeError, ValueError, TypeError) as error:
            raise EngineError(f"OpenVINO cannot read a compiled net: {str(error).splitlines()[0]}") from error
        return _Compiled(compiled, outputs, _chosen(precision), data)


def _chosen(precision: Precision) -> str:
    """Return the precision that this processor uses for `precision`."""
    if precision == "int8" and has_eight_bit_products():
        return "int8"
    return "bfloat16" if precision == "bfloat16" and has_bfloat16_products() else "float32"


def _threads(parallel: bool) -> dict[str, str]:
    """Return OpenVINO's settings for its threads.

    OpenVINO knows which cores the process may run on, but not the quota of its container.
    """
    cores = available_cores()
    if parallel:
        return {"NUM_STREAMS": str(cores), "INFERENCE_NUM_THREADS": str(cores)}
    limited = {} if cores == allowed_cores() else {"INFERENCE_NUM_THREADS": str(cores)}
    return {"PERFORMANCE_HINT": "LATENCY", **limited}


def has_bfloat16_products() -> bool:
    """Return whether the processor multiplies bfloat16 natively."""
    return bool(processor_flags() & {"avx512_bf16", "amx_bf16"})


def has_eight_bit_products() -> bool:
    """Return whether the processor multiplies bytes natively (VNNI or AMX)."""
    return bool(processor_flags() & {"avx512_vnni", "avx_vnni", "amx_int8"})


@cache
def processor_flags() -> frozenset[str]:
    """Return the instruction sets of this processor, as Linux names them; empty if the system does not tell."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = [line for line in file if line.startswith("flags")]
    except OSError:
        return frozenset()
    return frozenset(lines[0].split(":")[1].split()) if lines else frozenset()


def port_name(port: Any) -> str:
    """Return the file's name of a value of a model."""
    names = sorted(port.get_names(), key=lambda name: (len(name), name))
    return str(names[0] if names else port.get_node().get_friendly_name())


def _result(model: Any, file: NetFile) -> Any:
    """Return the value of a model that has the wanted name."""
    found = {port_name(node.input(0).get_source_output()): node for node in model.get_results()}
    if file.output not in found:
        raise EngineError(f"{file.path}: the net has no output '{file.output}'; it has {', '.join(found) or 'none'}")
    return found[file.output]


def _free_batch(model: Any) -> None:
    """Let a model with one input take any number of images; one that does not allow it takes one at a time."""
    if len(model.inputs) != 1:
        raise EngineError(f"the net has {len(model.inputs)} inputs, expected one")
    rest = [size.get_length() for size in list(model.inputs[0].get_partial_shape())[1:]]
    model.reshape({model.inputs[0]: [1, *rest]})
    expected = prod(size.get_length() for size in model.outputs[0].get_partial_shape())
    try:
        model.reshape({model.inputs[0]: [-1, *rest]})
        first, *others = model.outputs[0].get_partial_shape()
        free = first.is_dynamic and prod(size.get_length() for size in others) == expected
    except RuntimeError:
        free = False
    if not free:
        model.reshape({model.inputs[0]: [1, *rest]})


class _Compiled:
    """A compiled net with as many inference requests as threads ever ran it at the same time."""

    def __init__(self, compiled: Any, outputs: Sequence[str], precision: str, backing: object = None) -> None:
        self.precision = precision
        self.inner = compiled
        self._outputs = outputs
        self._backing = backing  # memory that the compiled net lives in
        self.inputs = {_name(entry): _sizes(entry) for entry in compiled.inputs}
        self._free: deque[Any] = deque()  # inference requests; of the net, as their end may not come with a thread's

    @native_call
    def __call__(self, inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        feeds = checked_arrays(self.inputs, inputs)
        try:
            request = self._free.pop()
        except IndexError:
            request = self.inner.create_infer_request()
        try:
            results = request.infer(feeds, share_inputs=True)
            return {name: np.array(results[number]) for number, name in enumerate(self._outputs)}
        except RuntimeError as error:
            shapes = ", ".join(f"'{name}' {array.shape}" for name, array in feeds.items())
            raise EngineError(f"OpenVINO cannot run the net on {shapes}: {' '.join(str(error).split())}") from error
        finally:
            self._free.append(request)


def _name(entry: Any) -> str:
    """Return an input's own name; OpenVINO may also call it after the operations that it has merged."""
    return str(entry.get_node().get_friendly_name())


def _sizes(entry: Any) -> tuple[int | None, ...]:
    """Return the shape that an input takes, None if any size will do."""
    return tuple(None if size.is_dynamic else size.get_length() for size in entry.partial_shape)
