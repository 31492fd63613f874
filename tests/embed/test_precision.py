"""The precision is measured once on each machine, and only one that keeps the vectors is taken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceall.caffe.engines import Precision
from faceall.embed.precision import choose_precision, supported_precisions
from faceall.errors import SettingError
from faceall.types import Float32Array

ALL: tuple[Precision, ...] = ("float32", "bfloat16", "int8")


@dataclass
class Clock:
    """A clock that only the made-up nets move, so that other programs do not."""

    now: float = 0.0

    def perf_counter(self) -> float:
        return self.now


CLOCK = Clock()


@dataclass
class Machine:
    """An engine on a made-up processor: precision -> (seconds for a batch, error of the vectors)."""

    speeds: Mapping[str, tuple[float, float]]
    processor: str = "one"
    name: str = "openvino"
    compiled: list[str] = field(default_factory=list)

    def identity(self, precision: Precision) -> str:
        return self.processor

    def compile(self, precision: Precision) -> Any:
        self.compiled.append(precision)
        seconds, error = self.speeds[precision]

        class Net:
            def __call__(self, inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
                CLOCK.now += seconds
                vectors = np.zeros((4, 8), np.float32)
                vectors[:, 0], vectors[:, 1] = 1, error
                return {"out": vectors}

        net = Net()
        net.precision = precision  # type: ignore[attr-defined]
        return net

    def choose(self, fingerprint: str = "model") -> Any:
        samples = {"in": np.zeros((4, 3, 2, 2), np.float32)}
        return choose_precision(self, fingerprint, ALL, self.compile, lambda: samples, "out")  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no precision in the environment, and a clock of our own."""
    monkeypatch.setenv("FACEALL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FACEALL_PRECISION", raising=False)
    monkeypatch.setattr("faceall.embed.precision.time", CLOCK)
    return tmp_path / "cache"


def test_the_fastest_precision_that_keeps_the_vectors_is_taken() -> None:
    """int8 is faster still, but moves the vectors."""
    machine = Machine({"float32": (0.03, 0), "bfloat16": (0.01, 0.001), "int8": (0.005, 0.1)})
    choice = machine.choose()
    assert choice.precision == "bfloat16"
    assert choice.measured["int8"].cosine < 0.9999 < choice.measured["bfloat16"].cosine
    assert "int8" in choice.describe()


def test_float32_stays_where_nothing_is_clearly_faster() -> None:
    """A precision as fast as float32 brings nothing."""
    machine = Machine({"float32": (0.02, 0), "bfloat16": (0.02, 0), "int8": (0.03, 0)})
    assert machine.choose().precision == "float32"


def test_a_machine_measures_a_model_once(cache: Path) -> None:
    """The choice is stored beside the compiled nets; a damaged file is measured again."""
    machine = Machine({"float32": (0.02, 0), "bfloat16": (0.005, 0), "int8": (0.03, 0)})
    machine.choose()
    assert machine.compiled == ["float32", "bfloat16", "int8"]
    assert machine.choose().precision == "bfloat16"
    assert len(machine.compiled) == 3
    (file,) = cache.glob("*.precision.json")
    assert json.loads(file.read_text())["precision"] == "bfloat16"
    file.write_text("{")
    assert machine.choose().precision == "bfloat16"
    assert len(machine.compiled) == 6


def test_a_copied_cache_does_not_decide_for_another_processor() -> None:
    """The same files on another processor are not its choice."""
    Machine({"float32": (0.02, 0), "bfloat16": (0.005, 0), "int8": (0.03, 0)}).choose()
    other = Machine({"float32": (0.005, 0), "bfloat16": (0.02, 0), "int8": (0.02, 0)}, processor="two")
    assert other.choose().precision == "float32"


def test_the_environment_decides_without_a_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """FACEALL_PRECISION is taken as it is; an unknown value is refused with the known ones."""
    machine = Machine({"float32": (0.02, 0), "bfloat16": (0.005, 0), "int8": (0.03, 0)})
    monkeypatch.setenv("FACEALL_PRECISION", "float32")
    assert machine.choose().precision == "float32"
    assert machine.compiled == []
    monkeypatch.setenv("FACEALL_PRECISION", "fp8")
    with pytest.raises(SettingError, match="FACEALL_PRECISION is 'fp8', expected one of"):
        machine.choose()


def test_only_what_the_processor_has_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other engines compute in float32; bfloat16 needs its instructions, int8 also the model's layers."""
    machine: Any = Machine({}, name="reference")
    assert supported_precisions(machine, eight_bit=True) == ("float32",)
    flags = frozenset({"avx512_bf16", "avx512_vnni"})
    monkeypatch.setattr("faceall.caffe.engines.openvino.processor_flags", lambda: flags)
    machine = Machine({})
    assert supported_precisions(machine, eight_bit=False) == ("float32", "bfloat16")
    assert supported_precisions(machine, eight_bit=True) == ALL
