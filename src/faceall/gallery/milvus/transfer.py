"""Read and write the records of a gallery in Milvus when it is moved."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import numpy as np

from faceall.gallery.milvus import judgements, rows
from faceall.gallery.milvus.connection import Row
from faceall.gallery.milvus.identity import file_key, ids_of_photo, quoted, unquoted
from faceall.gallery.milvus.lasting_ids import all_ids
from faceall.gallery.milvus.layout import COLLECTIONS, FACES, PHOTOS
from faceall.gallery.milvus.stale_faces import KEPT, STALE, STALE_TABLE, notes_of
from faceall.gallery.milvus.work import Work, listed
from faceall.gallery.store.transfer import FaceCopy, JudgementCopy, PersonCopy, PhotoCopy

if TYPE_CHECKING:
    from faceall.gallery.milvus.store import MilvusStore


class MilvusTransfer:
    """`Transfer` of Milvus."""

    def __init__(self, store: MilvusStore) -> None:
        self._store = store

    def digests(self) -> list[bytes]:
        """Return the SHA-256 of every photo, in a fixed order."""
        found = self._store.connection.scan(PHOTOS.name, "", ["id", "hash"])
        return sorted(bytes.fromhex(row["hash"]) for row in found)

    def photos(self, digests: Sequence[bytes]) -> list[PhotoCopy]:
        """Return the photos with these SHA-256; unknown ones are left out."""
        work = self._store.view()
        wanted = {digest.hex() for digest in digests}
        ids = [id_ for digest in digests for id_ in ids_of_photo(digest)]
        found = [row for row in work.photos.get(ids).values() if row["hash"] in wanted]
        keys = [key for row in found for key in listed(row)]
        faces = self._rows(keys)
        thumbnails = work.thumbnails.get(keys)
        return [_photo(row, faces, thumbnails) for row in found]

    def _rows(self, keys: Sequence[int]) -> dict[int, Row]:
        """Return the rows of faces with their vectors."""
        if not self._store.has_faces:
            return {}
        columns = [*FACES.columns, FACES.vector]
        return {row["id"]: row for row in self._store.connection.get(FACES.name, keys, columns)}

    def put_photos(self, photos: Sequence[PhotoCopy]) -> None:
        """Store photos with the keys of their faces, replacing photos of the same content."""
        with self._store.changing() as work:
            work.photos.get(id_ for photo in photos for id_ in ids_of_photo(photo.digest))
            for photo in photos:
                self._put(work, photo)

    def _put(self, work: Work, photo: PhotoCopy) -> None:
        ids = ids_of_photo(photo.digest)
        there = work.photos.get(ids)
        before = next((row for row in there.values() if row["hash"] == photo.digest.hex()), None)
        id_ = before["id"] if before else next(id_ for id_ in ids if id_ not in there)
        for key in set(listed(before) if before else ()) - {face.key for face in photo.faces}:
            work.faces.drop(key)
            work.thumbnails.drop(key)
        for face in photo.faces:
            work.faces.put(_face_row(face, id_))
            work.thumbnails.put(rows.thumbnail_row(face.key, face.jpeg))
        record = {
            "message": photo.message,
            "reader": photo.reader,
            "width": photo.width,
            "height": photo.height,
            **rows.shot_record(photo),
            "files": [],
            "faces": [face.key for face in photo.faces],
            rows.PRIMARY: next((face.key for face in photo.faces if face.primary), None),
            "print": None if photo.print is None else photo.print.hex(),
            **({rows.SOURCE: "video"} if any(face.moment for face in photo.faces) else {}),
            rows.HAS_STALE: bool(before and before["record"].get(rows.HAS_STALE)),
        }
        row: Row = {"id": id_, "hash": photo.digest.hex(), "state": photo.state, "displaced": False, "record": record}
        work.photos.put(rows.with_files(row, photo.files))
        for file in photo.files:
            if not file.displaced:
                path = rows.path_bytes(file.path)
                work.files.put({"id": file_key(path), "path": quoted(path), "photo": id_})

    def remove_photos(self, digests: Sequence[bytes]) -> None:
        """Remove photos."""
        found = self._store.view().photos.get(id_ for digest in digests for id_ in ids_of_photo(digest))
        wanted = {digest.hex() for digest in digests}
        self._store.photos.remove([id_ for id_, row in found.items() if row["hash"] in wanted])

    def people(self) -> list[PersonCopy]:
        """Return all people."""
        found = self._store.view().people.where("id > 0", lambda _: True)
        people = (PersonCopy(row["id"], unquoted(row["name"]), row["cluster"]) for row in found)
        return sorted(people, key=lambda person: person.id)

    def put_people(self, people: Sequence[PersonCopy]) -> None:
        """Store people with their rows, replacing all existing ones."""
        with self._store.changing() as work:
            for row in work.people.where("id > 0", lambda _: True):
                work.people.drop(row["id"])
            for person in people:
                work.people.put(rows.person_row(person.id, person.name, cluster=person.cluster))

    def judgements(self) -> JudgementCopy:
        """Return what users said about the faces and people that the gallery has."""
        work = self._store.view()
        faces = {key for key, _, _ in self._store.faces.assignments()}
        people = {row["id"] for row in work.people.where("id > 0", lambda _: True)}
        there = (faces, faces, people)
        found = (
            frozenset(pair for pair in judgements.pairs(work, kind) if pair[0] in known and pair[1] in people)
            for kind, known in zip(judgements.KINDS, there, strict=True)
        )
        return JudgementCopy(*found)

    def put_judgements(self, said: JudgementCopy) -> None:
        """Store what users said, and forget what they said before about the same faces and people."""
        here = self.judgements()
        with self._store.changing() as work:
            for kind, before, after in zip(judgements.KINDS, astuple(here), astuple(said), strict=True):
                for first, second in before - after:
                    work.notes.drop(f"{kind}{first}/{second}")
                for first, second in after - before:
                    judgements.say(work, kind, first, second)

    def kept(self) -> dict[str, Any]:
        """Return data that one backend alone uses and that others only keep, as JSON by name."""
        found: dict[str, list[Any]] = {}
        for note in notes_of(self._store.view(), KEPT):
            found.setdefault(note["key"].split("/")[1], []).append(note["value"])
        faces = [key for key, _, _ in self._store.faces.assignments()]
        people = [person.id for person in self.people()]
        return found | all_ids(self._store.secret, found, {"faces": faces, "people": people}, self._store.journal)

    def put_kept(self, values: dict[str, Any]) -> None:
        """Store the result of `kept` of another backend."""
        with self._store.changing() as work:
            for note in notes_of(work, KEPT):
                work.notes.drop(note["key"])
            for table, found in values.items():
                for number, value in enumerate(found):
                    key = f"{KEPT}{table}/{number:012}"
                    if table == STALE_TABLE:
                        key = f"{STALE}{value['photo']}/{value['id']}"
                        self._mark(work, bytes.fromhex(value["photo"]))
                    work.notes.put({"key": key, "value": value})

    def _mark(self, work: Work, digest: bytes) -> None:
        """Mark a photo as having stale faces."""
        for row in work.photos.get(ids_of_photo(digest)).values():
            if row["hash"] == digest.hex():
                work.photos.put({**row, "record": {**row["record"], rows.HAS_STALE: True}})

    def destroy(self, agree: Callable[[], None]) -> None:
        """Remove the gallery permanently; the store cannot be used afterwards."""
        agree()
        connection, path = self._store.connection, self._store.address.path
        connection.drop(reversed(COLLECTIONS))
        empty = not connection.collections()
        self._store.close()
        if path is not None and empty:
            shutil.rmtree(path, ignore_errors=True)


def _photo(row: Row, faces: dict[int, Row], thumbnails: dict[int, Row]) -> PhotoCopy:
    record = row["record"]
    return PhotoCopy(
        bytes.fromhex(row["hash"]),
        row["state"],
        record["message"],
        record["reader"],
        record["width"],
        record["height"],
        None if record["print"] is None else bytes.fromhex(record["print"]),
        tuple(rows.files_of(row)),
        tuple(_face(faces[key], thumbnails.get(key)) for key in sorted(listed(row)) if key in faces),
        *rows.shot_of(record),
    )


def _face(row: Row, thumbnail: Row | None) -> FaceCopy:
    record = row["record"]
    return FaceCopy(
        row["id"],
        row["person"] or None,
        record[rows.PRIMARY],
        tuple(record["box"]),
        record["score"],
        tuple(record["landmarks"]),
        np.asarray(row[FACES.vector], np.float32),
        b"" if thumbnail is None else rows.jpeg_of(thumbnail),
        rows.moment_of(record),
    )


def _face_row(face: FaceCopy, photo: int) -> Row:
    record = {
        **rows.moment_record(face.moment),
        "box": list(face.box),
        "score": face.score,
        "landmarks": list(face.landmarks),
        rows.PRIMARY: face.primary,
    }
    person = face.person or rows.UNASSIGNED
    return {"id": face.key, "photo": photo, "person": person, "record": record, "vector": face.vector.tolist()}
