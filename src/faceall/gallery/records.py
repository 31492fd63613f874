"""Records of a gallery: photos, faces, people and results, the same for every backend."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

import numpy as np

from faceall.analysis.quality import Note
from faceall.gallery.registration.near_duplicates import Print
from faceall.images import reader_version
from faceall.index.maintenance.receipt import Receipt
from faceall.index.maintenance.verification import Statistics
from faceall.types import Face, Faces, Float32Array

Item = TypeVar("Item")

Unusable = Literal["unreadable", "too-large"]
PhotoState = Literal["ok", Unusable]
PhotoStatus = Literal[
    "added", "changed", "unchanged", "moved", "duplicate", "refiled", "back", "refused", "no-face", Unusable
]


@dataclass(frozen=True)
class Person:
    """A person and how many faces and photos of them there are; `named` is False for a cluster of unknown faces.

    id     the row, which stays the same when the person is renamed
    cover  the face that represents them: preferably the primary face of its photo, preferably large
    """

    name: str
    faces: int
    photos: int
    named: bool = True
    id: int = field(default=0, compare=False)
    cover: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class StoredFace:
    """One face of the gallery.

    face_id  its key
    person   the person's name, None if unassigned
    path     a file that shows it, as last seen
    box      x0 y0 x1 y1 in pixels
    photo_id, person_id  the rows of its photo and person
    named    False where the person is a cluster of unknown faces
    primary  whether it is the primary face of its photo
    landmarks  x y of left eye, right eye, nose, left and right corner of the mouth, in pixels
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

    def as_face(self) -> Face:
        """Return the face as it was detected."""
        return Face(np.array(self.box, np.float32), self.score, np.array(self.landmarks, np.float32))


@dataclass(frozen=True)
class GalleryStatus:
    """What a gallery holds.

    folder     its folder, or the address of a gallery in Milvus
    faces, people, photos, files   how many; several files may contain the same photo
    unnamed    unassigned faces
    without_face, unreadable, too_large   photos of that kind
    vanished   files that are not where they were seen; their faces are kept
    model      the embedder, None before the first face
    dimension  length of a vector
    size       bytes on the disk; 0 on a server, which does not report it
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
    """What a gallery holds and costs: its index, and what lies beside the vectors; sizes are in bytes.

    stale       faces without a vector of the current model, until their photo is found again
    thumbnails  bytes of all thumbnails
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
    """One photo of the gallery, identified by its content.

    photo_id       its row
    paths          the files that held it when they were last seen, the first one first; they may have gone since
    width, height  in pixels, upright; None where that is not known
    faces          those that are stored, by their ids
    """

    photo_id: int
    paths: tuple[Path, ...]
    width: int | None
    height: int | None
    faces: tuple[StoredFace, ...]


@dataclass(frozen=True)
class PhotoResult:
    """The result of one file.

    path     as an absolute path
    status   added: its faces are in the gallery now, and safe on the disk
             changed: known under this path with other content, whose faces are replaced
             unchanged: nothing to do
             moved: known under a path that is gone
             duplicate: known under another path, which is still there
             refiled: known, its primary face is now assigned to the requested person
             back: its stale faces were embedded with the current model and keep their ids and names
             refused: its primary face is poor, see `notes`, and `strict` was set; nothing was stored
             no-face: readable, but without a face
             unreadable, too-large: see `message`
    faces    how many faces of this photo the gallery holds
    person   the person of its primary face, None without a face
    message  the reason, if there is one
    notes    of a new photo: what makes its primary face hard to recognise, and which photo it nearly equals
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
        """Whether the gallery holds a face of this photo."""
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
    """What is known of a registered photo.

    id       its row
    faces    how many it has
    primary  1 if the primary face is still stored, else 0
    person   the person of the primary face
    files    how many files contain it
    stale    whether it has stale faces, so that it has to be analysed again
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
        if not self.faces:  # it never had one: a photo whose last face was removed is not known any more
            return PhotoResult(path, "no-face", message=message)
        return PhotoResult(path, status, self.faces, self.person, message)


@dataclass(frozen=True)
class Removal:
    """What was removed.

    faces   the ids of the faces whose rows, vectors and thumbnails are gone
    photos  the ids of the photos that were removed because they show no other face
    paths   the files of those photos; they are not deleted, except uploads, which belong to the gallery
    stale   how many stale faces were removed too
    receipt  what was left on the disk afterwards; None before the check, and on backends that cannot check
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
    """A file as it was when it was last seen to hold a photo.

    size, mtime  in bytes, and the time of its last change in ns
    person       the name that its path gave, "" for none
    displaced    whether its content has changed since and the photo was not found elsewhere
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
