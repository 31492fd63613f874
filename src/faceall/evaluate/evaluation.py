"""`evaluate_pairs`: how well models tell people apart, with the detector and the crop that users get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceall.analysis.analyser import FaceDetector
from faceall.errors import EvaluationError
from faceall.evaluate.curves import Bools, Float64Array, Roc, roc
from faceall.evaluate.folds import MEASURES, Measure, Scores, assign_folds, measure_distances, score
from faceall.evaluate.pairs import Pair
from faceall.evaluate.pictures import Contestant, Portraits, Progress, UnusablePicture, embed_pictures
from faceall.evaluate.speed import Speed, measure_speed
from faceall.types import Face, Float32Array

_KINDS = {True: "of one person", False: "of two people"}
_LEAST = 2  # pairs of each kind: one to choose a threshold on, one to count


@dataclass(frozen=True, eq=False)
class ModelResult:
    """One model on all usable pairs.

    name, fingerprint, precision, size  which model, what it computes in, how many numbers it makes
    scores       figures by measure
    accuracy_of_all  as the accuracy (squared L2), with every pair that cannot be used counted as wrong
    distances    (n,) float64, squared L2 of every usable pair, in their order
    curve        the ROC of these distances
    speed        faces per second, where it was measured
    """

    name: str
    fingerprint: str
    precision: str
    size: int
    scores: Mapping[Measure, Scores]
    accuracy_of_all: float
    distances: Float64Array
    curve: Roc
    speed: Speed | None = None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came of a list of pairs.

    pairs           the usable ones
    same            (n,) bool, which of them show one person
    folds           how many
    faces           the face that each usable picture was judged by
    left_out        pairs with a picture that gives no vector
    unusable        these pictures, and why
    flip, subtract_mean  as they were asked for
    results         one per model, in the order given
    """

    pairs: tuple[Pair, ...]
    same: Bools
    folds: int
    faces: Mapping[Path, Face]
    left_out: tuple[Pair, ...]
    unusable: tuple[UnusablePicture, ...]
    flip: bool
    subtract_mean: bool
    results: tuple[ModelResult, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything but the single distances, as plain JSON values."""
        return {
            "pairs": {
                "all": len(self.pairs) + len(self.left_out),
                "used": len(self.pairs),
                "same": int(self.same.sum()),
                "different": int((~self.same).sum()),
                "left_out": len(self.left_out),
            },
            "pictures": {"used": len(self.faces), **Counter(picture.trouble for picture in self.unusable)},
            "left_out": [
                {"line": pair.line, "first": str(pair.first), "second": str(pair.second), "same": pair.same}
                for pair in self.left_out
            ],
            "unusable": [asdict(picture) | {"path": str(picture.path)} for picture in self.unusable],
            "folds": self.folds,
            "flip": self.flip,
            "subtract_mean": self.subtract_mean,
            "models": [model_as_json(result) for result in self.results],
        }


def model_as_json(result: ModelResult) -> dict[str, Any]:
    """The figures of one model as plain JSON values."""
    return {
        "model": result.name,
        "fingerprint": result.fingerprint,
        "precision": result.precision,
        "embedding_size": result.size,
        **{measure: _plain(asdict(found)) for measure, found in result.scores.items()},
        "accuracy_of_all": _plain(result.accuracy_of_all),
        "faces_per_second": None if result.speed is None else _plain(asdict(result.speed)),
    }


def _plain(value: Any) -> Any:
    """Tuples as lists, and numbers without the digits that mean nothing."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value


def evaluate_pairs(
    pairs: Sequence[Pair],
    models: Sequence[Contestant],
    detector: FaceDetector,
    *,
    flip: bool = False,
    subtract_mean: bool = False,
    speed: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure models on pairs of pictures, ten folds as facenet does for LFW.

    models         each is judged by its own crop of the same face: of several the large, central one
    flip           vectors are means over the crop and its mirror image
    subtract_mean  facenet's option of that name
    speed          also measure faces per second
    progress       called with the number of pictures done and of all

    Pairs with a picture that is missing, unreadable or without a face are set apart and counted. Raises
    EvaluationError where fewer than two pairs of a kind are left, ModelError or EngineError.
    """
    refuse_too_few(pairs, "the list has")
    names = [path for pair in pairs for path in (pair.first, pair.second)]
    portraits = embed_pictures(names, detector, models, flip=flip, progress=progress)
    usable = [pair for pair in pairs if pair.first in portraits.rows and pair.second in portraits.rows]
    refuse_too_few(usable, f"of {len(pairs)} pairs, {len(pairs) - len(usable)} cannot be used, which leaves")
    same = np.array([pair.same for pair in usable])
    folds = assign_folds(same, [pair.set for pair in usable])
    speeds = measure_speed(models, portraits.samples) if speed else [None] * len(models)
    results = []
    for model, vectors, faces_per_second in zip(models, portraits.vectors, speeds, strict=True):
        first, second = _paired(usable, portraits, vectors)
        scores = {
            measure: score(first, second, same, folds, measure, subtract_mean=subtract_mean) for measure in MEASURES
        }
        results.append(_result(model, scores, first, second, same, len(pairs), faces_per_second))
    return Evaluation(
        tuple(usable),
        same,
        int(folds.max()) + 1,
        {path: portraits.faces[row] for path, row in portraits.rows.items()},
        tuple(pair for pair in pairs if pair.first not in portraits.rows or pair.second not in portraits.rows),
        portraits.unusable,
        flip,
        subtract_mean,
        tuple(results),
    )


def refuse_too_few(pairs: Sequence[Pair], what: str) -> None:
    """Raise EvaluationError where there are fewer than two pairs of a kind."""
    for kind, words in _KINDS.items():
        number = sum(pair.same == kind for pair in pairs)
        if number < _LEAST:
            raise EvaluationError(f"{what} {number} {'pair' if number == 1 else 'pairs'} {words}; expected {_LEAST}")


def _paired(pairs: Sequence[Pair], portraits: Portraits, vectors: Float32Array) -> tuple[Float32Array, Float32Array]:
    """The vectors of the first and of the second picture of every pair, (n, D) each."""
    rows = portraits.rows
    return vectors[[rows[pair.first] for pair in pairs]], vectors[[rows[pair.second] for pair in pairs]]


def _result(
    model: Contestant,
    scores: Mapping[Measure, Scores],
    first: Float32Array,
    second: Float32Array,
    same: Bools,
    total: int,
    speed: Speed | None,
) -> ModelResult:
    distances = measure_distances(first, second, "squared_l2")
    return ModelResult(
        name=model.model.manifest.name,
        fingerprint=model.model.fingerprint,
        precision=model.precision,
        size=model.size,
        scores=scores,
        accuracy_of_all=scores["squared_l2"].accuracy * len(same) / total,
        distances=distances,
        curve=roc(distances, same),
        speed=speed,
    )
