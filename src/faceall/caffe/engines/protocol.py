"""The protocol of all engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from faceall.caffe.net import Net
from faceall.types import Float32Array

Precision: TypeAlias = Literal["auto", "bfloat16", "float32", "int8"]
"""The default "float32" is the reference, and "auto" means it for a net alone. "int8" computes the layers of
`Net.ranges` in 8 bits and the others in float32; "bfloat16" is coarser. A processor that lacks a precision uses
float32."""

CompiledNet: TypeAlias = "_CompiledNet"


class _CompiledNet(Protocol):
    """A net ready to run, safe to call from several threads."""

    precision: str
    """The precision in use: "float32", "bfloat16" or "int8" (some layers in 8 bits, the others in float32)."""

    def __call__(self, inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        """Run once: input blobs (N, C, H, W) float32 by name -> output blobs float32 by name."""


class Engine(Protocol):
    """Compile nets."""

    name: str

    def compile(
        self, net: Net, outputs: Sequence[str] | None = None, *, precision: Precision = "float32"
    ) -> CompiledNet:
        """Make `net` ready to give `outputs` (default: all blobs that no layer reads)."""


@runtime_checkable
class ParallelEngine(Protocol):
    """An engine that can compile nets for several threads that call them at the same time."""

    def for_parallel_calls(self) -> Engine:
        """Return the engine whose nets run each call on one core."""


@dataclass(frozen=True)
class NetFile:
    """A net that an engine runs as its file has it, because Caffe's formats cannot express it.

    Attributes
    ----------
    path : Path
        An ONNX file, or the .xml of an OpenVINO model with the .bin of the same name beside it.
    output : str
        The name of the result that is wanted.
    """

    path: Path
    output: str


class CompiledFile(_CompiledNet, Protocol):
    """A compiled `NetFile`."""

    inputs: Mapping[str, tuple[int | None, ...]]
    """The shape of each input, None for any size."""


@runtime_checkable
class FileEngine(Protocol):
    """An engine that also runs a `NetFile`."""

    name: str

    def compile_file(self, file: NetFile, *, precision: Precision = "float32") -> CompiledFile:
        """Compile a net for any batch size, or, if it does not allow that, for one image."""


@runtime_checkable
class OnnxEngine(Protocol):
    """An engine that also runs ONNX files, for nets that are not in Caffe format."""

    name: str

    def compile_onnx(
        self, model: bytes, outputs: Sequence[str], *, name: str, precision: Precision = "float32"
    ) -> CompiledNet:
        """Compile the content of an ONNX file; `outputs` are the names of all its outputs, in their order."""
