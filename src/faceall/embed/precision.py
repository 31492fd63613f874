"""Choose the precision of an embedder by measuring it on the machine that runs it.

The first use of a model times every precision that the processor supports and compares it with float32 on variations of
a portrait. The fastest one that keeps the vectors is taken. The result is kept beside the compiled nets, under a name
that includes the model, the processor and the versions: a model that is copied to another machine is measured there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast, get_args

import numpy as np

from faceall.caffe.engines import CompiledNet, Engine, Precision
from faceall.caffe.engines.cache import cache_folder
from faceall.caffe.engines.openvino import has_bfloat16_products, has_eight_bit_products
from faceall.errors import SettingError
from faceall.files import make_folder, write_file
from faceall.types import Array, Float32Array
from faceall.version import __version__

MINIMUM_COSINE = 0.9999
"""The smallest cosine to float32 that a precision may have on any of the faces."""

ENVIRONMENT = "FACEALL_PRECISION"
"""The environment variable that sets the precision without a measurement."""

_ADVANTAGE = 1.05
"""How much faster than float32 a lower precision must be to be taken."""

_SECONDS = 0.4
"""How long one precision is timed, after one run to warm up."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measurement:
    """One precision on one machine.

    Attributes
    ----------
    faces_per_second : float
        Speed in batches.
    cosine : float
        The smallest cosine to float32; 1 for float32 itself.
    """

    faces_per_second: float
    cosine: float


@dataclass(frozen=True)
class PrecisionChoice:
    """The precision of a model on a machine.

    Attributes
    ----------
    precision : {"float32", "bfloat16", "int8"}
        The precision to use.
    measured : mapping of str to Measurement
        Every precision that was measured; empty if there was nothing to choose.
    """

    precision: Precision
    measured: Mapping[str, Measurement]

    def describe(self) -> str:
        """Return one line: the precision, and what was measured."""
        found = ", ".join(
            f"{name} {one.faces_per_second:.0f} faces/s" + ("" if name == "float32" else f" (cosine {one.cosine:.6f})")
            for name, one in self.measured.items()
        )
        return f"{self.precision}; measured once: {found}" if found else self.precision


def choose_precision(
    engine: Engine,
    fingerprint: str,
    candidates: tuple[Precision, ...],
    compile_net: Callable[[Precision], CompiledNet],
    samples: Callable[[], Mapping[str, Float32Array]],
    output: str,
) -> PrecisionChoice:
    """Choose the fastest precision that keeps the vectors; measure at the first call on a machine.

    Parameters
    ----------
    engine : Engine
        The engine that runs the net.
    fingerprint : str
        The identity of the net.
    candidates : tuple of Precision
        What to choose from, float32 first.
    compile_net : callable
        Compiles the net in a precision.
    samples : callable
        Returns the net's input, standardised faces, (n, 3, H, W) float32.
    output : str
        The blob of the vectors.

    Returns
    -------
    PrecisionChoice
        The precision with its measurements.

    Raises
    ------
    SettingError
        If the environment variable FACEALL_PRECISION has an unknown value.
    """
    forced = _forced()
    if forced is not None:
        return PrecisionChoice(forced, {})
    if len(candidates) < 2:
        return PrecisionChoice(candidates[0], {})
    file = _file(engine, fingerprint)
    known = _read(file, candidates)
    if known is not None:
        return known
    inputs = samples()
    measured: dict[str, Measurement] = {}
    exact: Array | None = None
    for precision in candidates:
        compiled = compile_net(precision)
        if compiled.precision != precision:
            continue
        vectors = _unit(compiled(inputs)[output])
        exact = vectors if exact is None else exact
        cosine = float((vectors * exact).sum(axis=1).min())
        measured[precision] = Measurement(_speed(compiled, inputs), cosine)
    choice = PrecisionChoice(_fastest(measured), measured)
    _write(file, choice)
    return choice


def supported_precisions(engine: Engine, *, eight_bit: bool) -> tuple[Precision, ...]:
    """Return the precisions that the processor computes natively, float32 first.

    Parameters
    ----------
    engine : Engine
        The engine; only OpenVINO has more than float32.
    eight_bit : bool
        Whether the model states which layers can be computed in 8 bits.
    """
    found: list[Precision] = ["float32"]
    if engine.name != "openvino":
        return tuple(found)
    if has_bfloat16_products():
        found.append("bfloat16")
    if eight_bit and has_eight_bit_products():
        found.append("int8")
    return tuple(found)


def _forced() -> Precision | None:
    """Return the precision of the environment, None for "auto" or if it is not set."""
    text = os.environ.get(ENVIRONMENT, "").strip()
    if text in ("", "auto"):
        return None
    if text not in get_args(Precision):
        known = ", ".join(get_args(Precision))
        raise SettingError(f"the environment variable {ENVIRONMENT} is '{text}', expected one of {known}")
    return cast("Precision", text)


def _fastest(measured: Mapping[str, Measurement]) -> Precision:
    """Return the fastest precision that keeps the vectors and is clearly faster than float32."""
    base = measured["float32"].faces_per_second
    fit = {
        name: one.faces_per_second
        for name, one in measured.items()
        if one.cosine >= MINIMUM_COSINE and one.faces_per_second >= _ADVANTAGE * base
    }
    return cast("Precision", max(fit, key=fit.__getitem__)) if fit else "float32"


def _speed(compiled: CompiledNet, inputs: Mapping[str, Float32Array]) -> float:
    """Return faces per second of the fastest of several runs: other programs only make runs slower."""
    count = len(next(iter(inputs.values())))
    best, spent = float("inf"), 0.0
    while spent < _SECONDS:
        started = time.perf_counter()
        compiled(inputs)
        seconds = time.perf_counter() - started
        best, spent = min(best, seconds), spent + seconds
    return count / max(best, 1e-9)


def _unit(vectors: Float32Array) -> Array:
    rows = vectors.reshape(len(vectors), -1).astype(np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def _file(engine: Engine, fingerprint: str) -> Path:
    """Return the path of the choice: one for each model, processor and version."""
    identity = getattr(engine, "identity", lambda precision: engine.name)("float32")
    text = "\n".join([__version__, fingerprint, identity])
    return cache_folder() / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.precision.json"


def _read(file: Path, candidates: tuple[Precision, ...]) -> PrecisionChoice | None:
    """Return a stored choice; None if there is none, or it cannot be used."""
    try:
        values = json.loads(file.read_bytes())
        measured = {str(name): Measurement(**one) for name, one in values["measured"].items()}
        precision = values["precision"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return PrecisionChoice(precision, measured) if precision in candidates else None


def _write(file: Path, choice: PrecisionChoice) -> None:
    """Store a choice; if that fails it is measured again at the next start."""
    measured = {name: asdict(one) for name, one in choice.measured.items()}
    try:
        make_folder(file.parent, mode=0o700)
        write_file(file, json.dumps({"precision": choice.precision, "measured": measured}, indent=2) + "\n")
    except OSError as error:
        _log.info("%s: cannot be stored: %s", file, error)
