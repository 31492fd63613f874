"""What comes back from a phone or another machine is merged: people by id, then by name; no face twice; nothing goes.

The rules stand in docs/explanation/gallery-bundle.md. All of it is one transaction.
"""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import faceall
from faceall.analysis.analyser import label_of
from faceall.errors import IndexMismatchError
from faceall.gallery.bundle.archive import Archive
from faceall.gallery.bundle.reader import BundleReader
from faceall.gallery.bundle.records import BundleFace, BundlePerson, BundlePhoto
from faceall.gallery.embedded import ids as bundle_ids
from faceall.gallery.embedded import rows
from faceall.gallery.registration.naming import fitting_name
from faceall.index import FaceIndex
from faceall.types import Float32Array

_FINGERPRINT = re.compile(r"\([0-9a-f]{12}\)$")


@dataclass
class BundleImport:
    """What became of a bundle's people and faces.

    added      faces that are new here
    known      faces that were here already
    refiled    of those, how many belong to another person now
    left_out   faces that were removed here before, and stay removed
    new_people, renamed  people by name, (name before, name now)
    conflicts  what differed and was not taken over, a line each
    """

    path: Path
    added: int = 0
    known: int = 0
    refiled: int = 0
    left_out: int = 0
    new_people: list[str] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Incoming:
    """Faces that are to be taken up.

    source     the file or folder they come from
    model      the model that made the vectors, as galleries remember it
    vectors    (n, dimension) float32, one per face
    thumbnail  gives the JPEG of a face
    places     SHA-256 of a photo -> its path, where that is known
    """

    source: Path
    model: str
    people: tuple[BundlePerson, ...]
    faces: tuple[BundleFace, ...]
    vectors: Float32Array
    thumbnail: Callable[[BundleFace], bytes]
    places: Mapping[str, str] = field(default_factory=dict)


def import_bundle(
    index: FaceIndex, path: Path, *, restore: bool, progress: Callable[[int, int], None] | None = None
) -> BundleImport:
    """Merge the bundle at `path` into the gallery in `index`, all or nothing.

    restore   bring back faces that were removed here
    progress  called with the number of faces that are done and of all

    Raises IndexDamagedError, IndexNewerError, IndexMismatchError (another model's) or IndexFileError.
    """
    with Archive(path) as archive:
        reader = BundleReader(archive)
        found = reader.contents()
        label = label_of(found.model)
        incoming = Incoming(path, label, found.people, found.faces, found.vectors, reader.thumbnail)
        return merge(index, incoming, restore=restore, progress=progress)


