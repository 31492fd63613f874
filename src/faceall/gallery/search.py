"""Who is on this picture? The nearest faces of the gallery for every face of a query."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from faceall.gallery.people import StoredFace
from faceall.gallery.photos import unmarked
from faceall.gallery.thresholds import MatchThreshold
from faceall.index import FaceIndex
from faceall.types import Faces, Float32Array, similarity

_FACE = (
    "SELECT faces.key, people.name, (SELECT path FROM files WHERE files.photo = faces.photo ORDER BY id LIMIT 1),"
    " x0, y0, x1, y1, score FROM faces LEFT JOIN people ON people.id = faces.person"
)

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
    """

    person: str | None
    path: Path
    distance: float
    similarity: float
    face_id: int
    matches: bool | None = None


@dataclass(frozen=True)
class SearchResult:
    """One face of a query picture and its matches, nearest first.

    box        x0 y0 x1 y1 in pixels of the query
    second     the nearest face of the second-best person, that is, not of the person whose named face is nearest;
               None where the gallery holds no two people. How much farther it is than the first tells how sure that is
    threshold  what the matches were judged by; None where neither the gallery nor the model has one
    """

    box: tuple[float, float, float, float]
    score: float
    matches: tuple[GalleryMatch, ...]
    second: GalleryMatch | None = None
    threshold: MatchThreshold | None = None


def match_faces(
    index: FaceIndex,
    faces: Faces,
    vectors: Float32Array,
    k: int,
    limit: float | None,
    threshold: MatchThreshold | None = None,
) -> list[SearchResult]:
    """The k nearest faces of the gallery for every face, at most `limit` away, judged by `threshold`."""
    results = []
    for face, near in zip(faces, _neighbours(index, vectors, k, threshold), strict=True):
        shown = tuple(match for match in near[:k] if limit is None or match.distance <= limit)
        results.append(SearchResult(_corners(face.box.tolist()), face.score, shown, _second(near), threshold))
    return results


def _neighbours(
    index: FaceIndex, vectors: Float32Array, k: int, threshold: MatchThreshold | None
) -> list[list[GalleryMatch]]:
    """For every vector at least k faces (fewer where there are fewer), and as many more as two people take.

    Of a face that is removed at this moment nothing is said.
    """
    near: list[list[GalleryMatch]] = [[] for _ in vectors]
    open_ones, wanted = list(range(len(vectors))), max(k, _FIRST_LOOK)
    with index.reading() as connection:
        several = len(connection.execute("SELECT DISTINCT person FROM faces WHERE person NOTNULL LIMIT 2").fetchall())
    while open_ones:
        found = index.search(vectors[open_ones], wanted)
        with index.reading() as connection:
            stored = load_faces(connection, found.keys.reshape(-1).tolist())
        for place, keys, distances in zip(open_ones, found.keys.tolist(), found.distances.tolist(), strict=True):
            near[place] = [
                _match(stored[key], distance, threshold)
                for key, distance in zip(keys, distances, strict=True)
                if key in stored
            ]
        if several < _TWO or found.keys.shape[1] < wanted:
            break
        open_ones = [place for place in open_ones if _second(near[place]) is None]
        wanted *= _WIDER
    return near


def _match(face: StoredFace, distance: float, threshold: MatchThreshold | None) -> GalleryMatch:
    within = None if threshold is None else distance <= threshold.distance
    return GalleryMatch(face.person, face.path, distance, similarity(distance), face.face_id, within)


def _second(near: list[GalleryMatch]) -> GalleryMatch | None:
    """The nearest face of somebody else than the person of the nearest named face."""
    named = [match for match in near if match.person is not None]
    return next((match for match in named if match.person != named[0].person), None)


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
