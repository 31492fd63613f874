"""Photos in Milvus: a row per content that lists its files and its faces."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from faceall.gallery.milvus import rows, stale_faces
from faceall.gallery.milvus.connection import Row
from faceall.gallery.milvus.identity import condition_begins, file_key, ids_of_photo, quoted, unquoted
from faceall.gallery.milvus.read_ahead import prints_near, read_ahead
from faceall.gallery.milvus.work import Work, listed
from faceall.gallery.records import (
    Analysis,
    KnownPhoto,
    Page,
    PendingFace,
    Removal,
    SeenFile,
    StoredPhoto,
    UpcomingFile,
)
from faceall.gallery.records.near_duplicates import NEAR, Print, bits_apart
from faceall.types import Float32Array

if TYPE_CHECKING:
    from faceall.gallery.milvus.store import MilvusStore

_FOLDERS = 50  # folders per request


class MilvusPhotos:
    """`PhotoRecords` on Milvus."""

    def __init__(self, store: MilvusStore) -> None:
        self._store = store
        self._prints: dict[int, Print] = {}  # of the photos added by this object
        self._near: dict[bytes, dict[int, Print]] = {}
        self._ahead: Work | None = None
        self._no_stale = False

    # -- reads ------------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Start a registration: forget the hashes that `lookalike` has stored, and what was read ahead."""
        self._prints, self._near, self._ahead = {}, {}, None
        self._no_stale = not stale_faces.has_any(self._store.view())

    def read_ahead(self, files: Sequence[UpcomingFile]) -> None:
        """Read what a registration is going to ask about these files."""
        inside = self._store.is_changing
        work = self._store.view()
        found = read_ahead(self._store, work, files)
        if inside:
            self._near = found
        else:
            self._ahead = work

    def at(self, path: Path, size: int, mtime: int) -> KnownPhoto | None:
        """Return the photo that a file contained when last seen, if size (bytes) and time (ns) are unchanged."""
        ahead = None if self._store.is_changing else self._ahead
        work = ahead or self._store.view()
        row = _holder(work, path)
        if row is None:
            return None
        same = any(
            (file.path, file.size, file.mtime, file.displaced) == (path, size, mtime, False)
            for file in rows.files_of(row)
        )
        return _known(work, row) if same else None

    def of(self, digest: bytes) -> KnownPhoto | None:
        """Return the photo with this SHA-256."""
        work = self._store.view()
        row = _row_of(work, digest)
        return None if row is None else _known(work, row)

    def held_by(self, path: Path) -> KnownPhoto | None:
        """Return the photo that a path contained when last seen, also one with only stale faces."""
        work = self._store.view()
        row = _holder(work, path)
        return None if row is None else _known(work, row)

    def files(self, photo: int) -> list[SeenFile]:
        """Return the files in which a photo was seen, the first one first."""
        row = self._store.view().photos.one(photo)
        return [] if row is None else rows.files_of(row)

    def displaced(self) -> list[int]:
        """Return the displaced photos."""
        found = self._store.view().photos.where("displaced == true", lambda row: bool(row["displaced"]))
        return sorted(row["id"] for row in found)

    def ids(self) -> list[int]:
        """Return all photos, also those without a face, in order."""
        return sorted(row["id"] for row in self._store.view().photos.where("id > 0", lambda _: True))

    def below(self, path: Path) -> list[int]:
        """Return the photos that were seen at a path or below it."""
        return self.below_each([path])[0]

    def below_each(self, paths: Sequence[Path]) -> list[list[int]]:
        """Return for each path the photos that were seen at it or below it."""
        work = self._store.view()
        photos: set[int] = set()
        for start in range(0, len(paths), _FOLDERS):
            group = paths[start : start + _FOLDERS]
            starts = tuple(quoted(os.fsencode(path / "x")[:-1]) for path in group)
            condition = " or ".join(f"({condition_begins('path', one)})" for one in starts)
            found = work.files.where(condition, _path_begins(starts))
            at = work.files.get(file_key(os.fsencode(path)) for path in group)
            photos.update(row["photo"] for row in (*found, *at.values()))
        seen = [(file.path, id_) for id_, row in work.photos.get(photos).items() for file in rows.files_of(row)]
        return [sorted({id_ for file, id_ in seen if _is_below(file, path)}) for path in paths]

    def pending(self, digest: bytes) -> list[PendingFace]:
        """Return the stale faces of the photo with this SHA-256."""
        if self._no_stale and not self._store.is_changing:  # none is added here, see `stale_faces`
            return []
        work = self._store.view()
        row = _row_of(work, digest)
        return stale_faces.pending_faces(work, digest) if row is not None and row["record"].get(rows.HAS_STALE) else []

    def restore(self, ids: Sequence[int], vectors: Float32Array) -> int:
        """Turn stale faces into ordinary ones with these vectors (n, dimension); return how many."""
        with self._store.changing() as work:
            return stale_faces.restore(work, ids, vectors, lambda: self._store.new_face_ids(1)[0])

    def stored(self, photos: Iterable[int]) -> list[StoredPhoto]:
        """Return the photos with these ids, ordered by id; unknown ids are skipped."""
        found = self._store.view().photos.get(photos)
        faces = self._store.faces.stored(face for row in found.values() for face in listed(row))
        return [
            StoredPhoto(
                id_,
                tuple(file.path for file in rows.files_of(row)),
                row["record"]["width"],
                row["record"]["height"],
                tuple(faces[face] for face in sorted(listed(row)) if face in faces),
                *rows.shot_of(row["record"]),
            )
            for id_, row in sorted(found.items())
        ]

    def digest(self, photo: int) -> bytes:
        """Return the SHA-256 of a photo that exists."""
        return bytes.fromhex(self._store.view().photos.get([photo])[photo]["hash"])

    def taken(self) -> dict[int, str]:
        """Return when photos were taken, as the camera noted it (ISO 8601), by id; unknown ones are left out."""
        found = self._store.view().photos.where('state == "ok"', lambda row: bool(row["state"] == "ok"))
        times = {row["id"]: rows.shot_of(row["record"])[1] for row in found}
        return {photo: time for photo, time in times.items() if time is not None}

    def absent_boxes(self, photo: int) -> list[tuple[float, ...]]:
        """Return the boxes of the stale faces of a photo; there is no bin."""
        return [tuple(one.face.box.tolist()) for one in self.pending(self.digest(photo))]

    def page(self, *, person: int | None, limit: int, offset: int) -> Page[StoredPhoto]:
        """Return photos that show a face, ordered by id; `person` limits them to one person."""
        if person is not None:
            ids = sorted({photo for _, photo, owner in self._store.faces.assignments(person)})
        else:
            found = self._store.view().photos.where('state == "ok"', lambda row: bool(row["state"] == "ok"))
            ids = sorted(row["id"] for row in found if listed(row))
        return Page(tuple(self.stored(ids[offset : offset + limit])), len(ids))

    # -- changes ----------------------------------------------------------------------------------------------------

    def put_file(self, photo: int, file: SeenFile) -> None:
        """Record that a path now contains this photo and no other."""
        with self._store.changing() as work:
            before = _holder(work, file.path)
            if before is not None and before["id"] != photo:
                kept = [one for one in rows.files_of(before) if one.displaced or one.path != file.path]
                work.photos.put(rows.with_files(before, kept))
            row = work.photos.get([photo])[photo]
            files = rows.files_of(row)
            places = [one.path if not one.displaced else None for one in files]
            if file.path in places:
                files[places.index(file.path)] = file
            else:
                files.append(file)
            work.photos.put(rows.with_files(row, files))
            path = os.fsencode(file.path)
            work.files.put({"id": file_key(path), "path": quoted(path), "photo": photo})

    def displace(self, path: Path) -> None:
        """Record that a path no longer contains its photo, which was not found elsewhere so far."""
        with self._store.changing() as work:
            row = _holder(work, path)
            if row is not None:
                files = [replace(one, displaced=one.displaced or one.path == path) for one in rows.files_of(row)]
                work.photos.put(rows.with_files(row, files))

    def drop_files(self, photo: int, files: Sequence[SeenFile]) -> None:
        """Remove these files from a photo."""
        with self._store.changing() as work:
            row = work.photos.one(photo)
            if row is None:
                return
            work.photos.put(rows.with_files(row, [file for file in rows.files_of(row) if file not in files]))
            _drop_places(work, photo, files)

    def add(self, digest: bytes, analysis: Analysis) -> int:
        """Add a photo without faces; replaces an unreadable one with the same content."""
        with self._store.changing() as work:
            before = _row_of(work, digest)
            if before is not None:
                _drop_places(work, before["id"], rows.files_of(before))
            ids = ids_of_photo(digest)
            taken = work.photos.get(ids)
            photo = before["id"] if before else next(id_ for id_ in ids if id_ not in taken)
            work.photos.put(rows.photo_row(photo, digest, analysis))
        return int(photo)

    def add_faces(self, photo: int, analysis: Analysis, person: str | None) -> None:
        """Store more faces of a photo; assign the primary one to `person`, the others to no one."""
        with self._store.changing() as work:
            keys = self._store.new_face_ids(len(analysis.faces))
            owner = None if person is None else self._store.people.make(person)
            for number, (key, face) in enumerate(zip(keys, analysis.faces, strict=True)):
                primary = number == analysis.primary
                vector = analysis.vectors[number]
                who, moment = owner if primary else None, analysis.moments[number] if analysis.moments else None
                work.faces.put(rows.face_row(key, photo, who, face, vector, primary=primary, moment=moment))
                work.thumbnails.put(rows.thumbnail_row(key, analysis.thumbnails[number]))
            row = work.photos.get([photo])[photo]
            primary_key = row["record"][rows.PRIMARY] if analysis.primary is None else keys[analysis.primary]
            work.photos.put(rows.with_faces(row, [*listed(row), *keys], primary_key))
            work.new_photos.add(photo)

    def lookalike(self, photo: int, analysis: Analysis) -> int | None:
        """Store the hash of a new photo; return a near duplicate of it, if there is one."""
        if analysis.print is None or analysis.primary is None:
            return None
        prints = {id_: found for id_, found in self._prints.items() if bits_apart(found, analysis.print) <= NEAR}
        vector = analysis.vectors[analysis.primary]
        near = self._near.pop(vector.tobytes(), None)
        if near is None:
            (near,) = prints_near(self._store, self._store.view(), vector[None])
        prints |= near
        self._prints[photo] = analysis.print
        found = self._store.view().photos.get(id_ for id_ in prints if id_ != photo)
        there = {id_: row for id_, row in found.items() if listed(row)}
        apart = ((bits_apart(prints[id_], analysis.print), min(listed(row)), id_) for id_, row in there.items())
        best = min(apart, default=None)  # the first one, if several are equally near
        return best[2] if best and best[0] <= NEAR else None

    def assign_primary(self, photo: int, person: str) -> None:
        """Assign the primary face of a photo to a person, who is added if new."""
        with self._store.changing() as work:
            row = work.photos.one(photo)
            if row is not None and (primary := row["record"][rows.PRIMARY]) is not None:
                self._store.faces.assign([primary], self._store.people.make(person))

    def remove(self, photos: Sequence[int]) -> Removal:
        """Remove photos and their faces permanently."""
        with self._store.changing() as work:
            found = work.photos.get(photos)
            faces = [face for row in found.values() for face in listed(row)]
            drop_faces(work, faces)
            stale = stale_faces.forget_photos(work, list(found.values()))
            return Removal(tuple(faces), tuple(found), drop_photos(work, found.values()), stale)


