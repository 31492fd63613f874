"""Write the people of a gallery to sidecars beside the photos; the photos themselves are never changed."""

from __future__ import annotations

import glob
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from faceall.files import open_regular, write_file
from faceall.gallery.metadata.matching import relative_box
from faceall.gallery.metadata.regions import Box, Region, UnsafeXmlError, stored
from faceall.gallery.metadata.revision import NameConflict, Revision, with_regions
from faceall.gallery.metadata.sources import sidecars
from faceall.gallery.metadata.writing import OWN
from faceall.gallery.records import StoredPhoto
from faceall.gallery.store import Store
from faceall.images.metadata import Metadata, read_metadata

TagStatus = Literal["written", "removed", "unchanged", "would-write", "would-remove", "failed"]
_PAGE = 500
_KEY = "tagging"


@dataclass(frozen=True)
class TaggedPhoto:
    """What became of the sidecar of one photo.

    Attributes
    ----------
    path, sidecar : Path
        The photo and the sidecar.
    status : str
        "written", "removed" (nothing was left but names of faceall that the gallery no longer has), "would-write",
        "would-remove", "unchanged" (it, or the XMP in the photo, says all of it already) or "failed", see `message`.
    people : tuple of str
        The names of the faces on the photo.
    message : str or None
        Why it failed, or which names differ.
    removed : tuple of str
        The names that faceall wrote earlier and that were removed, because the gallery no longer has them here.
    conflicts : tuple of NameConflict
        The faces that a region of another program names differently; no name was written for them.
    """

    path: Path
    sidecar: Path
    status: TagStatus
    people: tuple[str, ...]
    message: str | None = None
    removed: tuple[str, ...] = ()
    conflicts: tuple[NameConflict, ...] = ()


def tag_photos(store: Store, *, below: Sequence[Path] = (), write: bool = True) -> Iterator[TaggedPhoto]:
    """Make the sidecars of all photos follow the gallery, or of those at or below some paths.

    Parameters
    ----------
    store : Store
        The gallery.
    below : sequence of Path
        Absolute paths of photos and folders; without any, all photos.
    write : bool
        False reports what would be written.
    """
    tagging = _Tagging(store, write=write)
    ids = sorted(set().union(*store.photos.below_each(below))) if below else store.photos.ids()
    visited: set[Path] = set()
    for start in range(0, len(ids), _PAGE):
        for photo in store.photos.stored(ids[start : start + _PAGE]):
            for path in photo.paths:
                if not _is_below(path, below):
                    continue
                if not os.path.isfile(path):
                    visited.update(sidecars(path))
                    continue
                visited.add(_sidecar(path))
                found = tagging.tag(photo, path)
                if found is not None:
                    yield found
    for sidecar in _other_sidecars(visited, below):
        found = tagging.clear(sidecar, below)
        if found is not None:
            yield found


