"""Who is on this picture? The nearest faces of the gallery for every face of a query."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from faceall.gallery.people import StoredFace
from faceall.gallery.photos import unmarked
from faceall.index import FaceIndex
from faceall.types import Faces, Float32Array, similarity

_FACE = (
    "SELECT faces.key, people.name, (SELECT path FROM files WHERE files.photo = faces.photo ORDER BY id LIMIT 1),"
    " x0, y0, x1, y1, score FROM faces LEFT JOIN people ON people.id = faces.person"
)


@dataclass(frozen=True)
class GalleryMatch:
    """A face of the gallery that is like a query.

    person      whom it is filed under, None for nobody
    path        a file that shows it, as last seen
    distance    squared L2 of the vectors: 0 same, 4 opposite
    similarity  their cosine: 1 same, -1 opposite
    face_id     its key, for `thumbnail`, `name_face` and `remove_face`
    """

    person: str | None
    path: Path
    distance: float
    similarity: float
    face_id: int


@dataclass(frozen=True)
class SearchResult:
    """One face of a query picture and its matches, nearest first.

    box  x0 y0 x1 y1 in pixels of the query
    """

    box: tuple[float, float, float, float]
    score: float
    matches: tuple[GalleryMatch, ...]


def match_faces(
    index: FaceIndex, faces: Faces, vectors: Float32Array, k: int, threshold: float | None
) -> list[SearchResult]:
    """The k nearest faces of the gallery for every face, at most `threshold` away."""
    if not len(faces):
        return []
    found = index.search(vectors, k)
    results = []
    with index.reading() as connection:
        stored = load_faces(connection, found.keys.reshape(-1).tolist())
    for face, keys, distances in zip(faces, found.keys.tolist(), found.distances.tolist(), strict=True):
        matches = tuple(
            GalleryMatch(stored[key].person, stored[key].path, distance, similarity(distance), key)
            for key, distance in zip(keys, distances, strict=True)
            if key in stored and (threshold is None or distance <= threshold)  # it may be removed at this moment
        )
        results.append(SearchResult(_corners(face.box.tolist()), face.score, matches))
    return results


def load_faces(connection: sqlite3.Connection, keys: list[int]) -> dict[int, StoredFace]:
    """The faces of some keys; those that are not there are left out."""
    rows = (connection.execute(f"{_FACE} WHERE faces.key = ?", (key,)).fetchone() for key in set(keys))
    return {row[0]: _stored(row) for row in rows if row}


def list_faces(connection: sqlite3.Connection, person: int | None = None, path: Path | None = None) -> list[StoredFace]:
    """The faces of a person (their row), or of the photo at a path, or all, by key."""
    if person is not None:
        return [_stored(row) for row in connection.execute(f"{_FACE} WHERE person = ? ORDER BY key", (person,))]
    if path is not None:
        where = "WHERE faces.photo = (SELECT photo FROM files WHERE path = ?) ORDER BY key"
        return [_stored(row) for row in connection.execute(f"{_FACE} {where}", (os.fsencode(path),))]
    return [_stored(row) for row in connection.execute(f"{_FACE} ORDER BY key")]


def _stored(row: tuple[int, str | None, bytes | None, float, float, float, float, float]) -> StoredFace:
    key, person, path, x0, y0, x1, y1, score = row
    return StoredFace(key, person, Path(os.fsdecode(unmarked(path or b""))), (x0, y0, x1, y1), score)


def _corners(box: list[float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return x0, y0, x1, y1
