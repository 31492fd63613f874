"""Group faces by person: average linkage on the graph of nearest neighbours.

The edges of the k-nearest-neighbour graph are processed in ascending order of length. The two groups at the ends of an
edge are joined if the mean squared distance between their members is within the limit. Unlike single linkage, the mean
prevents chains of similar faces from joining different people.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from faceall.types import Float32Array, Int64Array


@dataclass
class Group:
    """Faces that are taken for one person.

    Attributes
    ----------
    members : list of int
        Rows of the faces.
    owner : int or None
        The existing person or cluster; None for a new group.
    photos : set of int
        The photos of the members; two faces of one photo are never the same person.
    refused : set of int
        The owners that a member is known not to be.
    total : (D,) float32
        Sum of the members' vectors.
    """

    members: list[int]
    owner: int | None
    photos: set[int]
    refused: set[int]
    total: Float32Array = field(repr=False)

    def mean_distance(self, other: Group) -> float:
        """Return the mean squared L2 distance between members of the two groups (unit vectors)."""
        pairs = len(self.members) * len(other.members)
        return 2.0 - 2.0 * float(self.total @ other.total) / pairs

    def may_join(self, other: Group) -> bool:
        """Return whether both groups may be one person."""
        if self.owner is not None and other.owner is not None:
            return False  # existing groups are only merged by the user
        if self.owner in other.refused or other.owner in self.refused:
            return False
        return self.photos.isdisjoint(other.photos)

    def take(self, other: Group) -> None:
        """Add the members of another group."""
        self.members += other.members
        self.owner = other.owner if self.owner is None else self.owner
        self.photos |= other.photos
        self.refused |= other.refused
        self.total = self.total + other.total


def group_faces(
    vectors: Float32Array,
    edges: tuple[Int64Array, Float32Array],
    *,
    photos: Sequence[int],
    owners: Sequence[int | None],
    refused: Mapping[int, Collection[int]],
    limit: float,
) -> list[Group]:
    """Join faces into groups.

    Parameters
    ----------
    vectors : (n, D) float32
        Unit vectors.
    edges : (m, 2) int64 and (m,) float32
        Near neighbours: pairs of rows, and their squared distances.
    photos : sequence of int
        The photo of each face.
    owners : sequence of (int or None)
        The existing group of each face. Faces with the same owner start as one group, which is neither split nor
        joined with that of another owner.
    refused : mapping
        The owners that a face is known not to be, by row.
    limit : float
        The largest mean squared distance, 0 to 4, between two groups that are joined.

    Returns
    -------
    list of Group
        Groups with an owner first, then by descending size.
    """
    groups = _starting_groups(vectors, photos, owners, refused)
    pairs, distances = edges
    near = distances <= limit  # the mean is at least the smallest distance
    order = np.lexsort((pairs[near, 1], pairs[near, 0], distances[near]))
    for first, second in pairs[near][order].tolist():
        one, other = groups[first], groups[second]
        if one is other or not one.may_join(other) or one.mean_distance(other) > limit:
            continue
        if len(one.members) < len(other.members):
            one, other = other, one
        one.take(other)
        for row in other.members:
            groups[row] = one
    distinct = {id(group): group for group in groups}.values()
    return sorted(distinct, key=lambda group: (group.owner is None, -len(group.members), min(group.members)))


def _starting_groups(
    vectors: Float32Array,
    photos: Sequence[int],
    owners: Sequence[int | None],
    refused: Mapping[int, Collection[int]],
) -> list[Group]:
    """Return the initial group of every row."""
    owned: dict[int, Group] = {}
    groups = []
    for row, (photo, owner) in enumerate(zip(photos, owners, strict=True)):
        alone = Group([row], owner, {photo}, set(refused.get(row, ())), vectors[row])
        if owner is not None and owned.setdefault(owner, alone) is not alone:
            owned[owner].take(alone)
            alone = owned[owner]
        groups.append(alone)
    return groups
