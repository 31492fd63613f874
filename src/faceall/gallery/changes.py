"""What a person changes in a gallery by hand: names, clusters, and what is to go."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from faceall.errors import FaceallError, UnknownFaceError
from faceall.gallery.people import names as people
from faceall.gallery.people.clusters import Clustering, cluster_faces, split, unassign
from faceall.gallery.people.removal import delete_faces, delete_person, delete_photo, delete_photos_at, remove_uploads
from faceall.gallery.questions import Questions
from faceall.gallery.records import Removal


class Changes(Questions):
    """Names given, clusters made and taken apart, faces removed."""

    def rename_person(self, old: str | int, new: str) -> None:
        """Give a person, by name or id, another name. Raises UnknownPersonError, or NameTakenError."""
        people.rename_person(self._store, old, new)

    def merge_people(self, old: str | int, into: str | int) -> int:
        """File all faces of one person under another, by name or id; returns how many. Raises UnknownPersonError."""
        return people.merge_people(self._store, old, into)

    def name_face(self, face_id: int, person: str) -> None:
        """File one face under a person, new or known. Raises UnknownFaceError."""
        people.name_face(self._store, face_id, person)

    def cluster(self, *, threshold: float | None = None, known: bool = False) -> Clustering:
        """Group the faces that are filed under nobody by who they seem to be.

        threshold  the largest mean distance (squared L2, 0..4) between faces of one person; None: `cluster_limit`
        known      let them join people who have a name, too; otherwise these stay as they are

        A group is a person called "unnamed 12" until `rename_person` gives a name. Later runs let new faces join, and
        open groups; they never take one apart or join two. Two faces of one photo are never the same person.
        Raises FaceallError for a threshold that is none.
        """
        limit = self.cluster_limit if threshold is None else threshold
        if not 0 < limit <= 4:
            raise FaceallError(f"threshold is {limit:g}, expected a squared distance above 0, up to 4")
        return cluster_faces(self._store, limit=limit, known=known)

    def unassign(self, face_ids: Iterable[int]) -> int:
        """File faces under nobody, and never again where they were by clustering; returns how many had a person.

        Raises UnknownFaceError, and then changes nothing.
        """
        return unassign(self._store, face_ids)

    def split_person(self, name: str | int, face_ids: Iterable[int], *, to: str | None = None) -> str:
        """Take faces of a person (name or id) out to another or (None) to a new cluster; returns what that is called.

        Raises UnknownPersonError, UnknownFaceError, or FaceallError for a face of somebody else; then nothing changes.
        """
        return split(self._store, name, face_ids, to)

    def remove_person(self, name: str) -> int:
        """Remove a person's faces for good; returns how many. Raises UnknownPersonError.

        Photos that are left without a face are forgotten too; registering them again brings them back.
        """
        return self.delete_person(name).count

    def remove_face(self, face_id: int) -> None:
        """Remove one face for good. Raises UnknownFaceError."""
        self.delete_faces([face_id])

    def remove_photo(self, path: str | os.PathLike[str]) -> int:
        """Remove the photo at a path, or all below a folder, for good; returns how many. Raises UnknownFaceError."""
        return len(self.delete_photos_at(path).photos)

    def delete_person(self, person: int | str) -> Removal:
        """Remove a person, by id or name, with all their faces for good. Raises UnknownPersonError."""
        return self._tidied(delete_person(self._store, person))

    def delete_faces(self, face_ids: Iterable[int]) -> Removal:
        """Remove faces for good, all or none; photos too that show no other. Raises UnknownFaceError."""
        return self._tidied(delete_faces(self._store, face_ids))

    def delete_photo(self, photo_id: int) -> Removal:
        """Remove a photo, by its id, with all its faces for good. Raises UnknownFaceError."""
        return self._tidied(delete_photo(self._store, photo_id))

    def delete_photos_at(self, path: str | os.PathLike[str]) -> Removal:
        """Remove the photo at a path, or all below a folder, for good. Raises UnknownFaceError."""
        if not os.fspath(path):
            raise UnknownFaceError("an empty path names no photo")
        return self._tidied(delete_photos_at(self._store, Path(os.path.abspath(path))))

    def _tidied(self, removal: Removal) -> Removal:
        """The removal, with its receipt where there is one, after every file was rid of what went."""
        if removal.paths:
            remove_uploads(self._store.folder, removal.paths)
        return self._store.tidied(removal)

    def remaining(self, removal: Removal) -> int:
        """How many rows of what was removed can still be found: 0 when everything is gone."""
        return self._store.remaining(removal)
