"""How fast a net learns, step by step. Pure arithmetic: a rate depends on nothing but the step's number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from faceall.errors import TrainError

ScheduleKind = Literal["constant", "cosine", "steps"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A learning rate that rises, stays or falls as its kind says, and ends at zero after a decay.

    rate     the highest rate
    kind     "constant"; "cosine", down to nothing at `length` (Loshchilov and Hutter 2017); "steps", a tenth of it at
             each of the `milestones`
    warm_up  over how many steps the rate rises to its highest
    length   how many steps there are; None where a constant rate goes on until it is stopped
    decay    over how many of the last steps a constant rate falls to nothing, as 1 - sqrt(share): a run that went on
             at a constant rate can be finished at any time so (Hägele et al. 2024)

    Raises TrainError where these do not fit together.
    """

    rate: float
    kind: ScheduleKind = "constant"
    warm_up: int = 0
    length: int | None = None
    decay: int = 0
    milestones: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(ScheduleKind):
            raise TrainError(f"unknown schedule '{self.kind}'; known: {', '.join(get_args(ScheduleKind))}")
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise TrainError(f"the learning rate is {self.rate}, expected a number above 0")
        if min(self.warm_up, self.decay, *self.milestones, 0) < 0 or (self.length is not None and self.length < 1):
            raise TrainError("a schedule has a negative number of steps")
        if self.length is None and (self.kind == "cosine" or self.decay):
            raise TrainError(f"a {'cosine' if self.kind == 'cosine' else 'decaying'} rate needs the number of steps")
        if self.length is not None and self.warm_up + self.decay > self.length:
            raise TrainError(f"{self.warm_up} steps to warm up and {self.decay} to decay do not fit in {self.length}")
        if self.kind == "cosine" and self.decay:
            raise TrainError("a cosine ends at nothing by itself; leave the decay out")

    def __call__(self, step: int) -> float:
        """The rate of step number `step`, counted from 0."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        if self.kind == "cosine" and self.length is not None:
            share = min(1.0, (step - self.warm_up) / max(1, self.length - self.warm_up))
            return self.rate * (1 + math.cos(math.pi * share)) / 2
        rate = self.rate * 0.1 ** sum(step >= milestone for milestone in self.milestones)
        if self.length is None or step < self.length - self.decay:
            return rate
        return rate * max(0.0, 1 - math.sqrt((step - (self.length - self.decay)) / max(1, self.decay)))
