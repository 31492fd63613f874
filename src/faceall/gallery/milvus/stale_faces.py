"""What came along from a folder and waits in notes: faces that are aside, and the ids that bundles know.

A gallery in Milvus does not change its model, so no face is put aside here. Those that were when it moved come back as
they do in a folder, when their photo is registered again, and go with their photo or person.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
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
STALE = f"{KEPT}aside/"


def notes_of(work: Work, start: str) -> list[Row]:
    """The notes whose key begins so, in the order in which they came."""
    found = work.notes.where(condition_begins("key", start), lambda row: str(row["key"]).startswith(start))
    return sorted(found, key=lambda row: row["key"])


def pending_faces(work: Work, digest: bytes) -> list[PendingFace]:
    """The faces that are aside of the photo with this SHA-256."""
    return [
        PendingFace(int(note["key"].rpartition("/")[2]), _face(note["value"]))
        for note in notes_of(work, f"{STALE}{digest.hex()}/")
    ]


def restore(work: Work, ids: Sequence[int], vectors: Float32Array, new_id: Any) -> int:
    """Make faces that are aside ordinary ones; returns how many were still there. `new_id` gives a face id."""
    notes = {int(note["key"].rpartition("/")[2]): note for note in notes_of(work, STALE)}
    taken = [(notes[id_], vector) for id_, vector in zip(ids, vectors, strict=True) if id_ in notes]
    for note, vector in taken:
        value = note["value"]
        photo = next(row for row in _photos(work, note) if row["hash"] == value["photo"])
        key = value["face"]
        if key is None or work.faces.one(key) is not None:
            key = new_id()
        chief = bool(value["chief"]) and photo["record"]["chief"] is None
        work.faces.put(rows.face_row(key, photo["id"], value["person"], _face(value), vector, chief=chief))
        work.thumbnails.put(rows.thumbnail_row(key, _bytes(value["jpeg"])))
        photo = rows.with_faces(photo, [*listed(photo), key], key if chief else photo["record"]["chief"])
        record = {**photo["record"], "message": None, "reader": reader_version(), "aside": False}
        work.photos.put({**photo, "state": "ok", "record": record})
        work.new_photos.add(photo["id"])
        work.notes.drop(note["key"])
    return len(taken)


def forget_photos(work: Work, photos: Sequence[Row]) -> int:
    """Drop the faces that are aside of photos that go; returns how many."""
    notes = [note for row in photos if row["record"].get("aside") for note in notes_of(work, f"{STALE}{row['hash']}/")]
    for note in notes:
        work.notes.drop(note["key"])
    return len(notes)


def forget_person(work: Work, person: int) -> int:
    """Drop the faces that are aside of somebody who goes; returns how many."""
    notes = [note for note in notes_of(work, STALE) if note["value"]["person"] == person]
    for note in notes:
        work.notes.drop(note["key"])
    return len(notes)


def merge_people(work: Work, source: int, target: int) -> None:
    """File the faces of one person that are aside under another."""
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
