"""Whether the name of a folder is the name of a person: checked on the faces, after they were analysed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from faceall.gallery.people.clustering.agreement import Agreement, agreement_of, sample
from faceall.gallery.records import StoredFace
from faceall.gallery.store import Store


@dataclass(frozen=True)
class FolderName:
    """What became of the name of one folder.

    Attributes
    ----------
    folder : Path
        The folder.
    name : str
        The name it suggested.
    photos : int
        The photos with a face that the registration added from it.
    agreement : Agreement
        Of the primary faces of all its photos.
    accepted : bool
        True if the primary faces of these photos belong to the person of that name; False if they were left unnamed,
        because the folder shows several people.
    """

    folder: Path
    name: str
    photos: int
    agreement: Agreement
    accepted: bool


class FolderNames:
    """Collects the photos that a registration named after their folders, and checks the names at the end."""

    def __init__(self) -> None:
        self._photos: dict[tuple[Path, str], list[Path]] = {}

    def add(self, folder: Path, name: str, path: Path) -> None:
        """Note that a new photo with a face was named after its folder."""
        self._photos.setdefault((folder, name), []).append(path)

    def check(self, store: Store, threshold: float | None) -> list[FolderName]:
        """Decide for every folder; the photos of those that show several people lose the name again.

        Parameters
        ----------
        store : Store
            Where the photos were stored.
        threshold : float or None
            The match threshold; None accepts every name.
        """
        decided = []
        for (folder, name), paths in sorted(self._photos.items()):
            agreement = Agreement(len(paths), len(paths))
            if threshold is not None:
                keys = [face.face_id for face in _primary_faces(store, store.photos.below(folder), name)]
                agreement = agreement_of(store.faces.vectors(sample(keys)), threshold)
            if not agreement.mostly:
                _take_name_off(store, paths, name)
            decided.append(FolderName(folder, name, len(paths), agreement, agreement.mostly))
        self._photos = {}
        return decided


def _primary_faces(store: Store, photos: Iterable[int], name: str) -> list[StoredFace]:
    """List the primary faces of photos that belong to a person, or to no one yet."""
    faces = (face for photo in store.photos.stored(photos) for face in photo.faces if face.primary)
    return [face for face in faces if face.person in (name, None) or not face.named]


def _take_name_off(store: Store, paths: Iterable[Path], name: str) -> None:
    """Unassign the primary faces of photos, if they still belong to the person."""
    with store.changing():
        found = (store.photos.held_by(path) for path in paths)
        photos = store.photos.stored({photo.id for photo in found if photo is not None})
        store.faces.assign(
            [face.face_id for photo in photos for face in photo.faces if face.primary and face.person == name], None
        )
