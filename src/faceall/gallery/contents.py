"""What a gallery holds: all of it, by its ids, or page by page."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from faceall.gallery import browse
from faceall.gallery.base import GalleryBase
from faceall.gallery.people.names import find_person
from faceall.gallery.records import Page, Person, StoredFace, StoredPhoto


class Contents(GalleryBase):
    """People, faces and photos as they are stored."""

    def people(self) -> list[Person]:
        """Everybody, by name, with the number of their faces and photos."""
        return self._store.people.listed()

    def faces(self, *, person: str | int | None = None, path: str | os.PathLike[str] | None = None) -> list[StoredFace]:
        """The faces of a person, of the photo that a path held, or all. Raises UnknownPersonError."""
        with self._store.reading():
            if person is not None:
                return list(self._store.faces.listed(person=find_person(self._store, person)))
            if path is None:
                return list(self._store.faces.listed())
            held = self._store.photos.held_by(Path(os.path.abspath(path)))
            return [] if held is None else list(self._store.faces.listed(photo=held.id))

    def page_of_people(
        self, *, text: str | None = None, named: bool | None = None, limit: int = 100, offset: int = 0
    ) -> Page[Person]:
        """Some people by name, with the face that shows each best.

        text   only those with this in their name, in capitals or not
        named  only those who have a name (True), or only clusters (False)
        """
        return browse.page_of_people(self._store, text=text, named=named, limit=limit, offset=offset)

    def person(self, person_id: int) -> Person:
        """Who has an id. Raises UnknownPersonError."""
        return browse.one_person(self._store, person_id)

    def page_of_faces(
        self,
        *,
        person: int | None = None,
        photo: int | None = None,
        nobody: bool = False,
        limit: int = 100,
        offset: int = 0,
    ) -> Page[StoredFace]:
        """Some faces by their ids: of a person, on a photo (by their ids), of nobody, where that is asked for."""
        return browse.page_of_faces(self._store, person=person, photo=photo, nobody=nobody, limit=limit, offset=offset)

    def face(self, face_id: int) -> StoredFace:
        """The face of an id. Raises UnknownFaceError."""
        return browse.one_face(self._store, face_id)

    def page_of_photos(self, *, person: int | None = None, limit: int = 100, offset: int = 0) -> Page[StoredPhoto]:
        """Some photos that show a face, by their ids; those of a person, by id, where that is asked for."""
        return browse.page_of_photos(self._store, person=person, limit=limit, offset=offset)

    def photo(self, photo_id: int) -> StoredPhoto:
        """The photo of an id. Raises UnknownFaceError."""
        return browse.one_photo(self._store, photo_id)

    def photo_seen_at(self, path: str | os.PathLike[str]) -> StoredPhoto | None:
        """The photo that a path held when it was last seen; None where none was seen there."""
        return browse.photo_seen_at(self._store, Path(os.path.abspath(path)))

    def photo_with(self, digest: bytes) -> StoredPhoto | None:
        """The photo whose file has this SHA-256, 32 bytes; None where there is none."""
        return browse.photo_with(self._store, digest)

    def paths_of_photos(self, photo_ids: Iterable[int]) -> dict[int, tuple[Path, ...]]:
        """Where photos, by their ids, were seen, the first place first; those that are not there have none."""
        return browse.paths_of_photos(self._store, photo_ids)
