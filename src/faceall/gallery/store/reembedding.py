"""The records that a change of the model reads and writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from faceall.types import Face, Float32Array


@dataclass(frozen=True)
class FaceToEmbed:
    """A face without a vector of the new model: its key, where it is on its photo, and when in a video."""

    key: int
    face: Face
    seconds: float | None = None


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
    """A stale face: its row, where it is on its photo (or when in a video), and its former model and vector."""

    id: int
    face: Face
    model: str
    vector: Float32Array
    seconds: float | None = None


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
