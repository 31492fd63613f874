"""A classifier on vectors: who is named, who is rejected, and the file it is stored in."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from faceall.classify import Classifier, LabelledVectors
from faceall.classify.fitting import KINDS, Kind
from faceall.errors import (
    ArgumentError,
    EvaluationError,
    IndexDamagedError,
    IndexMismatchError,
    IndexNewerError,
)

sklearn = pytest.importorskip("sklearn", reason="needs scikit-learn")


def faces_of(people: int, images: int, *, seed: int = 0, spread: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of people in 64 dimensions."""
    random = np.random.default_rng(seed)
    centres = np.repeat(random.normal(size=(people, 64)), images, axis=0)
    vectors = (centres + spread * random.normal(size=centres.shape)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.repeat(np.arange(people), images)


def labelled(people: int, images: int = 4) -> LabelledVectors:
    """The first images of people."""
    vectors, numbers = faces_of(people, images + 2)
    kept = np.arange(len(numbers)) % (images + 2) < images
    return LabelledVectors(tuple(f"p{n}" for n in range(people)), numbers[kept], vectors[kept], "tiny (0000)")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """A classifier of forty people."""
    return Classifier.train(labelled(40), fpir=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_known_people_are_named_and_strangers_rejected(kind: Kind) -> None:
    """Of other images of known people nearly all are matches; strangers get a name about as often as wished."""
    made = Classifier.train(labelled(40), kind=kind, fpir=0.05)
    vectors, numbers = faces_of(40, 6)
    other = np.arange(len(numbers)) % 6 >= 4
    found = made.classify(vectors[other])
    right = [prediction.person == f"p{n}" for prediction, n in zip(found, numbers[other], strict=True)]
    assert np.mean(right) > 0.97
    assert np.mean([prediction.decision == "match" for prediction in found]) > 0.9
    strangers, _ = faces_of(500, 1, seed=7)
    named = np.mean([prediction.decision == "match" for prediction in made.classify(strangers)])
    assert 0.005 <= named <= 0.12
    assert all(prediction.score >= prediction.second_score for prediction in found)


def test_poor_faces_are_never_a_match(classifier: Classifier) -> None:
    """A face that is marked as poor is at most possible."""
    vectors = labelled(40).vectors[:20]
    poor = np.arange(20) % 2 == 0
    found = classifier.classify(vectors, poor=poor)
    assert {prediction.decision for prediction in found[1::2]} == {"match"}
    assert {prediction.decision for prediction in found[::2]} == {"possible"}


def test_few_people_cannot_reject() -> None:
    """With fewer than twenty people there is no threshold, and every answer is possible."""
    made = Classifier.train(labelled(5))
    assert (made.match, made.possible) == (None, None)
    strangers, _ = faces_of(20, 1, seed=9)
    assert {prediction.decision for prediction in made.classify(strangers)} == {"possible"}


def test_two_people() -> None:
    """Two people are the fewest; each gets a score of their own."""
    made = Classifier.train(labelled(2))
    assert made.weights.shape == (2, 64)
    assert [prediction.person for prediction in made.classify(labelled(2).vectors)] == ["p0"] * 4 + ["p1"] * 4


def test_people_with_few_faces_are_left_out() -> None:
    """Who has fewer faces than required is not among the names; without two people training is refused."""
    data = labelled(4)
    fewer = replace(data, people=data.people[3:], vectors=data.vectors[3:])
    assert Classifier.train(fewer).names == ("p1", "p2", "p3")
    with pytest.raises(EvaluationError, match="0 of 4 people have 9 faces; a classifier needs two people"):
        Classifier.train(data, fewest_faces=9)


def test_wrong_arguments(classifier: Classifier) -> None:
    """Unknown kinds, rates out of range and vectors of another model are refused."""
    with pytest.raises(ArgumentError, match="expected one of svm, logistic"):
        Classifier.train(labelled(3), kind="forest")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="fpir is 0"):
        Classifier.train(labelled(3), fpir=0)
    with pytest.raises(IndexMismatchError, match="trained on 64-dimensional vectors of tiny"):
        classifier.classify(np.zeros((1, 128), np.float32))


def test_round_trip(classifier: Classifier, tmp_path: Path) -> None:
    """What is read is what was written; the file holds no pickle."""
    path = tmp_path / "people.npz"
    classifier.save(path)
    found = Classifier.load(path)
    for name in ("names", "model", "kind", "fpir", "match", "possible", "faces"):
        assert getattr(found, name) == getattr(classifier, name)
    np.testing.assert_array_equal(found.weights, classifier.weights)
    np.testing.assert_array_equal(found.bias, classifier.bias)
    with np.load(path, allow_pickle=False) as arrays:
        assert set(arrays.files) == {"classifier", "weights", "bias"}


def test_damaged_files(classifier: Classifier, tmp_path: Path) -> None:
    """Missing, truncated, foreign and newer files are errors that name the file."""
    path = tmp_path / "people.npz"
    classifier.save(path)
    whole = path.read_bytes()
    for data in (b"", whole[: len(whole) // 2], b"PK\x03\x04nonsense", b"no zip"):
        path.write_bytes(data)
        with pytest.raises(IndexDamagedError, match=r"people\.npz"):
            Classifier.load(path)
    with pytest.raises(IndexDamagedError, match="cannot be read"):
        Classifier.load(tmp_path / "absent.npz")
    np.savez(path, weights=classifier.weights)
    with pytest.raises(IndexDamagedError, match="is not a classifier"):
        Classifier.load(path)
    np.savez(path, classifier=np.array([{"a": 1}], object), weights=classifier.weights, bias=classifier.bias)
    with pytest.raises(IndexDamagedError, match="is not a classifier"):
        Classifier.load(path)
    assert zipfile.is_zipfile(path)


def test_newer_files(classifier: Classifier, tmp_path: Path) -> None:
    """A file of a later schema says that faceall must be updated."""
    path = tmp_path / "people.npz"
    text = np.frombuffer(b'{"schema": 99}', np.uint8)
    np.savez(path, classifier=text, weights=classifier.weights, bias=classifier.bias)
    with pytest.raises(IndexNewerError, match="newer faceall"):
        Classifier.load(path)
