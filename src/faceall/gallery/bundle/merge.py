"""Merge a bundle into a gallery: people by id, then by name; no duplicate faces; nothing is removed.

The rules are in docs/explanation/gallery-bundle.md. A merge is one transaction.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from faceall.analysis.analyser import label_of
from faceall.errors import IndexMismatchError
from faceall.gallery.bundle.archive import Archive
from faceall.gallery.bundle.details import merge_details
from faceall.gallery.bundle.reader import BundleReader
from faceall.gallery.naming import fitting_name
from faceall.gallery.records.bundles import BundleDetails, BundleFace, BundlePerson, BundlePhoto
from faceall.gallery.records.corrections import Corrections
from faceall.gallery.store import Store
from faceall.types import Float32Array

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_CLOCK_TOLERANCE = 24 * 3600  # seconds by which the clocks of two devices may differ
_FINGERPRINT = re.compile(r"\([0-9a-f]{12}\)$")


@dataclass
class BundleImport:
    """The result of an import.

    Parameters
    ----------
    path : Path
        The bundle or folder.
    added : int
        Faces that are new in the gallery.
    known : int
        Faces that were in the gallery already.
    reassigned : int
        How many of the known faces were assigned to another person.
    left_out : int
        Faces that had been removed from the gallery and stay removed.
    new_people : list of str
        Names of the added people.
    renamed : list of (str, str)
        Previous and current name of each renamed person.
    conflicts : list of str
        Differences that were not applied, one line each.
    """

    path: Path
    added: int = 0
    known: int = 0
    reassigned: int = 0
    left_out: int = 0
    new_people: list[str] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Incoming:
    """Faces to import.

    Parameters
    ----------
    source : Path
        The file or folder that they come from.
    model : str
        The model that made the vectors, as galleries store it.
    people : tuple of BundlePerson
        The people of the faces.
    faces : tuple of BundleFace
        The faces.
    vectors : (n, dimension) float32
        One per face.
    thumbnail : callable
        Returns the JPEG of a face.
    places : mapping of str to str
        Known paths of photos, by SHA-256.
    corrections : Corrections
        Judgements and history.
    """

    source: Path
    model: str
    people: tuple[BundlePerson, ...]
    faces: tuple[BundleFace, ...]
    vectors: Float32Array
    thumbnail: Callable[[BundleFace], bytes]
    places: Mapping[str, str] = field(default_factory=dict)
    corrections: Corrections = field(default_factory=Corrections)


def import_bundle(
    store: Store, path: Path, *, restore: bool, progress: Callable[[int, int], None] | None = None
) -> BundleImport:
    """Merge a bundle into a gallery in one transaction.

    Parameters
    ----------
    store : Store
        The gallery.
    path : Path
        The bundle.
    restore : bool
        Also add faces that were removed from the gallery.
    progress : callable, optional
        Called with the number of finished faces and of all faces.

    Returns
    -------
    BundleImport
        What was changed.

    Raises
    ------
    IndexFileError
        The bundle cannot be read.
    IndexDamagedError
        The bundle is not valid.
    IndexNewerError
        A newer faceall has written the bundle.
    IndexMismatchError
        Another model made the vectors of the gallery.
    """
    with Archive(path) as archive:
        reader = BundleReader(archive)
        found = reader.contents()
        label = label_of(found.model)
        incoming = Incoming(
            path,
            label,
            found.people,
            found.faces,
            found.vectors,
            reader.thumbnail,
            corrections=reader.corrections(),
        )
        return merge(store, incoming, restore=restore, progress=progress)


def merge(
    store: Store,
    incoming: Incoming,
    *,
    restore: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> BundleImport:
    """Import faces in one transaction.

    Parameters
    ----------
    store : Store
        The gallery.
    incoming : Incoming
        The faces.
    restore : bool
        Also add faces that were removed from the gallery.
    progress : callable, optional
        Called with the number of finished faces and of all faces.

    Returns
    -------
    BundleImport
        What was changed.

    Raises
    ------
    IndexMismatchError
        Another model made the vectors of the gallery.
    """
    with store.changing():
        _agree(store, incoming)
        people = _People(store, incoming.people)
        result = BundleImport(
            incoming.source, conflicts=people.conflicts, renamed=people.renamed, new_people=people.new
        )
        _Faces(store, incoming, people, result, progress).merge(restore=restore)
        store.bundles.remove_empty_people()
        result.conflicts += merge_details(store, people.details(), is_future=is_future)
        store.bundles.put_judgements(incoming.corrections.judgements)
        if incoming.corrections.history:
            store.journal.add_imported(incoming.corrections.history)
    return result


def _agree(store: Store, incoming: Incoming) -> None:
    """Refuse vectors of another model; an empty gallery adopts the model of the import."""
    if not len(incoming.vectors):
        return  # nothing is added, so neither the model nor the dimension is set
    size, fingerprint = incoming.vectors.shape[1], _FINGERPRINT.search(incoming.model)
    same = store.model == incoming.model or (fingerprint and (store.model or "").endswith(fingerprint[0]))
    if same and store.dimension in (None, size):
        return
    if store.model is None and not len(store.faces):
        store.adopt(model=incoming.model, dimension=size)
        return
    name = shlex.quote(_FINGERPRINT.sub("", incoming.model).strip())
    made = f"made with {store.model!r} ({store.dimension} dimensions)" if store.model else "made without naming a model"
    raise IndexMismatchError(
        f"{incoming.source} was made with {incoming.model!r} ({size} dimensions), {store.name} was {made}:"
        " import it into another gallery (--gallery DIR), or switch this one to that model:"
        f" faceall index migrate --model {name}"
    )


def _name_of(name: str) -> str:
    """Return the name of a person in the form that galleries accept."""
    return fitting_name(name) or "unnamed"


class _People:
    """The bundle's people as rows of the gallery; new people are added when a face needs them."""

    def __init__(self, store: Store, people: tuple[BundlePerson, ...]) -> None:
        self.conflicts: list[str] = []
        self.renamed: list[tuple[str, str]] = []
        self.new: list[str] = []
        self._store = store
        self._people = {person.id: person for person in people}
        self._groups = set(store.people.clusters())
        self._rows: dict[str, int] = {}
        for person in people:
            row = store.bundles.person(person.id)
            if row is not None:
                self._rows[person.id] = row
                self._settle_name(row, person)
        for person in people:
            if person.id not in self._rows and (row := self._same_name(person)) is not None:
                self._rows[person.id] = row
                store.bundles.link_person(person.id, row)

    def known(self, identity: str | None) -> int | None:
        """Return the row of a person, None for a new one and for an unassigned face."""
        return None if identity is None else self._rows.get(identity)

    def row(self, identity: str | None) -> int | None:
        """Return the row of a person, who is added if new; None for an unassigned face."""
        if identity is None or identity in self._rows:
            return self.known(identity)
        person = self._people[identity]
        name, dates = _name_of(person.name), (clamped(person.created), clamped(person.changed))
        row = self._same_name(person)  # two new people with the same name are one person
        if row is not None:
            self._store.bundles.link_person(identity, row)
        elif person.unnamed:
            row = self._store.bundles.add_group(person.id, *dates)
            self._groups.add(row)
            self.new.append(self._store.people.names([row])[row])
        else:
            row = self._store.bundles.add_person(name, person.id, *dates)
            self.new.append(name)
        self._rows[identity] = row
        return row

    def details(self) -> Iterator[tuple[int, BundleDetails]]:
        """Yield the rows of people who are in the gallery with the details that they have in the bundle."""
        there = self._store.people.names(list(self._rows.values()))
        for identity, row in self._rows.items():
            details = self._people[identity].details
            if details is not None and row in there:
                yield row, details

    def name(self, row: int | None) -> str:
        """Describe the person of a face in the gallery, for messages."""
        if row is None:
            return "unassigned"
        return f"assigned to {self._store.people.names([row])[row]!r}"

    def title(self, identity: str | None) -> str:
        """Describe the person of a face in the bundle, for messages."""
        return "unassigned" if identity is None else f"assigned to {_name_of(self._people[identity].name)!r}"

    def _named(self, name: str) -> int | None:
        return self._store.people.named(name)

    def _same_name(self, person: BundlePerson) -> int | None:
        """Return the row of the person of the gallery with the same name; groups without a name have no equal."""
        return None if person.unnamed else self._named(_name_of(person.name))

    def _settle_name(self, row: int, person: BundlePerson) -> None:
        """If gallery and bundle disagree on a name, keep the later one unless another person has it."""
        here, changed = self._store.bundles.person_change(row)
        name = _name_of(person.name)
        if name == here or person.unnamed:
            return
        if is_future(person.changed):
            self.conflicts.append(f"{name!r} was renamed at {person.changed}, in the future: {here!r} is kept")
        elif person.changed <= changed and row not in self._groups:
            self.conflicts.append(f"{name!r} is called {here!r} here, which is kept: its change is not older")
        elif self._named(name) is not None:
            self.conflicts.append(
                f"{here!r} was renamed to {name!r}, but another person has that name: {here!r} is kept"
            )
        else:
            self._store.bundles.rename_person(row, name, person.changed)
            self._groups.discard(row)
            self.renamed.append((here, name))


