"""Open-set identification: rates agree with manual counts, failures to acquire, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from faceall.errors import EvaluationError
from faceall.evaluate import read_people
from faceall.evaluate.identification import _search
from faceall.evaluate.search_comparison import SearchOutcomes, compare_searches, read_searches
from faceall.evaluate.worst_searches import worst_searches

DIMENSIONS = np.eye(6, dtype=np.float32)


def test_known_people_and_strangers_are_counted() -> None:
    """Of two known people one is at rank 0 and one has a nearer rival; the stranger's best similarity is kept."""
    mixed = (DIMENSIONS[0] * 0.8 + DIMENSIONS[1] * 0.6)[None]
    vectors = np.concatenate([DIMENSIONS[:2], DIMENSIONS[:1], mixed, DIMENSIONS[2:3] * 0.6 + DIMENSIONS[1:2] * 0.8])
    rows = np.array([[0, 2], [1, 3], [4, -1]])
    trial = _search(vectors, rows, np.array([0, 1]))
    assert trial.ranks.tolist() == [0, 1]
    np.testing.assert_allclose(trial.known, [1.0, 0.6], rtol=1e-6)
    np.testing.assert_allclose(trial.strangers, [0.8], rtol=1e-6)
    assert trial.fnir(1.0) == 0.5


def test_failures_to_acquire_are_misses() -> None:
    """A known person without a face in either image is missed; a stranger's is not a false positive."""
    rows = np.array([[0, -1], [-1, 1], [2, 2], [-1, -1]])
    trial = _search(DIMENSIONS[:3], rows, np.array([0, 1, 2]))
    assert trial.ranks.tolist() == [3, 3, 0]
    assert trial.strangers.tolist() == [-2.0]
    assert trial.fnir(1.0) == pytest.approx(2 / 3)


def test_thresholds_keep_the_share_of_strangers() -> None:
    """At an FPIR of 10 %, at most one of ten strangers exceeds the threshold."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.arange(40).reshape(20, 2)
    trial = _search(vectors, rows, np.arange(10))
    assert (trial.strangers > trial.threshold(0.1)).sum() == 1
    assert trial.fnir(0.1) >= trial.fnir(0.5) >= trial.fnir(1.0)


def test_folders_without_people_are_refused(tmp_path: Path) -> None:
    """The error says that one folder per person is expected."""
    with pytest.raises(EvaluationError, match="expected one folder per person"):
        read_people(tmp_path)
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_people(tmp_path / "absent")


def test_the_worst_searches_are_kept() -> None:
    """A known person with a nearer rival is listed first, and of strangers the one with the nearest match."""
    mixed = (DIMENSIONS[0] * 0.8 + DIMENSIONS[1] * 0.6)[None]
    near = DIMENSIONS[2:3] * 0.6 + DIMENSIONS[1:2] * 0.8
    vectors = np.concatenate([DIMENSIONS[:2], DIMENSIONS[:1], mixed, near, DIMENSIONS[4:5]])
    rows = np.array([[0, 2], [1, 3], [4, -1], [5, -1]])
    images = [Path(f"{number}.jpg") for number in range(6)]
    first, second, third, fourth = worst_searches(vectors, rows, [np.array([0, 1])], images)
    assert (first.kind, first.query, first.own, first.found) == ("missed", images[3], images[1], images[0])
    assert first.own_distance == pytest.approx(0.8)
    assert first.distance == pytest.approx(0.4, abs=1e-6)
    assert (second.kind, second.query) == ("missed", images[2])
    assert [(search.kind, search.query) for search in (third, fourth)] == [("named", images[4]), ("named", images[5])]
    assert third.own is None


def outcomes(own: np.ndarray, people: int = 120, size: int = 60) -> SearchOutcomes:
    """Make the outcomes of searches in two galleries; strangers have similarities of 0 to 0.5."""
    galleries = np.stack([np.arange(size), np.arange(size) + 10])
    strangers = np.tile(np.linspace(0, 0.5, people - size), (2, 1))
    return SearchOutcomes(
        tuple(f"p{number}" for number in range(people)),
        galleries,
        np.stack([own, own]),
        np.ones((2, size), bool),
        strangers,
    )


def test_models_are_compared_on_the_same_searches() -> None:
    """A model that misses a third of the people is worse than one that misses none; a model equals itself."""
    good, bad = outcomes(np.full(60, 0.9)), outcomes(np.where(np.arange(60) % 3 == 0, 0.1, 0.9))
    found = compare_searches("good", good, "bad", bad, rounds=60)
    assert [row.rate for row in found.differences] == ["FNIR @ FPIR 10.0%"]  # 60 strangers support no other rate
    assert (found.differences[0].value, found.differences[0].other) == (0, pytest.approx(1 / 3))
    assert found.better == "good"
    assert (found.only_model, found.only_other) == (20, 0)
    assert compare_searches("bad", bad, "bad", bad, rounds=60).better is None
    with pytest.raises(EvaluationError, match="the same --people and --repeat"):
        compare_searches("good", good, "other", outcomes(np.full(50, 0.9), size=50))


def test_unweighted_misses_are_those_of_the_evaluation() -> None:
    """With a weight of one per person, the FNIR equals that of the evaluation."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.arange(40).reshape(20, 2)
    gallery = np.arange(10)
    trial = _search(vectors, rows, gallery)
    searches = SearchOutcomes(
        tuple(map(str, range(20))), gallery[None], trial.known[None], (trial.ranks == 0)[None], trial.strangers[None]
    )
    for rate in (0.1, 0.3, 0.5):
        assert searches.misses([rate], np.ones(20))[0] == pytest.approx(trial.fnir(rate))


def test_searches_of_reports(tmp_path: Path) -> None:
    """Searches of a report are read back unchanged; a report without searches is refused."""
    searches = outcomes(np.full(60, 0.9))
    file = tmp_path / "evaluation.json"
    file.write_text(json.dumps({"models": [{"model": "m", "searches": searches.to_json()}]}))
    ((name, found),) = read_searches(tmp_path)
    assert (name, found.people) == ("m", searches.people)
    np.testing.assert_allclose(found.strangers, searches.strangers, atol=1e-6)
    file.write_text(json.dumps({"models": [{"model": "m"}]}))
    with pytest.raises(EvaluationError, match="has no searches"):
        read_searches(file)
    broken = searches.to_json() | {"own": [[1.0]]}
    file.write_text(json.dumps({"models": [{"model": "m", "searches": broken}]}))
    with pytest.raises(EvaluationError, match="has no searches"):
        read_searches(file)
