"""Which faces are the same person's, without anybody's help: groups over the graph of nearest neighbours.

Average linkage that looks at near neighbours only: the edges of the k-nearest graph are taken shortest first, and the
two groups at an edge's ends become one where the mean squared distance between their members stays within the limit.
The mean keeps a chain of look-alikes from growing together as single linkage lets it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from faceall.types import Float32Array, Int64Array


@dataclass
class Group:
    """Faces that are taken for one person.

    members  their rows
    owner    the person that the group stands for already, None for a new group
    photos   where the members are: two faces of one photo are never the same person
    refused  the owners that a member is known not to be
    total    the sum of the members' vectors
    """

    members: list[int]
    owner: int | None
    photos: set[int]
    refused: set[int]
    total: Float32Array = field(repr=False)

    def mean_distance(self, other: Group) -> float:
        """The mean squared L2 distance between a member of one and a member of the other, all of unit length."""
        pairs = len(self.members) * len(other.members)
        return 2.0 - 2.0 * float(self.total @ other.total) / pairs

    def may_join(self, other: Group) -> bool:
        """Whether nothing forbids that both are one person."""
        if self.owner is not None and other.owner is not None:
            return False  # two that exist already: joining them is for a person to say
        if self.owner in other.refused or other.owner in self.refused:
            return False
        return self.photos.isdisjoint(other.photos)

    def take(self, other: Group) -> None:
        """Make the other's members one's own."""
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

    vectors  (n, dimension) float32, unit length
    edges    pairs of rows (m, 2) and their squared distances (m,): near neighbours
    photos   (n,) the photo of each face
    owners   (n,) the group that a face is in already, or None; faces with the same owner start as one group, which no
             edge takes apart or joins with another owner's
    refused  row -> the owners that this face is known not to be
    limit    the largest mean squared distance, 0..4, between two groups that are joined
    returns  the groups, those with an owner first, then the largest first
    """
    groups = _starting_groups(vectors, photos, owners, refused)
    pairs, distances = edges
    near = distances <= limit  # a mean is not below its smallest part
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
    """The group of every row before any edge is looked at."""
    owned: dict[int, Group] = {}
    groups = []
    for row, (photo, owner) in enumerate(zip(photos, owners, strict=True)):
        alone = Group([row], owner, {photo}, set(refused.get(row, ())), vectors[row])
        if owner is not None and owned.setdefault(owner, alone) is not alone:
            owned[owner].take(alone)
            alone = owned[owner]
        groups.append(alone)
    return groups
