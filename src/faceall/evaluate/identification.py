"""Evaluate open-set identification (1:N): known people and strangers are searched in galleries of N people.

References
----------
ISO/IEC 19795-1:2021, Biometric performance testing and reporting (FPIR, FNIR, CMC, failure to acquire).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from faceall.analysis.analyser import FaceDetector
from faceall.arguments import checked
from faceall.errors import EvaluationError
from faceall.evaluate.curves import Float64Array, percentiles
from faceall.evaluate.embedding import MeasuredEmbedder, Progress, embed_images
from faceall.evaluate.identification_results import Identification, IdentificationPoint, IdentificationResult
from faceall.evaluate.search_comparison import SearchOutcomes, compare_searches
from faceall.evaluate.speed import measure_speed
from faceall.evaluate.worst_searches import worst_searches
from faceall.images import is_image_path
from faceall.types import Float32Array, Int64Array

FPIRS = (1e-1, 1e-2, 1e-3)
"""The false-positive identification rates at which misses are reported."""

RANKS = 20
"""Length of the cumulative match characteristic (CMC)."""

_ROUNDS = 500
_FEWEST = 10  # strangers
_MISSING = -2.0  # similarity of a search without a face: below every threshold
_GRID = np.geomspace(1e-3, 1, 61)


@checked
def read_people(folder: str | os.PathLike[str]) -> dict[str, list[Path]]:
    """List the images of a folder with one subfolder per person.

    Raises
    ------
    EvaluationError
        If the folder cannot be read or has no subfolders with images.
    """
    root = Path(folder)
    try:
        names = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
        people = {name: sorted(path for path in (root / name).iterdir() if is_image_path(path)) for name in names}
    except OSError as error:
        raise EvaluationError(f"{root}: cannot be read ({error.strerror})") from error
    found = {name: paths for name, paths in people.items() if paths}
    if not found:
        raise EvaluationError(f"{root}: contains no folders with images; expected one folder per person")
    return found


@dataclass(frozen=True, kw_only=True)
class OpenSetOptions:
    """How many galleries are drawn, and what is computed.

    Attributes
    ----------
    size : int or None
        Number of people in a gallery. Default: half of those with two images, at most 100.
    repeat : int
        Number of random galleries.
    seed : int
        Seed of the random generator.
    flip : bool
        Average the vectors of a face and of its mirror image.
    speed : bool
        Also measure faces per second.
    """

    size: int | None = None
    repeat: int = 10
    seed: int = 0
    flip: bool = False
    speed: bool = False


@checked
def evaluate_identification(
    people: dict[str, list[Path]],
    models: Sequence[MeasuredEmbedder],
    detector: FaceDetector,
    options: OpenSetOptions | None = None,
    *,
    progress: Progress | None = None,
) -> Identification:
    """Search known people and strangers in random galleries.

    A gallery holds the first image of random people with at least two; their second image is searched, and the first
    image of all other people.

    Parameters
    ----------
    people : dict of str to list of Path
        The images of each person.
    models : sequence of MeasuredEmbedder
        The embedders.
    detector : FaceDetector
        Detects the faces.
    options : OpenSetOptions, optional
        Size and number of the galleries, and what is computed.
    progress : callable, optional
        Called with the number of processed images and the total.

    Returns
    -------
    Identification

    Raises
    ------
    EvaluationError
        If there are too few people.
    """
    options = options or OpenSetOptions()
    names = sorted(people)
    galleries = _drawn([len(people[name]) for name in names], options)
    chosen = len(galleries[0])
    wanted = [path for name in names for path in people[name][:2]]
    embedded = embed_images(wanted, detector, models, flip=options.flip, progress=progress)
    rows = np.array([_pair_of_rows(people[name], embedded.rows) for name in names], np.int64)
    images = list(embedded.rows)
    speeds = measure_speed(models, embedded.samples) if options.speed and embedded.samples else [None] * len(models)
    results = [
        replace(
            _measure(model, vectors, rows, galleries),
            speed=faces_per_second,
            worst=worst_searches(vectors, rows, galleries, images),
            outcomes=_outcomes(tuple(names), [_search(vectors, rows, gallery) for gallery in galleries], galleries),
        )
        for model, vectors, faces_per_second in zip(models, embedded.vectors, speeds, strict=True)
    ]
    faces = {path: embedded.faces[row] for path, row in embedded.rows.items()}
    searched = {name: (people[name][0], people[name][1] if len(people[name]) > 1 else None) for name in names}
    outside = len(names) - chosen
    return Identification(
        chosen, outside, options.repeat, embedded.unusable, len(wanted), tuple(results), faces, searched
    )


def _drawn(images: Sequence[int], options: OpenSetOptions) -> list[Int64Array]:
    """Draw the people of each gallery, from those with two images; `images` is the number of each person."""
    several = np.array([number for number, count in enumerate(images) if count > 1], np.int64)
    size, repeat = options.size, options.repeat
    chosen = size if size is not None else min(100, max(2, len(several) // 2))
    if repeat < 1 or chosen < 2:
        raise EvaluationError(f"people is {chosen} and repeat {repeat}, expected at least 2 people, repeated once")
    if len(several) < chosen or len(images) - chosen < _FEWEST:
        raise EvaluationError(
            f"{len(images)} people, {len(several)} of them with two images: a gallery of {chosen} needs {chosen} people"
            f" with two images and {_FEWEST} others as strangers"
        )
    random = np.random.default_rng(options.seed)
    return [np.sort(random.choice(several, chosen, replace=False)) for _ in range(repeat)]


def _pair_of_rows(paths: Sequence[Path], rows: Mapping[Path, int]) -> list[int]:
    """Return the rows of a person's first and second image, -1 where there is none."""
    found = [rows.get(path, -1) for path in paths[:2]]
    return [*found, -1][:2]


