"""Read in a few requests what a registration asks about many files; each request takes a server milliseconds."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from faceall.gallery.milvus import rows
from faceall.gallery.milvus.connection import Row
from faceall.gallery.milvus.identity import condition_in_texts, file_key, ids_of_person, ids_of_photo, quoted
from faceall.gallery.milvus.layout import FACES
from faceall.gallery.milvus.work import Work, listed
from faceall.gallery.records import UpcomingFile
from faceall.gallery.records.near_duplicates import Print
from faceall.types import Float32Array

if TYPE_CHECKING:
    from faceall.gallery.milvus.store import MilvusStore

_TWINS = 8  # neighbours of a primary face whose photos may be near duplicates
_TWIN_DISTANCE = 0.5  # squared; the face of a near duplicate is nearer
_NAMES = 100  # names per request


def read_ahead(store: MilvusStore, work: Work, files: Sequence[UpcomingFile]) -> dict[bytes, dict[int, Print]]:
    """Read the photos, files, people and near duplicates of some files into a unit of work.

    Returns
    -------
    dict
        For each vector (its bytes) the hashes of the photos that show nearly the same face.
    """
    places = work.files.get(file_key(os.fsencode(file.path)) for file in files)
    ids = {id_ for file in files if file.digest is not None for id_ in ids_of_photo(file.digest)}
    photos = work.photos.get(ids | {row["photo"] for row in places.values()})
    if store.has_faces:
        primaries = (row["record"][rows.PRIMARY] for row in photos.values())
        faces = work.faces.get(face for face in primaries if face is not None)
        work.people.get({row["person"] for row in faces.values()} - {rows.UNASSIGNED})
    _read_people(work, {file.person for file in files if file.person is not None})
    vectors = [file.vector for file in files if file.vector is not None]
    found = prints_near(store, work, np.stack(vectors)) if vectors else []
    return {vector.tobytes(): prints for vector, prints in zip(vectors, found, strict=True)}


def _read_people(work: Work, names: Iterable[str]) -> None:
    """Read the people with these names, by the ids of the names and by the names."""
    usual = work.people.get(id_ for name in names for id_ in ids_of_person(name))
    texts = sorted({quoted(name) for name in names} - {row["name"] for row in usual.values()})
    for start in range(0, len(texts), _NAMES):
        group = texts[start : start + _NAMES]
        found = work.people.where(condition_in_texts("name", group), _has_name(frozenset(group)))
        for text in group:
            work.people.remember(f'name == "{text}"', [row for row in found if row["name"] == text])


def _has_name(names: Collection[str]) -> Callable[[Row], bool]:
    """Return the condition that a person has one of some names."""
    return lambda row: row["name"] in names


def prints_near(store: MilvusStore, work: Work, vectors: Float32Array) -> list[dict[int, Print]]:
    """Return for each vector (n, dimension) the hashes of photos that show nearly the same face, by the photo's id."""
    if not store.has_faces:
        return [{} for _ in vectors]
    connection = store.connection
    found = connection.search(FACES.name, vectors, _TWINS, condition="", field=FACES.vector)
    near = [[key for key, distance, _ in hits if distance <= _TWIN_DISTANCE] for hits in found]
    faces = connection.get(FACES.name, {key for keys in near for key in keys}, ["id", "photo"])
    photo_of = {row["id"]: row["photo"] for row in faces}
    photos = work.photos.get(photo_of.values())
    prints = {id_: one for id_, row in photos.items() if (one := _print_of(row)) is not None and listed(row)}
    return [
        {photo: prints[photo] for key in keys if (photo := photo_of.get(key)) is not None and photo in prints}
        for keys in near
    ]


def _print_of(row: Row) -> Print | None:
    text = row["record"]["print"]
    return np.frombuffer(bytes.fromhex(text), np.uint8) if text else None
