"""The results of an open-set evaluation (1:N), and their JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from faceall.evaluate.curves import Float64Array, Interval
from faceall.evaluate.embedding import UnusableImage
from faceall.evaluate.search_comparison import SearchOutcomes
from faceall.evaluate.search_parts import PartedSearches
from faceall.evaluate.speed import Speed
from faceall.evaluate.verification.comparison import PairedComparison
from faceall.evaluate.worst_searches import WorstSearch
from faceall.types import Face


@dataclass(frozen=True)
class IdentificationPoint:
    """Misses at one false-positive identification rate.

    Attributes
    ----------
    fpir : float
        The rate: the share of searches of strangers that return a person.
    threshold : float
        Mean squared L2 distance of the nearest person at which it is reached.
    fnir : float
        False-negative identification rate: the share of searches of known people whose person is not the nearest or
        is beyond the threshold; failures to acquire count as misses.
    interval : (float, float)
        95 % interval of the FNIR (bootstrap over people and strangers).
    supported : bool
        Whether there are at least 1 / rate strangers.
    """

    fpir: float
    threshold: float
    fnir: float
    interval: Interval
    supported: bool


@dataclass(frozen=True, eq=False)
class IdentificationResult:
    """Results of one model.

    Attributes
    ----------
    name, fingerprint, precision : str
        Name and fingerprint of the model, precision of its net.
    points : tuple of IdentificationPoint
        One per rate of `FPIRS`.
    cmc : tuple of float
        Share of known people who are among the 1, 2, ... nearest, whatever the distance.
    fpir, fnir : (m,) float64
        The curve, FPIR ascending.
    worst : tuple of WorstSearch
        The worst searches of each kind, worst first.
    outcomes : SearchOutcomes or None
        All searches, for comparisons with other models.
    comparisons : tuple of PairedComparison
        Comparisons with earlier results, if they were made.
    parts : tuple of PartedSearches
        Rates by group or by a property of the faces, if they were measured.
    speed : Speed or None
        Faces per second, if measured.
    """

    name: str
    fingerprint: str
    precision: str
    points: tuple[IdentificationPoint, ...]
    cmc: tuple[float, ...]
    fpir: Float64Array
    fnir: Float64Array
    worst: tuple[WorstSearch, ...] = ()
    outcomes: SearchOutcomes | None = None
    comparisons: tuple[PairedComparison, ...] = ()
    parts: tuple[PartedSearches, ...] = ()
    speed: Speed | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "model": self.name,
            "fingerprint": self.fingerprint,
            "precision": self.precision,
            "open_set": [asdict(point) | {"interval": list(point.interval)} for point in self.points],
            "rank_1": self.cmc[0],
            "cmc": list(self.cmc),
            "curve": {"fpir": self.fpir.round(6).tolist(), "fnir": self.fnir.round(6).tolist()},
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
            "parts": [part.to_json() for part in self.parts],
            "faces_per_second": None if self.speed is None else asdict(self.speed),
        }


@dataclass(frozen=True, eq=False)
class Identification:
    """Results of models on a folder of people.

    Attributes
    ----------
    people, strangers : int
        Size of each gallery, and how many others were searched.
    repeat : int
        Number of random galleries.
    unusable : tuple of UnusableImage
        Images without a vector: failures to acquire.
    images : int
        How many images were read.
    results : tuple of IdentificationResult
        One per model.
    faces : mapping of Path to Face
        The face that represents each usable image.
    searched : mapping of str to (Path or None, Path or None)
        The first image of each person, which is enrolled, or searched while the person is a stranger, and the second,
        which is searched while the person is known; ascending by name.
    """

    people: int
    strangers: int
    repeat: int
    unusable: tuple[UnusableImage, ...]
    images: int
    results: tuple[IdentificationResult, ...]
    faces: Mapping[Path, Face]
    searched: Mapping[str, tuple[Path | None, Path | None]]

    def to_json(self, *, searches: bool = False) -> dict[str, Any]:
        """Return JSON values; with `searches` all searches, with which a later evaluation can compare."""
        models = [result.to_json() for result in self.results]
        for values, result in zip(models, self.results, strict=True):
            if searches and result.outcomes is not None:
                values["searches"] = result.outcomes.to_json()
        return {
            "protocol": "open-set",
            "people": self.people,
            "strangers": self.strangers,
            "repeat": self.repeat,
            "images": self.images,
            "failures_to_acquire": [asdict(image) | {"path": str(image.path)} for image in self.unusable],
            "models": models,
        }
