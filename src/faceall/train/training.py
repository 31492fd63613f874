"""The loop of every training: batches in, weights out, the state on disk often enough."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from faceall.train.checkpoints import Checkpoint, write_checkpoint
from faceall.train.data.loader import batches
from faceall.train.events import Events
from faceall.train.learner import Averages, Learner
from faceall.train.run_folder import RunFolder
from faceall.train.schedules import Schedule
from faceall.types import Array

AVERAGED_EVERY = 10
"""Steps between two updates of the running averages."""

Measure = Callable[[Callable[[Array], Array]], Mapping[str, float]]
"""Gets what embeds standardised pictures; gives figures by name."""


@dataclass(frozen=True, kw_only=True)
class Loop:
    """How a training goes on.

    schedule          the learning rate; its length is the end
    measure_every     steps between two measurements
    checkpoint_every  seconds between two checkpoints
    checkpoint_steps  the same in steps; 0 for by time alone
    threads           how many make batches, beside the one that learns
    keep_average      how much of the running average stays, every ten steps; 0 for none
    progress          whether a bar is shown on stderr
    tensorboard       whether events for TensorBoard are written into the run folder
    """

    schedule: Schedule
    measure_every: int = 500
    checkpoint_every: float = 180.0
    checkpoint_steps: int = 0
    threads: int = 1
    keep_average: float = 0.98
    progress: bool = False
    tensorboard: bool = False


def train(
    run: RunFolder,
    learner: Learner,
    make: Callable[[int], tuple[Array, Any]],
    loop: Loop,
    *,
    measure: Measure | None = None,
    resume: Checkpoint | None = None,
    prepare: Callable[[int, Array, Any], Any] | None = None,
) -> Averages:
    """Train until the schedule ends, or until SIGINT or SIGTERM, after which a checkpoint is written.

    run      gets checkpoints and measurements
    learner  what learns
    make     gives a batch by the number of its step: pictures (N, H, W, 3) float32 and what is wanted of them
    measure  measures the averaged weights, and the last ones where there are no averages
    resume   the state to go on from, put into the learner here
    prepare  turns what is wanted of a batch into what the objective takes, by the net as it stands
    returns  the running averages; empty where none are kept

    Raises KeyboardInterrupt after a signal, TrainError where the loss is no number any more.
    """
    step, averages = _restore(learner, loop, resume)
    saved = time.monotonic()
    losses: list[float] = []

    def save() -> None:
        state = learner.weights(), learner.optimizer_state(), averages.values
        write_checkpoint(run.checkpoints, Checkpoint(step, *state, {}))

    events = Events(run.path / "events") if loop.tensorboard else None

    def record(values: Mapping[str, float]) -> None:
        run.record(values)
        if events is not None:
            events.write(values)

    if resume is None:
        save()
    end = loop.schedule.length
    with (
        _stoppable() as stopped,
        tqdm(total=end, initial=step, unit="step", disable=not loop.progress, file=sys.stderr, mininterval=2.0) as bar,
    ):
        started, begun = time.monotonic(), step
        for number, (pictures, wanted) in batches(make, start=step, threads=loop.threads):
            if (end is not None and number >= end) or stopped.is_set():
                break
            rate = loop.schedule(number)
            wanted = wanted if prepare is None else prepare(number, pictures, wanted)
            losses.append(learner.learn(pictures, wanted, rate=rate))
            step = number + 1
            if loop.keep_average and step % AVERAGED_EVERY == 0:
                averages.update(learner.weights())
            bar.update()
            due = loop.checkpoint_steps and step % loop.checkpoint_steps == 0
            if due or time.monotonic() - saved > loop.checkpoint_every:
                save()
                saved = time.monotonic()
            if step % loop.measure_every == 0 or step == end:
                speed = (step - begun) * len(pictures) / (time.monotonic() - started)
                values = {"step": step, "loss": sum(losses) / len(losses), "rate": rate, "pictures_per_second": speed}
                record(_rounded(values | _measured(learner, averages, measure)))
                bar.set_postfix_str(f"loss {values['loss']:.4f}")
                losses, started, begun = [], time.monotonic(), step
        save()
        if stopped.is_set():
            raise KeyboardInterrupt
    return averages


def _restore(learner: Learner, loop: Loop, resume: Checkpoint | None) -> tuple[int, Averages]:
    if resume is None:
        return 0, Averages(loop.keep_average)
    learner.set_weights(resume.weights)
    learner.set_optimizer_state(resume.optimizer)
    return resume.step, Averages(loop.keep_average, resume.averages)


def _measured(learner: Learner, averages: Averages, measure: Measure | None) -> dict[str, float]:
    """Figures of the averaged weights; of those of now where there are no averages."""
    if measure is None:
        return {}
    if not averages.values:
        return dict(measure(learner.embed))
    now = learner.weights()
    learner.set_weights(averages.values)
    try:
        return dict(measure(learner.embed))
    finally:
        learner.set_weights(now)


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value if isinstance(value, int) else float(f"{value:.6g}") for name, value in values.items()}


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """Set the event at SIGINT or SIGTERM in place of ending the process; a second one ends it."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(number: int, frame: Any) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
