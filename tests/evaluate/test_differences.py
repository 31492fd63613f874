"""Error rates of groups and by properties of faces agree with manual counts; models are compared in pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from faceall.errors import EvaluationError
from faceall.evaluate import Pair, StoredResult, read_groups, read_report
from faceall.evaluate.verification.comparison import compare_models, mcnemar, pair_key
from faceall.evaluate.verification.groups import Comparisons, compare_all, rates_by_group, rates_by_value
from faceall.evaluate.verification.images import groups_of, pair_values


def vectors_of(people: int, images: int, spread: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Make unit vectors of people; each person's images vary by that person's own spread."""
    random = np.random.default_rng(0)
    centres = np.repeat(random.normal(size=(people, 64)), images, axis=0)
    noise = random.normal(size=centres.shape) * np.repeat(spread, images)[:, None]
    vectors = (centres + noise).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.repeat(np.arange(people), images)


def test_groups_are_counted() -> None:
    """FMR and FNMR of a group are shares of its own comparisons at one threshold for all groups."""
    vectors, people = vectors_of(20, 3, [0.1] * 10 + [1.6] * 10)
    groups = ["easy" if person < 10 else "hard" for person in people]
    found = rates_by_group(compare_all(vectors), people, groups, 0.01, rounds=50)
    distances = 2 - 2 * vectors @ vectors.T
    for part, inside in zip(found.parts, (people < 10, people >= 10), strict=True):
        rows = np.flatnonzero(inside)
        pairs = [(a, b) for i, a in enumerate(rows) for b in rows[i + 1 :]]
        same = np.array([people[a] == people[b] for a, b in pairs])
        near = np.array([distances[a, b] <= found.threshold for a, b in pairs])
        assert (part.mated, part.non_mated, part.people) == (same.sum(), (~same).sum(), 10)
        assert part.fnmr == pytest.approx((~near[same]).mean())
        assert part.fmr == pytest.approx(near[~same].mean())
    assert [part.name for part in found.parts] == ["easy", "hard"]
    ratio = next(ratio for ratio in found.ratios if ratio.rate == "FNMR")
    assert (ratio.worst, ratio.best, ratio.value) == ("hard", "easy", None)  # the easy group has no errors
    assert ratio.interval[0] >= 1
    json.dumps(found.to_json())


def test_equal_groups_have_a_ratio_near_one() -> None:
    """The interval of the worst-to-best ratio of equal groups begins near 1; unknown images are counted."""
    vectors, people = vectors_of(60, 3, [1.6] * 60)
    groups = [None if person == 0 else "ab"[person % 2] for person in people]
    found = rates_by_group(compare_all(vectors), people, groups, 0.01, rounds=200)
    ratio = next(ratio for ratio in found.ratios if ratio.rate == "FNMR")
    assert ratio.value is not None
    assert 1 <= ratio.value < 1.5
    assert ratio.interval[0] < 1.2
    assert found.unknown == 3


def test_groups_without_comparisons_are_refused() -> None:
    """If the file names none of the images, the error says so."""
    compared = Comparisons(np.array([[0, 1]]), np.array([1.0]), False)
    with pytest.raises(EvaluationError, match="does the file name the images or people of DIR"):
        rates_by_group(compared, np.array([0, 1]), [None, "a"], 0.01)


def test_quarters_of_a_value() -> None:
    """Pairs are divided into four equal parts; errors that grow with the value appear in the last part."""
    count = 400
    values = np.linspace(10, 90, count)
    values[0] = np.nan
    same = np.arange(count) % 2 == 0
    distances = np.where(same, np.where(values > 71, 2.0, 0.5), 1.5)
    own = np.arange(count)
    images = np.stack([own, np.where(same, own + count, (own + 1) % count)], axis=1)
    compared = Comparisons(images, distances, False)
    found = rates_by_value("size", values, compared, np.tile(own, 2), 0.01, rounds=50)
    assert len(found.parts) == 4
    assert sum(part.mated + part.non_mated for part in found.parts) == count - 1
    assert [part.fnmr for part in found.parts[:3]] == [0, 0, 0]
    assert found.parts[3].fnmr > 0.9
    assert found.unknown == 1
    assert found.ratios == ()


def test_values_of_pairs() -> None:
    """A pair has the smaller, less sharp and more turned value of its faces; the age gap is a difference."""
    first, second = np.array([30.0, 5.0]), np.array([20.0, 9.0])
    assert pair_values("size", first, second).tolist() == [20, 5]
    assert pair_values("blur", first, second).tolist() == [20, 5]
    assert pair_values("pose", first, second).tolist() == [30, 9]
    assert pair_values("age-gap", first, second).tolist() == [10, 4]


