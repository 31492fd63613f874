"""Faces that nobody has named, grouped by who they seem to be; and the corrections that a person makes by hand.

A cluster is a person without a name of their own, called "unnamed 12" until somebody renames it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from faceall.errors import FaceallError
from faceall.gallery.people.grouping import Group, group_faces
from faceall.gallery.people.names import checked_name, find_person, unknown_face
from faceall.gallery.store import Store
from faceall.types import Float32Array, Int64Array

PART = 0.78
"""Of the distance up to which two faces match, the part that is the limit of a person's mean squared distance.

Measured on LFW view 1 with the models of 128 and of 512 numbers (`benchmarks/cluster.py`)."""

LIMIT = 0.8
"""The limit where nobody knows up to which distance two faces match."""

NEIGHBOURS = 32
"""How many neighbours of every face are looked at."""

_BATCH = 1024


@dataclass(frozen=True)
class Cluster:
    """Faces that seem to show one person.

    person  what it is called: "unnamed 12", or a name that somebody gave
    faces   the ids of all its faces, the new ones among them
    joined  the ids of the faces that came in just now
    opened  whether it is new
    """

    person: str
    faces: tuple[int, ...]
    joined: tuple[int, ...]
    opened: bool


@dataclass(frozen=True)
class Clustering:
    """What a run of clustering has changed.

    clusters  those that faces joined, the largest first
    alone     the ids of the faces that stay with nobody
    limit     the largest mean distance (squared L2) within a person
    """

    clusters: tuple[Cluster, ...]
    alone: tuple[int, ...]
    limit: float


@dataclass(frozen=True)
class _Situation:
    """The faces that take part: those of nobody and those of the groups they may join, as rows by key."""

    keys: list[int]
    photos: list[int]
    owners: list[int | None]
    refused: dict[int, set[int]]


def cluster_faces(store: Store, *, limit: float, known: bool) -> Clustering:
    """Group the faces of nobody, and let them join the clusters that are there.

    limit  the largest mean squared distance within a person, 0..4
    known  let them join people who have a name, too

    Groups that exist are neither taken apart nor joined with each other. What other processes file meanwhile counts
    more than what is found here.
    """
    with store.reading():
        situation = _read_situation(store, known=known)
    rows = {key: row for row, key in enumerate(situation.keys)}
    loose = [key for key, owner in zip(situation.keys, situation.owners, strict=True) if owner is None]
    vectors = store.faces.vectors(situation.keys)
    groups = group_faces(
        vectors,
        _edges(store, rows, vectors, loose),
        photos=situation.photos,
        owners=situation.owners,
        refused=situation.refused,
        limit=limit,
    )
    return Clustering(*_store_groups(store, situation, groups), limit)


def _read_situation(store: Store, *, known: bool) -> _Situation:
    """Who takes part: faces of nobody, those in clusters, and with `known` those of people with a name."""
    clusters = store.people.clusters()
    rows = [row for row in store.faces.places() if known or row[2] is None or row[2] in clusters]
    numbers = {row[0]: number for number, row in enumerate(rows)}
    refused = {numbers[face]: people for face, people in store.people.refusals().items() if face in numbers}
    return _Situation([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], refused)


def _edges(
    store: Store, rows: dict[int, int], vectors: Float32Array, loose: Sequence[int]
) -> tuple[Int64Array, Float32Array]:
    """The near neighbours of the faces of nobody: pairs of rows (m, 2), and their squared distances (m,)."""
    pairs: list[tuple[int, int]] = []
    distances: list[float] = []
    for start in range(0, len(loose), _BATCH):
        batch = [rows[key] for key in loose[start : start + _BATCH]]
        found = store.faces.nearest(vectors[batch], NEIGHBOURS + 1)  # the face itself is among them
        for row, keys, near in zip(batch, found.keys.tolist(), found.distances.tolist(), strict=True):
            for key, distance in zip(keys, near, strict=True):
                other = rows.get(key)
                if other is not None and other != row:
                    pairs.append((row, other))
                    distances.append(distance)
    return np.array(pairs, np.int64).reshape(-1, 2), np.array(distances, np.float32)


def _store_groups(
    store: Store, situation: _Situation, groups: Sequence[Group]
) -> tuple[tuple[Cluster, ...], tuple[int, ...]]:
    """File the faces of nobody under their groups, all or none; what changed, and the faces that stay alone."""
    clusters, alone = [], []
    with store.changing():
        for group in groups:
            members = [situation.keys[row] for row in group.members]
            new = [key for key, row in zip(members, group.members, strict=True) if situation.owners[row] is None]
            if group.owner is None and len(members) == 1:
                alone += new
            elif new and (stored := _store_group(store, group.owner, members, new)):
                clusters.append(stored)
    clusters.sort(key=lambda cluster: (-len(cluster.faces), cluster.person))
    return tuple(clusters), tuple(sorted(alone))


def _store_group(store: Store, owner: int | None, members: Sequence[int], new: Sequence[int]) -> Cluster | None:
    """File new faces under a group; None where others have filed or removed them, or the group, meanwhile."""
    free = [key for key, person in store.faces.owners(new).items() if person is None]
    if owner is None and len(free) < 2:
        return None
    person = store.people.open_cluster() if owner is None else owner
    name = store.people.names([person]).get(person)
    if name is None or not free:
        return None
    store.faces.file(free, person)
    faces = sorted({*members} - {*new} | {*free})
    return Cluster(name, tuple(faces), tuple(sorted(free)), owner is None)


def unassign(store: Store, faces: Iterable[int]) -> int:
    """File faces under nobody; clustering will not put them back where they were. Returns how many had a person."""
    with store.changing():
        owners = _owners_of(store, faces)
        store.people.refuse(owners)
        store.faces.file(list(owners), None)
    return sum(owner is not None for owner in owners.values())


def split(store: Store, person: str | int, faces: Iterable[int], to: str | None) -> str:
    """Take faces of one person out to another: `to`, new or known, or a new cluster; returns its name."""
    name = None if to is None else checked_name(to)
    with store.changing():
        source = find_person(store, person)
        owners = _owners_of(store, faces)
        for face, owner in owners.items():
            if owner != source:
                raise FaceallError(f"face {face} is not filed under {person!r}; faceall people list NAME lists faces")
        target = store.people.open_cluster() if name is None else store.people.make(name)
        if target == source:
            raise FaceallError(f"{person!r} cannot be split from itself; give another name")
        store.people.refuse(owners)
        store.faces.file(list(owners), target)
        return store.people.names([target])[target]


def _owners_of(store: Store, faces: Iterable[int]) -> dict[int, int | None]:
    """The person's row for every face; a face that is not there is an error, and so is none at all."""
    wanted = list(dict.fromkeys(faces))
    owners = store.faces.owners(wanted)
    for face in wanted:
        if face not in owners:
            raise unknown_face(store, face)
    if not wanted:
        raise FaceallError("no face is given; faceall people list NAME lists their ids")
    return owners
