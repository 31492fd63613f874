"""Learning rates: pure arithmetic."""

from __future__ import annotations

import math

import pytest

from faceall.errors import TrainError
from faceall.train.schedules import Schedule


def test_a_rate_rises_evenly_and_stays() -> None:
    """Four steps up, then the highest rate for ever."""
    schedule = Schedule(rate=0.4, warm_up=4)
    assert [schedule(step) for step in range(4)] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert schedule(10**9) == 0.4


def test_a_constant_rate_ends_at_nothing_after_its_decay() -> None:
    """The last 100 of 1000 steps fall as 1 - sqrt(share)."""
    schedule = Schedule(rate=1.0, length=1000, decay=100)
    assert schedule(899) == 1.0
    assert schedule(925) == pytest.approx(0.5)
    assert schedule(1000) == 0.0
    falling = [schedule(step) for step in range(900, 1001)]
    assert falling == sorted(falling, reverse=True)


def test_a_cosine_is_half_way_down_in_the_middle() -> None:
    """And at nothing at its end."""
    schedule = Schedule(rate=2.0, kind="cosine", warm_up=10, length=110)
    assert schedule(60) == pytest.approx(1.0)
    assert schedule(110) == pytest.approx(0.0)
    assert schedule(35) == pytest.approx(1 + math.cos(math.pi / 4))


def test_steps_fall_to_a_tenth_at_each_milestone() -> None:
    """facenet's kind of schedule."""
    schedule = Schedule(rate=0.1, kind="steps", milestones=(5, 8))
    assert [schedule(step) for step in (4, 5, 7, 8, 100)] == pytest.approx([0.1, 0.01, 0.01, 0.001, 0.001])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rate": 0.0}, "expected a number above 0"),
        ({"rate": math.nan}, "expected a number above 0"),
        ({"rate": 1.0, "kind": "sawtooth"}, "known: constant, cosine, steps"),
        ({"rate": 1.0, "kind": "cosine"}, "needs the number of steps"),
        ({"rate": 1.0, "decay": 5}, "needs the number of steps"),
        ({"rate": 1.0, "length": 10, "warm_up": 8, "decay": 5}, "do not fit in 10"),
        ({"rate": 1.0, "length": 0}, "negative number of steps"),
        ({"rate": 1.0, "kind": "cosine", "length": 10, "decay": 5}, "omit the decay"),
    ],
)
def test_what_makes_no_schedule_is_refused(options: dict[str, object], problem: str) -> None:
    """One line says what is wrong."""
    with pytest.raises(TrainError, match=problem):
        Schedule(**options)  # type: ignore[arg-type]
