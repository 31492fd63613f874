"""Measure whether faces show one person: how many of them are near the most typical one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faceall.types import Float32Array

_MIN_SHARE = 0.6  # share of the faces that must agree
MIN_FACES = 4
"""Smallest number of faces on which a person is reported as several people."""

_SAMPLE = 200
_UNRELATED = 2.0  # squared L2 of two independent unit vectors


@dataclass(frozen=True)
class Agreement:
    """How many of some faces agree with the most typical one.

    Attributes
    ----------
    agreeing, faces : int
        The typical face is included in both.
    """

    agreeing: int
    faces: int

    def __str__(self) -> str:
        return f"{self.agreeing} of {self.faces} faces agree"

    @property
    def mostly(self) -> bool:
        """Whether most faces agree."""
        return self.agreeing >= _MIN_SHARE * self.faces

    @property
    def several_people(self) -> bool:
        """Whether the faces seem to show several people."""
        return self.faces >= MIN_FACES and not self.mostly


def agreement_of(vectors: Float32Array, threshold: float) -> Agreement:
    """Count the faces that are near the one with the most near neighbours.

    Parameters
    ----------
    vectors : (n, D) float32
        Unit vectors.
    threshold : float
        Match threshold (squared L2). Faces of one person are often a little farther apart, so the limit is halfway
        between the threshold and the distance of unrelated vectors.

    Returns
    -------
    Agreement
    """
    if len(vectors) < 2:
        return Agreement(len(vectors), len(vectors))
    limit = threshold + max(0.0, _UNRELATED - threshold) / 2
    distances = 2.0 - 2.0 * (vectors @ vectors.T)
    return Agreement(int((distances <= limit).sum(axis=1).max()), len(vectors))


def sample(keys: Sequence[int]) -> list[int]:
    """Choose at most 200 faces, evenly spaced and reproducible."""
    if len(keys) <= _SAMPLE:
        return list(keys)
    return [keys[int(place)] for place in np.linspace(0, len(keys) - 1, _SAMPLE)]