@dataclass(frozen=True, eq=False)
class _Trial:
    """The searches of one gallery: best similarity and rank of each known person, best similarity of each stranger."""

    known: Float64Array
    ranks: Int64Array
    strangers: Float64Array

    def threshold(self, fpir: float) -> float:
        """Return the smallest similarity that at most the share `fpir` of the strangers exceed."""
        ordered = np.sort(self.strangers)[::-1]
        return float(ordered[min(int(fpir * len(ordered) + 1e-9), len(ordered) - 1)])

    def fnir(self, fpir: float) -> float:
        """Return the share of known people who are not found."""
        limit = self.threshold(fpir) if fpir < 1 else -np.inf
        return float(1 - np.mean((self.ranks == 0) & (self.known > limit)))

    def resampled(self, random: np.random.Generator) -> _Trial:
        """Draw people and strangers with replacement."""
        known = random.integers(0, len(self.known), len(self.known))
        strangers = random.integers(0, len(self.strangers), len(self.strangers))
        return _Trial(self.known[known], self.ranks[known], self.strangers[strangers])


def _search(vectors: Float32Array, rows: Int64Array, gallery: Int64Array) -> _Trial:
    """Search the second image of the gallery's people and the first of all others."""
    inside = np.zeros(len(rows), bool)
    inside[gallery] = True
    first = rows[gallery, 0]
    enrolled = np.where(first[:, None] >= 0, vectors[first], 0)

    def compared(queries: Int64Array) -> Float32Array:
        similarities = vectors[queries] @ enrolled.T
        similarities[:, first < 0] = _MISSING
        similarities[queries < 0] = _MISSING
        return similarities

    known, others = compared(rows[gallery, 1]), compared(rows[~inside, 0])
    own = known[np.arange(len(gallery)), np.arange(len(gallery))]
    ranks = np.where(own > _MISSING, (known > own[:, None]).sum(axis=1), len(gallery))
    return _Trial(own.astype(np.float64), ranks.astype(np.int64), others.max(axis=1).astype(np.float64))


def _outcomes(names: tuple[str, ...], trials: Sequence[_Trial], galleries: Sequence[Int64Array]) -> SearchOutcomes:
    """Collect the searches of all galleries."""
    return SearchOutcomes(
        names,
        np.stack(galleries),
        np.stack([trial.known for trial in trials]),
        np.stack([trial.ranks == 0 for trial in trials]),
        np.stack([trial.strangers for trial in trials]),
    )


@checked
def compare_identification(found: Identification, stored: Sequence[tuple[str, SearchOutcomes]]) -> Identification:
    """Compare every model with the results of an earlier report, in the same galleries.

    Parameters
    ----------
    found : Identification
        The evaluation.
    stored : sequence of (str, SearchOutcomes)
        The earlier results (`read_searches`).

    Returns
    -------
    Identification
        With the comparisons in the results.

    Raises
    ------
    EvaluationError
        If the galleries differ.
    """
    results = []
    for result in found.results:
        assert result.outcomes is not None
        made = [compare_searches(result.name, result.outcomes, *other) for other in stored]
        results.append(replace(result, comparisons=(*result.comparisons, *made)))
    return replace(found, results=tuple(results))


def _measure(
    model: MeasuredEmbedder, vectors: Float32Array, rows: Int64Array, galleries: Sequence[Int64Array]
) -> IdentificationResult:
    """Compute the results of one model."""
    trials = [_search(vectors, rows, gallery) for gallery in galleries]
    random = np.random.default_rng(0)
    drawn = [trials[number % len(trials)].resampled(random) for number in range(_ROUNDS)]
    points = []
    for fpir in FPIRS:
        threshold = float(np.mean([2 - 2 * trial.threshold(fpir) for trial in trials]))
        value = float(np.mean([trial.fnir(fpir) for trial in trials]))
        interval = percentiles([trial.fnir(fpir) for trial in drawn])
        points.append(
            IdentificationPoint(fpir, threshold, value, interval, len(trials[0].strangers) * fpir >= 1 - 1e-9)
        )
    ranks = np.concatenate([trial.ranks for trial in trials])
    longest = min(RANKS, len(galleries[0]))
    return IdentificationResult(
        name=model.model.manifest.name,
        fingerprint=model.model.fingerprint,
        precision=model.precision,
        points=tuple(points),
        cmc=tuple(float(np.mean(ranks <= rank)) for rank in range(longest)),
        fpir=_GRID,
        fnir=np.array([np.mean([trial.fnir(fpir) for trial in trials]) for fpir in _GRID]),
    )
