"""What travels when a gallery moves to another kind of place: whole photos and people, as both places can hold them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from faceall.gallery.records import PhotoState, SeenFile
from faceall.types import Float32Array


@dataclass(frozen=True, eq=False)
class FaceCopy:
    """A face: its key, the row of its person, where it is on its photo, its vector and its JPEG.

    landmarks  ten numbers, x and y of each point
    """

    key: int
    person: int | None
    primary: bool
    box: tuple[float, ...]
    score: float
    landmarks: tuple[float, ...]
    vector: Float32Array
    jpeg: bytes


@dataclass(frozen=True, eq=False)
class PhotoCopy:
    """A photo with its files and faces; `print` are the bytes by which pictures that nearly equal it are found."""

    digest: bytes
    state: PhotoState
    message: str | None
    reader: str
    width: int | None
    height: int | None
    print: bytes | None
    files: tuple[SeenFile, ...]
    faces: tuple[FaceCopy, ...]


@dataclass(frozen=True)
class PersonCopy:
    """A person: the row, the name, and whether it is a cluster."""

    id: int
    name: str
    cluster: bool


class Transfer(Protocol):
    """How a store gives its records away and takes those of another."""

    def digests(self) -> list[bytes]:
        """The SHA-256 of every photo, in an order that stays the same."""

    def photos(self, digests: Sequence[bytes]) -> list[PhotoCopy]:
        """The photos of these contents that are there."""

    def put_photos(self, photos: Sequence[PhotoCopy]) -> None:
        """Store photos under their faces' keys, in the place of those of the same content."""

    def remove_photos(self, digests: Sequence[bytes]) -> None:
        """Remove photos."""

    def people(self) -> list[PersonCopy]:
        """Everybody."""

    def put_people(self, people: Sequence[PersonCopy]) -> None:
        """Store people under their rows, in the place of all who are there."""

    def kept(self) -> dict[str, Any]:
        """What goes along as it is, as JSON by name: it is of use in one kind of place only."""

    def put_kept(self, values: dict[str, Any]) -> None:
        """Store what `kept` of another place gave."""

    def destroy(self, agree: Callable[[], None]) -> None:
        """Remove the gallery for good; the store cannot be used any more.

        agree  called when nobody else can write, where the place has a lock; nothing is removed if it raises
        """


@dataclass(frozen=True)
class Sums:
    """Counts and checksums of a gallery, by which two of them are compared; no order matters.

    records     of people, files, boxes, names and all else that is not a vector or a picture
    vectors     of every bit of every vector, with the key of its face
    thumbnails  the same of the JPEGs
    """

    photos: int
    files: int
    faces: int
    people: int
    records: str
    vectors: str
    thumbnails: str


class Summing:
    """Adds up a gallery, photo by photo."""

    def __init__(self, people: Iterable[PersonCopy]) -> None:
        self._names = {person.id: person.name for person in people}
        self._counts = {"photos": 0, "files": 0, "faces": 0, "people": len(self._names)}
        self._sums = dict.fromkeys(("records", "vectors", "thumbnails"), 0)
        for person in sorted(self._names):
            self._add("records", json.dumps([person, self._names[person]]).encode())

    def add(self, photo: PhotoCopy) -> None:
        """Take a photo into the sums."""
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
        """The sums so far."""
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
    """What tells whether a photo is the same in two places, with its faces and whose they are."""
    parts = [records_of(photo, None)]
    parts += [face.vector.astype("<f4").tobytes() + face.jpeg for face in _by_key(photo)]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


def records_of(photo: PhotoCopy, names: dict[int, str] | None) -> bytes:
    """A photo without vectors and pictures, the same bytes for the same facts; people by name, or by row."""
    files = [[os.fsencode(file.path).hex(), *list(asdict(file).values())[1:]] for file in photo.files]
    faces = [
        [
            face.key,
            face.person if names is None or face.person is None else names.get(face.person),
            face.primary,
            list(face.box),
            face.score,
            list(face.landmarks),
        ]
        for face in _by_key(photo)
    ]
    facts = [photo.digest.hex(), photo.state, photo.message, photo.reader, photo.width, photo.height]
    return json.dumps([facts, (photo.print or b"").hex(), files, faces]).encode()


def _by_key(photo: PhotoCopy) -> list[FaceCopy]:
    return sorted(photo.faces, key=lambda face: face.key)
