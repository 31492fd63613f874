"""What a gallery asks of the place where its records lie: the seam between its rules and a database.

Above it stand the rules: what a photo that comes in becomes, who is on a picture, how faces are grouped. Below it
stand the statements: `faceall.gallery.embedded` (SQLite and hnswlib in a folder) and `faceall.gallery.milvus`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from faceall.gallery.maintenance.transfer import Transfer
from faceall.gallery.records import (
    Findings,
    GalleryStatistics,
    GalleryStatus,
    KnownPhoto,
    Page,
    Person,
    Removal,
    SeenFile,
    StoredFace,
    StoredPhoto,
    Waiting,
)
from faceall.index.maintenance import Verification
from faceall.types import Float32Array, Matches

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

    def add(self, digest: bytes, findings: Findings) -> int:
        """Make the row of a photo, in the place of one of the same content that could not be read; without faces."""

    def add_faces(self, photo: int, findings: Findings, person: str | None) -> None:
        """Store the faces of a new photo; the chief one belongs to `person`, the others to nobody."""

    def lookalike(self, photo: int, findings: Findings) -> int | None:
        """Remember what a new photo looks like; returns one that it nearly equals."""

    def file_chief(self, photo: int, person: str) -> None:
        """File the chief face of a photo under a person, new or known."""

    def displaced(self) -> list[int]:
        """The photos that are displaced."""

    def below(self, path: Path) -> list[int]:
        """The photos that were seen at a path, or anywhere below it."""

    def remove(self, photos: Sequence[int]) -> Removal:
        """Remove photos with their faces for good."""

    def waiting(self, digest: bytes) -> list[Waiting]:
        """The faces that are aside of the photo with this SHA-256."""

    def take_back(self, ids: Sequence[int], vectors: Float32Array) -> int:
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
        self, *, person: int | None = None, photo: int | None = None, nobody: bool = False
    ) -> Iterable[StoredFace]:
        """Faces by their keys; of a person, on a photo or of nobody, where that is asked for."""

    def page(self, *, person: int | None, photo: int | None, nobody: bool, limit: int, offset: int) -> Page[StoredFace]:
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

    def remaining(self, removal: Removal) -> int:
        """How many rows of what was removed can still be found."""

    def tidied(self, removal: Removal) -> Removal:
        """After a removal: see to it that nothing of it stays behind; with the receipt, where the place gives one."""

    def close(self, *, save: bool = True) -> None:
        """Let the files or the connection go; a second call does nothing."""
