"""Find out which input an unknown embedder expects, by how well each separates people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from faceall.arguments import checked
from faceall.caffe import get_engine
from faceall.convert.options import StandardisationName
from faceall.convert.recipes import STANDARDISATIONS, Recipe
from faceall.embed.nets import compile_model
from faceall.errors import ConvertError
from faceall.install.faces import PeopleFaces
from faceall.models import Manifest, ModelFolder
from faceall.models.embedders import AlignmentName
from faceall.types import Array

_SCALES: tuple[StandardisationName, ...] = ("none", "fixed", "unit", "prewhiten")
"""The standardisations to try; "arcface" differs from "fixed" by 0.4 %, which no face shows."""

_ALIGNMENTS: tuple[AlignmentName, ...] = ("arcface", "openvino", "none")

_MARGIN, _BUNDLED_MARGIN = 1.03, 1.5
"""How much better the best input must separate people than the best one that differs in a part, for the part to count
as known; on two portraits only large differences mean anything."""

_BATCH = 16


@dataclass(frozen=True)
class ProbeRow:
    """How well one input separates people.

    Attributes
    ----------
    parts : mapping of str to str
        The tried parts of the input: "channels", "standardisation", "alignment".
    separation : float
        The difference of the mean cosines of pairs of one person and of two people, in standard deviations.
    same, different : float
        The mean cosines.
    """

    parts: Mapping[str, str]
    separation: float
    same: float
    different: float


@dataclass(frozen=True)
class ProbeReport:
    """The inputs that were tried.

    Attributes
    ----------
    rows : tuple of ProbeRow
        Every input, best first.
    origin : str
        The faces that they were tried on.
    undecided : tuple of str
        The parts of the input that the faces do not settle.
    """

    rows: tuple[ProbeRow, ...]
    origin: str
    undecided: tuple[str, ...]

    @property
    def best(self) -> ProbeRow:
        """The input that separates people best."""
        return self.rows[0]

    def scores(self, part: str) -> str:
        """Return the best separation for each value of a part, for messages."""
        best: dict[str, float] = {}
        for row in self.rows:
            best.setdefault(row.parts[part], row.separation)
        return ", ".join(f"{value} {separation:.2f}" for value, separation in best.items())

    def to_text(self) -> str:
        """Return a table for people."""
        lines = [f"inputs tried on {self.origin}; separation in standard deviations:"]
        for row in self.rows[:6]:
            parts = ", ".join(f"{part} {value}" for part, value in row.parts.items())
            lines.append(f"  {row.separation:5.2f}  (same {row.same:.2f}, different {row.different:.2f})  {parts}")
        return "\n".join(lines)


@checked
def probe(model: ModelFolder, unknown: Sequence[str], faces: PeopleFaces) -> ProbeReport:
    """Try the unknown parts of an embedder's input on faces of several people.

    Parameters
    ----------
    model : ModelFolder
        The embedder; its manifest has the known parts.
    unknown : sequence of {"channels", "standardisation", "alignment"}
        The parts to try.
    faces : PeopleFaces
        The faces.

    Returns
    -------
    ProbeReport
        The inputs, best first, and the parts that remain undecided.
    """
    manifest = model.manifest
    choices = {"channels": ("RGB", "BGR"), "standardisation": _SCALES, "alignment": _ALIGNMENTS}
    compiled = compile_model(model, get_engine())
    rows = []
    for values in product(*(choices[part] for part in unknown)):
        parts = dict(zip(unknown, values, strict=True))
        candidate = with_input(manifest, **parts)
        vectors = _vectors(compiled, candidate, faces.crops(candidate.framing, manifest.input_size))
        rows.append(ProbeRow(parts, *_separation(vectors, faces.labels)))
    rows.sort(key=lambda row: row.separation, reverse=True)
    undecided = tuple(part for part in unknown if not _is_decided(rows, part, faces))
    return ProbeReport(tuple(rows), faces.origin, undecided)


def with_input(manifest: Manifest, **parts: Any) -> Manifest:
    """Return a manifest with other `channels`, `standardisation` (a name) or `alignment` (a name)."""
    changed: dict[str, Any] = {}
    if "channels" in parts:
        changed["channels"] = parts["channels"]
    if "standardisation" in parts:
        changed["standardisation"] = STANDARDISATIONS[parts["standardisation"]]
    if "alignment" in parts:
        changed |= Recipe(alignment=parts["alignment"]).framing(manifest.input_size)
    return replace(manifest, **changed)


def require_decided(report: ProbeReport, name: str) -> None:
    """Raise ConvertError if a part of the input remains undecided.

    Raises
    ------
    ConvertError
        With the options to give.
    """
    if not report.undecided:
        return
    options = {"channels": "rgb|bgr", "standardisation": "NAME", "alignment": "arcface|openvino|none"}
    missing = " and ".join(f"--{part} {options[part]}" for part in report.undecided)
    found = "; ".join(f"{part}: {report.scores(part)}" for part in report.undecided)
    raise ConvertError(
        f"{name}: {report.origin} do not settle the input it expects ({found}): give {missing}, or --faces DIR with "
        "photos of at least three people (DIR/NAME/*.jpg)"
    )


def _is_decided(rows: Sequence[ProbeRow], part: str, faces: PeopleFaces) -> bool:
    """Return whether the best input is clearly better than the best one that differs in `part`."""
    if part == "channels" and faces.bundled:
        return False  # two portraits do not tell the channel order of every net
    best = rows[0]
    other = next((row for row in rows if row.parts[part] != best.parts[part]), None)
    margin = _BUNDLED_MARGIN if faces.bundled else _MARGIN
    return other is None or (best.separation > 1 and best.separation >= margin * max(other.separation, 0.0))


def _vectors(compiled: Any, manifest: Manifest, crops: Array) -> Array:
    """Return unit vectors, (n, D) float64."""
    made = []
    for start in range(0, len(crops), _BATCH):
        part = crops[start : start + _BATCH]
        ordered = part if manifest.channels == "RGB" else part[..., ::-1]
        values = manifest.standardisation.apply(np.ascontiguousarray(ordered))
        blob = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        made.append(compiled({manifest.input_blob: blob})[manifest.output_blob].reshape(len(part), -1))
    vectors = np.concatenate(made).astype(np.float64)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def _separation(vectors: Array, labels: Sequence[str]) -> tuple[float, float, float]:
    """Return the separation and the mean cosines of pairs of one person and of two people."""
    names = np.asarray(labels)
    first, second = np.triu_indices(len(names), 1)
    cosines = np.sum(vectors[first] * vectors[second], axis=1)
    same, different = cosines[names[first] == names[second]], cosines[names[first] != names[second]]
    spread = float(np.sqrt((same.var() + different.var()) / 2))
    gap = float(same.mean() - different.mean())
    return gap / max(spread, 1e-9), float(same.mean()), float(different.mean())
