"""The interface between the rules of a gallery and its database.

The layers above decide how photos are registered, who is on an image and how faces are grouped. The backends below
store the records: `faceall.gallery.embedded` (SQLite and hnswlib in a folder) and `faceall.gallery.milvus`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from faceall.gallery.bundle.corrections import Corrections
from faceall.gallery.bundle.records import BundleFace, BundlePerson, BundlePhoto
from faceall.gallery.maintenance.transfer import Transfer
from faceall.gallery.records import (
    Analysis,
    BinEntry,
    Change,
    GalleryStatistics,
    GalleryStatus,
    KnownPhoto,
    Page,
    PendingFace,
    Person,
    PersonDetails,
    Removal,
    SeenFile,
    StoredFace,
    StoredPhoto,
)
from faceall.index.maintenance.compaction import Compaction
from faceall.index.maintenance.verification import Verification
from faceall.types import Face, Float32Array, Matches

Near = tuple[StoredFace, float]
"""A face and its squared distance."""


class PhotoRecords(Protocol):
    """Photos, identified by their content, and the files that contain them."""

    def refresh(self) -> None:
        """Start a registration: `lookalike` then includes photos that other processes have registered."""

    def at(self, path: Path, size: int, mtime: int) -> KnownPhoto | None:
        """Return the photo that a file contained when last seen, if size (bytes) and time (ns) are unchanged."""

    def of(self, digest: bytes) -> KnownPhoto | None:
        """Return the photo with this SHA-256."""

    def held_by(self, path: Path) -> KnownPhoto | None:
        """Return the photo that a path contained when last seen, also one with only stale faces."""

    def files(self, photo: int) -> list[SeenFile]:
        """Return the files in which a photo was seen, the first one first."""

    def put_file(self, photo: int, file: SeenFile) -> None:
        """Record that a path now contains this photo and no other."""

    def displace(self, path: Path) -> None:
        """Record that a path no longer contains its photo, which was not found elsewhere so far."""

    def drop_files(self, photo: int, files: Sequence[SeenFile]) -> None:
        """Remove these files from a photo."""

    def add(self, digest: bytes, analysis: Analysis) -> int:
        """Add a photo without faces; replaces an unreadable one with the same content."""

    def add_faces(self, photo: int, analysis: Analysis, person: str | None) -> None:
        """Store the faces of a new photo; assign the primary one to `person`, the others to no one."""

    def lookalike(self, photo: int, analysis: Analysis) -> int | None:
        """Store the hash of a new photo; return a near duplicate of it, if there is one."""

    def assign_primary(self, photo: int, person: str) -> None:
        """Assign the primary face of a photo to a person, who is added if new."""

    def displaced(self) -> list[int]:
        """Return the displaced photos."""

    def below(self, path: Path) -> list[int]:
        """Return the photos that were seen at a path or below it."""

    def remove(self, photos: Sequence[int]) -> Removal:
        """Remove photos and their faces permanently."""

    def pending(self, digest: bytes) -> list[PendingFace]:
        """Return the stale faces of the photo with this SHA-256."""

    def restore(self, ids: Sequence[int], vectors: Float32Array) -> int:
        """Turn stale faces into ordinary ones with these vectors (n, dimension); return how many."""

    def stored(self, photos: Iterable[int]) -> list[StoredPhoto]:
        """Return the photos with these ids, ordered by id; unknown ids are skipped."""

    def digest(self, photo: int) -> bytes:
        """Return the SHA-256 of a photo that exists."""

    def taken(self) -> dict[int, str]:
        """Return when photos were taken, as the camera noted it (ISO 8601), by id; unknown ones are left out."""

    def absent_boxes(self, photo: int) -> list[tuple[float, ...]]:
        """Return the boxes (x0 y0 x1 y1) of the faces of a photo that are in the bin or stale."""

    def page(self, *, person: int | None, limit: int, offset: int) -> Page[StoredPhoto]:
        """Return photos that show a face, ordered by id; `person` limits them to one person."""


class FaceRecords(Protocol):
    """Faces with their vectors and thumbnails."""

    def __len__(self) -> int: ...

    def __contains__(self, key: object) -> bool: ...

    def nearest(
        self, vectors: Float32Array, k: int, *, people: Sequence[int] | None = None, exact: bool = False
    ) -> Matches:
        """Find the k nearest faces of each vector.

        Parameters
        ----------
        vectors : (q, dimension) float32
            The queries.
        k : int
            Number of faces per query.
        people : sequence of int, optional
            Search only the faces of these people (rows).
        exact : bool, default False
            Compare with every face.

        Returns
        -------
        Matches
            With fewer than k columns if there are fewer faces.
        """

    def near(
        self, vectors: Float32Array, k: int, *, people: Sequence[int] | None = None
    ) -> tuple[list[list[Near]], bool]:
        """Return the nearest faces with their distances, and whether these are all faces."""

    def distances(self, vector: Float32Array, person: int) -> Float32Array:
        """Return the squared distances of a vector (dimension,) to all faces of a person, ascending."""

    def vectors(self, keys: Sequence[int]) -> Float32Array:
        """Return (n, dimension) float32, a row per key; zeros for an unknown key."""

    def stored(self, keys: Iterable[int]) -> dict[int, StoredFace]:
        """Return the faces with these keys; unknown keys are skipped."""

    def listed(
        self, *, person: int | None = None, photo: int | None = None, unassigned: bool = False
    ) -> Iterable[StoredFace]:
        """Return faces ordered by key, optionally only those of a person, on a photo, or unassigned."""

    def page(
        self,
        *,
        person: int | None,
        photo: int | None,
        unassigned: bool,
        hidden: bool,
        largest_first: bool,
        limit: int,
        offset: int,
    ) -> Page[StoredFace]:
        """Return a page of the hidden faces, or of the others, ordered by key or by size."""

    def hidden(self) -> frozenset[int]:
        """Return the keys of the hidden faces."""

    def set_hidden(self, keys: Iterable[int], *, hidden: bool) -> int:
        """Hide faces, or show them again; return how many were changed.

        Raises
        ------
        NotSupportedError
            The backend does not keep this.
        """

    def thumbnail(self, key: int) -> bytes | None:
        """Return the thumbnail of a face (JPEG), or None."""

    def owners(self, keys: Sequence[int]) -> dict[int, int | None]:
        """Return the person (row) of each face, None if unassigned; unknown keys are skipped."""

    def file(self, keys: Sequence[int], person: int | None) -> None:
        """Assign faces to a person (row); None unassigns them."""

    def remove(self, keys: Sequence[int]) -> Removal:
        """Remove faces permanently, and photos that have no face left."""

    def places(self) -> Iterator[tuple[int, int, int | None]]:
        """Yield key, photo and person of every face, ordered by key."""


class PersonRecords(Protocol):
    """People and unnamed clusters; the row of each stays the same when it is renamed."""

    def named(self, name: str) -> int | None:
        """Return the row of the person with this name."""

    def names(self, rows: Iterable[int] | None = None) -> dict[int, str]:
        """Return names by row; None: of all people."""

    def make(self, name: str) -> int:
        """Return the row of the person with this name, who is added if new."""

    def rename(self, row: int, name: str) -> None:
        """Rename a person; the name must be free. A cluster becomes a named person."""

    def merge(self, source: int, target: int) -> int:
        """Assign all faces of one person to another; return how many."""

    def remove(self, row: int) -> Removal:
        """Remove a person and all their faces permanently."""

    def listed(self) -> list[Person]:
        """Return all people who have faces, ordered by name."""

    def page(self, *, text: str | None, named: bool | None, hidden: bool, limit: int, offset: int) -> Page[Person]:
        """Return a page of people with their covers; `text` filters names, ignoring case.

        People with a name come first, by name, then clusters: those with the most faces, and among these those with the
        largest face, first.
        """

    def stored(self, rows: Sequence[int]) -> list[Person]:
        """Return the people with these rows, in that order, with their covers."""

    def assigned(self) -> tuple[int, int]:
        """Count the people with faces, and their faces."""

    def with_faces(self, at_most: int | None = None) -> list[int]:
        """Return the rows of people who have a face, ascending, at most `at_most`."""

    def faces(self, row: int) -> list[int]:
        """Return the keys of a person's faces, ascending."""

    def clusters(self) -> frozenset[int]:
        """Return the rows of the unnamed clusters."""

    def open_cluster(self) -> int:
        """Add an unnamed cluster and return its row."""

    def refuse(self, owners: Mapping[int, int | None]) -> None:
        """Record that faces do not show the people they were assigned to."""

    def refusals(self, faces: Sequence[int] | None = None) -> dict[int, set[int]]:
        """Return for each face key, of some faces or of all, the rows of people it is known not to show."""

    def confirmations(self, faces: Sequence[int]) -> dict[int, set[int]]:
        """Return for each of some face keys the rows of people that users said it shows."""

    def confirm(self, faces: Iterable[int], person: int) -> None:
        """Record that faces show a person."""

    def tell_apart(self, first: int, second: int) -> None:
        """Record that two people (rows) are not the same."""

    def distinct(self) -> set[tuple[int, int]]:
        """Return the pairs of rows, the smaller one first, that are known not to be the same person."""

    def details(self, row: int) -> PersonDetails:
        """Return what is noted of a person besides the name."""

    def put_details(self, row: int, details: PersonDetails) -> None:
        """Store what is noted of a person.

        Raises
        ------
        NotSupportedError
            The backend does not keep details.
        """

    def hidden(self) -> frozenset[int]:
        """Return the rows of the people who are hidden."""


