"""Group unassigned faces into clusters, and correct clusters by hand.

A cluster is a person without a name, called "unnamed 12" until it is renamed.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt

from faceall.analysis.blur import which_are_blurred
from faceall.analysis.quality import is_poor
from faceall.errors import FaceallError
from faceall.gallery.people.clustering.grouping import Group, group_faces
from faceall.gallery.people.clustering.near_pairs import near_pairs
from faceall.gallery.people.names import find_person, unknown_face, validate_name
from faceall.gallery.people.recording import recording
from faceall.gallery.store import Store
from faceall.types import Face, Float32Array, Int64Array

THRESHOLD_SHARE = 0.78
"""Limit of a person's mean squared distance, as a share of the match threshold.

Measured on LFW view 1 with 128- and 512-dimensional models (`benchmarks/cluster.py`)."""

DEFAULT_LIMIT = 0.8
"""Limit of a person's mean squared distance if the match threshold is unknown."""

WRONG_NEIGHBOURS = 0.1
"""Share of faces of people without another face that find a wrong neighbour within the default limit.

Measured on 300 people of CelebA: the groups have a BCubed precision of 0.998, 0.97 on LFW view 1, whose 963 people have
1.6 photos each."""

CLOSE = 0.6
"""Share of the limit up to which a face that is small, blurred, turned away or cut off joins a group."""

NEIGHBOURS = 32
"""Number of neighbours of each face that are compared."""

MANY = 5_000
"""Unassigned faces above which all pairs are found in one pass rather than by a search of the index per face."""

_BATCH = 1024

_GROUPS = 2_000
"""Groups that one transaction stores."""


@dataclass(frozen=True)
class Cluster:
    """Faces that seem to show one person.

    Attributes
    ----------
    person : str
        The name: "unnamed 12" for a cluster without one.
    faces : tuple of int
        The ids of all its faces, new ones included.
    joined : tuple of int
        The ids of the faces that this run added.
    opened : bool
        Whether this run created it.
    """

    person: str
    faces: tuple[int, ...]
    joined: tuple[int, ...]
    opened: bool


@dataclass(frozen=True)
class Clustering:
    """The result of clustering.

    Attributes
    ----------
    clusters : tuple of Cluster
        The clusters and people that got new faces, largest first.
    alone : tuple of int
        The ids of the faces that remain unassigned.
    limit : float
        The largest mean distance (squared L2) within a person.
    """

    clusters: tuple[Cluster, ...]
    alone: tuple[int, ...]
    limit: float


@dataclass(frozen=True)
class _Participants:
    """The unassigned faces and those of the groups that they may join, as parallel lists."""

    keys: list[int]
    photos: list[int]
    owners: list[int | None]
    refused: dict[int, set[int]]
    of_videos: frozenset[int]


def cluster_faces(store: Store, *, limit: float, known: bool) -> Clustering:
    """Group the unassigned faces, and add them to existing clusters.

    Existing groups are neither split nor joined. Changes that other processes make in the meantime have priority.

    Parameters
    ----------
    store : Store
        The gallery.
    limit : float
        The largest mean squared distance within a person, 0 to 4.
    known : bool
        Also add faces to people who have a name.

    Returns
    -------
    Clustering
    """
    with store.reading():
        participants = _read_participants(store, known=known)
    rows = {key: row for row, key in enumerate(participants.keys)}
    loose = [key for key, owner in zip(participants.keys, participants.owners, strict=True) if owner is None]
    vectors = store.faces.vectors(participants.keys)
    edges = _edges(store, rows, vectors, loose, limit)
    poor = _poor_rows(store, rows, loose, set(edges[0][edges[1] <= limit].reshape(-1).tolist()))
    founds_none = poor.copy()
    founds_none[[rows[key] for key in participants.of_videos if key in rows]] = True
    groups = group_faces(
        vectors,
        _without_poor(edges, poor, CLOSE * limit),
        photos=participants.photos,
        owners=participants.owners,
        refused=participants.refused,
        limit=limit,
    )
    founded = [part for group in groups for part in _founded(group, founds_none)]
    return Clustering(*_store_groups(store, participants, founded), limit)


def _poor_rows(store: Store, rows: dict[int, int], loose: Sequence[int], near: Container[int]) -> npt.NDArray[np.bool_]:
    """Return which rows are unassigned faces that are small, turned away, cut off, or blurred and near another face."""
    poor = np.zeros(len(rows), bool)
    for key in which_are_blurred(_doubtful(store, rows, loose, near, poor)):
        poor[rows[key]] = True
    return poor


