"""The records that a move copies between backends: whole photos and people."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any, Protocol, TypeAlias

from faceall.gallery.records import Moment, PhotoState, SeenFile
from faceall.types import Float32Array


@dataclass(frozen=True, eq=False)
class FaceCopy:
    """A face: its key, the row of its person, its position in its photo, its vector and its JPEG.

    `landmarks` holds x and y of each of the five points.
    """

    key: int
    person: int | None
    primary: bool
    box: tuple[float, ...]
    score: float
    landmarks: tuple[float, ...]
    vector: Float32Array
    jpeg: bytes
    moment: Moment | None = None


@dataclass(frozen=True, eq=False)
class PhotoCopy:
    """A photo with its files and faces; `print` is its difference hash, which finds near duplicates."""

    digest: bytes
    state: PhotoState
    message: str | None
    reader: str
    width: int | None
    height: int | None
    print: bytes | None
    files: tuple[SeenFile, ...]
    faces: tuple[FaceCopy, ...]
    smallest_face: float | None = None
    taken: str | None = None
    camera: str | None = None


@dataclass(frozen=True)
class PersonCopy:
    """A person: the row, the name, and whether it is a cluster."""

    id: int
    name: str
    cluster: bool


Pairs: TypeAlias = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class JudgementCopy:
    """What users said: faces and people (key, row) that belong together or do not, and people (rows) who differ."""

    refused: Pairs = frozenset()
    confirmed: Pairs = frozenset()
    distinct: Pairs = frozenset()


class Transfer(Protocol):
    """How a store reads and writes its records when a gallery is moved."""

    def digests(self) -> list[bytes]:
        """Return the SHA-256 of every photo, in a fixed order."""

    def photos(self, digests: Sequence[bytes]) -> list[PhotoCopy]:
        """Return the photos with these SHA-256; unknown ones are left out."""

    def put_photos(self, photos: Sequence[PhotoCopy]) -> None:
        """Store photos with the keys of their faces, replacing photos of the same content."""

    def remove_photos(self, digests: Sequence[bytes]) -> None:
        """Remove photos."""

    def people(self) -> list[PersonCopy]:
        """Return all people."""

    def put_people(self, people: Sequence[PersonCopy]) -> None:
        """Store people with their rows, replacing all existing ones."""

    def judgements(self) -> JudgementCopy:
        """Return what users said about the faces and people that the gallery has."""

    def put_judgements(self, judgements: JudgementCopy) -> None:
        """Store what users said, and forget what they said before about the same faces and people."""

    def kept(self) -> dict[str, Any]:
        """Return data that one backend alone uses and that others only keep, as JSON by name."""

    def put_kept(self, values: dict[str, Any]) -> None:
        """Store the result of `kept` of another backend."""

    def destroy(self, agree: Callable[[], None]) -> None:
        """Remove the gallery permanently; the store cannot be used afterwards.

        Parameters
        ----------
        agree : callable
            Called while no other process can write, if the backend has a lock; nothing is removed if it raises.
        """


@dataclass(frozen=True)
class Sums:
    """Counts and checksums with which two galleries are compared, independent of the order of their rows.

    Parameters
    ----------
    photos, files, faces, people : int
        Counts.
    records : str
        Checksum of people, files, boxes, names and everything else that is not a vector or an image.
    vectors : str
        Checksum of all vectors with the keys of their faces.
    thumbnails : str
        Checksum of all JPEGs with the keys of their faces.
    """

    photos: int
    files: int
    faces: int
    people: int
    records: str
    vectors: str
    thumbnails: str


class Summing:
    """Computes the sums of a gallery, photo by photo."""

    def __init__(self, people: Iterable[PersonCopy]) -> None:
        self._names = {person.id: person.name for person in people}
        self._counts = {"photos": 0, "files": 0, "faces": 0, "people": len(self._names)}
        self._sums = dict.fromkeys(("records", "vectors", "thumbnails"), 0)
        for person in sorted(self._names):
            self._add("records", json.dumps([person, self._names[person]]).encode())

    def add(self, photo: PhotoCopy) -> None:
        """Add a photo to the sums."""
        self._counts["photos"] += 1
        self._counts["files"] += len(photo.files)
        self._counts["faces"] += len(photo.faces)
        self._add("records", records_of(photo, self._names))
        for face in photo.faces:
            key = face.key.to_bytes(8, "little")
            self._add("vectors", key + face.vector.astype("<f4").tobytes())
            self._add("thumbnails", key + face.jpeg)

    def _add(self, what: str, data: bytes) -> None:
        number = int.from_bytes(hashlib.sha256(data).digest(), "little")
        self._sums[what] = (self._sums[what] + number) % (1 << 256)

    def result(self) -> Sums:
        """Return the sums of all photos added so far."""
        count, sums = self._counts, {what: f"{number:064x}" for what, number in self._sums.items()}
        return Sums(
            count["photos"],
            count["files"],
            count["faces"],
            count["people"],
            sums["records"],
            sums["vectors"],
            sums["thumbnails"],
        )


def fingerprint_of(photo: PhotoCopy) -> bytes:
    """Return a digest that is equal for equal photos, including their faces and the people of these."""
    parts = [records_of(photo, None)]
    parts += [face.vector.astype("<f4").tobytes() + face.jpeg for face in _by_key(photo)]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


def records_of(photo: PhotoCopy, names: dict[int, str] | None) -> bytes:
    """Return the fields of a photo without vectors and thumbnails as canonical bytes, people by name or by row."""
    files = [[os.fsencode(file.path).hex(), *list(asdict(file).values())[1:]] for file in photo.files]
    faces = [
        [
            face.key,
            face.person if names is None or face.person is None else names.get(face.person),
            face.primary,
            list(face.box),
            face.score,
            list(face.landmarks),
            *(() if face.moment is None else astuple(face.moment)),
        ]
        for face in _by_key(photo)
    ]
    content = [photo.digest.hex(), photo.state, photo.message, photo.reader, photo.width, photo.height]
    facts = [*content, photo.smallest_face, photo.taken, photo.camera]
    return json.dumps([facts, (photo.print or b"").hex(), files, faces]).encode()


def _by_key(photo: PhotoCopy) -> list[FaceCopy]:
    return sorted(photo.faces, key=lambda face: face.key)
