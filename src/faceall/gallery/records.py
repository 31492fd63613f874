"""Records of a gallery: photos, faces, people and results, the same for every backend."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from faceall.analysis.quality import Note
from faceall.gallery.registration.near_duplicates import Print
from faceall.images import reader_version
from faceall.index.maintenance.receipt import Receipt
from faceall.index.maintenance.verification import Statistics
from faceall.types import Face, Faces, Float32Array

Item = TypeVar("Item")

Said = Literal["yes", "no", "skip"]
"""An answer to a suggestion."""

Unusable = Literal["unreadable", "too-large"]
PhotoState = Literal["ok", Unusable]
PhotoStatus = Literal[
    "added", "changed", "unchanged", "moved", "removed", "duplicate", "refiled", "back", "refused", "no-face", Unusable
]


@dataclass(frozen=True)
class Person:
    """A person or a cluster.

    Attributes
    ----------
    name : str
        The name; of a cluster, for example "unnamed 12".
    faces, photos : int
        Number of their faces, and of photos that show them.
    named : bool
        False for a cluster without a name.
    id : int
        The row; it stays the same when the person is renamed.
    cover : int or None
        The face that represents them: a primary face if possible, and a large one.
    """

    name: str
    faces: int
    photos: int
    named: bool = True
    id: int = field(default=0, compare=False)
    cover: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class PersonDetails:
    """What is noted of a person besides the name.

    Attributes
    ----------
    hidden : bool
        Not listed and not suggested.
    cover : int or None
        The face that represents them, None for the best one.
    note : str or None
        A text.
    born : str or None
        The date of birth, YYYY-MM-DD.
    """

    hidden: bool = False
    cover: int | None = None
    note: str | None = None
    born: str | None = None


@dataclass(frozen=True)
class Change:
    """A change of people in the journal.

    Attributes
    ----------
    id : int
        Its number.
    kind : str
        Such as "rename", "merge", "discard" or "undo".
    made : str
        When, in UTC: 2026-01-31T12:00:00Z.
    author : str
        Who made it.
    details : dict
        Names and numbers, depending on the kind.
    undone : int or None
        The change that undid it.
    undoable : bool
        False for a change that came with a bundle.
    """

    id: int
    kind: str
    made: str
    author: str
    details: dict[str, Any]
    undone: int | None = None
    undoable: bool = True


@dataclass(frozen=True)
class BinEntry:
    """A deleted person in the bin: the change that deleted them, their name, when, and how many faces."""

    change: int
    person: str
    deleted: str
    faces: int


@dataclass(frozen=True)
class StoredFace:
    """A face of the gallery.

    Attributes
    ----------
    face_id : int
        Its id.
    person : str or None
        The person's name; None if unassigned.
    path : Path
        A file with its photo, as last seen.
    box : tuple of float
        x0, y0, x1, y1 in pixels.
    score : float
        Confidence of the detector, 0 to 1.
    photo_id, person_id : int, int or None
        Ids of its photo and person.
    named : bool
        False if the person is a cluster without a name.
    primary : bool
        Whether it is the primary face of its photo.
    landmarks : tuple of (x, y)
        Left eye, right eye, nose, left and right corner of the mouth, in pixels.
    hidden : bool
        Whether a user has hidden it.
    """

    face_id: int
    person: str | None
    path: Path
    box: tuple[float, float, float, float]
    score: float
    photo_id: int = 0
    person_id: int | None = None
    named: bool = True
    primary: bool = False
    landmarks: tuple[tuple[float, float], ...] = ()
    hidden: bool = False

    def as_face(self) -> Face:
        """Return the face as it was detected."""
        return Face(np.array(self.box, np.float32), self.score, np.array(self.landmarks, np.float32))


@dataclass(frozen=True)
class GalleryStatus:
    """The content of a gallery in numbers.

    Attributes
    ----------
    folder : Path or str
        Its folder, or the address of a gallery in Milvus.
    faces, people, photos, files : int
        Several files may contain the same photo.
    unnamed : int
        Number of unassigned faces.
    without_face, unreadable, too_large : int
        Number of photos of that kind.
    vanished : int
        Number of files that no longer exist; their faces are kept.
    model : str or None
        The embedder; None before the first face.
    dimension : int or None
        Length of a vector.
    size : int
        Bytes on the disk; 0 on a server, which does not report it.
    """

    folder: Path | str
    faces: int
    people: int
    photos: int
    files: int
    unnamed: int
    without_face: int
    unreadable: int
    too_large: int
    vanished: int
    model: str | None
    dimension: int | None
    size: int


@dataclass(frozen=True)
class GalleryStatistics:
    """Statistics of a gallery and its index.

    Attributes
    ----------
    index : Statistics
        The index and its graph.
    faces, people, photos : int
        How many there are.
    stale : int
        Number of faces without a vector of the current model.
    thumbnails : int
        Bytes of all thumbnails.
    """

    index: Statistics
    faces: int
    people: int
    photos: int
    stale: int
    thumbnails: int


@dataclass(frozen=True)
class Page(Generic[Item]):
    """A part of a list, and the length of the whole list."""

    items: tuple[Item, ...]
    total: int


@dataclass(frozen=True)
class StoredPhoto:
    """A photo of the gallery, identified by its content.

    Attributes
    ----------
    photo_id : int
        Its id.
    paths : tuple of Path
        The files that contained it when last seen, the first one first; they may no longer exist.
    width, height : int or None
        In pixels, upright; None if unknown.
    faces : tuple of StoredFace
        Its faces, ordered by id.
    smallest_face : float or None
        The side in pixels of the smallest face that was searched for; None if unknown.
    taken : str or None
        When the photo was taken, as the camera noted it: 2024-05-01T12:00:00; None if unknown.
    camera : str or None
        Its maker and model; None if unknown.
    """

    photo_id: int
    paths: tuple[Path, ...]
    width: int | None
    height: int | None
    faces: tuple[StoredFace, ...]
    smallest_face: float | None = None
    taken: str | None = None
    camera: str | None = None


@dataclass(frozen=True)
class PhotoResult:
    """The result of registering one file.

    Attributes
    ----------
    path : Path
        The absolute path.
    status : PhotoStatus
        - added: its faces are in the gallery and durable
        - changed: the file has new content; the faces of the old content were replaced
        - unchanged: nothing to do
        - moved: known under a path that no longer exists
        - removed: the file is gone, its faces are kept (only while folders are watched)
        - duplicate: known under another path that still exists
        - refiled: known; its primary face was assigned to the given person
        - back: its stale faces were embedded with the current model; they keep their ids and names
        - refused: its primary face is hard to recognise, and `strict` was set; nothing was stored
        - no-face: readable, but without a face
        - unreadable, too-large: see `message`
    faces : int
        Number of faces of this photo in the gallery.
    person : str or None
        The person of its primary face; None without a face.
    message : str or None
        The reason for the status, if there is one.
    notes : tuple of Note
        Of a new photo: what makes its primary face hard to recognise, and near duplicates.
    missing : bool
        Whether the file does not exist or cannot be reached.
    """

    path: Path
    status: PhotoStatus
    faces: int = 0
    person: str | None = None
    message: str | None = None
    notes: tuple[Note, ...] = ()
    missing: bool = False

    @property
    def usable(self) -> bool:
        """Whether the gallery has a face of this photo."""
        return self.status not in ("no-face", "unreadable", "too-large", "refused")


@dataclass(frozen=True, eq=False)
class Analysis:
    """The faces of one image, as a store keeps them; `faces` is empty if `state` is not "ok".

    Attributes
    ----------
    state, message : PhotoState, str or None
        Whether the image could be read, and if not, why.
    width, height : int or None
        In pixels, upright.
    faces : Faces
        The faces, best first.
    primary : int or None
        Which of them is the primary one.
    thumbnails : tuple of bytes
        A JPEG per face.
    vectors : (n, D) float32
        The embeddings.
    notes : tuple of Note
        What makes the primary face hard to recognise.
    print : (32,) uint8 or None
        The difference hash of the image.
    smallest_face : float or None
        The side in pixels of the smallest face that was searched for; None if unknown.
    taken : str or None
        When the photo was taken, as the camera noted it: 2024-05-01T12:00:00, without a time zone.
    camera : str or None
        Its maker and model.
    """

    state: PhotoState = "ok"
    message: str | None = None
    width: int | None = None
    height: int | None = None
    faces: Faces = field(default_factory=Faces.empty)
    primary: int | None = None
    thumbnails: tuple[bytes, ...] = ()
    vectors: Float32Array = field(default_factory=lambda: np.zeros((0, 1), np.float32))
    notes: tuple[Note, ...] = ()
    print: Print | None = None
    smallest_face: float | None = None
    taken: str | None = None
    camera: str | None = None


@dataclass(frozen=True)
class FileInfo:
    """A file as it was when it was read: path, size in bytes, time of change in ns, SHA-256 of its content."""

    path: Path
    size: int
    mtime: int
    digest: bytes


@dataclass(frozen=True)
class KnownPhoto:
    """A registered photo, as a registration needs it.

    Attributes
    ----------
    id : int
        Its row.
    state, message : PhotoState, str or None
        Whether it could be read, and if not, why.
    reader : str
        Version of the image reader that read it.
    faces : int
        Number of its faces.
    primary : int
        1 if the primary face is stored, otherwise 0.
    person : str or None
        The person of the primary face.
    files : int
        Number of files that contain it.
    stale : bool
        Whether it has stale faces and must be analysed again.
    """

    id: int
    state: PhotoState
    message: str | None
    reader: str
    faces: int
    primary: int
    person: str | None
    files: int = 0
    stale: bool = False

    @property
    def settled(self) -> bool:
        """Whether analysing it again would change nothing."""
        return not self.stale and (self.state == "ok" or self.reader == reader_version())

    def result(self, path: Path, status: PhotoStatus, message: str | None = None) -> PhotoResult:
        """Return the result for a file with this content; "unreadable" and "no-face" take precedence over `status`."""
        if self.state != "ok":
            return PhotoResult(path, self.state, message=self.message)
        if not self.faces:  # none was found: a photo whose last face was removed is removed too
            return PhotoResult(path, "no-face", message=message)
        return PhotoResult(path, status, self.faces, self.person, message)


@dataclass(frozen=True)
class Removal:
    """The result of a removal.

    Attributes
    ----------
    faces : tuple of int
        The ids of the removed faces.
    photos : tuple of int
        The ids of the removed photos: those without other faces.
    paths : tuple of Path
        The files of these photos. They are not deleted, except uploads, which belong to the gallery.
    stale : int
        Number of stale faces that were removed too.
    receipt : Receipt or None
        What remains on the disk; None before the check, and for backends that cannot check.
    """

    faces: tuple[int, ...]
    photos: tuple[int, ...]
    paths: tuple[Path, ...]
    stale: int = 0
    receipt: Receipt | None = field(default=None, compare=False)

    @property
    def count(self) -> int:
        """Number of removed faces, stale ones included."""
        return len(self.faces) + self.stale


@dataclass(frozen=True)
class SeenFile:
    """A file that contained a photo when it was last seen.

    Attributes
    ----------
    path : Path
        The file.
    size, mtime : int
        Size in bytes, time of the last change in ns.
    person : str
        The name that its path suggested, "" for none.
    displaced : bool
        Whether its content has changed and the photo was not found elsewhere.
    """

    path: Path
    size: int
    mtime: int
    person: str
    displaced: bool = False


@dataclass(frozen=True, eq=False)
class PendingFace:
    """A stale face of a photo: its id, and where it is on the photo."""

    id: int
    face: Face
