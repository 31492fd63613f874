"""Faces that nobody has named, grouped by who they seem to be; and the corrections that a person makes by hand.

A cluster is a person without a name of their own, called "unnamed 12" until somebody renames it. The tables are made
when they are first needed.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from faceall.errors import FaceallError
from faceall.gallery.grouping import Group, group_faces
from faceall.gallery.people import checked_name, find_person, unknown_face
from faceall.gallery.photos import forget_nobodies, person_id
from faceall.index import FaceIndex
from faceall.types import Float32Array, Int64Array

LIMIT = 0.8
"""The mean squared distance up to which two groups are one person, unless told otherwise."""

NEIGHBOURS = 32
"""How many neighbours of every face are looked at."""

_BATCH = 1024
_TABLES = (
    "CREATE TABLE clusters (person INTEGER PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE)",
    "CREATE TRIGGER clusters_named AFTER UPDATE OF name ON people WHEN new.name <> old.name BEGIN"
    " DELETE FROM clusters WHERE person = new.id; END",
    # whom a face is known not to show: what was taken apart by hand stays apart
    "CREATE TABLE refusals (face INTEGER NOT NULL REFERENCES faces (key) ON DELETE CASCADE,"
    " person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE, PRIMARY KEY (face, person)) WITHOUT ROWID",
    "CREATE INDEX refusals_person ON refusals (person)",
)


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
    """

    clusters: tuple[Cluster, ...]
    alone: tuple[int, ...]


@dataclass(frozen=True)
class _Situation:
    """The faces that take part: those of nobody and those of the groups they may join, as rows by key."""

    keys: list[int]
    photos: list[int]
    owners: list[int | None]
    refused: dict[int, set[int]]


def cluster_faces(index: FaceIndex, *, limit: float, known: bool) -> Clustering:
    """Group the faces of nobody, and let them join the clusters that are there.

    limit  the largest mean squared distance within a person, 0..4
    known  let them join people who have a name, too

    Groups that exist are neither taken apart nor joined with each other. What other processes file meanwhile counts
    more than what is found here.
    """
    with index.reading() as connection:
        situation = _read_situation(connection, known=known)
    rows = {key: row for row, key in enumerate(situation.keys)}
    loose = [key for key, owner in zip(situation.keys, situation.owners, strict=True) if owner is None]
    vectors = _vectors_of(index, situation.keys)
    groups = group_faces(
        vectors,
        _edges(index, rows, vectors, loose),
        photos=situation.photos,
        owners=situation.owners,
        refused=situation.refused,
        limit=limit,
    )
    return _store(index, situation, groups)


def _read_situation(connection: sqlite3.Connection, *, known: bool) -> _Situation:
    """Who takes part: faces of nobody, those in clusters, and with `known` those of people with a name."""
    present = has_clusters(connection)
    clusters = {row[0] for row in connection.execute("SELECT person FROM clusters")} if present else set()
    rows = [
        row
        for row in connection.execute("SELECT key, photo, person FROM faces ORDER BY key")
        if known or row[2] is None or row[2] in clusters
    ]
    numbers = {row[0]: number for number, row in enumerate(rows)}
    refused: dict[int, set[int]] = defaultdict(set)
    for face, person in connection.execute("SELECT face, person FROM refusals") if present else ():
        if face in numbers:
            refused[numbers[face]].add(person)
    return _Situation([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], dict(refused))


def _vectors_of(index: FaceIndex, keys: Sequence[int]) -> Float32Array:
    """(n, dimension) float32, one row per key."""
    vectors = np.zeros((len(keys), index.dimension or 0), np.float32)
    for row, key in enumerate(keys):
        vectors[row] = index[key]
    return vectors


def _edges(
    index: FaceIndex, rows: dict[int, int], vectors: Float32Array, loose: Sequence[int]
) -> tuple[Int64Array, Float32Array]:
    """The near neighbours of the faces of nobody: pairs of rows (m, 2), and their squared distances (m,)."""
    pairs: list[tuple[int, int]] = []
    distances: list[float] = []
    for start in range(0, len(loose), _BATCH):
        batch = [rows[key] for key in loose[start : start + _BATCH]]
        found = index.search(vectors[batch], NEIGHBOURS + 1)  # the face itself is among them
        for row, keys, near in zip(batch, found.keys.tolist(), found.distances.tolist(), strict=True):
            for key, distance in zip(keys, near, strict=True):
                other = rows.get(key)
                if other is not None and other != row:
                    pairs.append((row, other))
                    distances.append(distance)
    return np.array(pairs, np.int64).reshape(-1, 2), np.array(distances, np.float32)


def _store(index: FaceIndex, situation: _Situation, groups: Sequence[Group]) -> Clustering:
    """File the faces of nobody under their groups, in one transaction."""
    clusters, alone = [], []
    with index.transaction() as connection:
        _make_tables(connection)
        for group in groups:
            members = [situation.keys[row] for row in group.members]
            new = [key for key, row in zip(members, group.members, strict=True) if situation.owners[row] is None]
            if group.owner is None and len(members) == 1:
                alone += new
            elif new and (stored := _store_group(connection, group.owner, members, new)):
                clusters.append(stored)
    clusters.sort(key=lambda cluster: (-len(cluster.faces), cluster.person))
    return Clustering(tuple(clusters), tuple(sorted(alone)))


