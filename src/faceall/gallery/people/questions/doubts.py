"""Faces that may not belong to the person or group that has them: the part that fits the rest worst.

The part is a single face, or one of two halves that spherical 2-means finds. Faces that a user assigned or confirmed
are not doubted, nor is a part of a person with a name that is not smaller than the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from faceall.gallery.store import Store
from faceall.types import Float32Array

_DIVIDED = 200
"""People whose halves are looked for, those with the largest mean distance first."""

_FEWEST = 4  # faces of a person with two halves
_MOST = 2_000  # faces of a person whose halves are looked for
_PASSES = 8

Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Doubt:
    """A part of a person's faces.

    Attributes
    ----------
    person : int
        The row.
    part : tuple of int
        The faces that fit worst, the most typical one first.
    rest : tuple of int
        The others, the most typical one first.
    distance : float
        Mean squared L2 distance between a face of the part and one of the rest.
    """

    person: int
    part: tuple[int, ...]
    rest: tuple[int, ...]
    distance: float


@dataclass(frozen=True)
class Fit:
    """How the faces of a person fit one another: which place fits worst, its mean cosine to the rest, that of all."""

    worst: int
    cosine: float
    mean: float


def fit_of_faces(vectors: Float32Array) -> Fit | None:
    """Return how faces fit one another, from unit vectors (n, D); None for one face."""
    count = len(vectors)
    if count < 2:
        return None
    total = vectors.sum(axis=0)
    to_rest = (vectors @ total - 1) / (count - 1)
    worst = int(to_rest.argmin())
    return Fit(worst, float(to_rest[worst]), float(to_rest.mean()))


def find_doubts(
    store: Store, members: Mapping[int, Sequence[int]], fits: Mapping[int, Fit], named: frozenset[int]
) -> list[Doubt]:
    """Return a doubt for each person or group that may be doubted.

    Parameters
    ----------
    store : Store
        The gallery.
    members : mapping
        The faces by person.
    fits : mapping
        How they fit one another, of people with two faces or more.
    named : frozenset of int
        The people who have a name.
    """
    halved = sorted((row for row in fits if len(members[row]) >= _FEWEST), key=lambda row: fits[row].mean)[:_DIVIDED]
    doubts = [divided(store, row, members[row]) for row in halved]
    for row in fits.keys() - set(halved):
        keys = list(members[row])
        worst = fits[row].worst
        rest = (*keys[:worst], *keys[worst + 1 :])
        doubts.append(Doubt(row, (keys[worst],), rest, 2 - 2 * fits[row].cosine))
    said = store.people.confirmations([face for doubt in doubts for face in doubt.part])
    return [doubt for doubt in doubts if _may_be_asked(doubt, said, named)]


def divided(store: Store, person: int, keys: Sequence[int]) -> Doubt:
    """Divide the faces of a person into a part and the rest, by halves or by the one face that fits worst."""
    vectors = store.faces.vectors(keys)
    fit = fit_of_faces(vectors)
    assert fit is not None
    inside = np.arange(len(keys)) == fit.worst
    if _FEWEST <= len(keys) <= _MOST:
        half = _half(vectors, fit.worst)
        if _between(vectors, half) < fit.cosine:
            inside = half
    part, rest = (_by_typicality(vectors, keys, chosen) for chosen in (inside, ~inside))
    return Doubt(person, part, rest, 2 - 2 * _between(vectors, inside))


def _half(vectors: Float32Array, seed: int) -> Mask:
    """Return which faces are in the smaller one of two clusters, found from a face and the one least like it."""
    centres = vectors[[seed, int((vectors @ vectors[seed]).argmin())]]
    inside: Mask = np.zeros(len(vectors), bool)
    for _ in range(_PASSES):
        near = vectors @ centres.T
        now = near[:, 0] > near[:, 1]
        if now.all() or not now.any() or (now == inside).all():
            break
        inside = now
        centres = np.stack([vectors[now].sum(axis=0), vectors[~now].sum(axis=0)])
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    if inside.all() or not inside.any():
        inside = np.arange(len(vectors)) == seed
    return ~inside if inside.sum() * 2 > len(inside) else inside


def _between(vectors: Float32Array, inside: Mask) -> float:
    """Return the mean cosine between the faces inside and the others."""
    return float(vectors[inside].mean(axis=0) @ vectors[~inside].mean(axis=0))


def _by_typicality(vectors: Float32Array, keys: Sequence[int], chosen: Mask) -> tuple[int, ...]:
    places = np.flatnonzero(chosen)
    order = np.argsort(-(vectors[places] @ vectors[places].sum(axis=0)), kind="stable")
    return tuple(keys[place] for place in places[order].tolist())


def _may_be_asked(doubt: Doubt, said: Mapping[int, set[int]], named: frozenset[int]) -> bool:
    """Return whether no user said that the part belongs to the person, and it is clear which faces would leave."""
    if doubt.person in named and len(doubt.part) >= len(doubt.rest):
        return False
    return any(doubt.person not in said.get(face, ()) for face in doubt.part)
