"""`gallery.faces`: the stored faces."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from faceall.arguments import checked_methods
from faceall.errors import ArgumentError
from faceall.gallery.browse import check_page, checked_id
from faceall.gallery.context import Context
from faceall.gallery.people.clustering.clusters import unassign
from faceall.gallery.people.details import hide_faces
from faceall.gallery.people.folders import write_folders
from faceall.gallery.people.names import assign_face, find_person, unknown_face
from faceall.gallery.people.proposals import give_names
from faceall.gallery.people.removal import finish_removal, remove_faces
from faceall.gallery.records import Page, Removal, StoredFace

FaceSort: TypeAlias = Literal["id", "size"]
"""An order of faces: by id, or the largest one first."""


@checked_methods
class GalleryFaces:
    """The faces of a gallery: list, assign to people, remove. Use it as `gallery.faces`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    def __len__(self) -> int:
        return len(self._store.faces)

    def __contains__(self, face_id: object) -> bool:
        return face_id in self._store.faces

    def __iter__(self) -> Iterator[StoredFace]:
        return iter(self.find())

    def __repr__(self) -> str:
        return f"<{len(self)} faces of {self._store.name}>"

    def find(self, *, person: str | int | None = None, path: str | os.PathLike[str] | None = None) -> list[StoredFace]:
        """List the faces of one person, of the photo at one path, or all.

        Parameters
        ----------
        person : str or int, optional
            A person's name or id.
        path : path-like, optional
            A file that was registered.

        Returns
        -------
        list of StoredFace
            Ordered by id; empty for a path that was never registered.

        Raises
        ------
        UnknownPersonError
            There is no such person.
        """
        with self._store.reading():
            if person is not None:
                return list(self._store.faces.listed(person=find_person(self._store, person)))
            if path is None:
                return list(self._store.faces.listed())
            held = self._store.photos.held_by(Path(os.path.abspath(path)))
            return [] if held is None else list(self._store.faces.listed(photo=held.id))

    def page(
        self,
        *,
        person: int | None = None,
        photo: int | None = None,
        unassigned: bool = False,
        hidden: bool = False,
        sort: FaceSort = "id",
        limit: int = 100,
        offset: int = 0,
    ) -> Page[StoredFace]:
        """Return a page of faces.

        Parameters
        ----------
        person, photo : int, optional
            Only faces of the person or on the photo with this id.
        unassigned : bool, default False
            Only faces without a person.
        hidden : bool, default False
            List the hidden faces instead of the others.
        sort : {"id", "size"}
            By id, or the largest face (in pixels) first.
        limit, offset : int
            The size of the page, and the number of faces to skip.

        Returns
        -------
        Page of StoredFace

        Raises
        ------
        UnknownFaceError
            An id is out of range.
        FaceallError
            `limit` or `offset` is negative, or the order is unknown.
        """
        check_page(limit, offset)
        if sort not in get_args(FaceSort):
            raise ArgumentError(f"sort is {sort!r}, expected one of {', '.join(get_args(FaceSort))}")
        for number, what in ((person, "person"), (photo, "photo")):
            if number is not None:
                checked_id(number, what)
        return self._store.faces.page(
            person=person,
            photo=photo,
            unassigned=unassigned,
            hidden=hidden,
            largest_first=sort == "size",
            limit=limit,
            offset=offset,
        )

    def get(self, face_id: int) -> StoredFace:
        """Return the face with an id.

        Raises
        ------
        UnknownFaceError
            There is no such face.
        """
        found = self._store.faces.stored([face_id]) if face_id in self._store.faces else {}
        if not found:
            raise unknown_face(self._store, face_id)
        return found[face_id]

    def thumbnail(self, face_id: int) -> bytes:
        """Return the thumbnail of a face as a JPEG file.

        Raises
        ------
        UnknownFaceError
            There is no such face.
        """
        found = self._store.faces.thumbnail(face_id)
        if found is None:
            raise unknown_face(self._store, face_id)
        return found

    def assign(self, face_id: int, person: str) -> None:
        """Assign a face to a person, who is created if the name is new.

        Raises
        ------
        UnknownFaceError
            There is no such face.
        FaceallError
            The name is empty, too long or has control characters.
        """
        assign_face(self._store, face_id, person)

    def assign_many(self, names: Iterable[tuple[str, Iterable[int]]]) -> int:
        """Assign faces to people, who are created if new, as one change; return how many faces.

        Parameters
        ----------
        names : iterable of (str, iterable of int)
            Names, and the faces of each.

        Raises
        ------
        UnknownFaceError
            One of the faces does not exist; nothing was changed.
        FaceallError
            A name is empty, too long or has control characters; or there is none.
        """
        return give_names(self._store, names)

    def unassign(self, face_ids: Iterable[int]) -> int:
        """Unassign faces; clustering will not assign them to the same people again.

        Returns
        -------
        int
            The number of faces that had a person.

        Raises
        ------
        UnknownFaceError
            One of the faces does not exist; nothing was changed.
        """
        return unassign(self._store, face_ids)

    def hide(self, face_ids: int | Iterable[int]) -> int:
        """Hide faces: they are not listed, grouped or suggested, but still found; return how many were changed.

        Raises
        ------
        UnknownFaceError
            One of the faces does not exist; nothing was changed.
        NotSupportedError
            The gallery is in Milvus.
        """
        return hide_faces(self._store, [face_ids] if isinstance(face_ids, int) else face_ids, hidden=True)

    def show(self, face_ids: int | Iterable[int]) -> int:
        """Show hidden faces again; return how many were hidden. Errors are those of `hide`."""
        return hide_faces(self._store, [face_ids] if isinstance(face_ids, int) else face_ids, hidden=False)

    def remove(self, face_ids: int | Iterable[int]) -> Removal:
        """Remove faces permanently in one transaction, and photos that have no face left.

        Parameters
        ----------
        face_ids : int or iterable of int
            The faces to remove.

        Returns
        -------
        Removal
            What was removed, with a receipt.

        Raises
        ------
        UnknownFaceError
            One of the faces does not exist; nothing was removed.
        """
        chosen = [face_ids] if isinstance(face_ids, int) else face_ids
        return finish_removal(self._store, remove_faces(self._store, chosen))

    def write_folders(self, directory: str | os.PathLike[str], *, photos: bool = False, min_faces: int = 1) -> int:
        """Write every face into a folder per person or cluster; a face without one gets its own folder.

        Parameters
        ----------
        directory : path-like
            A new or empty folder.
        photos : bool, default False
            Copy the photos that still exist instead of writing thumbnails.
        min_faces : int, default 1
            People with fewer faces get no folder; with 2 or more, faces without a person are left out too.

        Returns
        -------
        int
            The number of folders.

        Raises
        ------
        FaceallError
            The folder is not empty or cannot be written.
        """
        content = self._photo_of if photos else None
        return write_folders(self, Path(directory), thumbnail=self.thumbnail, content=content, min_faces=min_faces)

    def _photo_of(self, face: StoredFace) -> bytes | None:
        """Read the photo of a face; None if the file is missing or its content has changed."""
        if not face.path.is_file():
            return None
        content = face.path.read_bytes()
        known = self._store.photos.of(hashlib.sha256(content).digest())
        return content if known is not None and known.id == face.photo_id else None