class JournalRecords(Protocol):
    """The journal of changes of people, and the bin."""

    def recording(self, kind: str, author: str, details: dict[str, Any]) -> AbstractContextManager[dict[str, Any]]:
        """Group changes like `Store.changing` and record them as one; the details may be completed inside."""

    def page(self, *, limit: int, offset: int) -> Page[Change]:
        """Return changes, the last one first."""

    def get(self, change: int) -> Change:
        """Return a change; raise UnknownChangeError if there is none."""

    def last(self) -> Change | None:
        """Return the last change that can be undone and is not itself an undoing."""

    def undo(self, change: int, author: str) -> Change:
        """Undo a change, all or nothing; return the change that did it.

        Raises
        ------
        UnknownChangeError
            There is no such change.
        UndoError
            What it changed was changed again or erased.
        """

    def put_aliases(self, before: Mapping[str, str | None], after: Mapping[str, str | None]) -> None:
        """Record a change of the names of folders as part of the present change."""

    def discard(self, person: int) -> int:
        """Move a person (row) with all faces to the bin, inside a recording; return how many faces."""

    def bin(self) -> list[BinEntry]:
        """Return what the bin holds, the last deletion first."""

    def expired(self, days: int) -> list[int]:
        """Return the changes that moved people to the bin more than `days` days ago."""

    def erase(self, changes: Iterable[int]) -> Removal:
        """Erase what changes moved to the bin."""

    def exported(self) -> list[dict[str, Any]]:
        """Return the history as bundles hold it."""

    def add_imported(self, changes: Iterable[Mapping[str, Any]]) -> None:
        """Add the history of a bundle; its changes cannot be undone here."""


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

    def link_person(self, identity: str, row: int) -> None:
        """Note another id of a person."""

    def person_change(self, row: int) -> tuple[str, str]:
        """Return the name of a person and when it was last changed."""

    def rename_person(self, row: int, name: str, changed: str) -> None:
        """Rename a person as of a time."""

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

    def add_faces(self, vectors: Float32Array) -> list[int]:
        """Add vectors (n, dimension); return their keys, each of which has to be given to `add_face` next."""

    def add_face(self, key: int, face: BundleFace, photo: int, person: int | None, jpeg: bytes) -> None:
        """Add the record of a face whose vector is there; it is primary unless its photo has such a face."""

    def remove_empty_people(self) -> None:
        """Remove people who have no face."""

    def put_judgements(self, judgements: Iterable[Mapping[str, Any]]) -> None:
        """Store what users said on another device, by the ids of faces and people; the later word counts."""


