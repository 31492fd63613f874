"""Measure how many faces per second models embed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from faceall.analysis.analyser import Crops
from faceall.evaluate.embedding import MeasuredEmbedder

BATCH = 16
_ROUNDS = 7
_REST = 0.3  # seconds between two models: threads of the previous one may keep spinning and would slow the next


@dataclass(frozen=True)
class Speed:
    """Faces per second, from crops to vectors (median of several rounds).

    Attributes
    ----------
    alone : float
        One face at a time.
    batch : float
        16 faces at a time.
    """

    alone: float
    batch: float


def measure_speed(
    models: Sequence[MeasuredEmbedder], samples: Sequence[Crops], *, rounds: int = _ROUNDS
) -> list[Speed]:
    """Time the models in turns (A B A B) after one warm-up round.

    Parameters
    ----------
    models : sequence of MeasuredEmbedder
        The models.
    samples : sequence of (m, H, W, 3) uint8
        At least one crop per model; repeated to 16.
    rounds : int
        Timed rounds.

    Returns
    -------
    list of Speed
        One per model.
    """
    tasks: list[Callable[[], object]] = []
    for model, crops in zip(models, samples, strict=True):
        full = crops.repeat(-(-BATCH // len(crops)), axis=0)[:BATCH]
        tasks += [_one_by_one(model, full), _together(model, full)]
    seconds: list[list[float]] = [[] for _ in tasks]
    for number in range(rounds + 1):
        for task, spent in zip(tasks, seconds, strict=True):
            time.sleep(_REST)
            start = time.perf_counter()
            task()
            if number:
                spent.append(time.perf_counter() - start)
    rates = [BATCH / statistics.median(spent) for spent in seconds]
    return [Speed(alone, batch) for alone, batch in zip(rates[::2], rates[1::2], strict=True)]


def _one_by_one(model: MeasuredEmbedder, crops: Crops) -> Callable[[], object]:
    """Return a task that embeds the crops one at a time."""
    return lambda: [model.embed_crops(crops[number : number + 1]) for number in range(len(crops))]


def _together(model: MeasuredEmbedder, crops: Crops) -> Callable[[], object]:
    """Return a task that embeds the crops as one batch."""
    return lambda: model.embed_crops(crops)
