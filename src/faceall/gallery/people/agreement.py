"""Whether faces show one person: how many of them agree with the most typical one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faceall.types import Float32Array

_MIN_SHARE = 0.6  # of the faces have to agree
MIN_FACES = 4
"""Faces below which a person is not said to be several people."""

_SAMPLE = 200
_UNRELATED = 2.0  # squared L2 of two independent unit vectors


@dataclass(frozen=True)
class Agreement:
    """How many of some faces agree with the most typical one.

    Attributes
    ----------
    agreeing, faces : int
        The face itself counts.
    """

    agreeing: int
    faces: int

    @property
    def mostly(self) -> bool:
        """Whether most faces agree."""
        return self.agreeing >= _MIN_SHARE * self.faces

    @property
    def several_people(self) -> bool:
        """Whether the faces plainly show several people."""
        return self.faces >= MIN_FACES and not self.mostly


def agreement_of(vectors: Float32Array, threshold: float) -> Agreement:
    """Count the faces that are near the one with the most near neighbours.

    Parameters
    ----------
    vectors : (n, D) float32
        Unit vectors.
    threshold : float
        Up to which squared distance two faces match. Faces of one person are often a little farther apart, so the
        limit lies halfway between the threshold and the distance of unrelated vectors.
    """
    if len(vectors) < 2:
        return Agreement(len(vectors), len(vectors))
    limit = threshold + max(0.0, _UNRELATED - threshold) / 2
    distances = 2.0 - 2.0 * (vectors @ vectors.T)
    return Agreement(int((distances <= limit).sum(axis=1).max()), len(vectors))


def sample(keys: Sequence[int]) -> list[int]:
    """Choose at most 200 faces, evenly, always the same."""
    if len(keys) <= _SAMPLE:
        return list(keys)
    return [keys[int(place)] for place in np.linspace(0, len(keys) - 1, _SAMPLE)]