@dataclass(frozen=True)
class FaceToEmbed:
    """A face without a vector of the new model: its key, and where it is on its photo."""

    key: int
    face: Face


@dataclass(frozen=True)
class PhotoToEmbed:
    """A photo with the faces that have no vector of the new model yet.

    Parameters
    ----------
    id : int
        Its row.
    digest : bytes
        SHA-256 of the file.
    paths : tuple of Path
        Where it was seen.
    faces : tuple of FaceToEmbed
        Ordered by key.
    """

    id: int
    digest: bytes
    paths: tuple[Path, ...]
    faces: tuple[FaceToEmbed, ...]


@dataclass(frozen=True, eq=False)
class StaleFace:
    """A stale face: its row, where it is on its photo, and the model and vector (dimension,) that it had."""

    id: int
    face: Face
    model: str
    vector: Float32Array


@dataclass(frozen=True)
class StalePhoto:
    """A photo with its stale faces; `digest` is the SHA-256 of the file."""

    digest: bytes
    paths: tuple[Path, ...]
    faces: tuple[StaleFace, ...]


class ReembeddingRecords(Protocol):
    """New vectors of all faces, kept apart until every face has one, and then put in the place of the old ones."""

    @property
    def model(self) -> str | None:
        """The embedder that made the vectors in use."""

    def begin(self, model: str, dimension: int) -> int:
        """Continue a change to a model, or drop one to another model; return how many photos are left."""

    def photos(self, after: int, limit: int) -> list[PhotoToEmbed]:
        """Return photos with faces that have no new vector; the first such key of each is greater than `after`."""

    def thumbnail(self, key: int) -> bytes | None:
        """Return a face as a JPEG."""

    def stage(self, vectors: Iterable[tuple[int, Float32Array | None, str | None]]) -> None:
        """Keep new vectors (key, vector, reason); None: there is none, for a reason."""

    def switch(self, model: str, dimension: int) -> bool:
        """Exchange all vectors, all or nothing; False where a face has no new one yet.

        Faces without a new vector become stale.

        Raises
        ------
        FaceallError
            No face has a new vector.
        """

    def stale_photos(self) -> list[int]:
        """Return the photos that have stale faces."""

    def stale(self, photo: int) -> StalePhoto:
        """Return a photo with its stale faces."""

    def restore(self, stale: Sequence[int], vectors: Float32Array) -> int:
        """Turn stale faces into ordinary ones with these vectors; return how many were still there."""

    def finish(self) -> None:
        """Write the files that make opening fast."""


