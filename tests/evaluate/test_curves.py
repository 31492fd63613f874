"""ROC, area, equal error rate and intervals agree with counting."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceall.evaluate import area_under, bootstrap, equal_error_rate, roc, wilson

Sample = tuple[list[int], list[bool]]


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Draw distances with many ties and their labels, with both kinds present."""
    same = [True, False, *draw(st.lists(st.booleans(), max_size=30))]
    distances = draw(st.lists(st.integers(0, 12), min_size=len(same), max_size=len(same)))
    return distances, same


def count(distances: list[int], same: list[bool], threshold: float, kind: bool) -> Fraction:
    """Return the share of pairs of a kind that are accepted."""
    chosen = [distance for distance, truth in zip(distances, same, strict=True) if truth == kind]
    return Fraction(sum(distance <= threshold for distance in chosen), len(chosen))


@given(samples())
def test_roc_is_counted(sample: Sample) -> None:
    """Every point is the share of each kind up to that distance, from no pair to all pairs."""
    distances, same = sample
    curve = roc(distances, same)
    assert curve.thresholds[1:].tolist() == sorted(set(distances))
    for threshold, false_accept, true_accept in zip(
        curve.thresholds, curve.false_accept, curve.true_accept, strict=True
    ):
        assert false_accept == pytest.approx(float(count(distances, same, threshold, False)))
        assert true_accept == pytest.approx(float(count(distances, same, threshold, True)))
    assert (curve.false_accept[0], curve.true_accept[0]) == (0, 0)
    assert (curve.false_accept[-1], curve.true_accept[-1]) == (1, 1)


@given(samples())
def test_area_is_the_probability_of_correct_order(sample: Sample) -> None:
    """The area is the share of (mated, non-mated) combinations in correct order; ties count a half."""
    distances, same = sample
    one = [distance for distance, truth in zip(distances, same, strict=True) if truth]
    two = [distance for distance, truth in zip(distances, same, strict=True) if not truth]
    wins = sum(1.0 if a < b else 0.5 if a == b else 0.0 for a in one for b in two)
    assert area_under(roc(distances, same)) == pytest.approx(wins / (len(one) * len(two)))


@given(samples())
def test_equal_error_rate_is_where_the_errors_cross(sample: Sample) -> None:
    """The EER is where the line between neighbouring operating points crosses, in exact arithmetic."""
    distances, same = sample
    points = [
        (count(distances, same, threshold, False), 1 - count(distances, same, threshold, True))
        for threshold in (-1, *sorted(set(distances)))
    ]
    for (a, b), (c, d) in itertools.pairwise(points):
        if a <= b and c >= d:
            share = (b - a) / ((b - a) + (c - d))
            expected = a + share * (c - a)
            break
    assert equal_error_rate(roc(distances, same)) == pytest.approx(float(expected))


def test_extreme_samples() -> None:
    """Separable: area 1, error 0. Inverted: 0 and 1. All at one distance: a half each."""
    same = [True, True, False, False]
    for distances, area, error in (([1, 2, 3, 4], 1, 0), ([3, 4, 1, 2], 0, 1), ([1, 1, 1, 1], 0.5, 0.5)):
        curve = roc(distances, same)
        assert (area_under(curve), equal_error_rate(curve)) == (area, error)


@given(samples(), st.floats(0, 1))
def test_operating_point_of_a_rate(sample: Sample, rate: float) -> None:
    """The operating point is the last one whose false-accept rate is not above the given rate."""
    curve = roc(*sample)
    threshold, true_accept = curve.at(rate)
    fitting = [place for place, value in enumerate(curve.false_accept) if value <= rate]
    assert (threshold, true_accept) == (curve.thresholds[fitting[-1]], curve.true_accept[fitting[-1]])


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (1, 100, 0.0018, 0.0545)],
)
def test_wilson_interval(successes: int, total: int, low: float, high: float) -> None:
    """The intervals agree with known values; a count of zero pairs gives the interval 0 to 1."""
    assert wilson(successes, total) == pytest.approx((low, high), abs=5e-5)
    assert wilson(0, 0) == (0, 1)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_wilson_contains_the_share(total: int, share: float) -> None:
    """The interval is within 0 to 1 and contains the counted share."""
    successes = round(share * total)
    low, high = wilson(successes, total)
    assert 0 <= low <= successes / total <= high <= 1


def test_bootstrap_agrees_with_drawing_pairs() -> None:
    """The intervals equal those of resampling pairs of each kind with replacement, one sample at a time."""
    random = np.random.default_rng(1)
    same = np.arange(120) < 60
    distances = np.where(same, random.normal(0.7, 0.3, 120), random.normal(1.4, 0.3, 120)).round(2)
    areas, errors = [], []
    for _ in range(1000):
        drawn = np.concatenate([random.choice(np.flatnonzero(same == kind), 60) for kind in (True, False)])
        curve = roc(distances[drawn], same[drawn])
        areas.append(area_under(curve))
        errors.append(equal_error_rate(curve))
    area, error = bootstrap(distances, same)
    assert area == pytest.approx(np.percentile(areas, [2.5, 97.5]), abs=0.01)
    assert error == pytest.approx(np.percentile(errors, [2.5, 97.5]), abs=0.02)
    assert bootstrap(distances, same) == (area, error)  # the same in every run


def test_bootstrap_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pairs are resampled in several blocks, with the same number of samples in total."""
    same, distances = np.arange(40) < 20, np.arange(40.0)
    monkeypatch.setattr("faceall.evaluate.curves._BLOCK", 70)
    area, error = bootstrap(distances, same, rounds=9)
    assert (*area, *error) == pytest.approx((1, 1, 0, 0))
