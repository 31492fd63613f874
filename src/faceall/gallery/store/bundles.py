"""The records that bundles are made from and merged into."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from faceall.gallery.records.bundles import BundleDetails, BundleFace, BundlePerson, BundlePhoto
from faceall.gallery.records.corrections import Corrections
from faceall.types import Float32Array


@dataclass(frozen=True)
class StoredChange:
    """The person of a face (the row), when that was last changed, and the vector as little-endian float32."""

    person: int | None
    changed: str
    vector: bytes


class GallerySnapshot(Protocol):
    """Faces and people of one moment, in the form of bundles."""

    @property
    def people(self) -> tuple[BundlePerson, ...]:
        """People by id."""

    @property
    def faces(self) -> tuple[BundleFace, ...]:
        """Faces by id."""

    @property
    def vectors(self) -> Float32Array:
        """(n, dimension) float32, a row per face."""

    def thumbnail(self, number: int) -> bytes:
        """Return the JPEG of a face, by its place among the faces."""

    @property
    def corrections(self) -> Corrections:
        """Judgements and, of a whole gallery, the history."""

    def path(self, number: int) -> str:
        """Return the file that shows a face, as last seen."""


class BundleRecords(Protocol):
    """Records by the ids that are the same on every device. All but `snapshot` is called inside `Store.changing`."""

    def snapshot(self, people: Collection[int] | None = None) -> AbstractContextManager[GallerySnapshot]:
        """Read all faces, or those of some people (rows), at one moment."""

    def person(self, identity: str) -> int | None:
        """Return the row of the person with an id."""

    def add_person(self, name: str, identity: str, created: str, changed: str) -> int:
        """Add a person with an id; return the row."""

    def add_group(self, identity: str, created: str, changed: str) -> int:
        """Add a group without a name, with an id; return the row."""

    def link_person(self, identity: str, row: int) -> None:
        """Note another id of a person."""

    def person_change(self, row: int) -> tuple[str, str]:
        """Return the name of a person and when it was last changed."""

    def rename_person(self, row: int, name: str, changed: str) -> None:
        """Rename a person as of a time."""

    def details(self, row: int) -> BundleDetails | None:
        """Return the details of a person with the time of their last change, None if there are none."""

    def put_details(self, row: int, details: BundleDetails) -> None:
        """Store the details of a person as of a time; a cover that is not a face of the person is left out."""

    def face(self, identity: str) -> int | None:
        """Return the key of the face with an id."""

    def twin(self, digest: bytes, vector: bytes) -> int | None:
        """Return the key of a face on the photo with a SHA-256 that has the very same vector."""

    def link_face(self, identity: str, key: int) -> None:
        """Note another id of a face."""

    def face_change(self, key: int) -> StoredChange:
        """Return the person of a face, when that was last changed, and the vector."""

    def assign_face(self, key: int, person: int | None, changed: str) -> None:
        """Assign a face to a person as of a time."""

    def was_removed(self, identity: str) -> bool:
        """Return whether the face with an id was removed here."""

    def add_photo(self, photo: BundlePhoto, paths: Sequence[bytes]) -> int:
        """Return the row of a photo; a new one is noted at the first path that no other photo has."""

    def complete_photo(self, photo: BundlePhoto) -> None:
        """Store time and camera of a photo, if the gallery has it and does not know them."""

    def add_faces(self, vectors: Float32Array) -> list[int]:
        """Add vectors (n, dimension); return their keys, each of which has to be given to `add_face` next."""

    def add_face(self, key: int, face: BundleFace, photo: int, person: int | None, jpeg: bytes) -> None:
        """Add the record of a face whose vector is there; it is primary unless its photo has such a face."""

    def remove_empty_people(self) -> None:
        """Remove people who have no face."""

    def put_judgements(self, judgements: Iterable[Mapping[str, Any]]) -> None:
        """Store what users said on another device, by the ids of faces and people; the later word counts."""