class Store(Protocol):
    """The storage of one gallery."""

    @property
    def photos(self) -> PhotoRecords:
        """Photos and their files."""

    @property
    def faces(self) -> FaceRecords:
        """Faces with their vectors."""

    @property
    def people(self) -> PersonRecords:
        """People and clusters."""

    @property
    def journal(self) -> JournalRecords:
        """Changes of people."""

    @property
    def name(self) -> str:
        """The location as shown in messages, without credentials."""

    @property
    def transfer(self) -> Transfer:
        """Access for moving the gallery to another place."""

    @property
    def folder(self) -> Path:
        """The folder of its files on this machine, such as uploads."""

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading only."""

    @property
    def model(self) -> str | None:
        """The embedder that made the vectors."""

    @property
    def dimension(self) -> int | None:
        """Length of a vector, None before the first face."""

    def adopt(self, *, model: str | None, dimension: int) -> None:
        """Set the embedder of an empty gallery, or check it.

        Raises
        ------
        IndexMismatchError
            The gallery holds vectors of another embedder.
        """

    def reading(self) -> AbstractContextManager[object]:
        """Group several reads; they see one snapshot if the backend has snapshots."""

    def changing(self) -> AbstractContextManager[object]:
        """Group several changes; they are committed at the end, and discarded on an error.

        Reads inside see them. Other readers never see a photo without all its faces, or a face without its photo.
        """

    def setting(self, key: str) -> Any:
        """Return the value stored under a name, or None."""

    def put_setting(self, key: str, value: Any) -> None:
        """Store a JSON value under a name; None removes it."""

    def status(self) -> GalleryStatus:
        """Count everything, and check which files are missing on the disk."""

    def problems(self) -> list[str]:
        """Read everything and return what is inconsistent, a line each."""

    def verify(self) -> Verification:
        """Read and compare everything, and measure recall against exact search."""

    def statistics(self) -> GalleryStatistics:
        """Count faces and bytes."""

    def migration_command(self, model: str) -> str:
        """Return what to run to switch the gallery to an installed model, for messages."""

    @property
    def bundles(self) -> BundleRecords:
        """Records as bundles need them.

        Raises
        ------
        NotSupportedError
            The backend has no bundles.
        """

    @property
    def reembedding(self) -> ReembeddingRecords:
        """New vectors of another model.

        Raises
        ------
        NotSupportedError
            The backend cannot exchange its vectors.
        """

    def compact(self) -> Compaction:
        """Release the space of removed faces.

        Raises
        ------
        IndexBusyError
            Others are writing.
        NotSupportedError
            The backend does that by itself.
        """

    def backup(self, target: Path, *, beside: Sequence[str] = ()) -> int:
        """Copy one moment of the gallery, with some folders beside it, into a new folder; return its bytes.

        Raises
        ------
        IndexFileError
            The folder exists already or cannot be written.
        NotSupportedError
            The backend has its own tool.
        """

    def remaining(self, removal: Removal) -> int:
        """Count rows of removed things that can still be found."""

    def tidied(self, removal: Removal) -> Removal:
        """Clean up after a removal; add the receipt if the backend issues one."""

    def close(self, *, save: bool = True) -> None:
        """Release the files or the connection; a second call does nothing."""