def _doubtful(
    store: Store, rows: dict[int, int], loose: Sequence[int], near: Container[int], poor: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, bytes, Face]]:
    """Set the rows of `poor` as far as boxes and landmarks tell, and yield the other faces that are near another one.

    They come with their thumbnails; those whose thumbnail is missing or damaged are left out.
    """
    for start in range(0, len(loose), _BATCH):
        doubtful: dict[int, Face] = {}
        for key, (face, size) in store.faces.outlines(loose[start : start + _BATCH]).items():
            row = rows[key]
            poor[row] = is_poor(face, size)
            if row in near and not poor[row]:
                doubtful[key] = face
        for key, thumbnail in store.faces.thumbnails(list(doubtful)).items():
            yield key, thumbnail, doubtful[key]


def _without_poor(
    edges: tuple[Int64Array, Float32Array], poor: npt.NDArray[np.bool_], limit: float
) -> tuple[Int64Array, Float32Array]:
    """Drop the edges between two poor faces, and those of one poor face that are longer than `limit`."""
    pairs, distances = edges
    count = poor[pairs].sum(axis=1)
    keep = (count == 0) | ((count == 1) & (distances <= limit))
    return pairs[keep], distances[keep]


def _founded(group: Group, founds_none: npt.NDArray[np.bool_]) -> list[Group]:
    """Take a new group apart if it has fewer than two good faces: poor faces and those of videos start no people."""
    if group.owner is not None or len(group.members) < 2 or (~founds_none[group.members]).sum() > 1:
        return [group]
    return [replace(group, members=[row]) for row in group.members]


def _read_participants(store: Store, *, known: bool) -> _Participants:
    """Read the unassigned faces that are not hidden, those in clusters, with `known` also those of named people."""
    clusters, hidden = store.people.clusters(), store.faces.hidden()
    rows = [
        (key, photo, person)
        for key, photo, person in store.faces.assignments()
        if (known or person is None or person in clusters) and not (person is None and key in hidden)
    ]
    numbers = {row[0]: number for number, row in enumerate(rows)}
    refused = {numbers[face]: people for face, people in store.people.rejections().items() if face in numbers}
    of_videos = store.faces.of_videos()
    keys, owners = [row[0] for row in rows], [row[2] for row in rows]
    photos = [-key if key in of_videos else photo for key, photo, _ in rows]  # a video may show a person often
    return _Participants(keys, photos, owners, refused, of_videos)


def _edges(
    store: Store, rows: dict[int, int], vectors: Float32Array, loose: Sequence[int], limit: float
) -> tuple[Int64Array, Float32Array]:
    """Find the near neighbours of the unassigned faces: pairs of rows (m, 2), and their squared distances (m,)."""
    if len(loose) > MANY:
        return near_pairs(vectors, np.array([rows[key] for key in loose], np.int64), limit, NEIGHBOURS)
    known = np.array(sorted(rows), np.int64)
    places = np.array([rows[key] for key in known.tolist()], np.int64)
    pairs, distances = [np.empty((0, 2), np.int64)], [np.empty(0, np.float32)]
    for start in range(0, len(loose), _BATCH):
        batch = np.array([rows[key] for key in loose[start : start + _BATCH]], np.int64)
        found = store.faces.nearest(vectors[batch], NEIGHBOURS + 1)  # the face itself is among them
        position = np.minimum(np.searchsorted(known, found.keys), len(known) - 1)
        others, first = places[position], np.broadcast_to(batch[:, None], found.keys.shape)
        there = (known[position] == found.keys) & (others != first)
        pairs.append(np.stack([first[there], others[there]], axis=1))
        distances.append(np.asarray(found.distances[there], np.float32))
    return np.concatenate(pairs), np.concatenate(distances)


def _store_groups(
    store: Store, participants: _Participants, groups: Sequence[Group]
) -> tuple[tuple[Cluster, ...], tuple[int, ...]]:
    """Assign the unassigned faces to their groups; return what changed, and the faces left over.

    A transaction stores a limited number of groups: what it has stored remains when a later one is interrupted, and
    the next run continues with the faces that are left.
    """
    clusters: list[Cluster] = []
    alone: list[int] = []
    for start in range(0, len(groups), _GROUPS):
        with recording(store, "cluster") as details:
            stored, left = _store_batch(store, participants, groups[start : start + _GROUPS])
            details["faces"] = sum(len(cluster.joined) for cluster in stored)
        clusters += stored
        alone += left
    clusters.sort(key=lambda cluster: (-len(cluster.faces), cluster.person))
    return tuple(clusters), tuple(sorted(alone))


