"""Batches ahead of time, and the order of the data."""

from __future__ import annotations

import threading
from itertools import islice

import numpy as np
import pytest

from faceall.train.data.loader import batches, members


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_batches_come_in_order_whoever_makes_them(threads: int) -> None:
    """With no thread, one and several."""
    made = list(islice(batches(lambda number: number**2, start=5, threads=threads), 20))
    assert made == [(number, number**2) for number in range(5, 25)]


def test_what_a_thread_raises_comes_out_in_its_place() -> None:
    """The batches before it are still given."""

    def make(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    source = batches(make, start=0, threads=2)
    assert [next(source)[1] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(source)


def test_no_thread_outlives_the_loop() -> None:
    """Leaving the loop ends the threads."""
    source = batches(lambda number: number, start=0, threads=2)
    next(source)
    source.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("faceall-batches")]


@pytest.mark.parametrize(("count", "batch"), [(10, 3), (7, 7), (3, 8), (64, 1)])
def test_every_item_comes_once_an_epoch(count: int, batch: int) -> None:
    """Batches laid end to end are one shuffled epoch after another, whatever the batch's size."""
    drawn = np.concatenate([members(step, count=count, batch=batch, seed=1) for step in range(count * 3)])
    for epoch in range(len(drawn) // count):
        assert sorted(drawn[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_the_order_hangs_on_seed_and_epoch_alone() -> None:
    """The same step gives the same items at any time, another seed gives others."""
    first = members(9, count=100, batch=16, seed=3)
    np.testing.assert_array_equal(first, members(9, count=100, batch=16, seed=3))
    assert not np.array_equal(first, members(9, count=100, batch=16, seed=4))
