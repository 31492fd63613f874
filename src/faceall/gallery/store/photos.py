"""The photos of a gallery and the files that contain them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from faceall.gallery.records import (
    Analysis,
    KnownPhoto,
    Page,
    PendingFace,
    Removal,
    SeenFile,
    StoredPhoto,
    UpcomingFile,
)
from faceall.types import Float32Array


class PhotoRecords(Protocol):
    """Photos, identified by their content, and the files that contain them."""

    def refresh(self) -> None:
        """Start a registration: `lookalike` then includes photos that other processes have registered."""

    def read_ahead(self, files: Sequence[UpcomingFile]) -> None:
        """Read what a registration is going to ask about these files, if single questions take long.

        Inside `Store.changing` for its questions, otherwise for `at` until the next call.
        """

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

    def ids(self) -> list[int]:
        """Return all photos, also those without a face, in order."""

    def below(self, path: Path) -> list[int]:
        """Return the photos that were seen at a path or below it."""

    def below_each(self, paths: Sequence[Path]) -> list[list[int]]:
        """Return for each path the photos that were seen at it or below it."""

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