def _path_begins(starts: tuple[str, ...]) -> Callable[[Row], bool]:
    """Return the condition that the path of a file begins with one of some texts."""
    return lambda row: str(row["path"]).startswith(starts)


def drop_faces(work: Work, faces: Sequence[int]) -> None:
    """Remove faces with their thumbnails; people without faces are removed at the end of the unit of work."""
    for key, row in work.faces.get(faces).items():
        if row["person"] != rows.UNASSIGNED:
            work.maybe_empty.add(row["person"])
        work.faces.drop(key)
    for key in faces:
        work.thumbnails.drop(key)


def drop_photos(work: Work, photos: Iterable[Row]) -> tuple[Path, ...]:
    """Remove photos and the records of their files; return the paths."""
    paths: list[Path] = []
    for row in photos:
        files = rows.files_of(row)
        paths += [file.path for file in files]
        _drop_places(work, row["id"], files)
        work.photos.drop(row["id"])
    return tuple(paths)


def _drop_places(work: Work, photo: int, files: Iterable[SeenFile]) -> None:
    """Remove the paths of a photo, except those that now contain another photo."""
    keys = [file_key(os.fsencode(file.path)) for file in files if not file.displaced]
    for key, row in work.files.get(keys).items():
        if row["photo"] == photo:
            work.files.drop(key)


def _row_of(work: Work, digest: bytes) -> Row | None:
    text = digest.hex()
    return next((row for row in work.photos.get(ids_of_photo(digest)).values() if row["hash"] == text), None)


def _holder(work: Work, path: Path) -> Row | None:
    """Return the row of the photo that a path contains, according to that row."""
    place = work.files.one(file_key(os.fsencode(path)))
    row = None if place is None else work.photos.one(place["photo"])
    if row is None or not any(file.path == path and not file.displaced for file in rows.files_of(row)):
        return None
    return row


def _known(work: Work, row: Row) -> KnownPhoto:
    record, owner = row["record"], None
    primary = record[rows.PRIMARY]
    if primary is not None and (face := work.faces.one(primary)) is not None:
        person = work.people.one(face["person"]) if face["person"] != rows.UNASSIGNED else None
        owner = None if person is None else unquoted(person["name"])
    return KnownPhoto(
        row["id"],
        row["state"],
        record["message"],
        record["reader"],
        len(listed(row)),
        int(primary is not None),
        owner,
        len(record["files"]),
        bool(record.get(rows.HAS_STALE)),
    )


def _is_below(file: Path, path: Path) -> bool:
    return file == path or path in file.parents
