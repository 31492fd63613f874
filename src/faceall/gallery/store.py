"""What a gallery asks of the place where its records lie: the seam between its rules and a database.

Above it stand the rules: what a photo that comes in becomes, who is on a picture, how faces are grouped. Below it
stand the statements: `faceall.gallery.embedded` (SQLite and hnswlib in a folder) and `faceall.gallery.milvus`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from faceall.gallery.bundle.records import BundleFace, BundlePerson, BundlePhoto
from faceall.gallery.maintenance.transfer import Transfer
from faceall.gallery.records import (
    Analysis,
    GalleryStatistics,
    GalleryStatus,
    KnownPhoto,
    Page,
    PendingFace,
    Person,
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
    """Photos, which are contents, and the files that hold them."""

    def refresh(self) -> None:
        """A registration begins: what others have taken up meanwhile counts for `lookalike`."""

    def at(self, path: Path, size: int, mtime: int) -> KnownPhoto | None:
        """The photo that a file held when it was last seen, if its size (bytes) and time (ns) are still the same."""

    def of(self, digest: bytes) -> KnownPhoto | None:
        """The photo with this SHA-256."""

    def held_by(self, path: Path) -> KnownPhoto | None:
        """The photo that a path held when it was last seen, one whose faces are aside too."""

    def files(self, photo: int) -> list[SeenFile]:
        """Where a photo was seen, the first place first."""

    def put_file(self, photo: int, file: SeenFile) -> None:
        """Note that a path holds a photo, and no other any more."""

    def displace(self, path: Path) -> None:
        """Note that the photo of a path is not there any more, and nowhere else so far."""

    def drop_files(self, photo: int, files: Sequence[SeenFile]) -> None:
        """Forget that a photo was seen in these places."""

    def add(self, digest: bytes, analysis: Analysis) -> int:
        """Make the row of a photo, in the place of one of the same content that could not be read; without faces."""

    def add_faces(self, photo: int, analysis: Analysis, person: str | None) -> None:
        """Store the faces of a new photo; the chief one belongs to `person`, the others to nobody."""

    def lookalike(self, photo: int, analysis: Analysis) -> int | None:
        """Remember what a new photo looks like; returns one that it nearly equals."""

    def assign_primary(self, photo: int, person: str) -> None:
        """File the chief face of a photo under a person, new or known."""

    def displaced(self) -> list[int]:
        """The photos that are displaced."""

    def below(self, path: Path) -> list[int]:
        """The photos that were seen at a path, or anywhere below it."""

    def remove(self, photos: Sequence[int]) -> Removal:
        """Remove photos with their faces for good."""

    def pending(self, digest: bytes) -> list[PendingFace]:
        """The faces that are aside of the photo with this SHA-256."""

    def restore(self, ids: Sequence[int], vectors: Float32Array) -> int:
        """Make faces that are aside ordinary ones, with these vectors (n, dimension); returns how many."""

    def stored(self, photos: Iterable[int]) -> list[StoredPhoto]:
        """The photos of some ids that are there, by their ids."""

    def page(self, *, person: int | None, limit: int, offset: int) -> Page[StoredPhoto]:
        """Photos that show a face, by their ids; those of a person, where that is asked for."""


class FaceRecords(Protocol):
    """Faces with their vectors and thumbnails."""

    def __len__(self) -> int: ...

    def __contains__(self, key: object) -> bool: ...

    def nearest(
        self, vectors: Float32Array, k: int, *, people: Sequence[int] | None = None, exact: bool = False
    ) -> Matches:
        """The k nearest faces of each vector (q, dimension), of these people only where they are given.

        exact  compare with every face
        returns  fewer columns where there are fewer faces
        """

    def near(
        self, vectors: Float32Array, k: int, *, people: Sequence[int] | None = None
    ) -> tuple[list[list[Near]], bool]:
        """The same as faces with their distances, and whether these are all that there are."""

    def distances(self, vector: Float32Array, person: int) -> Float32Array:
        """The squared distances of a vector (dimension,) to all faces of a person, ascending."""

    def vectors(self, keys: Sequence[int]) -> Float32Array:
        """(n, dimension) float32, a row per key; zeros for one that is not there."""

    def stored(self, keys: Iterable[int]) -> dict[int, StoredFace]:
        """The faces of some keys; those that are not there are left out."""

    def listed(
        self, *, person: int | None = None, photo: int | None = None, unassigned: bool = False
    ) -> Iterable[StoredFace]:
        """Faces by their keys; of a person, on a photo or of nobody, where that is asked for."""

    def page(
        self, *, person: int | None, photo: int | None, unassigned: bool, limit: int, offset: int
    ) -> Page[StoredFace]:
        """Some of the same."""

    def thumbnail(self, key: int) -> bytes | None:
        """A face as a JPEG."""

    def owners(self, keys: Sequence[int]) -> dict[int, int | None]:
        """Whom faces are filed under, by their rows; those that are not there are left out."""

    def file(self, keys: Sequence[int], person: int | None) -> None:
        """File faces under a person, by the row, or under nobody."""

    def remove(self, keys: Sequence[int]) -> Removal:
        """Remove faces for good, and photos that are left without any."""

    def places(self) -> Iterator[tuple[int, int, int | None]]:
        """Key, photo and person of every face, by key."""


class PersonRecords(Protocol):
    """People, and the clusters that nobody has named; each has a row that stays when they are renamed."""

    def named(self, name: str) -> int | None:
        """The row of somebody."""

    def names(self, rows: Iterable[int] | None = None) -> dict[int, str]:
        """What people are called, by their rows; None: everybody."""

    def make(self, name: str) -> int:
        """The row of somebody, made if it is not there."""

    def rename(self, row: int, name: str) -> None:
        """Give somebody a name that nobody else has; a cluster is one no more."""

    def merge(self, source: int, target: int) -> int:
        """File all faces of one under another; returns how many."""

    def remove(self, row: int) -> Removal:
        """Remove somebody with all their faces for good."""

    def listed(self) -> list[Person]:
        """Everybody, by name."""

    def page(self, *, text: str | None, named: bool | None, limit: int, offset: int) -> Page[Person]:
        """Some of them, with the face that shows each best; `text` stands in their names, in capitals or not."""

    def stored(self, rows: Sequence[int]) -> list[Person]:
        """The people of some rows, in that order, with the face that shows each best."""

    def with_faces(self, at_most: int | None = None) -> list[int]:
        """The rows of those who have a face, ascending; no more than asked for."""

    def faces(self, row: int) -> list[int]:
        """The keys of somebody's faces, ascending."""

    def clusters(self) -> frozenset[int]:
        """The rows of those who have no name of their own."""

    def open_cluster(self) -> int:
        """A new person without a name of their own."""

    def refuse(self, owners: Mapping[int, int | None]) -> None:
        """Note that faces do not show whom they were filed under."""

    def refusals(self) -> dict[int, set[int]]:
        """Key of a face -> the rows of those whom it is known not to show."""


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
    """Where the records of one gallery lie."""

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
    def name(self) -> str:
        """Where that is, as messages say it; nothing secret."""

    @property
    def transfer(self) -> Transfer:
        """How it moves to another place."""

    @property
    def folder(self) -> Path:
        """Where its files lie on this machine, or those that it keeps besides."""

    @property
    def read_only(self) -> bool:
        """Whether it was opened so."""

    @property
    def model(self) -> str | None:
        """The embedder that made the vectors."""

    @property
    def dimension(self) -> int | None:
        """Numbers per vector."""

    def adopt(self, *, model: str | None, dimension: int) -> None:
        """Settle which embedder's vectors come. Raises IndexMismatchError where those of another are there."""

    def reading(self) -> AbstractContextManager[object]:
        """Several reads that belong together: of one moment, where the place can do that."""

    def changing(self) -> AbstractContextManager[object]:
        """Several changes that belong together; they are kept at the end, and none of them where an error comes.

        Reads inside see them. Others see no photo without all of its faces, and no face without its photo.
        """

    def setting(self, key: str) -> Any:
        """What was stored under a name, None where nothing was."""

    def put_setting(self, key: str, value: Any) -> None:
        """Store what JSON can hold; None forgets it."""

    def status(self) -> GalleryStatus:
        """Count everything; looks at the disk for files that have gone."""

    def problems(self) -> list[str]:
        """What is wrong, a line each. Reads everything."""

    def verify(self) -> Verification:
        """Read everything and compare; recall against exact search, too."""

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
        """How many rows of what was removed can still be found."""

    def tidied(self, removal: Removal) -> Removal:
        """After a removal: see to it that nothing of it stays behind; with the receipt, where the place gives one."""

    def close(self, *, save: bool = True) -> None:
        """Let the files or the connection go; a second call does nothing."""
