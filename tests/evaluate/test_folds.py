"""Ten-fold accuracy agrees with the protocol written in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceall.evaluate import MEASURES, Measure, assign_folds, score
from faceall.evaluate.folds import measure_distances
from faceall.types import Array

GRIDS = {"squared_l2": [step / 100 for step in range(400)], "angle": [step / 400 for step in range(400)]}


def people(pairs: int = 60, noise: float = 0.55, seed: int = 0) -> tuple[Array, Array, Array]:
    """Make pairs of unit vectors, half of them noisy copies of one direction, in a shuffled order."""
    random = np.random.default_rng(seed)
    first = random.normal(size=(pairs, 8))
    same = random.permutation(np.arange(pairs) < pairs // 2)
    second = np.where(same[:, None], first + noise * random.normal(size=first.shape), random.normal(size=first.shape))
    unit = [vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (first, second)]
    return unit[0].astype(np.float32), unit[1].astype(np.float32), same


def protocol(distances: list[float], same: list[bool], folds: list[int], grid: list[float]) -> tuple[float, float]:
    """Compute facenet's accuracy in plain Python: choose on the other folds, count on each; mean and deviation."""
    accuracies = []
    for number in sorted(set(folds)):
        inside = [place for place, fold in enumerate(folds) if fold == number]
        outside = [place for place, fold in enumerate(folds) if fold != number]
        right = [sum((distances[place] < limit) == same[place] for place in outside) for limit in grid]
        limit = grid[right.index(max(right))]
        accuracies.append(sum((distances[place] < limit) == same[place] for place in inside) / len(inside))
    mean = sum(accuracies) / len(accuracies)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in accuracies) / len(accuracies))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("seed", range(3))
def test_accuracy_is_that_of_the_protocol(measure: Measure, seed: int) -> None:
    """Mean and deviation agree with choosing on nine folds and counting on the tenth."""
    first, second, same = people(seed=seed)
    folds = assign_folds(same, [None] * len(same))
    found = score(first, second, same, folds, measure)
    distances = measure_distances(first, second, measure)
    expected = protocol(distances.tolist(), same.tolist(), folds.tolist(), GRIDS[measure])
    assert (found.accuracy, found.deviation) == pytest.approx(expected)
    assert found.accuracy_interval[0] < found.accuracy < found.accuracy_interval[1]


@pytest.mark.parametrize("seed", range(3))
def test_validation_rate_is_counted(seed: int) -> None:
    """Each fold's rates are counted at the largest threshold that the other folds allow."""
    first, second, same = people(300, seed=seed)
    folds = assign_folds(same, [None] * len(same))
    distances = measure_distances(first, second, "squared_l2")
    found = score(first, second, same, folds, "squared_l2")
    for validation in found.validations:
        kept, passed = [], []
        for number in range(10):
            others = sorted(distances[(folds != number) & ~same])
            limit = max(d for d in others if sum(o < d for o in others) <= validation.wanted * len(others))
            kept.append(float((distances[(folds == number) & same] < limit).mean()))
            passed.append(float((distances[(folds == number) & ~same] < limit).mean()))
        assert validation.value == pytest.approx(np.mean(kept))
        assert validation.measured == pytest.approx(np.mean(passed))
        assert validation.supported == (
            validation.wanted * 135 >= 1
        )  # 150 pairs of two people, of which 9 of 10 folds have 135


def test_measures_rank_unit_vectors_equally() -> None:
    """Squared distance and angle give the same area and equal error rate."""
    first, second, same = people()
    folds = assign_folds(same, [None] * len(same))
    squared, angle = (score(first, second, same, folds, measure) for measure in MEASURES)
    assert squared.area == pytest.approx(angle.area)
    assert squared.equal_error_rate == pytest.approx(angle.equal_error_rate)
    distances = measure_distances(first, second, "squared_l2")
    assert measure_distances(first, second, "angle") == pytest.approx(np.arccos(1 - distances / 2) / np.pi)


def test_subtracted_mean_removes_a_constant() -> None:
    """A constant in all vectors has no effect if the mean is subtracted; otherwise the angle fails."""
    first, second, same = people()
    folds = assign_folds(same, [None] * len(same))
    moved = [np.asarray(vectors + 3, np.float32) for vectors in (first, second)]
    for measure in MEASURES:
        plain = score(first, second, same, folds, measure, subtract_mean=True)
        shifted = score(moved[0], moved[1], same, folds, measure, subtract_mean=True)
        assert shifted.accuracy == pytest.approx(plain.accuracy, abs=0.02)
        assert shifted.area == pytest.approx(plain.area, abs=1e-3)
    ruined = score(moved[0], moved[1], same, folds, "angle")
    assert ruined.accuracy < score(first, second, same, folds, "angle").accuracy


def test_given_sets_are_the_folds() -> None:
    """Given sets with both kinds are used as folds; otherwise the list is divided again."""
    same = np.array([True, False] * 4)
    assert assign_folds(same, [0, 0, 1, 1, 5, 5, 7, 7]).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert assign_folds(same, [0, 0, 1, 1, 2, 2, 2, 3]).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert assign_folds(same, [None] * 8).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@given(st.lists(st.booleans(), max_size=80))
def test_folds_hold_both_kinds_evenly(rest: list[bool]) -> None:
    """There are at most ten contiguous folds; the counts of a kind differ by at most one."""
    same = np.array([True, True, False, False, *rest])
    folds = assign_folds(same, [None] * len(same))
    number = folds.max() + 1
    assert number == min(10, same.sum(), (~same).sum())
    for kind in (same, ~same):
        sizes = np.bincount(folds[kind], minlength=number)
        assert sizes.min() >= 1
        assert sizes.max() - sizes.min() <= 1
        assert (np.diff(folds[kind]) >= 0).all()


def test_all_at_one_distance() -> None:
    """Equal distances give accuracy, area and equal error rate of 0.5, without an error."""
    vectors = np.tile(np.eye(4, dtype=np.float32)[0], (40, 1))
    same = np.arange(40) < 20
    folds = assign_folds(same, [None] * 40)
    for measure in MEASURES:
        found = score(vectors, vectors, same, folds, measure)
        assert (found.accuracy, found.area, found.equal_error_rate) == (0.5, 0.5, 0.5)
        assert all(validation.value == 0 for validation in found.validations)
