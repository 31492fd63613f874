"""Write the people of a gallery to sidecars beside the photos; the photos themselves are never changed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from faceall.files import write_file
from faceall.gallery.metadata.matching import relative_box
from faceall.gallery.metadata.regions import Region, UnsafeXmlError, stored
from faceall.gallery.metadata.sources import sidecars
from faceall.gallery.metadata.writing import with_regions
from faceall.gallery.records import StoredPhoto
from faceall.gallery.store import Store
from faceall.images.metadata import read_metadata

TagStatus = Literal["written", "unchanged", "would-write", "failed"]
_PAGE = 500


@dataclass(frozen=True)
class TaggedPhoto:
    """What became of the sidecar of one photo.

    Attributes
    ----------
    path, sidecar : Path
        The photo and the sidecar.
    status : str
        "written", "would-write", "unchanged" (it says all of it already) or "failed", see `message`.
    people : tuple of str
        The names of the faces on the photo.
    message : str or None
        Why it failed.
    """

    path: Path
    sidecar: Path
    status: TagStatus
    people: tuple[str, ...]
    message: str | None = None


def tag_photos(store: Store, *, below: Sequence[Path] = (), write: bool = True) -> Iterator[TaggedPhoto]:
    """Write the sidecars of all photos with named faces, or of those at or below some paths.

    Parameters
    ----------
    store : Store
        The gallery.
    below : sequence of Path
        Absolute paths of photos and folders; without any, all photos.
    write : bool
        False reports what would be written.
    """
    offset = 0
    while True:
        page = store.photos.page(person=None, limit=_PAGE, offset=offset)
        for photo in page.items:
            for path in photo.paths:
                if (not below or any(path == one or one in path.parents for one in below)) and os.path.isfile(path):
                    found = _tag(photo, path, write=write)
                    if found is not None:
                        yield found
        offset += _PAGE
        if offset >= page.total:
            return


def _tag(photo: StoredPhoto, path: Path, *, write: bool) -> TaggedPhoto | None:
    """Write one sidecar; None for a photo without named faces, and for a video."""
    if photo.source == "video":
        return None  # a region has no time
    named = [(face.person, relative_box(face, photo)) for face in photo.faces if face.person and face.named]
    if not named:
        return None
    people = tuple(name for name, _ in named)
    sidecar = next((one for one in sidecars(path) if one.exists()), sidecars(path)[0])
    try:
        metadata = read_metadata(path.read_bytes())
        regions = [Region(name, stored(box, metadata.orientation)) for name, box in named]
        size = metadata.size or (photo.width or 0, photo.height or 0)
        content = with_regions(sidecar.read_bytes() if sidecar.exists() else None, regions, size)
        if content is None:
            return TaggedPhoto(path, sidecar, "unchanged", people)
        if write:
            write_file(sidecar, content)
    except OSError as error:
        return TaggedPhoto(path, sidecar, "failed", people, f"cannot be written ({error.strerror or error})")
    except UnsafeXmlError as error:
        return TaggedPhoto(path, sidecar, "failed", people, f"the sidecar is left alone: {error}")
    return TaggedPhoto(path, sidecar, "written" if write else "would-write", people)
