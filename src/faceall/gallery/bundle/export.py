"""A gallery, or some of its people, as one file for another machine or a phone: docs/explanation/gallery-bundle.md."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import faceall
from faceall.errors import IndexFileError
from faceall.gallery.bundle.archive import written_archive
from faceall.gallery.bundle.checks import FlawError, check_vectors
from faceall.gallery.bundle.reader import MOST_FACES
from faceall.gallery.bundle.records import BundleFace, BundlePerson, BundlePhoto, Contents, list_json, manifest_json
from faceall.gallery.embedded import EmbeddedStore
from faceall.gallery.embedded.columns import unmarked
from faceall.gallery.people.names import find_person
from faceall.index import FaceIndex
from faceall.models import ModelFolder
from faceall.types import Float32Array

_COLUMNS = (
    "is_primary, (SELECT path FROM files WHERE photo = photos.id ORDER BY id LIMIT 1), hash, width, height,"
    " x0, y0, x1, y1, landmarks, score"
)
_FACES = (
    f"SELECT faces.key, i.id, p.id, {_COLUMNS}, i.created, i.changed, faces.person"
    " FROM faces JOIN face_ids i ON i.face = faces.key JOIN photos ON photos.id = faces.photo"
    " LEFT JOIN person_ids p ON p.person = faces.person ORDER BY i.id"
)
_PEOPLE = "SELECT i.id, name, created, changed FROM person_ids i JOIN people p ON p.id = i.person"


@dataclass(frozen=True)
class BundleExport:
    """What went into a bundle, and its size in bytes."""

    path: Path
    people: int
    faces: int
    size: int


def export_bundle(
    index: FaceIndex,
    model: ModelFolder,
    path: Path,
    *,
    people: Sequence[str] | None = None,
    threshold: float | None = None,
    replace: bool = False,
) -> BundleExport:
    """Write the gallery in `index` as the bundle `path`; the same gallery gives the same bytes.

    model      the embedder that made the vectors
    people     whose faces; None: all faces, those of nobody too
    threshold  the largest squared distance of a match, None where unknown

    Raises UnknownPersonError, IndexFileError (the file is there already or cannot be written, too many faces).
    """
    with read_gallery(index, people) as gallery:
        if len(gallery.faces) > MOST_FACES:
            raise IndexFileError(
                f"{path}: a bundle holds at most {MOST_FACES:,} faces, these are {len(gallery.faces):,}: choose people"
                " (--people NAME), or take faceall index export"
            )
        contents = Contents(model, threshold, gallery.people, gallery.faces, gallery.vectors)
        parts = {
            "people.json": list_json(contents.people),
            "faces.json": list_json(contents.faces),
            "vectors.f32": contents.vectors.astype("<f4", copy=False).tobytes(),
        }
        _check(contents, parts, path)
        sums = {name: _sum(data) for name, data in parts.items()}
        for number, face in enumerate(contents.faces):
            sums[face.thumbnail] = _sum(gallery.thumbnail(number))
        with written_archive(path, replace=replace) as archive:
            archive.add("manifest.json", manifest_json(contents, sums, f"faceall {faceall.__version__}"))
            for name, data in parts.items():
                archive.add(name, data)
            for number, face in enumerate(contents.faces):
                archive.add(face.thumbnail, gallery.thumbnail(number))
    return BundleExport(path, len(contents.people), len(contents.faces), path.stat().st_size)


class GalleryContents:
    """One moment of a gallery: people by id, faces by id, and the vectors (n, dimension) float32 of the faces."""

    def __init__(self, connection: sqlite3.Connection, rows: list[Any], dimension: int) -> None:
        self._connection, self._rows = connection, rows
        self.faces = tuple(_face(row) for row in rows)
        wanted = {face.person for face in self.faces}
        found = connection.execute(_PEOPLE)
        people = (BundlePerson(*row) for row in found if row[0] in wanted)
        self.people = tuple(sorted(people, key=lambda person: person.id))
        self.vectors = _vectors(connection, [row[0] for row in rows], dimension)

    def thumbnail(self, number: int) -> bytes:
        """The JPEG of a face, by its place among the faces."""
        return _thumbnail(self._connection, self._rows[number][0])

    def path(self, number: int) -> str:
        """The file that shows a face, as last seen."""
        return os.fsdecode(unmarked(self._rows[number][4] or b"")).encode("utf-8", "replace").decode()


@contextmanager
def read_gallery(index: FaceIndex, people: Sequence[str] | None = None) -> Iterator[GalleryContents]:
    """One snapshot of all faces, or those of some people. Raises UnknownPersonError."""
    with index.reading() as connection:
        chosen = None if people is None else {find_person(EmbeddedStore(index), name) for name in people}
        rows = [row for row in connection.execute(_FACES) if chosen is None or row[-1] in chosen]
        yield GalleryContents(connection, rows, index.dimension or 1)


def _face(row: Any) -> BundleFace:
    _, identity, person, chief, path, digest, width, height, *box, landmarks, score, created, changed, _ = row
    points = np.frombuffer(landmarks, "<f4").reshape(5, 2).tolist()
    return BundleFace(
        id=identity,
        person=person,
        chief=bool(chief),
        photo=BundlePhoto(_file_name(path), digest.hex(), width, height),
        box=tuple(box),
        landmarks=tuple(map(tuple, points)),
        score=min(max(score, 0.0), 1.0),  # engines round
        created=created,
        changed=changed,
    )


def _file_name(path: bytes | None) -> str:
    """The last part of a path, in letters that JSON can hold."""
    return os.path.basename(os.fsdecode(unmarked(path or b""))).encode("utf-8", "replace").decode() or "photo"


def _vectors(connection: sqlite3.Connection, keys: list[int], size: int) -> Float32Array:
    vectors = np.empty((len(keys), size), np.float32)
    for row, key in enumerate(keys):
        vectors[row] = np.frombuffer(
            connection.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()[0], "<f4"
        )
    return vectors


def _check(contents: Contents, parts: dict[str, bytes], path: Path) -> None:
    """What is written can be read."""
    try:
        for values in json.loads(parts["people.json"]):
            BundlePerson.from_json(values)
        for values in json.loads(parts["faces.json"]):
            BundleFace.from_json(values)
        check_vectors(contents.vectors)
    except FlawError as error:
        raise IndexFileError(f"{path}: the gallery holds what no bundle can: {error}") from error


def _thumbnail(connection: sqlite3.Connection, key: int) -> bytes:
    row = connection.execute("SELECT jpeg FROM thumbnails WHERE face = ?", (key,)).fetchone()
    if row is None:
        raise IndexFileError(f"face {key} has lost its thumbnail: faceall index repair says what else is missing")
    return bytes(row[0])


def _sum(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()