class _Tagging:
    """One run over the sidecars of a gallery."""

    def __init__(self, store: Store, *, write: bool) -> None:
        self._store, self._write = store, write
        self._gallery = _identity(store, make=write and not store.read_only)

    def tag(self, photo: StoredPhoto, path: Path) -> TaggedPhoto | None:
        """Write one sidecar; None for a video, and for a photo that neither has named faces nor had them."""
        if photo.source == "video":
            return None  # a region has no time
        people = tuple(region.name for region in _faces(photo, Metadata()) if region.name)
        sidecar = _sidecar(path)

        def revise() -> Revision:
            before = _content(sidecar) if sidecar.exists() else None
            needed = people or (before is not None and OWN.encode() in before)
            return self._revise(photo, path, sidecar, before) if needed else Revision()

        return self._put(path, sidecar, people, revise)

    def clear(self, sidecar: Path, below: Sequence[Path]) -> TaggedPhoto | None:
        """Remove what this gallery wrote to the sidecar of a photo that is in the gallery no more; else None."""
        photos = [path for path in _photos_of(sidecar) if _is_below(path, below)]
        if self._gallery is None or not photos:
            return None
        try:
            before = _content(sidecar)
            if self._gallery.encode() not in before or any(map(self._knows, photos)):
                return None
        except OSError:
            return None

        def revise() -> Revision:
            embedded = read_metadata(_content(photos[0])).xmp
            return with_regions(before, (), (0, 0), gallery=self._gallery, embedded=embedded, strict=True)

        return self._put(photos[0], sidecar, (), revise)

    def _knows(self, path: Path) -> bool:
        """Whether the gallery has the content of a file, also at another place or with stale faces."""
        with open_regular(path) as file:
            digest = hashlib.sha256(file.read()).digest()
        return self._store.photos.of(digest) is not None

    def _put(
        self, path: Path, sidecar: Path, people: tuple[str, ...], revise: Callable[[], Revision]
    ) -> TaggedPhoto | None:
        """Write a sidecar, or delete it; None if it neither has names of the gallery nor had them."""
        try:
            revision = revise()
            if self._write and revision.is_empty:
                sidecar.unlink()
            elif self._write and revision.content is not None:
                write_file(sidecar, revision.content)
        except OSError as error:
            return TaggedPhoto(path, sidecar, "failed", people, f"cannot be written ({error.strerror or error})")
        except UnsafeXmlError as error:
            return TaggedPhoto(path, sidecar, "failed", people, f"the sidecar is left alone: {error}")
        status = _status(revision, write=self._write)
        if not people and status == "unchanged":
            return None
        message = _explain(revision.conflicts)
        return TaggedPhoto(path, sidecar, status, people, message, revision.removed, revision.conflicts)

    def _revise(self, photo: StoredPhoto, path: Path, sidecar: Path, before: bytes | None) -> Revision:
        metadata = read_metadata(path.read_bytes())
        faces = _faces(photo, metadata)
        size = metadata.size or (photo.width or 0, photo.height or 0)
        found = with_regions(before, faces, size, gallery=self._gallery, embedded=metadata.xmp)
        if not found.removed:
            return found
        kept = [*self._stale(photo, metadata), *self._named_by_siblings(path, sidecar)]
        if not kept:
            return found
        return with_regions(before, faces, size, gallery=self._gallery, embedded=metadata.xmp, kept=kept)

    def _stale(self, photo: StoredPhoto, metadata: Metadata) -> list[Box]:
        """Return the boxes of the faces that wait for vectors of another model, and keep their names until then."""
        pending = self._store.photos.pending(self._store.photos.digest(photo.photo_id))
        return [stored(relative_box(one.face, photo), metadata.orientation) for one in pending]

    def _named_by_siblings(self, path: Path, sidecar: Path) -> list[Box]:
        """Return the boxes of named faces of other photos with the same sidecar: photo.xmp of photo.jpg, photo.png."""
        if sidecar != path.with_suffix(".xmp"):
            return []
        boxes: list[Box] = []
        for other in path.parent.glob(f"{glob.escape(path.stem)}.*"):
            known = self._store.photos.held_by(other) if other not in (path, sidecar) and other.is_file() else None
            for photo in [] if known is None else self._store.photos.stored([known.id]):
                boxes += [region.box for region in _faces(photo, read_metadata(other.read_bytes())) if region.name]
        return boxes


def _is_below(path: Path, below: Sequence[Path]) -> bool:
    return not below or any(path == one or one in path.parents for one in below)


def _sidecar(path: Path) -> Path:
    """Return the sidecar of a photo, or where it is to be."""
    return next((one for one in sidecars(path) if one.exists()), sidecars(path)[0])


def _other_sidecars(visited: set[Path], below: Sequence[Path]) -> Iterator[Path]:
    """Yield further sidecars in the folders of visited ones, and at or below some paths."""
    folders = {sidecar.parent for sidecar in visited}
    folders.update(Path(folder) for one in below if one.is_dir() for folder, _, _ in os.walk(one))
    folders.update(one.parent for one in below if one.is_file())
    for folder in sorted(folders):
        yield from (path for path in sorted(folder.glob("*.xmp")) if path not in visited)


def _photos_of(sidecar: Path) -> list[Path]:
    """Return the files that may have a sidecar: photo.jpg for photo.jpg.xmp, and all photo.* for photo.xmp."""
    exact = sidecar.with_suffix("")
    if exact.is_file():
        return [exact]
    same = sidecar.parent.glob(f"{glob.escape(sidecar.stem)}.*")
    return sorted(path for path in same if path.suffix.lower() != ".xmp" and path.is_file())


def _identity(store: Store, *, make: bool) -> str | None:
    """Return what distinguishes the gallery in sidecars; None if it has nothing yet and is not to get it."""
    known = store.setting(_KEY)
    if known is None and make:
        with store.changing():
            known = store.setting(_KEY) or {"id": secrets.token_hex(8)}
            store.put_setting(_KEY, known)
    found = known.get("id") if isinstance(known, dict) else None
    return found if isinstance(found, str) else None


def _faces(photo: StoredPhoto, metadata: Metadata) -> list[Region]:
    """Return the faces of a photo, relative to the stored image; the name is "" where none is to be written."""
    return [
        Region(
            face.person if face.person and face.named and not face.hidden else "",
            stored(relative_box(face, photo), metadata.orientation),
        )
        for face in photo.faces
    ]


def _content(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read()


def _status(revision: Revision, *, write: bool) -> TagStatus:
    if revision.content is None:
        return "unchanged"
    if revision.is_empty:
        return "removed" if write else "would-remove"
    return "written" if write else "would-write"


def _explain(conflicts: Sequence[NameConflict]) -> str | None:
    """Return what is to be done about names that differ; None if there are none."""
    if not conflicts:
        return None
    names = ", ".join(f"{one.sidecar!r} (in the gallery {one.gallery!r})" for one in conflicts)
    faces = "that face" if len(conflicts) == 1 else "those faces"
    return (
        f"another program has named {names}; faceall wrote no name for {faces}: correct it in that program, "
        "or in the gallery (faceall people rename)"
    )
