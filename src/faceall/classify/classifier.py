"""A linear classifier on face vectors with a reject option, stored as one .npz file without pickle."""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from faceall.analysis.open_set import FPIR, POSSIBLE_FACTOR, Decision
from faceall.arguments import checked_methods
from faceall.classify.fitting import KINDS, Kind, fit_linear, person_scores, stranger_thresholds
from faceall.classify.people import LabelledVectors
from faceall.errors import ArgumentError, EvaluationError, IndexDamagedError, IndexMismatchError, IndexNewerError
from faceall.files import write_file
from faceall.types import Array, Float32Array

FEWEST_PEOPLE = 20
"""Number of people from which the scores of strangers can be measured."""

_SCHEMA = 1
_TWO = 2


@dataclass(frozen=True)
class Prediction:
    """The most likely person of a face.

    Attributes
    ----------
    person : str
        The name.
    score : float
        The highest score: svm, in margins; logistic, the logarithm of the odds.
    decision : {"match", "possible", "unknown"}
        match: within the target FPIR; possible: within ten times that rate, or the classifier cannot reject
        strangers, or the face is poor; unknown: neither.
    second, second_score : str, float
        The person with the second-highest score.
    """

    person: str
    score: float
    decision: Decision
    second: str
    second_score: float


@checked_methods
@dataclass(frozen=True, eq=False)
class Classifier:
    """One linear score per person, and the scores from which a face is not a stranger's.

    Attributes
    ----------
    names : (p,) tuple of str
        The people.
    weights, bias : (p, D) and (p,) float32
        One row per person; for the scores see `faceall.classify.fitting.person_scores`.
    model : str
        Label of the embedder whose vectors it classifies.
    kind : {"svm", "logistic"}
        The method.
    fpir : float
        Target false-positive identification rate: the share of strangers that get a name.
    match, possible : float or None
        Lowest score of a match (at the target FPIR) and of a possible match (at ten times that rate). None if there
        were too few people to measure them.
    faces : int
        Number of faces it was trained on.
    """

    names: tuple[str, ...]
    weights: Float32Array
    bias: Float32Array
    model: str
    kind: Kind
    fpir: float
    match: float | None
    possible: float | None
    faces: int

    @classmethod
    def train(
        cls, data: LabelledVectors, *, kind: Kind = "svm", fpir: float = FPIR, fewest_faces: int = 2
    ) -> Classifier:
        """Train a classifier; needs scikit-learn, the extra `classifier`.

        Parameters
        ----------
        data : LabelledVectors
            The people (`vectors_of_gallery`, `vectors_of_folder`).
        kind : {"svm", "logistic"}
            A linear support vector machine, or logistic regression.
        fpir : float
            Target false-positive identification rate, above 0, at most 0.5.
        fewest_faces : int
            People with fewer faces are left out.

        Returns
        -------
        Classifier
            With fewer than 20 people it cannot reject strangers: its answers are at most "possible".

        Raises
        ------
        ArgumentError
            If the kind or the rate is not valid.
        EvaluationError
            If fewer than two people have enough faces.
        MissingDependencyError
            If scikit-learn is not installed.
        """
        if kind not in KINDS:
            raise ArgumentError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}")
        if not 0 < fpir <= 0.5:
            raise ArgumentError(f"fpir is {fpir:g}, expected a rate above 0, at most 0.5")
        counts = np.bincount(data.people, minlength=len(data.names))
        kept = np.flatnonzero(counts >= fewest_faces)
        if len(kept) < _TWO:
            raise EvaluationError(
                f"{len(kept)} of {len(data.names)} people have {fewest_faces} faces; a classifier needs two people with"
                f" at least {fewest_faces} faces each"
            )
        inside = np.isin(data.people, kept)
        vectors, people = data.vectors[inside], np.searchsorted(kept, data.people[inside]).astype(np.int64)
        weights, bias = fit_linear(vectors, people, kind)
        match = possible = None
        if len(kept) >= FEWEST_PEOPLE:
            match, possible = stranger_thresholds(vectors, people, kind, (fpir, min(POSSIBLE_FACTOR * fpir, 0.5)))
        names = tuple(data.names[place] for place in kept.tolist())
        return cls(names, weights, bias, data.model, kind, fpir, match, possible, len(vectors))

    def classify(self, vectors: npt.ArrayLike, *, poor: npt.ArrayLike | None = None) -> list[Prediction]:
        """Name the most likely person of every face.

        Parameters
        ----------
        vectors : (n, D) array_like
            Unit vectors of the classifier's model.
        poor : (n,) array_like of bool, optional
            Faces that are hard to recognise (`faceall.analysis.notes_on`): at most possible.

        Returns
        -------
        list of Prediction

        Raises
        ------
        IndexMismatchError
            If the vectors have another dimension.
        """
        rows = np.atleast_2d(np.asarray(vectors, np.float32))
        if rows.shape[1] != self.weights.shape[1]:
            raise IndexMismatchError(
                f"the classifier was trained on {self.weights.shape[1]}-dimensional vectors of {self.model}, got"
                f" {rows.shape[1]}-dimensional ones"
            )
        scores = person_scores(rows, self.weights, self.bias, self.kind)
        weak = np.zeros(len(rows), bool) if poor is None else np.asarray(poor, bool)
        order = np.argsort(-scores, axis=1)[:, :_TWO]
        return [
            Prediction(
                self.names[first],
                float(row[first]),
                self._decide(float(row[first]), poor=bool(note)),
                self.names[second],
                float(row[second]),
            )
            for row, (first, second), note in zip(scores, order.tolist(), weak, strict=True)
        ]

    def _decide(self, score: float, *, poor: bool) -> Decision:
        if self.match is None or self.possible is None:
            return "possible"
        if score >= self.match:
            return "possible" if poor else "match"
        return "possible" if score >= self.possible else "unknown"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the classifier to a file: a .npz with arrays and a JSON text, without pickle.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        values = {key: value for key, value in asdict(self).items() if key not in ("weights", "bias")}
        text = json.dumps({"schema": _SCHEMA, **values}, ensure_ascii=False)
        buffer = io.BytesIO()
        described = np.frombuffer(text.encode(), np.uint8)
        np.savez_compressed(buffer, classifier=described, weights=self.weights, bias=self.bias)
        write_file(Path(path), buffer.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Classifier:
        """Read a classifier.

        Raises
        ------
        IndexDamagedError
            If the file is missing, damaged or not a classifier.
        IndexNewerError
            If it was written by a newer version of faceall.
        """
        file = Path(path)
        try:
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
                values: dict[str, Any] = json.loads(arrays["classifier"].tobytes())
                weights, bias = arrays["weights"], arrays["bias"]
            return _checked(cls, file, values, weights, bias)
        except OSError as error:
            raise IndexDamagedError(f"{file}: cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
            raise IndexDamagedError(f"{file}: is not a classifier of faceall, or is damaged") from error


def _checked(cls: type[Classifier], file: Path, values: dict[str, Any], weights: Array, bias: Array) -> Classifier:
    """Return the classifier; raise ValueError if its parts do not fit together."""
    schema = values.pop("schema")
    if not isinstance(schema, int) or schema > _SCHEMA:
        raise IndexNewerError(f"{file}: was written by a newer faceall (schema {schema}); update faceall")
    values["names"] = tuple(map(str, values["names"]))
    count = len(values["names"])
    sound = weights.ndim == 2 and len(weights) == count >= _TWO and bias.shape == (count,)
    if not sound or not np.isfinite(weights).all() or not np.isfinite(bias).all() or values["kind"] not in KINDS:
        raise ValueError("the parts do not fit together")
    return cls(**values, weights=weights.astype(np.float32), bias=bias.astype(np.float32))
