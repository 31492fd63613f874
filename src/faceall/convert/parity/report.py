"""What a comparison found: numbers, a table for people, and whether they are within the gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from faceall.errors import ConvertError, ParityError
from faceall.types import Array

GATE = 1e-5
"""The largest difference that a converted net may have, in float32, on vectors of unit length."""

DEFAULT_THRESHOLD = 1.1
"""The squared distance up to which two vectors count as one person where a manifest names none, for counting flips."""

Reference: TypeAlias = Literal["graph", "given", "net"]

_REFERENCES: Mapping[Reference, str] = {
    "graph": "the graph, run in NumPy",
    "given": "the given vectors",
    "net": "the net before, run in NumPy",
}


@dataclass(frozen=True)
class Stage:
    """One blob of the net against the tensor of the graph that it holds.

    blob        the blob's name
    tensor      the graph's name for it
    difference  the largest absolute difference
    magnitude   the largest absolute value of the tensor
    """

    blob: str
    tensor: str
    difference: float
    magnitude: float

    @property
    def relative(self) -> float:
        """The difference in proportion to the magnitude, where that is above 1."""
        return self.difference / max(self.magnitude, 1.0)


@dataclass(frozen=True)
class ParityReport:
    """How far one step of a conversion is from the one before.

    pictures      how many were compared
    inputs        which these were, as "golden crops"
    reference     what was compared with: "graph" (the source, run in NumPy), "given" (known vectors) or "net" (the net
                  before, run in NumPy)
    engine        what ran the result
    gate          the largest allowed difference; where there is a `cosine_gate`, that counts instead
    maximum       the largest absolute difference of the output, in proportion to its magnitude where that is above 1
    mean          the mean absolute difference
    cosine_min    the smallest cosine between a vector and its counterpart
    cosine_mean   the mean cosine
    stages        every stage of the first picture, in the order of execution; empty where nobody had to look
    step          what was made: "caffe", "onnx", "coreml", or "net", the net that those are written from
    cosine_gate   the smallest allowed cosine, for what is not float32; None: `gate` counts
    threshold     the squared L2 distance up to which two vectors were taken for one person; None: no embedder
    pairs         how many pairs of the pictures were decided on
    flips         how many of these decisions are different from before
    """

    pictures: int
    reference: Reference
    engine: str
    gate: float
    maximum: float
    mean: float
    cosine_min: float
    cosine_mean: float
    stages: tuple[Stage, ...] = ()
    step: str = "net"
    cosine_gate: float | None = None
    threshold: float | None = None
    pairs: int = 0
    flips: int = 0
    inputs: str = "given pictures"

    @property
    def passed(self) -> bool:
        """Whether the output is within the gate."""
        if self.cosine_gate is not None:
            return self.cosine_min >= self.cosine_gate
        return self.maximum <= self.gate  # false for a NaN, too

    @property
    def first_divergence(self) -> Stage | None:
        """The first stage that is off by more than the gate."""
        return next((stage for stage in self.stages if not stage.relative <= self.gate), None)

    def require(self, *, report: Path | None = None) -> None:
        """Raise ParityError, which names the first diverging stage and the `report`, where the gate is missed."""
        if self.passed:
            return
        stage, place = self.first_divergence, ""
        if stage is not None:
            place = f"; first at '{stage.blob}' (before: '{stage.tensor}'), off by {stage.difference:.1e}"
        amount = f"differs from its source by {self.maximum:.1e} (allowed: {self.gate:.0e})"
        if self.cosine_gate is not None:
            amount = f"has a cosine of {self.cosine_min:.6f} to its source (at least: {self.cosine_gate:g})"
        where = f", only the report {report}" if report else ""
        what = "net" if self.step == "net" else f"{self.step} model"
        raise ParityError(f"the converted {what} {amount}{place}; no model was written{where}")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "passed": self.passed}

    def to_text(self) -> str:
        """A table for people: the result, and the stages with the largest differences."""
        verdict = "within" if self.passed else "ABOVE"
        limit = f"{verdict} the gate of {self.gate:.0e}" if self.cosine_gate is None else "no gate"
        lines = [
            f"step         {self.step}",
            f"pictures     {self.pictures} ({self.inputs}), against {_REFERENCES[self.reference]}",
            f"engine       {self.engine}",
            f"max abs      {self.maximum:.2e}  ({limit})",
            f"mean abs     {self.mean:.2e}",
            f"cosine       {self.cosine_min:.9f} smallest, {self.cosine_mean:.9f} mean{self._cosine_verdict}",
        ]
        if self.pairs:
            lines.append(f"decisions    {self.flips} of {self.pairs} flip at a squared distance of {self.threshold:g}")
        worst = sorted(self.stages, key=lambda stage: stage.relative, reverse=True)[:3]
        lines += [f"worst stage  {stage.relative:.2e}  {stage.blob}" for stage in worst]
        return "\n".join(lines)

    @property
    def _cosine_verdict(self) -> str:
        if self.cosine_gate is None:
            return ""
        return f"  ({'within' if self.passed else 'BELOW'} the gate of {self.cosine_gate:g})"


def measure(
    actual: Array,
    wanted: Array,
    *,
    step: str,
    reference: Reference,
    engine: str,
    gate: float = GATE,
    cosine_gate: float | None = None,
    threshold: float | None = DEFAULT_THRESHOLD,
) -> ParityReport:
    """Compare two arrays of results, (n, ...) each, in their order. The rest becomes the report's fields.

    Raises ConvertError where the shapes do not agree.
    """
    actual, wanted = actual.reshape(len(actual), -1), wanted.reshape(len(wanted), -1)
    if actual.shape != wanted.shape:
        raise ConvertError(f"the net gives vectors of shape {actual.shape}, expected are {wanted.shape}")
    maximum, mean, cosines = _distances(actual, wanted)
    pairs, flips = (0, 0) if threshold is None else count_flips(actual, wanted, threshold)
    return ParityReport(
        pictures=len(actual),
        reference=reference,
        engine=engine,
        gate=gate,
        maximum=maximum,
        mean=mean,
        cosine_min=float(cosines.min()),
        cosine_mean=float(cosines.mean()),
        step=step,
        cosine_gate=cosine_gate,
        threshold=threshold,
        pairs=pairs,
        flips=flips,
    )


def count_flips(actual: Array, wanted: Array, threshold: float) -> tuple[int, int]:
    """How many pairs there are among n vectors (n, D), and for how many `actual` and `wanted` decide differently.

    Two vectors match where their squared distance, both at unit length, is at most `threshold`.
    """
    decisions = []
    for vectors in (actual, wanted):
        unit = vectors.astype(np.float64)
        unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-30)
        decisions.append(2 - 2 * unit @ unit.T <= threshold)
    above = np.triu_indices(len(actual), 1)
    return len(above[0]), int(np.sum(decisions[0][above] != decisions[1][above]))


def _distances(actual: Array, wanted: Array) -> tuple[float, float, Array]:
    """Largest difference in proportion to a magnitude above 1, mean difference, cosines (n,)."""
    difference = np.abs(actual.astype(np.float64) - wanted)
    exact, other = actual.astype(np.float64), wanted.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(other, axis=1)
    cosines = np.sum(exact * other, axis=1) / np.maximum(lengths, 1e-30)
    magnitude = max(float(np.abs(wanted).max(initial=0.0)), 1.0)
    return float(difference.max()) / magnitude, float(difference.mean()), cosines
