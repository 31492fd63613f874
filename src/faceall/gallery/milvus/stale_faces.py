"""Stale faces of a gallery that was moved to Milvus from a folder; they are kept in notes, as are the ids of bundles.

A gallery in Milvus does not change its model, so no face becomes stale here. Those that were stale before the move are
restored when their photo is registered again, as in a folder, and removed with their photo or person.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from faceall.gallery.milvus import rows
from faceall.gallery.milvus.connection import Row
from faceall.gallery.milvus.identity import condition_begins
from faceall.gallery.milvus.work import Work, listed
from faceall.gallery.records import PendingFace
from faceall.images import reader_version
from faceall.types import Face, Float32Array

KEPT = "kept/"
"""Prefix of the keys of notes that are kept for another backend."""

STALE_TABLE = "aside"
"""Stored name of the stale faces among the data kept for another backend."""

STALE = f"{KEPT}{STALE_TABLE}/"
"""Prefix of the keys of notes with stale faces."""


def notes_of(work: Work, start: str) -> list[Row]:
    """Return the notes whose keys begin with `start`, ordered by key."""
    found = work.notes.where(condition_begins("key", start), lambda row: str(row["key"]).startswith(start))
    return sorted(found, key=lambda row: row["key"])


def has_any(work: Work) -> bool:
    """Return whether the gallery has stale faces."""
    found = work.notes.where(condition_begins("key", STALE), lambda row: str(row["key"]).startswith(STALE), limit=1)
    return bool(found)


def pending_faces(work: Work, digest: bytes) -> list[PendingFace]:
    """Return the stale faces of the photo with this SHA-256."""
    return [
        PendingFace(int(note["key"].rpartition("/")[2]), _face(note["value"]))
        for note in notes_of(work, f"{STALE}{digest.hex()}/")
    ]


def restore(work: Work, ids: Sequence[int], vectors: Float32Array, new_id: Callable[[], int]) -> int:
    """Turn stale faces into ordinary ones.

    Parameters
    ----------
    work : Work
        The unit of work.
    ids : sequence of int
        The stale faces; those that no longer exist are skipped.
    vectors : (n, dimension) float32
        A vector of the current model for each.
    new_id : callable
        Returns a new face id.

    Returns
    -------
    int
        The number of restored faces.
    """
    notes = {int(note["key"].rpartition("/")[2]): note for note in notes_of(work, STALE)}
    taken = [(notes[id_], vector) for id_, vector in zip(ids, vectors, strict=True) if id_ in notes]
    for note, vector in taken:
        value = note["value"]
        photo = next(row for row in _photos(work, note) if row["hash"] == value["photo"])
        key = value["face"]
        if key is None or work.faces.one(key) is not None:
            key = new_id()
        primary = bool(value[rows.PRIMARY]) and photo["record"][rows.PRIMARY] is None
        work.faces.put(rows.face_row(key, photo["id"], value["person"], _face(value), vector, primary=primary))
        work.thumbnails.put(rows.thumbnail_row(key, _bytes(value["jpeg"])))
        photo = rows.with_faces(photo, [*listed(photo), key], key if primary else photo["record"][rows.PRIMARY])
        record = {**photo["record"], "message": None, "reader": reader_version(), rows.HAS_STALE: False}
        work.photos.put({**photo, "state": "ok", "record": record})
        work.new_photos.add(photo["id"])
        work.notes.drop(note["key"])
    return len(taken)


def forget_photos(work: Work, photos: Sequence[Row]) -> int:
    """Remove the stale faces of photos; return how many."""
    notes = [
        note for row in photos if row["record"].get(rows.HAS_STALE) for note in notes_of(work, f"{STALE}{row['hash']}/")
    ]
    for note in notes:
        work.notes.drop(note["key"])
    return len(notes)


def forget_person(work: Work, person: int) -> int:
    """Remove the stale faces of a person; return how many."""
    notes = [note for note in notes_of(work, STALE) if note["value"]["person"] == person]
    for note in notes:
        work.notes.drop(note["key"])
    return len(notes)


def merge_people(work: Work, source: int, target: int) -> None:
    """Assign the stale faces of one person to another."""
    for note in notes_of(work, STALE):
        if note["value"]["person"] == source:
            work.notes.put({**note, "value": {**note["value"], "person": target}})


def _photos(work: Work, note: Row) -> list[Row]:
    from faceall.gallery.milvus.identity import ids_of_photo

    return list(work.photos.get(ids_of_photo(bytes.fromhex(note["value"]["photo"]))).values())


def _face(value: dict[str, Any]) -> Face:
    box = np.array([value[side] for side in ("x0", "y0", "x1", "y1")], np.float32)
    return Face(box, value["score"], np.frombuffer(_bytes(value["landmarks"]), "<f4").reshape(5, 2))


def _bytes(value: dict[str, str] | None) -> bytes:
    return b"" if value is None else base64.b64decode(value["base64"])
