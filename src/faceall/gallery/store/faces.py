"""The faces of a gallery with their vectors and thumbnails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from faceall.gallery.records import Page, Removal, StoredFace
from faceall.types import Face, Float32Array, Matches

Near = tuple[StoredFace, float]
"""A face and its squared distance."""


class FaceRecords(Protocol):
    """Faces with their vectors and thumbnails."""

    def __len__(self) -> int: ...

    def __contains__(self, key: object) -> bool: ...

    def nearest(
        self, vectors: Float32Array, k: int, *, people: Sequence[int] | None = None, exact: bool = False
    ) -> Matches:
        """Find the k nearest faces of each vector.

        Parameters
        ----------
        vectors : (q, dimension) float32
            The queries.
        k : int
            Number of faces per query.
        people : sequence of int, optional
            Search only the faces of these people (rows).
        exact : bool, default False
            Compare with every face.

        Returns
        -------
        Matches
            With fewer than k columns if there are fewer faces.
        """

    def near(
        self, vectors: Float32Array, k: int, *, people: Sequence[int] | None = None
    ) -> tuple[list[list[Near]], bool]:
        """Return the nearest faces with their distances, and whether these are all faces."""

    def distances(self, vector: Float32Array, people: Sequence[int]) -> dict[int, Float32Array]:
        """Return for each of some people the squared distances of a vector (dimension,) to their faces, ascending."""

    def vectors(self, keys: Sequence[int]) -> Float32Array:
        """Return (n, dimension) float32, a row per key; zeros for an unknown key."""

    def in_shared_order(self, keys: Sequence[int]) -> list[int]:
        """Return face keys in the order of the ids that they have on every device, if the backend has ids."""

    def stored(self, keys: Iterable[int]) -> dict[int, StoredFace]:
        """Return the faces with these keys; unknown keys are skipped."""

    def listed(
        self, *, person: int | None = None, photo: int | None = None, unassigned: bool = False
    ) -> Iterable[StoredFace]:
        """Return faces ordered by key, optionally only those of a person, on a photo, or unassigned."""

    def page(
        self,
        *,
        person: int | None,
        photo: int | None,
        unassigned: bool,
        hidden: bool,
        largest_first: bool,
        limit: int,
        offset: int,
    ) -> Page[StoredFace]:
        """Return a page of the hidden faces, or of the others, ordered by key or by size."""

    def hidden(self) -> frozenset[int]:
        """Return the keys of the hidden faces."""

    def set_hidden(self, keys: Iterable[int], *, hidden: bool) -> int:
        """Hide faces, or show them again; return how many were changed.

        Raises
        ------
        NotSupportedError
            The backend does not keep this.
        """

    def thumbnail(self, key: int) -> bytes | None:
        """Return the thumbnail of a face (JPEG), or None."""

    def outlines(self, keys: Iterable[int]) -> dict[int, tuple[Face, tuple[int, int] | None]]:
        """Return faces as they were detected, with the width and height of their images; unknown keys are skipped."""

    def thumbnails(self, keys: Sequence[int]) -> dict[int, bytes]:
        """Return the thumbnails of faces (JPEG); missing and damaged ones are left out."""

    def owners(self, keys: Sequence[int]) -> dict[int, int | None]:
        """Return the person (row) of each face, None if unassigned; unknown keys are skipped."""

    def assign(self, keys: Sequence[int], person: int | None) -> None:
        """Assign faces to a person (row); None unassigns them."""

    def assign_each(self, people: Mapping[int, int | None]) -> None:
        """Assign each face to a person of its own (row), or unassign it."""

    def remove(self, keys: Sequence[int]) -> Removal:
        """Remove faces permanently, and photos that have no face left."""

    def assignments(self) -> Iterator[tuple[int, int, int | None]]:
        """Yield key, photo and person of every face, ordered by key."""

    def of_videos(self) -> frozenset[int]:
        """Return the keys of the faces that were found in videos, which include stale ones."""
