"""Pages, counts, and what a removal removed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

from faceall.index.maintenance.receipt import Receipt
from faceall.index.maintenance.verification import Statistics

Item = TypeVar("Item")


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
    graph : {"none", "float32", "projected"}
        Vectors of the file of the search graph: as they are, or projected to fewer dimensions; "none" without a file,
        as in a small gallery and on a server.
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
    graph: Literal["none", "float32", "projected"] = "none"


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