def _store_group(
    connection: sqlite3.Connection, owner: int | None, members: Sequence[int], new: Sequence[int]
) -> Cluster | None:
    """File new faces under a group; None where others have filed or removed them, or the group, meanwhile."""
    free = [key for key in new if _is_nobodys(connection, key)]
    if owner is None and len(free) < 2:
        return None
    person = _open_cluster(connection) if owner is None else owner
    row = connection.execute("SELECT name FROM people WHERE id = ?", (person,)).fetchone()
    if row is None or not free:
        return None
    connection.executemany("UPDATE faces SET person = ? WHERE key = ?", [(person, key) for key in free])
    faces = sorted({*members} - {*new} | {*free})
    return Cluster(row[0], tuple(faces), tuple(sorted(free)), owner is None)


def _is_nobodys(connection: sqlite3.Connection, key: int) -> bool:
    return connection.execute("SELECT 1 FROM faces WHERE key = ? AND person IS NULL", (key,)).fetchone() is not None


def _open_cluster(connection: sqlite3.Connection) -> int:
    """A new person without a name of their own; returns the row."""
    draft = connection.execute("INSERT INTO people (name) VALUES (hex(randomblob(16)))").lastrowid
    assert draft is not None
    name = f"unnamed {draft}"
    while connection.execute("SELECT 1 FROM people WHERE name = ?", (name,)).fetchone():
        name += "*"  # somebody has given that name by hand
    connection.execute("UPDATE people SET name = ? WHERE id = ?", (name, draft))
    connection.execute("INSERT INTO clusters (person) VALUES (?)", (draft,))
    return draft


def has_clusters(connection: sqlite3.Connection) -> bool:
    """Whether the gallery has the tables of this module."""
    statement = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'clusters'"
    return connection.execute(statement).fetchone() is not None


def cluster_names(connection: sqlite3.Connection) -> frozenset[str]:
    """What the people without a name of their own are called."""
    if not has_clusters(connection):
        return frozenset()
    return frozenset(row[0] for row in connection.execute("SELECT name FROM people JOIN clusters ON person = id"))


def unassign(index: FaceIndex, faces: Iterable[int]) -> int:
    """File faces under nobody; clustering will not put them back where they were. Returns how many had a person."""
    with index.transaction() as connection:
        _make_tables(connection)
        owners = _owners_of(index, connection, faces)
        _refuse(connection, owners)
        connection.executemany("UPDATE faces SET person = NULL WHERE key = ?", [(face,) for face in owners])
        forget_nobodies(connection)
    return sum(owner is not None for owner in owners.values())


def split(index: FaceIndex, person: str | int, faces: Iterable[int], to: str | None) -> str:
    """Take faces of one person out to another: `to`, new or known, or a new cluster; returns its name."""
    name = None if to is None else checked_name(to)
    with index.transaction() as connection:
        _make_tables(connection)
        source = find_person(connection, person)
        owners = _owners_of(index, connection, faces)
        for face, owner in owners.items():
            if owner != source:
                raise FaceallError(f"face {face} is not filed under {person!r}; faceall people list NAME lists faces")
        target = _open_cluster(connection) if name is None else person_id(connection, name)
        if target == source:
            raise FaceallError(f"{person!r} cannot be split from itself; give another name")
        _refuse(connection, owners)
        connection.executemany("UPDATE faces SET person = ? WHERE key = ?", [(target, face) for face in owners])
        forget_nobodies(connection)
        return str(connection.execute("SELECT name FROM people WHERE id = ?", (target,)).fetchone()[0])


def _owners_of(index: FaceIndex, connection: sqlite3.Connection, faces: Iterable[int]) -> dict[int, int | None]:
    """The person's row for every face; a face that is not there is an error, and so is none at all."""
    owners: dict[int, int | None] = {}
    for face in faces:
        if face not in index:  # a number that SQLite cannot hold too
            raise unknown_face(index, face)
        row = connection.execute("SELECT person FROM faces WHERE key = ?", (face,)).fetchone()
        if row is None:
            raise unknown_face(index, face)
        owners[face] = row[0]
    if not owners:
        raise FaceallError("no face is given; faceall people list NAME lists their ids")
    return owners


def _refuse(connection: sqlite3.Connection, owners: dict[int, int | None]) -> None:
    """Note that these faces do not show whom they were filed under."""
    pairs = [(face, owner) for face, owner in owners.items() if owner is not None]
    connection.executemany("INSERT OR IGNORE INTO refusals (face, person) VALUES (?, ?)", pairs)


def _make_tables(connection: sqlite3.Connection) -> None:
    if not has_clusters(connection):
        for statement in _TABLES:
            connection.execute(statement)