def merge(
    index: FaceIndex,
    incoming: Incoming,
    *,
    restore: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> BundleImport:
    """Take faces up in one transaction. Raises IndexMismatchError where another model made those of the gallery."""
    with index.transaction() as connection:
        _agree(index, incoming)
        people = _People(connection, incoming.people)
        result = BundleImport(
            incoming.source, conflicts=people.conflicts, renamed=people.renamed, new_people=people.new
        )
        _Faces(index, connection, incoming, people, result, progress).merge(restore=restore)
        rows.remove_all_empty_people(connection)
    return result


def _agree(index: FaceIndex, incoming: Incoming) -> None:
    """Refuse vectors of another model; an empty gallery takes those that come."""
    size, fingerprint = incoming.vectors.shape[1], _FINGERPRINT.search(incoming.model)
    same = index.model == incoming.model or (fingerprint and (index.model or "").endswith(fingerprint[0]))
    if same and index.dimension in (None, size):
        return
    if index.model is None and not len(index):
        index.adopt(model=incoming.model, dimension=size)
        return
    name = shlex.quote(_FINGERPRINT.sub("", incoming.model).strip())
    made = f"made with {index.model!r} ({index.dimension} numbers)" if index.model else "made without naming a model"
    raise IndexMismatchError(
        f"{incoming.source} was made with {incoming.model!r} ({size} numbers), {index.name} was {made}:"
        " import it into another gallery (--gallery DIR), or switch this one to that model:"
        f" faceall index migrate --model {name}"
    )


def _name_of(name: str) -> str:
    """A person's name as this gallery can have it."""
    return fitting_name(name) or "unnamed"


class _People:
    """The bundle's people as rows of the gallery; those who are new are made when a face needs them."""

    def __init__(self, connection: sqlite3.Connection, people: tuple[BundlePerson, ...]) -> None:
        self.conflicts: list[str] = []
        self.renamed: list[tuple[str, str]] = []
        self.new: list[str] = []
        self._connection = connection
        self._people = {person.id: person for person in people}
        self._rows: dict[str, int] = {}
        for person in people:
            row = bundle_ids.person_by_id(connection, person.id)
            if row is not None:
                self._rows[person.id] = row
                self._settle_name(row, person)
        for person in people:
            if person.id not in self._rows and (row := self._named(_name_of(person.name))) is not None:
                self._rows[person.id] = row
                bundle_ids.remember_person(connection, person.id, row)

    def known(self, identity: str | None) -> int | None:
        """The row of a person, None where they are new or nobody."""
        return None if identity is None else self._rows.get(identity)

    def row(self, identity: str | None) -> int | None:
        """The row of a person, made if it is not there; None for nobody."""
        if identity is None or identity in self._rows:
            return self.known(identity)
        person = self._people[identity]
        name = _name_of(person.name)
        row = self._named(name)  # two new people of one name are one
        if row is not None:
            bundle_ids.remember_person(self._connection, identity, row)
        else:
            row = rows.insert_person(self._connection, name)
            bundle_ids.set_id(self._connection, "person_ids", row, (person.id, person.created, person.changed))
            self.new.append(name)
        self._rows[identity] = row
        return row

    def name(self, row: int | None) -> str:
        """How a person is called, for messages."""
        if row is None:
            return "nobody"
        return repr(self._connection.execute("SELECT name FROM people WHERE id = ?", (row,)).fetchone()[0])

    def title(self, identity: str | None) -> str:
        """How the bundle calls a person, for messages."""
        return "nobody" if identity is None else repr(_name_of(self._people[identity].name))

    def _named(self, name: str) -> int | None:
        return rows.person_named(self._connection, name)

    def _settle_name(self, row: int, person: BundlePerson) -> None:
        """Where a person has two names, the later one counts unless somebody else has it."""
        statement = "SELECT name, changed FROM people JOIN person_ids ON person = people.id WHERE people.id = ?"
        here, changed = self._connection.execute(statement, (row,)).fetchone()
        name = _name_of(person.name)
        if name == here:
            return
        if person.changed <= changed:
            self.conflicts.append(f"{name!r} is called {here!r} here, which is kept: that is as late or later")
        elif self._named(name) is not None:
            self.conflicts.append(
                f"{here!r} was renamed to {name!r}, but somebody else has that name: {here!r} is kept"
            )
        else:
            self._connection.execute("UPDATE people SET name = ? WHERE id = ?", (name, row))
            self._connection.execute("UPDATE person_ids SET changed = ? WHERE person = ?", (person.changed, row))
            self.renamed.append((here, name))


class _Faces:
    """The bundle's faces, one after the other."""

    def __init__(
        self,
        index: FaceIndex,
        connection: sqlite3.Connection,
        contents: Incoming,
        people: _People,
        result: BundleImport,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._index, self._connection = index, connection
        self._contents, self._people, self._result = contents, people, result
        self._progress = progress

    def merge(self, *, restore: bool) -> None:
        """Find those that are here, add the others."""
        new: list[int] = []
        stored = self._contents.vectors.astype("<f4", copy=False)
        for number, face in enumerate(self._contents.faces):
            vector = stored[number].tobytes()
            key = bundle_ids.face_by_id(self._connection, face.id)
            if key is None:
                key = self._twin(face, vector)
            if key is not None:
                self._meet(key, face, vector)
            elif not restore and bundle_ids.was_removed(self._connection, face.id):
                self._result.left_out += 1
            else:
                new.append(number)
        if new:
            self._add(new)

    def _twin(self, face: BundleFace, vector: bytes) -> int | None:
        """The key of a face of the same photo with the very same vector; it is known by this id too from now on."""
        row = self._connection.execute(
            "SELECT faces.key FROM photos JOIN faces ON faces.photo = photos.id JOIN vectors ON vectors.key = faces.key"
            " WHERE hash = ? AND vector = ? ORDER BY faces.key",
            (bytes.fromhex(face.photo.sha256), vector),
        ).fetchone()
        if row is None:
            return None
        bundle_ids.remember_face(self._connection, face.id, row[0])
        return int(row[0])

    def _meet(self, key: int, face: BundleFace, vector: bytes) -> None:
        """A face that is here: whose it is may have changed there."""
        self._result.known += 1
        statement = (
            "SELECT person, changed, vector FROM faces JOIN face_ids ON face = faces.key"
            " JOIN vectors ON vectors.key = faces.key WHERE faces.key = ?"
        )
        owner, changed, stored = self._connection.execute(statement, (key,)).fetchone()
        if stored != vector:
            self._result.conflicts.append(f"face {key} has another vector in the bundle; the one here is kept")
        if face.person is None and owner is None:
            return
        if face.person is not None and owner is not None and self._people.known(face.person) == owner:
            return
        if face.changed <= changed:
            self._result.conflicts.append(
                f"face {key} is filed under {self._people.title(face.person)} in the bundle and under"
                f" {self._people.name(owner)} here, which is kept: that is as late or later"
            )
            return
        person = self._people.row(face.person)
        if person == owner:  # two new people of one name
            return
        self._connection.execute("UPDATE faces SET person = ? WHERE key = ?", (person, key))
        self._connection.execute("UPDATE face_ids SET changed = ? WHERE face = ?", (face.changed, key))
        self._result.refiled += 1

    def _add(self, numbers: list[int]) -> None:
        """Take up the faces that are new."""
        keys = self._index.add(self._contents.vectors[np.array(numbers)]).tolist()
        for done, (number, key) in enumerate(zip(numbers, keys, strict=True), 1):
            face = self._contents.faces[number]
            photo = self._photo(face.photo)
            chief = face.chief and not self._has_chief(photo)
            marks, person = np.array(face.landmarks, "<f4").tobytes(), self._people.row(face.person)
            jpeg = self._contents.thumbnail(face)
            row = rows.FaceRow(key, photo, person, chief, face.box, face.score, marks, jpeg)
            rows.insert_face(self._connection, row)
            bundle_ids.set_id(self._connection, "face_ids", key, (face.id, face.created, face.changed))
            self._connection.execute("DELETE FROM removed_faces WHERE id = ?", (face.id,))
            self._result.added += 1
            if self._progress:
                self._progress(done, len(numbers))

    def _has_chief(self, photo: int) -> bool:
        return (
            self._connection.execute("SELECT 1 FROM faces WHERE photo = ? AND is_primary", (photo,)).fetchone()
            is not None
        )

    def _photo(self, photo: BundlePhoto) -> int:
        """The row of a photo; a new one is said to lie in the bundle, until it is registered from its own place."""
        digest = bytes.fromhex(photo.sha256)
        row = self._connection.execute("SELECT id, state FROM photos WHERE hash = ?", (digest,)).fetchone()
        if row is not None:
            if row[1] != "ok":  # somebody could read it
                self._connection.execute("UPDATE photos SET state = 'ok', message = NULL WHERE id = ?", (row[0],))
            return int(row[0])
        made = rows.insert_photo(
            self._connection,
            digest,
            state="ok",
            message=None,
            reader=faceall.__version__,
            width=photo.width,
            height=photo.height,
        )
        rows.insert_file(self._connection, self._free_path(photo), made, size=0, mtime=0, person="")
        return made

    def _free_path(self, photo: BundlePhoto) -> bytes:
        inside = [os.fsencode(self._result.path / photo.sha256[:digits] / photo.name) for digits in (12, 64)]
        known = [os.fsencode(self._contents.places[photo.sha256])] if photo.sha256 in self._contents.places else []
        for path in (*known, *inside):
            if not rows.is_known_path(self._connection, path):
                break
        return path
