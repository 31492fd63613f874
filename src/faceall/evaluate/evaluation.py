"""Evaluate models on labelled pairs (1:1 verification), with the detector and crop used in production."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceall.analysis.analyser import FaceDetector
from faceall.arguments import checked
from faceall.errors import EvaluationError
from faceall.evaluate.curves import Bools, Float64Array, Roc, roc
from faceall.evaluate.embedding import EmbeddedImages, MeasuredEmbedder, Progress, Read, UnusableImage, embed_images
from faceall.evaluate.folds import MEASURES, Measure, Scores, assign_folds, measure_distances, score
from faceall.evaluate.pairs import Pair
from faceall.evaluate.speed import Speed, measure_speed
from faceall.evaluate.verification.comparison import PairedComparison, pair_key
from faceall.evaluate.verification.groups import PartedRates
from faceall.evaluate.verification.rates import Acquisition, Verification, measure_verification
from faceall.evaluate.verification.resampling import label_people
from faceall.images import read_image
from faceall.types import Face, Float32Array, Int64Array

_KINDS = {True: "of one person", False: "of two people"}
_LEAST = 2  # pairs of each kind: one to choose a threshold on, one to test it on


@dataclass(frozen=True, eq=False)
class ModelResult:
    """Results of one model on all usable pairs.

    Attributes
    ----------
    name, fingerprint, precision : str
        Name and fingerprint of the model, precision of its net.
    size : int
        Dimension of its vectors.
    scores : mapping of Measure to Scores
        Results by distance measure.
    accuracy_of_all : float
        Accuracy (squared L2) with every unusable pair counted as wrong.
    distances : (n,) float64
        Squared L2 distance of every usable pair.
    curve : Roc
        The ROC of these distances.
    verification : Verification
        FMR, FNMR, FTA and EER with intervals over people.
    speed : Speed or None
        Faces per second, if it was measured.
    vectors : (m, D) float32
        The vectors of the images, in the order of `Evaluation.faces`.
    parts : tuple of PartedRates
        Error rates by group and by properties of the faces, if they were measured.
    comparisons : tuple of PairedComparison
        Comparisons with earlier results, if they were made.
    """

    name: str
    fingerprint: str
    precision: str
    size: int
    scores: Mapping[Measure, Scores]
    accuracy_of_all: float
    distances: Float64Array
    curve: Roc
    verification: Verification
    speed: Speed | None
    vectors: Float32Array
    parts: tuple[PartedRates, ...] = ()
    comparisons: tuple[PairedComparison, ...] = ()


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Results of models on a list of pairs.

    Attributes
    ----------
    pairs : tuple of Pair
        The usable pairs.
    same : (n,) bool
        Which of them show one person.
    people : (n, 2) int64
        The people of their images, numbered from 0.
    folds : int
        Number of folds.
    faces : mapping of Path to Face
        The face that represents each usable image.
    left_out : tuple of Pair
        Pairs with an image that yields no vector.
    unusable : tuple of UnusableImage
        These images.
    flip, subtract_mean : bool
        The options of the evaluation.
    results : tuple of ModelResult
        One per model, in the given order.
    read : callable
        Reads an image of the pairs.
    """

    pairs: tuple[Pair, ...]
    same: Bools
    people: Int64Array
    folds: int
    faces: Mapping[Path, Face]
    left_out: tuple[Pair, ...]
    unusable: tuple[UnusableImage, ...]
    flip: bool
    subtract_mean: bool
    results: tuple[ModelResult, ...]
    read: Read = read_image

    def to_json(self, *, distances: bool = False) -> dict[str, Any]:
        """Return JSON values; with `distances` also those of the pairs, with which a later evaluation can compare."""
        models = [model_as_json(result) for result in self.results]
        if not distances:
            return self._summary() | {"models": models}
        for values, result in zip(models, self.results, strict=True):
            values["distances"] = result.distances.round(6).tolist()
        return self._summary() | {"models": models, "compared": [list(pair_key(pair)) for pair in self.pairs]}

    def _summary(self) -> dict[str, Any]:
        """Return what is not of one model."""
        return {
            "pairs": {
                "all": len(self.pairs) + len(self.left_out),
                "used": len(self.pairs),
                "same": int(self.same.sum()),
                "different": int((~self.same).sum()),
                "left_out": len(self.left_out),
            },
            "images": {"used": len(self.faces), **Counter(image.problem for image in self.unusable)},
            "left_out": [
                {"line": pair.line, "first": str(pair.first), "second": str(pair.second), "same": pair.same}
                for pair in self.left_out
            ],
            "unusable": [asdict(image) | {"path": str(image.path)} for image in self.unusable],
            "folds": self.folds,
            "flip": self.flip,
            "subtract_mean": self.subtract_mean,
        }


@checked
def model_as_json(result: ModelResult) -> dict[str, Any]:
    """Return the results of one model as JSON values."""
    return {
        "model": result.name,
        "fingerprint": result.fingerprint,
        "precision": result.precision,
        "embedding_size": result.size,
        **{measure: _plain(asdict(found)) for measure, found in result.scores.items()},
        "accuracy_of_all": _plain(result.accuracy_of_all),
        "verification": result.verification.to_json(),
        "parts": [_plain(part.to_json()) for part in result.parts],
        "comparisons": [_plain(comparison.to_json()) for comparison in result.comparisons],
        "faces_per_second": None if result.speed is None else _plain(asdict(result.speed)),
    }


