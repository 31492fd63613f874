"""Run candidates in turns, each in a process of its own.

Libraries keep threads that spin while they wait. In one process those of one library slow the next: beside
facenet-pytorch some detections took twice as long. A process that has waited for its turn starts slowly, by up to 100
milliseconds, so a turn is several runs after one that does not count.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

from measure import REST

from faceall.errors import EngineError

Run = Callable[[], Any]

TURN = 0.3
"""Seconds of a turn, if its runs take so long."""

LEAST_RUNS, MOST_RUNS = 3, 20
"""Runs of a turn."""


class AbsentError(Exception):
    """A peer, or what it needs, is not here."""


def alternate_apart(candidates: Mapping[str, Callable[[], Run]], rounds: int = 7) -> dict[str, float]:
    """Run the candidates in turns (A B A B), several times each; return the median seconds of each.

    A candidate is a function, importable in another process, that returns what is measured. If that, or the warm-up,
    raises ImportError, EngineError or `AbsentError`, the reason is printed and the candidate is left out.
    """
    with ExitStack() as stack:
        processes = {name: stack.enter_context(_Process(name, make)) for name, make in candidates.items()}
        present = {name: process for name, process in processes.items() if process.is_ready()}
        seconds: dict[str, list[float]] = {name: [] for name in present}
        for _ in range(rounds):
            for name, process in present.items():
                time.sleep(REST)
                seconds[name].append(process.measure())
    return {name: statistics.median(values) for name, values in seconds.items()}


class _Process:
    """A process that makes a candidate, warms it up and measures it whenever it is asked to."""

    def __init__(self, name: str, make: Callable[[], Run]) -> None:
        self.name = name
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=_serve, args=(make, other), daemon=True)
        self.process.start()
        other.close()

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.pipe.close()
        self.process.join()

    def is_ready(self) -> bool:
        """Wait until the candidate has run once; print why if it is absent."""
        try:
            reason = self.pipe.recv()
        except EOFError:
            raise SystemExit(f"{self.name} has died, see above") from None
        if reason:
            print(f"without {self.name}: {reason}", file=sys.stderr)
        return not reason

    def measure(self) -> float:
        """Return the median seconds of the runs of one turn."""
        self.pipe.send(True)
        return float(self.pipe.recv())


def _serve(make: Callable[[], Run], pipe: Connection) -> None:
    """Make a candidate; send why it is absent or an empty text, then the seconds of a turn for every message."""
    try:
        run = make()
        run()
    except (ImportError, EngineError, AbsentError) as error:
        pipe.send(str(error) or type(error).__name__)
        return
    pipe.send("")
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        pipe.send(_turn(run))


def _turn(run: Run) -> float:
    """Run a candidate once, then several times; return the median seconds of these."""
    run()
    seconds: list[float] = []
    while len(seconds) < LEAST_RUNS or (sum(seconds) < TURN and len(seconds) < MOST_RUNS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