class _Faces:
    """Merges the bundle's faces one after the other."""

    def __init__(
        self,
        store: Store,
        contents: Incoming,
        people: _People,
        result: BundleImport,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._store, self._records = store, store.bundles
        self._contents, self._people, self._result = contents, people, result
        self._progress = progress

    def merge(self, *, restore: bool) -> None:
        """Compare the known faces with the gallery and add the others."""
        new: list[int] = []
        stored = self._contents.vectors.astype("<f4", copy=False)
        for number, face in enumerate(self._contents.faces):
            vector = stored[number].tobytes()
            key = self._records.face(face.id)
            if key is None:
                key = self._twin(face, vector)
            if key is not None:
                self._meet(key, face, vector)
            elif not restore and self._records.was_removed(face.id):
                self._result.left_out += 1
            else:
                new.append(number)
        if new:
            self._add(new)
        for photo in {face.photo.sha256: face.photo for face in self._contents.faces}.values():
            if photo.taken or photo.camera:
                self._records.complete_photo(photo)

    def _twin(self, face: BundleFace, vector: bytes) -> int | None:
        """Return the key of a face of the same photo with the same vector, and add the id as an alias of it."""
        key = self._records.twin(bytes.fromhex(face.photo.sha256), vector)
        if key is not None:
            self._records.link_face(face.id, key)
        return key

    def _meet(self, key: int, face: BundleFace, vector: bytes) -> None:
        """Merge a face that the gallery has already; its person may have changed in the bundle."""
        self._result.known += 1
        here = self._records.face_change(key)
        owner = here.person
        if here.vector != vector:
            self._result.conflicts.append(
                f"face {key} has another vector in the bundle; the vector of the gallery is kept"
            )
        if face.person is None and owner is None:
            return
        if face.person is not None and owner is not None and self._people.known(face.person) == owner:
            return
        if is_future(face.changed) or face.changed <= here.changed:
            reason = (
                "the bundle's change is dated in the future" if is_future(face.changed) else "its change is not older"
            )
            self._result.conflicts.append(
                f"face {key} is {self._people.title(face.person)} in the bundle and {self._people.name(owner)} here,"
                f" which is kept: {reason}"
            )
            return
        person = self._people.row(face.person)
        if person == owner:  # two new people with the same name
            return
        self._records.assign_face(key, person, face.changed)
        self._result.reassigned += 1

    def _add(self, numbers: list[int]) -> None:
        """Add the new faces."""
        keys = self._records.add_faces(self._contents.vectors[np.array(numbers)])
        for done, (number, key) in enumerate(zip(numbers, keys, strict=True), 1):
            face = self._contents.faces[number]
            photo = self._records.add_photo(face.photo, self._paths(face.photo))
            person, jpeg = self._people.row(face.person), self._contents.thumbnail(face)
            dated = replace(face, created=clamped(face.created), changed=clamped(face.changed))
            self._records.add_face(key, dated, photo, person, jpeg)
            self._result.added += 1
            if self._progress:
                self._progress(done, len(numbers))

    def _paths(self, photo: BundlePhoto) -> list[bytes]:
        """Return the possible paths of a new photo: its known path, then paths inside the bundle."""
        inside = [os.fsencode(self._result.path / photo.sha256[:digits] / photo.name) for digits in (12, 64)]
        known = [os.fsencode(self._contents.places[photo.sha256])] if photo.sha256 in self._contents.places else []
        return [*known, *inside]


def is_future(moment: str) -> bool:
    """Return whether a time is more than a day ahead of this machine's clock, so that it cannot be trusted."""
    return moment > time.strftime(_TIME, time.gmtime(time.time() + _CLOCK_TOLERANCE))


def clamped(moment: str) -> str:
    """Return a time, or the current time if it is in the future."""
    return time.strftime(_TIME, time.gmtime()) if is_future(moment) else moment
