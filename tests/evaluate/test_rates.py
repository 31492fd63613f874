"""Error rates of 1:1 verification agree with manual counts; intervals are over people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceall.evaluate import Pair
from faceall.evaluate.verification.rates import Acquisition, measure_verification
from faceall.evaluate.verification.resampling import draw_people, label_people, pair_weights


def people_of(count: int) -> np.ndarray:
    """Make mated pairs of `count` people, then as many pairs of neighbouring people."""
    own = np.arange(count)
    return np.concatenate([np.stack([own, own], 1), np.stack([own, (own + 1) % count], 1)])


def test_misses_at_a_false_match_rate() -> None:
    """Of 100 non-mated pairs, one may pass at FMR100; FMR1000 is not supported by 100 pairs."""
    mated = np.linspace(0.1, 1.0, 100)
    others = np.linspace(0.75, 2.0, 100)
    same = np.arange(200) < 100
    found = measure_verification(np.concatenate([mated, others]), same, people_of(100), Acquisition(200, 0, 0))
    hundred, thousand, _ = found.points
    assert (hundred.name, thousand.name) == ("FMR100", "FMR1000")
    assert hundred.fnmr == pytest.approx((mated > others[1]).mean() + 0.01, abs=0.0101)
    assert hundred.fnmr < thousand.fnmr == pytest.approx((mated > others[0]).mean(), abs=0.0101)
    assert others[0] <= hundred.threshold < others[1]
    assert thousand.threshold < others[0]
    assert (hundred.supported, thousand.supported) == (True, False)
    assert found.fmr[0] == 0
    assert (np.diff(found.fmr) > 0).all()
    assert (np.diff(found.fnmr) <= 0).all()


def test_failures_to_acquire_are_rejections() -> None:
    """A mated pair without a vector counts in the false reject rate, not in the FNMR."""
    distances = np.concatenate([np.full(9, 0.1), [1.5], np.full(10, 1.0)])
    same = np.arange(20) < 10
    found = measure_verification(distances, same, people_of(10), Acquisition(images=44, failures=4, mated_pairs=2))
    assert found.failure_to_acquire == pytest.approx(4 / 44)
    assert found.points[0].fnmr == pytest.approx(0.1)
    assert found.points[0].frr == pytest.approx(3 / 12)
    low, high = found.failure_to_acquire_interval
    assert low < 4 / 44 < high


def test_intervals_are_over_people() -> None:
    """Twenty pairs of each of ten people give a wider interval than 200 people."""
    random = np.random.default_rng(0)
    missed = random.random(10) < 0.5
    clustered = np.concatenate([np.repeat(np.where(missed, 1.5, 0.1), 20), np.full(200, 1.0)])
    same = np.arange(400) < 200
    repeated = np.repeat(people_of(10), 20, axis=0)
    acquired = Acquisition(400, 0, 0)
    few = measure_verification(clustered, same, repeated, acquired)
    many = measure_verification(clustered, same, people_of(200), acquired)
    assert few.points[0].fnmr == many.points[0].fnmr
    width = [high - low for low, high in (few.points[0].interval, many.points[0].interval)]
    assert width[0] > 2 * width[1]


def test_people_follow_from_mated_pairs() -> None:
    """Images connected by mated pairs are one person; names in the list take precedence."""
    a, b, c, d = (Path(name) for name in "abcd")
    pairs = [Pair(a, b, True, 1), Pair(b, c, True, 2), Pair(c, d, False, 3)]
    numbers = label_people(pairs)
    assert len({*numbers[0], *numbers[1], numbers[2, 0]}) == 1
    assert numbers[2, 1] != numbers[2, 0]
    named = [Pair(a, b, False, 1, people=("Ada", "Bo")), Pair(c, d, False, 2, people=("Ada", "Cy"))]
    first, second = label_people(named)
    assert first[0] == second[0]
    assert len({first[0], first[1], second[1]}) == 3


def test_a_pair_is_drawn_with_its_people() -> None:
    """A pair of two people is resampled as often as both together; every sample has as many people."""
    draws = draw_people(5, rounds=50)
    assert (draws.sum(axis=1) == 5).all()
    people, same = np.array([[0, 0], [0, 1]]), np.array([True, False])
    for draw in draws:
        assert pair_weights(draw, people, same).tolist() == [draw[0], draw[0] * draw[1]]