def test_reading_groups(tmp_path: Path) -> None:
    """An entry for a path takes precedence over one for a person; a header is skipped."""
    file = tmp_path / "groups.csv"
    file.write_text("path,group\nAda/1.jpg,x\nAda,y\nBo,x\n")
    listed = read_groups(file)
    images = [tmp_path / "Ada" / "1.jpg", tmp_path / "Ada" / "2.jpg", tmp_path / "Bo" / "1.jpg", tmp_path / "Cy.jpg"]
    assert groups_of(images, ["Ada", "Ada", "Bo", None], listed, tmp_path) == ["x", "y", "x", None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,x\nb\n", r"groups.csv:2: expected path or person,group, got 'b'"),
        ("a,x\na,y\n", r"groups.csv:2: a is in x and in y"),
        ("a,x\nb,x\n", r"names 1 groups, expected at least 2"),
    ],
)
def test_groups_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    """The error names the file and the line."""
    (tmp_path / "groups.csv").write_text(text)
    with pytest.raises(EvaluationError, match=message):
        read_groups(tmp_path / "groups.csv")
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_groups(tmp_path / "absent.csv")


def listed_pairs(count: int) -> tuple[list[Pair], np.ndarray]:
    """Make pairs of one person and of two people, alternately."""
    pairs = []
    for number in range(count):
        same = number % 2 == 0
        other = number if same else (number + 1) % count
        paths = Path(f"p{number}/1.jpg"), Path(f"p{other}/2.jpg")
        pairs.append(Pair(*paths, same, number, people=(str(number), str(other))))
    people = np.array([[number, number if number % 2 == 0 else (number + 1) % count] for number in range(count)])
    return pairs, people


def test_the_better_model_is_found() -> None:
    """A model that misses a quarter is worse than one that misses nothing; a model equals itself."""
    pairs, people = listed_pairs(400)
    same = np.array([pair.same for pair in pairs])
    good = np.where(same, 0.5, 1.5)
    bad = np.where(np.arange(400) % 8 == 0, 1.8, good)
    keys = list(map(pair_key, pairs))
    found = compare_models(
        "good", good, pairs, people, StoredResult("bad", dict(zip(keys, bad, strict=True))), rounds=99
    )
    assert found.better == "good"
    hundred = next(row for row in found.differences if row.rate == "FMR100")
    assert (hundred.value, hundred.other) == (0, pytest.approx(0.25))
    assert hundred.interval[1] < 0
    assert hundred.p < 0.05
    assert (found.only_model, found.only_other) == (50, 0)
    assert found.mcnemar_p < 1e-9
    equal = compare_models("bad", bad, pairs, people, StoredResult("bad", dict(zip(keys, bad, strict=True))), rounds=99)
    assert (equal.better, equal.mcnemar_p) == (None, 1)


def test_random_differences_are_rarely_significant() -> None:
    """Of 50 comparisons of models that differ by noise alone, few are significant."""
    pairs, people = listed_pairs(200)
    same = np.array([pair.same for pair in pairs])
    keys = list(map(pair_key, pairs))
    random = np.random.default_rng(1)
    called = 0
    for _ in range(50):
        one, two = (np.where(same, 0.8, 1.4) + random.normal(0, 0.25, 200) for _ in range(2))
        stored = StoredResult("two", dict(zip(keys, two, strict=True)))
        called += compare_models("one", one, pairs, people, stored, rounds=99).better is not None
    assert called <= 6


def test_mcnemar() -> None:
    """The p-value is the two-sided binomial probability of the discordant pairs."""
    assert mcnemar(0, 0) == 1
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(8, 2) == pytest.approx(2 * (1 + 10 + 45) / 1024)


def test_reports_without_distances_are_refused(tmp_path: Path) -> None:
    """A folder stands for its evaluation.json; other files are refused with the expected format."""
    (tmp_path / "evaluation.json").write_text('{"models": []}')
    with pytest.raises(EvaluationError, match="has no distances of pairs; expected evaluation"):
        read_report(tmp_path)
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_report(tmp_path / "absent.json")
    values = {"compared": [["a/1", "b/2", False]], "models": [{"model": "m", "distances": [1.5]}]}
    (tmp_path / "evaluation.json").write_text(json.dumps(values))
    (stored,) = read_report(tmp_path)
    assert (stored.name, stored.distances) == ("m", {("a/1", "b/2", False): 1.5})
