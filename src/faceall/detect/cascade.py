"""The settings of MTCNN's cascade."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from faceall.errors import ArgumentError

_MAX_PROPOSALS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Cascade:
    """How MTCNN's nets select their candidates.

    Attributes
    ----------
    thresholds : sequence of three float
        Minimum probability of a face in P-Net, R-Net and O-Net, 0 to 1.
    factor : float
        Ratio of one level of the image pyramid to the next, 0.1 to 0.95.
    lenient : bool
        Also accept faces that fail a threshold if the nets together consider them faces (a logistic regression on
        their logits and on that of O-Net for the mirrored crop), or if the confirmation net does, which also sees their
        surroundings. It finds more small, turned and covered faces; every face that passes the thresholds is still
        found, but the box of half a covered face moves towards the whole one. False gives the original cascade.
    max_proposals : int
        Maximum number of proposals, best first, that are passed to R-Net. Bounds the time for one image.

    Raises
    ------
    ArgumentError
        If a value is out of range.
    """

    thresholds: Sequence[float] = (0.6, 0.7, 0.7)
    factor: float = 0.709
    lenient: bool = True
    max_proposals: int = 2000

    def __post_init__(self) -> None:
        thresholds = tuple(in_range("each of the thresholds", value, 0, 1) for value in self.thresholds)
        if len(thresholds) != 3:
            raise ArgumentError(f"thresholds has {len(thresholds)} numbers, expected 3")
        most = int(in_range("max_proposals", min(self.max_proposals, _MAX_PROPOSALS), 1, math.inf))
        object.__setattr__(self, "thresholds", thresholds)
        object.__setattr__(self, "factor", in_range("factor", self.factor, 0.1, 0.95))
        object.__setattr__(self, "max_proposals", most)


def in_range(name: str, value: float, least: float, most: float) -> float:
    """Return a value that is within its range.

    Raises
    ------
    ArgumentError
        If it is not.
    """
    if not least <= value <= most:
        bounds = f"at least {least}" if most == math.inf else f"{least} .. {most}"
        raise ArgumentError(f"{name} is {value}, expected {bounds}")
    return float(value)