def _plain(value: Any) -> Any:
    """Convert tuples to lists and round numbers to significant digits."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """What is computed in an evaluation of pairs.

    Attributes
    ----------
    flip : bool
        Average the vectors of a face and of its mirror image.
    subtract_mean : bool
        Subtract the mean vector of the other folds, as facenet's option of that name does.
    speed : bool
        Also measure faces per second.
    """

    flip: bool = False
    subtract_mean: bool = False
    speed: bool = False


@checked
def evaluate_pairs(
    pairs: Sequence[Pair],
    models: Sequence[MeasuredEmbedder],
    detector: FaceDetector,
    options: PairOptions | None = None,
    *,
    read: Read = read_image,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate models on pairs of images with ten-fold cross-validation, as facenet does for LFW.

    Pairs with an image that is missing, unreadable or without a face are left out and counted.

    Parameters
    ----------
    pairs : sequence of Pair
        The labelled pairs.
    models : sequence of MeasuredEmbedder
        Each crops the same face in its own way: if an image shows several, the large and central one.
    detector : FaceDetector
        Detects the faces.
    options : PairOptions, optional
        What is computed.
    read : callable
        Reads an image; raises `ImageError` if that is impossible.
    progress : callable, optional
        Called with the number of processed images and the total.

    Returns
    -------
    Evaluation

    Raises
    ------
    EvaluationError
        If fewer than two pairs of a kind are usable.
    ModelError
        If a model or the weights of the detector cannot be loaded.
    EngineError
        If an inference engine is missing or fails.
    """
    options = options or PairOptions()
    refuse_too_few(pairs, "the list has")
    names = [path for pair in pairs for path in (pair.first, pair.second)]
    embedded = embed_images(names, detector, models, flip=options.flip, read=read, progress=progress)
    usable = [pair for pair in pairs if pair.first in embedded.rows and pair.second in embedded.rows]
    refuse_too_few(usable, f"of {len(pairs)} pairs, {len(pairs) - len(usable)} cannot be used, which leaves")
    left_out = tuple(pair for pair in pairs if pair.first not in embedded.rows or pair.second not in embedded.rows)
    comparisons = _Comparisons.of(usable, left_out, embedded)
    speeds = measure_speed(models, embedded.samples) if options.speed else [None] * len(models)
    results = [
        comparisons.evaluate(model, vectors, speed, subtract_mean=options.subtract_mean)
        for model, vectors, speed in zip(models, embedded.vectors, speeds, strict=True)
    ]
    return Evaluation(
        tuple(usable),
        comparisons.same,
        comparisons.people,
        int(comparisons.folds.max()) + 1,
        {path: embedded.faces[row] for path, row in embedded.rows.items()},
        left_out,
        embedded.unusable,
        options.flip,
        options.subtract_mean,
        tuple(results),
        read,
    )


@dataclass(frozen=True, eq=False)
class _Comparisons:
    """The usable pairs as arrays: rows of their images, verdicts, people, folds; and what could not be used."""

    rows: Int64Array
    same: Bools
    people: Int64Array
    folds: Int64Array
    acquisition: Acquisition
    total: int

    @classmethod
    def of(cls, usable: Sequence[Pair], left_out: Sequence[Pair], embedded: EmbeddedImages) -> _Comparisons:
        """Collect the arrays of some pairs and assign the folds."""
        failed = len(embedded.unusable)
        same = np.array([pair.same for pair in usable])
        return cls(
            np.array([(embedded.rows[pair.first], embedded.rows[pair.second]) for pair in usable], np.int64),
            same,
            label_people(usable),
            assign_folds(same, [pair.set for pair in usable]),
            Acquisition(len(embedded.rows) + failed, failed, sum(pair.same for pair in left_out)),
            len(usable) + len(left_out),
        )

    def evaluate(
        self, model: MeasuredEmbedder, vectors: Float32Array, speed: Speed | None, *, subtract_mean: bool
    ) -> ModelResult:
        """Compute the results of one model from the vectors of the images."""
        first, second = vectors[self.rows[:, 0]], vectors[self.rows[:, 1]]
        scores = {
            measure: score(first, second, self.same, self.folds, measure, subtract_mean=subtract_mean)
            for measure in MEASURES
        }
        distances = measure_distances(first, second, "squared_l2")
        return ModelResult(
            name=model.model.manifest.name,
            fingerprint=model.model.fingerprint,
            precision=model.precision,
            size=model.size,
            scores=scores,
            accuracy_of_all=scores["squared_l2"].accuracy * len(self.same) / self.total,
            distances=distances,
            curve=roc(distances, self.same),
            verification=measure_verification(distances, self.same, self.people, self.acquisition),
            speed=speed,
            vectors=vectors,
        )


def refuse_too_few(pairs: Sequence[Pair], what: str) -> None:
    """Raise EvaluationError if there are fewer than two pairs of a kind; `what` begins its text."""
    for kind, words in _KINDS.items():
        number = sum(pair.same == kind for pair in pairs)
        if number < _LEAST:
            raise EvaluationError(f"{what} {number} {'pair' if number == 1 else 'pairs'} {words}; expected {_LEAST}")
