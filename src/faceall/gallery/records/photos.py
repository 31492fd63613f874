"""Photos and files as they are stored, and what analysing and registering them found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from faceall.analysis.quality import Note
from faceall.gallery.records.faces import Moment, StoredFace
from faceall.gallery.records.near_duplicates import Print
from faceall.images import reader_version
from faceall.types import Faces, Float32Array

Unusable = Literal["unreadable", "too-large"]

PhotoState = Literal["ok", Unusable]

PhotoStatus = Literal[
    "added",
    "changed",
    "unchanged",
    "moved",
    "removed",
    "named",
    "left-unnamed",
    "duplicate",
    "reassigned",
    "unnamed",
    "back",
    "refused",
    "no-face",
    Unusable,
]


@dataclass(frozen=True, eq=False)
class UpcomingFile:
    """What is known of a file about which a registration is going to ask.

    Attributes
    ----------
    path : Path
        The file.
    digest : bytes or None
        SHA-256 of its content, once it was read.
    person : str or None
        The name that its primary face is going to get.
    vector : (D,) float32 or None
        The embedding of its primary face.
    """

    path: Path
    digest: bytes | None = None
    person: str | None = None
    vector: Float32Array | None = None


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

    @property
    def source(self) -> Literal["photo", "video"]:
        """Whether the faces were found on a photo or in a video."""
        return "video" if any(face.moment is not None for face in self.faces) else "photo"


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
        - named, left-unnamed: the new photos in this folder have its name, or it shows several people (likewise)
        - duplicate: known under another path that still exists
        - reassigned: known; its primary face was assigned to the given person, or to that of its path
        - unnamed: known; its primary face lost its name
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
        Of a new photo: what makes its primary face hard to recognise, and near duplicates. Names in the metadata that
        were not used.
    missing : bool
        Whether the file does not exist or cannot be reached.
    moved_from : Path or None
        Of a moved photo: the path at which it was seen before.
    undecided : bool
        Whether the person has the name of its folder, which the registration checks on all its faces at the end and may
        remove again: see `Registration.folder_names`.
    """

    path: Path
    status: PhotoStatus
    faces: int = 0
    person: str | None = None
    message: str | None = None
    notes: tuple[Note, ...] = ()
    missing: bool = False
    moved_from: Path | None = None
    undecided: bool = False

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
    moments : tuple of Moment
        Of a video: one per face, whose box is on its own frame.
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
    moments: tuple[Moment, ...] = ()


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

    def result(
        self, path: Path, status: PhotoStatus, message: str | None = None, *, moved_from: Path | None = None
    ) -> PhotoResult:
        """Return the result for a file with this content; "unreadable" and "no-face" take precedence over `status`."""
        if self.state != "ok":
            return PhotoResult(path, self.state, message=self.message)
        if not self.faces:  # none was found: a photo whose last face was removed is removed too
            return PhotoResult(path, "no-face", message=message)
        return PhotoResult(path, status, self.faces, self.person, message, moved_from=moved_from)


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
