"""Learning rates by step. Pure arithmetic: a rate depends only on the number of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from faceall.errors import TrainError

ScheduleKind = Literal["constant", "cosine", "steps"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A learning rate with warm-up and an optional final decay.

    Attributes
    ----------
    rate : float
        Highest rate.
    kind : {"constant", "cosine", "steps"}
        "cosine" falls to zero at `length`; "steps" divides the rate by ten at each of the `milestones`.
    warm_up : int
        Number of steps in which the rate rises to its highest value.
    length : int or None
        Number of steps; None if a constant rate continues until the training is stopped.
    decay : int
        Number of last steps in which a constant rate falls to zero as 1 - sqrt(share). With it, a run at a constant
        rate can be finished at any time.
    milestones : tuple of int
        For "steps".

    Raises
    ------
    TrainError
        If the values contradict each other.

    References
    ----------
    Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts" (cosine).
    Hägele et al. 2024, "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations" (decay).
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
            raise TrainError("a cosine schedule falls to zero by itself; omit the decay")

    def __call__(self, step: int) -> float:
        """Return the rate of a step, counted from 0."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        if self.kind == "cosine" and self.length is not None:
            share = min(1.0, (step - self.warm_up) / max(1, self.length - self.warm_up))
            return self.rate * (1 + math.cos(math.pi * share)) / 2
        rate = self.rate * 0.1 ** sum(step >= milestone for milestone in self.milestones)
        if self.length is None or step < self.length - self.decay:
            return rate
        return rate * max(0.0, 1 - math.sqrt((step - (self.length - self.decay)) / max(1, self.decay)))
