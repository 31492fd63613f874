"""The worst searches of an open-set evaluation: missed known people, and strangers near a known person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from faceall.types import Float32Array, Int64Array

_WORST = 100  # searches of each kind that are kept


@dataclass(frozen=True)
class WorstSearch:
    """A search with a wrong or weak result.

    Attributes
    ----------
    kind : {"missed", "named"}
        missed: a known person who is far from their enrolled image, or behind another person; named: a stranger who
        is near to a known person.
    query : Path
        The image that was searched.
    own : Path or None
        The enrolled image of the known person.
    own_distance : float or None
        Squared L2 distance to it.
    found : Path
        The nearest enrolled image of another person.
    distance : float
        Squared L2 distance to it.
    """

    kind: Literal["missed", "named"]
    query: Path
    own: Path | None
    own_distance: float | None
    found: Path
    distance: float


def worst_searches(
    vectors: Float32Array, rows: Int64Array, galleries: Sequence[Int64Array], images: Sequence[Path]
) -> tuple[WorstSearch, ...]:
    """Return the worst searches of known people and of strangers over all galleries, each query once.

    Parameters
    ----------
    vectors : (n, D) float32
        The vectors of the images.
    rows : (p, 2) int64
        The rows of the first and the second image of every person, -1 where there is none.
    galleries : sequence of (g,) int64
        The people of each gallery.
    images : sequence of Path
        The image of each row.
    """
    missed: dict[int, tuple[float, WorstSearch]] = {}
    named: dict[int, tuple[float, WorstSearch]] = {}
    for gallery in galleries:
        enrolled = rows[gallery, 0]
        enrolled = enrolled[enrolled >= 0]
        own_rows = {int(first): int(second) for first, second in rows[gallery] if first >= 0 and second >= 0}
        strangers = np.setdiff1d(rows[np.setdiff1d(np.arange(len(rows)), gallery), 0], [-1])
        for kept, queries in ((missed, list(own_rows.values())), (named, strangers.tolist())):
            similarities = vectors[queries] @ vectors[enrolled].T if len(queries) else np.zeros((0, 0))
            owners = {second: first for first, second in own_rows.items()} if kept is missed else {}
            for row, values in zip(queries, similarities, strict=True):
                search, rank = _describe_search(row, owners.get(row), values, enrolled, images)
                if row not in kept or rank > kept[row][0]:
                    kept[row] = rank, search
    ordered = [sorted(kept.values(), key=lambda entry: -entry[0])[:_WORST] for kept in (missed, named)]
    return tuple(search for kept in ordered for _, search in kept)


def _describe_search(
    row: int, own: int | None, values: Float32Array, enrolled: Int64Array, images: Sequence[Path]
) -> tuple[WorstSearch, float]:
    """Describe a search, and how bad it is: by how much another person is nearer, or how near a stranger is."""
    others = np.where(enrolled == own, -np.inf, values) if own is not None else values
    nearest = int(np.argmax(others))
    found, distance = images[int(enrolled[nearest])], 2 - 2 * float(others[nearest])
    if own is None:
        return WorstSearch("named", images[row], None, None, found, distance), -distance
    own_distance = 2 - 2 * float(values[int(np.flatnonzero(enrolled == own)[0])])
    return WorstSearch("missed", images[row], images[own], own_distance, found, distance), own_distance - distance
