"""`ParityReport`: how closely a converted net reproduces its source, as numbers and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from faceall.errors import ConvertError, ParityError
from faceall.types import Array

TOLERANCE = 1e-5
"""The largest difference that a converted net may have, in float32, on vectors of unit length."""

DEFAULT_THRESHOLD = 1.1
"""The largest squared distance of two vectors of one person, for counting flips, if the manifest has no threshold."""

Reference: TypeAlias = Literal["graph", "given", "net", "source"]

_REFERENCES: Mapping[Reference, str] = {
    "graph": "the graph, run in NumPy",
    "given": "the given vectors",
    "net": "the net before, run in NumPy",
    "source": "the source file, run in OpenVINO",
}


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """What a comparison is called and what it allows.

    Attributes
    ----------
    step : str
        The report's name of the result.
    tolerance : float
        The largest allowed difference; not used if there is a `cosine_minimum`.
    cosine_minimum : float, optional
        The smallest allowed cosine, for results that are not float32.
    threshold : float, optional
        The largest squared distance of a match, for counting changed verdicts; None for a net that is not an embedder.
    """

    step: str = "net"
    tolerance: float = TOLERANCE
    cosine_minimum: float | None = None
    threshold: float | None = DEFAULT_THRESHOLD


@dataclass(frozen=True)
class Stage:
    """The comparison of one blob of the net with its tensor of the graph.

    Parameters
    ----------
    blob : str
        Name of the blob.
    tensor : str
        Name of the tensor in the graph.
    difference : float
        The largest absolute difference.
    magnitude : float
        The largest absolute value of the tensor.
    """

    blob: str
    tensor: str
    difference: float
    magnitude: float

    @property
    def relative(self) -> float:
        """The difference, divided by the magnitude if that is larger than 1."""
        return self.difference / max(self.magnitude, 1.0)


@dataclass(frozen=True)
class ParityReport:
    """The difference between one step of a conversion and the step before.

    Parameters
    ----------
    images : int
        The number of compared images.
    reference : {"graph", "given", "net"}
        What was compared with: the source graph run in NumPy, given vectors, or the net before, run in NumPy.
    engine : str
        The engine that ran the result.
    tolerance : float
        The largest allowed difference; not used if there is a `cosine_minimum`.
    maximum : float
        The largest absolute difference of the output, divided by its magnitude if that is larger than 1.
    mean : float
        The mean absolute difference.
    cosine_min, cosine_mean : float
        The smallest and the mean cosine between a vector and its counterpart.
    stages : tuple of Stage
        Every stage of the first image, in the order of execution; empty if stages were not compared.
    step : str
        The result: "caffe", "onnx", "coreml", "coreai", "savedmodel", or "net", from which those are written.
    cosine_minimum : float, optional
        The smallest allowed cosine, for results that are not float32.
    threshold : float, optional
        The largest squared L2 distance of a match; None for a net that is not an embedder.
    pairs, flips : int
        The number of pairs of images, and how many of their verdicts changed.
    inputs : str
        What the images are, as "golden crops".
    """

    images: int
    reference: Reference
    engine: str
    tolerance: float
    maximum: float
    mean: float
    cosine_min: float
    cosine_mean: float
    stages: tuple[Stage, ...] = ()
    step: str = "net"
    cosine_minimum: float | None = None
    threshold: float | None = None
    pairs: int = 0
    flips: int = 0
    inputs: str = "given images"

    @property
    def passed(self) -> bool:
        """Whether the output is within the tolerance."""
        if self.cosine_minimum is not None:
            return self.cosine_min >= self.cosine_minimum
        return self.maximum <= self.tolerance  # false for a NaN, too

    @property
    def first_divergence(self) -> Stage | None:
        """The first stage whose relative difference exceeds the tolerance."""
        return next((stage for stage in self.stages if not stage.relative <= self.tolerance), None)

    def require(self, *, report: Path | None = None) -> None:
        """Refuse a result that exceeds the tolerance.

        Parameters
        ----------
        report : Path, optional
            The file of this report, for the message.

        Raises
        ------
        ParityError
            The tolerance is exceeded; the message names the first stage that diverges.
        """
        if self.passed:
            return
        stage, place = self.first_divergence, ""
        if stage is not None:
            place = f"; first at '{stage.blob}' (before: '{stage.tensor}'), off by {stage.difference:.1e}"
        amount = f"differs from its source by {self.maximum:.1e} (allowed: {self.tolerance:.0e})"
        if self.cosine_minimum is not None:
            amount = f"has a cosine of {self.cosine_min:.6f} to its source (at least: {self.cosine_minimum:g})"
        what = "net" if self.step == "net" else f"{self.step} model"
        raise ParityError(f"the converted {what} {amount}{place}", report)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {**asdict(self), "passed": self.passed}

    def to_text(self) -> str:
        """Return the report as text: the result, and the stages with the largest differences."""
        verdict = "within" if self.passed else "ABOVE"
        limit = f"{verdict} the tolerance of {self.tolerance:.0e}" if self.cosine_minimum is None else "no limit"
        lines = [
            f"step         {self.step}",
            f"images       {self.images} ({self.inputs}), against {_REFERENCES[self.reference]}",
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
        if self.cosine_minimum is None:
            return ""
        return f"  ({'at least' if self.passed else 'BELOW'} the minimum of {self.cosine_minimum:g})"


def measure(actual: Array, wanted: Array, criteria: Criteria, *, reference: Reference, engine: str) -> ParityReport:
    """Compare two arrays of results.

    Parameters
    ----------
    actual, wanted : (n, ...) array
        The results and what they should be, in the same order.
    criteria : Criteria
        Name and limits of the comparison.
    reference, engine : str
        What was compared with, and the engine that ran the result; fields of the report.

    Returns
    -------
    ParityReport
        The differences.

    Raises
    ------
    ConvertError
        The shapes differ.
    """
    actual, wanted = actual.reshape(len(actual), -1), wanted.reshape(len(wanted), -1)
    if actual.shape != wanted.shape:
        raise ConvertError(f"the net returns vectors of shape {actual.shape}, expected {wanted.shape}")
    maximum, mean, cosines = _distances(actual, wanted)
    limit = criteria.threshold
    pairs, flips = (0, 0) if limit is None else count_flips(actual, wanted, limit)
    return ParityReport(
        images=len(actual),
        reference=reference,
        engine=engine,
        tolerance=criteria.tolerance,
        maximum=maximum,
        mean=mean,
        cosine_min=float(cosines.min()),
        cosine_mean=float(cosines.mean()),
        step=criteria.step,
        cosine_minimum=criteria.cosine_minimum,
        threshold=limit,
        pairs=pairs,
        flips=flips,
    )


def count_flips(actual: Array, wanted: Array, threshold: float) -> tuple[int, int]:
    """Count the pairs of vectors whose verdict (match or no match) changes.

    Parameters
    ----------
    actual, wanted : (n, D) array
        Vectors of the same images, of any length.
    threshold : float
        The largest squared distance, at unit length, of a match.

    Returns
    -------
    pairs, flips : int
        The number of pairs among the n vectors, and the number of changed verdicts.
    """
    decisions = []
    for vectors in (actual, wanted):
        unit = vectors.astype(np.float64)
        unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-30)
        decisions.append(2 - 2 * unit @ unit.T <= threshold)
    above = np.triu_indices(len(actual), 1)
    return len(above[0]), int(np.sum(decisions[0][above] != decisions[1][above]))


def _distances(actual: Array, wanted: Array) -> tuple[float, float, Array]:
    """Return the largest difference (divided by a magnitude above 1), the mean difference, and the cosines (n,)."""
    difference = np.abs(actual.astype(np.float64) - wanted)
    exact, other = actual.astype(np.float64), wanted.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(other, axis=1)
    cosines = np.sum(exact * other, axis=1) / np.maximum(lengths, 1e-30)
    magnitude = max(float(np.abs(wanted).max(initial=0.0)), 1.0)
    return float(difference.max()) / magnitude, float(difference.mean()), cosines
