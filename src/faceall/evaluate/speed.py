"""How many faces per second, models in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from faceall.analysis.analyser import Crops
from faceall.evaluate.pictures import Contestant

BATCH = 16
_ROUNDS = 7
_REST = 0.3  # seconds between two models: the threads of the one before may spin that long and would slow the next


@dataclass(frozen=True)
class Speed:
    """Faces per second, crops in and vectors out: one at a time, and 16 at a time; medians."""

    alone: float
    batch: float


def measure_speed(models: Sequence[Contestant], samples: Sequence[Crops], *, rounds: int = _ROUNDS) -> list[Speed]:
    """Time every model on its own crops, A B A B, after one round to warm up.

    samples  per model (at least one, H, W, 3) uint8; repeated to 16
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


def _one_by_one(model: Contestant, crops: Crops) -> Callable[[], object]:
    return lambda: [model.embed_crops(crops[number : number + 1]) for number in range(len(crops))]


def _together(model: Contestant, crops: Crops) -> Callable[[], object]:
    return lambda: model.embed_crops(crops)