def _store_batch(store: Store, participants: _Participants, groups: Sequence[Group]) -> tuple[list[Cluster], list[int]]:
    """Assign the unassigned faces of some groups, except those that another process has assigned or removed."""
    keys, owners = participants.keys, participants.owners
    new = [[keys[row] for row in group.members if owners[row] is None] for group in groups]
    free = {key for key, person in store.faces.owners(list(chain.from_iterable(new))).items() if person is None}
    names = store.people.names({group.owner for group in groups if group.owner is not None})
    alone: list[int] = []
    stored: list[tuple[int, Group, list[int]]] = []
    for group, added in zip(groups, new, strict=True):
        still = [key for key in added if key in free]
        if group.owner is None and len(group.members) == 1:
            alone += added
        elif still and (person := _person_of(store, group.owner, still, names)) is not None:
            stored.append((person, group, still))
    store.faces.assign_each({face: person for person, _, faces in stored for face in faces})
    names |= store.people.names({person for person, _, _ in stored} - names.keys())
    clusters = []
    for person, group, still in stored:
        faces = {keys[row] for row in group.members if owners[row] is not None} | {*still}
        clusters.append(Cluster(names[person], tuple(sorted(faces)), tuple(sorted(still)), group.owner is None))
    return clusters, alone


def _person_of(store: Store, owner: int | None, faces: Sequence[int], names: Mapping[int, str]) -> int | None:
    """Return the person who gets the faces of a group; None for one face alone, or if the group was removed."""
    if owner is None:
        return store.people.open_cluster() if len(faces) > 1 else None
    return owner if owner in names else None


def unassign(store: Store, faces: Iterable[int]) -> int:
    """Unassign faces; clustering will not assign them to the same people again.

    Returns
    -------
    int
        The number of faces that had a person.

    Raises
    ------
    UnknownFaceError
        One of the faces does not exist; nothing was changed.
    FaceallError
        No face was given.
    """
    with recording(store, "unassign") as details:
        owners = _owners_of(store, faces)
        store.people.reject(owners)
        store.faces.assign(list(owners), None)
        details["faces"] = sum(owner is not None for owner in owners.values())
    return sum(owner is not None for owner in owners.values())


def split(store: Store, person: str | int, faces: Iterable[int], to: str | None) -> str:
    """Move faces of one person to another person or to a new cluster.

    Parameters
    ----------
    store : Store
        The gallery.
    person : str or int
        The name or id of the person who has the faces.
    faces : iterable of int
        The ids of the faces.
    to : str or None
        The name of the other person, who is added if new; None for a new cluster.

    Returns
    -------
    str
        The name of the person or cluster that has the faces now.

    Raises
    ------
    UnknownPersonError, UnknownFaceError
        The person or a face does not exist.
    FaceallError
        A face belongs to someone else, no face was given, or `to` is the same person or not a valid name. Nothing was
        changed.
    """
    name = None if to is None else validate_name(to)
    with recording(store, "split") as details:
        source = find_person(store, person)
        owners = _owners_of(store, faces)
        for face, owner in owners.items():
            if owner != source:
                raise FaceallError(f"face {face} does not belong to {person!r}; faceall people list NAME lists faces")
        target = store.people.open_cluster() if name is None else store.people.make(name)
        if target == source:
            raise FaceallError(f"{person!r} cannot be split from itself; give another name")
        names = store.people.names([source, target])
        store.people.reject(owners)
        store.people.confirm(owners, target)
        store.faces.assign(list(owners), target)
        details.update(person=names[source], to=names[target], faces=len(owners))
        return names[target]


def _owners_of(store: Store, faces: Iterable[int]) -> dict[int, int | None]:
    """Return the person (row) of every face; raise FaceallError for an unknown face, or if there is none."""
    wanted = list(dict.fromkeys(faces))
    owners = store.faces.owners(wanted)
    for face in wanted:
        if face not in owners:
            raise unknown_face(store, face)
    if not wanted:
        raise FaceallError("no face was given; faceall people list NAME lists their ids")
    return owners
