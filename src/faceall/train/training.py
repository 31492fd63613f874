"""The training loop, with measurements and checkpoints."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from faceall.signals import stoppable
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
"""From a function that embeds standardised images to figures by name."""


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Options of the loop.

    Attributes
    ----------
    measure_every : int
        Steps between two measurements.
    checkpoint_every : float
        Seconds between two checkpoints.
    checkpoint_steps : int
        Steps between two checkpoints; 0 uses the time only.
    threads : int
        Threads that create batches in the background.
    keep_average : float
        Share of the running average that stays, every ten steps; 0 disables averages.
    progress : bool
        Show a progress bar on stderr.
    tensorboard : bool
        Write events for TensorBoard into the run folder.
    """

    measure_every: int = 500
    checkpoint_every: float = 180.0
    checkpoint_steps: int = 0
    threads: int = 1
    keep_average: float = 0.98
    progress: bool = False
    tensorboard: bool = False


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is learnt.

    Attributes
    ----------
    batch : callable
        Creates the batch of a step: images (N, H, W, 3) float32 and their targets.
    schedule : Schedule
        The learning rate; its length is the number of steps.
    measure : callable, optional
        Measures the averaged weights, or the current ones if there are no averages.
    prepare : callable, optional
        Turns the targets of a batch into those of the objective, with the current net.
    """

    batch: Callable[[int], tuple[Array, Any]]
    schedule: Schedule
    measure: Measure | None = None
    prepare: Callable[[int, Array, Any], Any] | None = None


def train(
    run: RunFolder, learner: Learner, task: Task, loop: Loop | None = None, *, resume: Checkpoint | None = None
) -> Averages:
    """Train until the schedule ends, or until SIGINT or SIGTERM, after which a checkpoint is written.

    Parameters
    ----------
    run : RunFolder
        Receives checkpoints and measurements.
    learner : Learner
        The net with its objective and optimiser.
    task : Task
        What it learns.
    loop : Loop, optional
        Options of the loop.
    resume : Checkpoint, optional
        The state to resume from.

    Returns
    -------
    Averages
        The running averages; empty if disabled.

    Raises
    ------
    KeyboardInterrupt
        After a signal.
    TrainError
        If the loss is not finite or a file cannot be written.
    """
    loop = loop or Loop()
    state = _Training(run, learner, task, loop, resume)
    if resume is None:
        state.save()
    end, prepare = task.schedule.length, task.prepare
    with (
        stoppable() as stopped,
        tqdm(
            total=end, initial=state.step, unit="step", disable=not loop.progress, file=sys.stderr, mininterval=2.0
        ) as bar,
    ):
        for number, (images, wanted) in batches(task.batch, start=state.step, threads=loop.threads):
            if (end is not None and number >= end) or stopped.is_set():
                break
            state.learn(number, images, wanted if prepare is None else prepare(number, images, wanted))
            bar.update()
            if state.save_is_due():
                state.save()
            if state.step % loop.measure_every == 0 or state.step == end:
                bar.set_postfix_str(f"loss {state.record():.4f}")
        state.save()
        if stopped.is_set():
            raise KeyboardInterrupt
    return state.averages


class _Training:
    """A training at one step: weights, averages, and the losses since the last record."""

    def __init__(self, run: RunFolder, learner: Learner, task: Task, loop: Loop, resume: Checkpoint | None) -> None:
        self._run, self._learner, self._task, self._loop = run, learner, task, loop
        self.step, self.averages = _restore(learner, loop, resume)
        self._events = Events(run.path / "events") if loop.tensorboard else None
        self._saved = time.monotonic()
        self._rate = 0.0
        self._start_record()

    def _start_record(self) -> None:
        self._losses: list[float] = []
        self._images = 0
        self._started = time.monotonic()

    def learn(self, number: int, images: Array, wanted: Any) -> None:
        """Do step `number`."""
        self._rate = self._task.schedule(number)
        self._losses.append(self._learner.learn(images, wanted, rate=self._rate))
        self._images += len(images)
        self.step = number + 1
        if self._loop.keep_average and self.step % AVERAGED_EVERY == 0:
            self.averages.update(self._learner.weights())

    def save_is_due(self) -> bool:
        """Return whether a checkpoint is due, by steps or by time."""
        by_steps = self._loop.checkpoint_steps and self.step % self._loop.checkpoint_steps == 0
        return bool(by_steps) or time.monotonic() - self._saved > self._loop.checkpoint_every

    def save(self) -> None:
        """Write a checkpoint."""
        state = self._learner.weights(), self._learner.optimizer_state(), self.averages.values
        write_checkpoint(self._run.checkpoints, Checkpoint(self.step, *state, {}))
        self._saved = time.monotonic()

    def record(self) -> float:
        """Record speed, loss and measurements since the last record; return the mean loss."""
        loss = sum(self._losses) / len(self._losses)
        speed = self._images / (time.monotonic() - self._started)
        values = {"step": self.step, "loss": loss, "rate": self._rate, "images_per_second": speed}
        rounded = _rounded(values | _measured(self._learner, self.averages, self._task.measure))
        self._run.record(rounded)
        if self._events is not None:
            self._events.write(rounded)
        self._start_record()
        return loss


def _restore(learner: Learner, loop: Loop, resume: Checkpoint | None) -> tuple[int, Averages]:
    """Restore a checkpoint, or start at step 0."""
    if resume is None:
        return 0, Averages(loop.keep_average)
    learner.set_weights(resume.weights)
    learner.set_optimizer_state(resume.optimizer)
    return resume.step, Averages(loop.keep_average, resume.averages)


def _measured(learner: Learner, averages: Averages, measure: Measure | None) -> dict[str, float]:
    """Measure the averaged weights, or the current ones if there are no averages."""
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
    """Round figures to six digits."""
    return {name: value if isinstance(value, int) else float(f"{value:.6g}") for name, value in values.items()}
