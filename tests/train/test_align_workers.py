"""Processes with an object each: order, errors, shares of the cores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Event

import pytest

from faceall.errors import AlignError
from faceall.train.align.workers import Workers


class Adder:
    """Adds a number, and tells which process did."""

    def __init__(self, number: int) -> None:
        self.number = number

    def add(self, given: int) -> tuple[int, int, frozenset[int]]:
        """The sum, the process and the cores that it may use."""
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
        return given + self.number, os.getpid(), frozenset(cores)

    def die(self, given: int) -> None:
        """End this process as a kill does."""
        os._exit(9)


def numbers(stop: Event, last: int) -> Iterator[int]:
    """0, 1, 2 ...; asks to stop with number `last`."""
    for number in range(1000):
        if number == last:
            stop.set()
        yield number


def test_results_come_in_order_and_a_stop_ends_them() -> None:
    """Every result is that of its batch; after a stop at most those that were under way follow."""
    stop = Event()
    with Workers(2, Adder, 100) as workers:
        found = [total for total, _, _ in workers.run(Adder.add, numbers(stop, 30), stop)]
    assert found == list(range(100, 100 + len(found)))
    assert 26 <= len(found) <= 31


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system does not tell its cores")
def test_processes_share_the_cores() -> None:
    """With as many cores as processes no core serves two, and none is left out; this process keeps all of its own."""
    cores = os.sched_getaffinity(0)
    with Workers(2, Adder, 0) as workers:
        used = {process: own for _, process, own in workers.run(Adder.add, range(200), Event())}
    assert os.sched_getaffinity(0) == cores
    if len(cores) < 2:
        assert set(used.values()) == {frozenset(cores)}
    elif len(used) == 2:
        one, other = used.values()
        assert not one & other
        assert one | other == cores


def test_death_of_a_process_is_one_line() -> None:
    """A process that the system kills ends the run with what to do, and nothing hangs."""
    with Workers(1, Adder, 0) as workers, pytest.raises(AlignError, match="run again with fewer workers"):
        list(workers.run(Adder.die, [1], Event()))
