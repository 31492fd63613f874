"""Who is on this picture? The nearest faces of the gallery for every face of a query."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from faceall.errors import IndexDamagedError
from faceall.gallery.clusters import has_clusters
from faceall.gallery.people import StoredFace, find_person
from faceall.gallery.photos import unmarked
from faceall.gallery.thresholds import MatchThreshold
from faceall.index import FaceIndex
from faceall.types import Faces, Float32Array, Image, Int64Array, similarity

_FACE = (
    "SELECT faces.key, people.name, (SELECT path FROM files WHERE files.photo = faces.photo ORDER BY id LIMIT 1),"
    " x0, y0, x1, y1, score, faces.photo, faces.person, {unnamed}, chief, landmarks"
    " FROM faces LEFT JOIN people ON people.id = faces.person"
)
_UNNAMED = "EXISTS (SELECT 1 FROM clusters WHERE clusters.person = faces.person)"

_TWO = 2  # people
_FIRST_LOOK = 16  # faces to search for at least: usually of two people
_WIDER = 8  # times as many, where they are all of one


@dataclass(frozen=True)
class GalleryMatch:
    """A face of the gallery that is like a query.

    person      whom it is filed under, None for nobody
    path        a file that shows it, as last seen
    distance    squared L2 of the vectors: 0 same, 4 opposite
    similarity  their cosine: 1 same, -1 opposite
    face_id     its key, for `thumbnail`, `name_face` and `remove_face`
    matches     whether it lies within the threshold; None where there is none
    photo_id, person_id  the rows of its photo and person
    named       False where the person is a cluster of unknown faces
    """

    person: str | None
    path: Path
    distance: float
    similarity: float
    face_id: int
    matches: bool | None = None
    photo_id: int = 0
    person_id: int | None = None
    named: bool = True


@dataclass(frozen=True)
class SearchResult:
    """One face of a query picture and its matches, nearest first.

    box        x0 y0 x1 y1 in pixels of the query
    second     the nearest face of the second-best person, that is, not of the person whose named face is nearest;
               None where the gallery holds no two people. How much farther it is than the first tells how sure that is
    threshold  what the matches were judged by; None where neither the gallery nor the model has one
    landmarks  x y of left eye, right eye, nose, left and right corner of the mouth, in pixels of the query
    """

    box: tuple[float, float, float, float]
    score: float
    matches: tuple[GalleryMatch, ...]
    second: GalleryMatch | None = None
    threshold: MatchThreshold | None = None
    landmarks: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Query:
    """A picture that is asked about: its faces, their vectors (n, size), and what their matches are judged by.

    only  the keys that count, None for all
    """

    image: Image
    faces: Faces
    vectors: Float32Array
    threshold: MatchThreshold | None
    only: Int64Array | None = None


@dataclass(frozen=True)
class PersonMatch:
    """A person of the gallery who is like a query.

    person         what they are called
    distance       squared L2 to their nearest face: 0 same, 4 opposite
    similarity     its cosine: 1 same, -1 opposite
    mean_distance  the mean of the squared distances to all their faces
    faces          how many these are
    face_id, path  the nearest face, and a file that shows it
    matches        whether the nearest lies within the threshold; None where there is none
    person_id      their row
    named          False for a cluster of unknown faces
    """

    person: str
    distance: float
    similarity: float
    mean_distance: float
    faces: int
    face_id: int
    path: Path
    matches: bool | None = None
    person_id: int | None = None
    named: bool = True


@dataclass(frozen=True)
class PersonResult:
    """One face of a query picture and the people whom it may show, nearest first.

    box        x0 y0 x1 y1 in pixels of the query
    threshold  what the matches were judged by; None where neither the gallery nor the model has one
    landmarks  as of `SearchResult`
    """

    box: tuple[float, float, float, float]
    score: float
    people: tuple[PersonMatch, ...]
    threshold: MatchThreshold | None = None
    landmarks: tuple[tuple[float, float], ...] = ()


def match_people(index: FaceIndex, query: Query, k: int, limit: float | None) -> list[PersonResult]:
    """The k nearest people of the gallery for every face, at most `limit` away."""
    results = []
    near = _neighbours(index, query, k, people=_count_people(index, k))
    for face, vector, matches in zip(query.faces, query.vectors, near, strict=True):
        best: dict[str, GalleryMatch] = {}
        for match in matches:
            if match.person is not None and (limit is None or match.distance <= limit):
                best.setdefault(match.person, match)
        people = (_person_match(index, vector, match) for match in list(best.values())[:k])
        shown = tuple(person for person in people if person is not None)
        corners, points = _corners(face.box.tolist()), _points(face.landmarks.tolist())
        results.append(PersonResult(corners, face.score, shown, query.threshold, points))
    return results


def _person_match(index: FaceIndex, vector: Float32Array, best: GalleryMatch) -> PersonMatch | None:
    """The person of a match with the distances to all their faces; None where they are removed at this moment."""
    with index.reading() as connection:
        statement = "SELECT key FROM faces JOIN people ON people.id = person WHERE name = ?"
        keys = [row[0] for row in connection.execute(statement, (best.person,))]
    distances = index.search(vector, max(len(keys), 1), only=keys, exact=True).distances
    if not distances.size:
        return None
    return PersonMatch(
        str(best.person),
        best.distance,
        best.similarity,
        float(distances.mean()),
        int(distances.size),
        best.face_id,
        best.path,
        best.matches,
        best.person_id,
        best.named,
    )


def match_faces(index: FaceIndex, query: Query, k: int, limit: float | None) -> list[SearchResult]:
    """The k nearest faces of the gallery for every face, at most `limit` away."""
    results = []
    people = _TWO if _count_people(index, _TWO) == _TWO else 0  # without two there is no second-best to look for
    for face, near in zip(query.faces, _neighbours(index, query, k, people=people), strict=True):
        shown = tuple(match for match in near[:k] if limit is None or match.distance <= limit)
        corners, points = _corners(face.box.tolist()), _points(face.landmarks.tolist())
        results.append(SearchResult(corners, face.score, shown, _second(near), query.threshold, points))
    return results


def _neighbours(index: FaceIndex, query: Query, k: int, *, people: int) -> list[list[GalleryMatch]]:
    """For every vector at least k faces (fewer where there are fewer), and as many more as so many people take.

    Of a face that is removed at this moment nothing is said.
    """
    near: list[list[GalleryMatch]] = [[] for _ in query.vectors]
    open_ones, wanted = list(range(len(near))), max(k, _FIRST_LOOK)
    while open_ones:
        found = index.search(query.vectors[open_ones], wanted, only=query.only)
        with index.reading() as connection:
            stored = load_faces(connection, found.keys.reshape(-1).tolist())
        for place, keys, distances in zip(open_ones, found.keys.tolist(), found.distances.tolist(), strict=True):
            near[place] = [
                _match(stored[key], distance, query.threshold)
                for key, distance in zip(keys, distances, strict=True)
                if key in stored
            ]
        if found.keys.shape[1] < wanted:
            break
        open_ones = [place for place in open_ones if _people_among(near[place]) < people]
        wanted *= _WIDER
    return near


def _match(face: StoredFace, distance: float, threshold: MatchThreshold | None) -> GalleryMatch:
    within = None if threshold is None else distance <= threshold.distance
    return GalleryMatch(
        face.person,
        face.path,
        distance,
        similarity(distance),
        face.face_id,
        within,
        face.photo_id,
        face.person_id,
        face.named,
    )


def _count_people(index: FaceIndex, at_most: int) -> int:
    """How many people have a face in the gallery; no more are counted than asked for."""
    statement = "SELECT DISTINCT person FROM faces WHERE person NOTNULL LIMIT ?"
    with index.reading() as connection:
        return len(connection.execute(statement, (at_most,)).fetchall())


def _people_among(near: list[GalleryMatch]) -> int:
    return len({match.person for match in near} - {None})


def _second(near: list[GalleryMatch]) -> GalleryMatch | None:
    """The nearest face of somebody else than the person of the nearest named face."""
    named = [match for match in near if match.person is not None]
    return next((match for match in named if match.person != named[0].person), None)


def keys_of_people(connection: sqlite3.Connection, people: Iterable[str]) -> Int64Array:
    """(n,) int64, the keys of all faces of these people. Raises UnknownPersonError."""
    rows = [find_person(connection, person) for person in people]
    keys = (connection.execute("SELECT key FROM faces WHERE person = ?", (row,)).fetchall() for row in rows)
    return np.array(list(chain.from_iterable(chain.from_iterable(keys))), np.int64)


def load_faces(connection: sqlite3.Connection, keys: list[int]) -> dict[int, StoredFace]:
    """The faces of some keys; those that are not there are left out."""
    statement = f"{_face_query(connection)} WHERE faces.key = ?"
    rows = (connection.execute(statement, (key,)).fetchone() for key in set(keys))
    return {row[0]: _stored(row) for row in rows if row}


def select_faces(connection: sqlite3.Connection, rest: str, values: Sequence[object] = ()) -> list[StoredFace]:
    """The faces that a WHERE clause, and what else stands behind FROM, selects."""
    return [_stored(row) for row in connection.execute(f"{_face_query(connection)} {rest}", values)]


def _face_query(connection: sqlite3.Connection) -> str:
    return _FACE.format(unnamed=_UNNAMED if has_clusters(connection) else "0")


def load_face(connection: sqlite3.Connection, key: int) -> Faces:
    """One stored face in its photo, with its landmarks; none where it is not there."""
    statement = "SELECT x0, y0, x1, y1, score, landmarks FROM faces WHERE key = ?"
    row = connection.execute(statement, (key,)).fetchone()
    if row is None:
        return Faces.empty()
    landmarks = np.frombuffer(row[5], "<f4").reshape(1, 5, 2).astype(np.float32)
    return Faces(np.array([row[:4]], np.float32), np.array([row[4]], np.float32), landmarks)


def list_faces(connection: sqlite3.Connection, person: int | None = None, path: Path | None = None) -> list[StoredFace]:
    """The faces of a person (their row), or of the photo at a path, or all, by key."""
    if person is not None:
        return select_faces(connection, "WHERE faces.person = ? ORDER BY key", (person,))
    if path is not None:
        where = "WHERE faces.photo = (SELECT photo FROM files WHERE path = ?) ORDER BY key"
        return select_faces(connection, where, (os.fsencode(path),))
    return select_faces(connection, "ORDER BY key")


def _stored(row: Sequence[Any]) -> StoredFace:
    try:
        return _as_face(row)
    except (TypeError, ValueError, AttributeError) as error:
        raise IndexDamagedError(f"face {row[0]} is damaged: save what can be read (faceall index repair)") from error


def _as_face(row: Sequence[Any]) -> StoredFace:
    key, person, path, x0, y0, x1, y1, score, photo_id, person_id, unnamed, chief, landmarks = row
    points = _points(np.frombuffer(landmarks, "<f4").reshape(5, 2).tolist())
    seen = Path(os.fsdecode(unmarked(path or b"")))
    return StoredFace(key, person, seen, (x0, y0, x1, y1), score, photo_id, person_id, not unnamed, bool(chief), points)


def _points(landmarks: list[list[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in landmarks)


def _corners(box: list[float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return x0, y0, x1, y1
