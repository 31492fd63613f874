"""`gallery.photos`: the registered photos."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from faceall.arguments import checked_methods
from faceall.errors import UnknownFaceError
from faceall.gallery.browse import check_page, checked_id, stored_photo
from faceall.gallery.context import Context
from faceall.gallery.metadata.tagging import TaggedPhoto, tag_photos
from faceall.gallery.missing_photos import missing_photos, remove_missing_photos
from faceall.gallery.people.missed_faces import add_drawn_face, find_missing_faces
from faceall.gallery.people.photo_search import PhotoQuery, search_photos
from faceall.gallery.people.proposals import NameProposal, propose_names
from faceall.gallery.people.removal import finish_removal, remove_photo, remove_photos_below
from faceall.gallery.photo_files import find_unchanged
from faceall.gallery.records import KnownPhoto, Page, Removal, StoredPhoto


@checked_methods
class GalleryPhotos:
    """The photos of a gallery: list, look up, remove. Use it as `gallery.photos`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    def __len__(self) -> int:
        return self._store.status().photos

    def __repr__(self) -> str:
        return f"<photos of {self._store.name}>"

    def page(self, *, person: int | None = None, limit: int = 100, offset: int = 0) -> Page[StoredPhoto]:
        """Return a page of the photos that show a face, ordered by id.

        Parameters
        ----------
        person : int, optional
            Only photos that show the person with this id.
        limit, offset : int
            The size of the page, and the number of photos to skip.

        Returns
        -------
        Page of StoredPhoto

        Raises
        ------
        UnknownFaceError
            The id is out of range.
        FaceallError
            `limit` or `offset` is negative.
        """
        check_page(limit, offset)
        wanted = None if person is None else checked_id(person, "person")
        return self._store.photos.page(person=wanted, limit=limit, offset=offset)

    def search(
        self,
        *,
        people: Iterable[str | int] = (),
        without: Iterable[str | int] = (),
        since: str | None = None,
        until: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> Page[StoredPhoto]:
        """Find photos that show all of some people, and none of others, of some days; ordered by id.

        Parameters
        ----------
        people, without : iterable of str or int
            Names or ids of people who are on the photo, and who are not.
        since, until : str, optional
            The first and the last day, YYYY-MM-DD. The date of a photo is the one that the camera noted (EXIF), else
            that of its oldest file.
        limit, offset : int
            The size of the page, and how many photos to skip.

        Raises
        ------
        UnknownPersonError
            One of the people does not exist.
        ArgumentError
            A date is not one.
        """
        check_page(limit, offset)
        wanted = PhotoQuery(tuple(people), tuple(without), since, until)
        return search_photos(self._store, wanted, limit=limit, offset=offset)

    def get(self, photo_id: int) -> StoredPhoto:
        """Return the photo with an id.

        Raises
        ------
        UnknownFaceError
            There is no such photo.
        """
        return stored_photo(self._store, photo_id)

    def at(self, path: str | os.PathLike[str]) -> StoredPhoto | None:
        """Return the photo that a file contained when last seen, or None."""
        return self._stored(self._store.photos.held_by(Path(os.path.abspath(path))))

    def below(self, path: str | os.PathLike[str]) -> list[StoredPhoto]:
        """Return the photos that were registered at a path or below it, ordered by id."""
        return self._store.photos.stored(self._store.photos.below(Path(os.path.abspath(path))))

    def with_digest(self, digest: bytes) -> StoredPhoto | None:
        """Return the photo whose file has this SHA-256 (32 bytes), or None."""
        return self._stored(self._store.photos.of(digest))

    def stored(self, photo_ids: Iterable[int]) -> dict[int, StoredPhoto]:
        """Return the photos with some ids, by id; unknown ids are left out.

        Raises
        ------
        UnknownFaceError
            An id is out of range.
        """
        wanted = {checked_id(photo, "photo") for photo in photo_ids}
        return {photo.photo_id: photo for photo in self._store.photos.stored(wanted)}

    def paths(self, photo_ids: Iterable[int]) -> dict[int, tuple[Path, ...]]:
        """Return the paths at which photos were seen, by photo id, the first one first.

        Raises
        ------
        UnknownFaceError
            An id is out of range.
        """
        wanted = {checked_id(photo, "photo") for photo in photo_ids}
        return {photo: tuple(file.path for file in self._store.photos.files(photo)) for photo in wanted}

    def unchanged_file(self, photo_id: int) -> Path | None:
        """Return a file of a photo or video with the size and time of change that it had when it was seen, or None.

        Large files are not read to compare their content.

        Raises
        ------
        UnknownFaceError
            The id is out of range.
        """
        return find_unchanged(self._store.photos.files(checked_id(photo_id, "photo")))

    def find_faces(self, photo_id: int) -> tuple[int, ...]:
        """Detect the faces of a photo again, and add those that were removed or that the detector found only now.

        Returns
        -------
        tuple of int
            The ids of the added faces, which belong to no one.

        Raises
        ------
        UnknownFaceError
            There is no such photo, or its file is missing or has changed.
        """
        return find_missing_faces(self._context, photo_id)

    def add_face(self, photo_id: int, box: tuple[float, float, float, float]) -> int:
        """Add a face that the detector missed.

        Parameters
        ----------
        photo_id : int
            The photo.
        box : tuple of float
            x0 y0 x1 y1 in pixels of the upright photo.

        Returns
        -------
        int
            The id of the face, which belongs to no one.

        Raises
        ------
        UnknownFaceError
            There is no such photo, or its file is missing or has changed.
        ArgumentError
            The box is not on the photo, is tiny, or is on a known face.
        """
        return add_drawn_face(self._context, photo_id, box)

    def propose_names(
        self, photo_ids: Iterable[int], *, named: Callable[[Path], str] = os.fspath
    ) -> list[NameProposal]:
        """Propose names for photos from the names of their folders and files; nothing is changed.

        Parameters
        ----------
        photo_ids : iterable of int
            The photos; unknown ones are left out.
        named : callable, optional
            Returns the name of a file with its folders; by default its path.

        Returns
        -------
        list of NameProposal
            Those that look like people first, the largest first.

        Raises
        ------
        UnknownFaceError
            An id is out of range.
        """
        photos = self._store.photos.stored({checked_id(photo, "photo") for photo in photo_ids})
        names = {photo.photo_id: named(photo.paths[0]) for photo in photos if photo.paths}
        threshold = self._context.pair_threshold if photos else None
        return propose_names(self._store, photos, names, None if threshold is None else threshold.distance)

    def remove(self, photo: int | str | os.PathLike[str]) -> Removal:
        """Remove a photo and all its faces permanently, or every photo below a folder.

        Parameters
        ----------
        photo : int or path-like
            A photo's id, its path, or a folder. The image files are not deleted.

        Returns
        -------
        Removal
            What was removed, with a receipt.

        Raises
        ------
        UnknownFaceError
            There is no such photo, or none was registered there.
        """
        if isinstance(photo, int):
            return finish_removal(self._store, remove_photo(self._store, photo))
        if not os.fspath(photo):
            raise UnknownFaceError("the path is empty, expected a photo or a folder")
        return finish_removal(self._store, remove_photos_below(self._store, Path(os.path.abspath(photo))))

    def missing(self, folder: str | os.PathLike[str]) -> list[StoredPhoto]:
        """Return the photos that were registered below a folder, and of which no file exists any more, ordered by id.

        Raises
        ------
        FaceallError
            The folder is missing, or a folder is empty in which photos were registered: a drive may be disconnected.
        """
        return missing_photos(self._store, Path(os.path.abspath(folder)))

    def remove_missing(self, folder: str | os.PathLike[str]) -> Removal:
        """Remove the photos that `missing` returns, and all their faces, permanently.

        Raises
        ------
        FaceallError
            As `missing` does.
        """
        return finish_removal(self._store, remove_missing_photos(self._store, Path(os.path.abspath(folder))))

    def tag(
        self, paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (), *, write: bool = True
    ) -> Iterator[TaggedPhoto]:
        """Write the names of faces to XMP sidecars beside the photos, as MWG and Microsoft regions.

        The photos are never changed. A sidecar of another program is extended; its regions and all else it says are
        kept. A name that faceall wrote follows the gallery: it is changed when the person is renamed, and removed when
        the face has no name any more, is hidden or is gone. A sidecar of which nothing is left is deleted. A face that
        another program names differently gets no name; it is reported. Regions in the photo itself are those of another
        program: a new sidecar repeats them, and none is written if they name all faces. A second run changes nothing.

        Parameters
        ----------
        paths : path-like or iterable of path-like, optional
            Photos and folders; by default all photos of the gallery.
        write : bool, default True
            False only reports what would be written.

        Yields
        ------
        TaggedPhoto
            One per file that exists and shows a named face, and per file whose sidecar lost names.
        """
        given = [paths] if isinstance(paths, str | os.PathLike) else paths
        return tag_photos(self._store, below=[Path(os.path.abspath(path)) for path in given], write=write)

    def _stored(self, found: KnownPhoto | None) -> StoredPhoto | None:
        return None if found is None else next(iter(self._store.photos.stored([found.id])), None)
