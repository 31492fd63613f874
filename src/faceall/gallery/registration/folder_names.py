"""Whether the name of a folder is the name of a person: checked on the faces, after they were analysed.

A registration that is killed leaves photos with unchecked names. So the gallery remembers the first face that each
folder named until that folder is checked; the next registration of the folder then checks these photos too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from faceall.gallery.naming import Candidate
from faceall.gallery.people.clustering.agreement import Agreement, agreement_of, sample
from faceall.gallery.records import StoredPhoto
from faceall.gallery.store import Store

_FOLDERS = 50  # folders whose photos are read at once
_KEY = "unchecked_folders"  # setting: hash of a folder and its name -> id of the first face that it named

_Named: TypeAlias = Sequence[tuple[tuple[Path, str], list[Path]]]


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
    places : tuple of Path
        Where these photos are: the folder, or the folders in it if no photo is in it itself.
    """

    folder: Path
    name: str
    photos: int
    agreement: Agreement
    accepted: bool
    places: tuple[Path, ...] = ()


class FolderNames:
    """Collects the photos that a registration named after their folders, and checks the names at the end.

    Parameters
    ----------
    store : Store
        Where the photos are stored.
    candidates : iterable of Candidate
        The files of the registration.

    Attributes
    ----------
    refused : set of Path
        The photos that lost the name again.
    """

    def __init__(self, store: Store, candidates: Iterable[Candidate]) -> None:
        self.refused: set[Path] = set()
        self._store = store
        unchecked = _unchecked(store)
        named = {(one.folder, one.path.parent, one.person) for one in candidates if one.person is not None}
        suggested = {(folder, name) for folder, _, name in named if folder is not None}
        meant = {(parent, name) for folder, parent, name in named if folder is None and unchecked}
        self._keys = {_key(folder, name): (folder, name) for folder, name in suggested}
        self._meant = {_key(folder, name) for parent, name in meant for folder in (parent, *parent.parents)}
        self._left = {key: face for key, face in unchecked.items() if key in self._keys}
        self._photos: dict[tuple[Path, str], dict[Path, None]] = {}  # in order, each once

    @property
    def interrupted(self) -> bool:
        """Whether an earlier registration has left some of these folders unchecked."""
        return bool(self._left)

    def add(self, named: Iterable[tuple[Path, str, Path]]) -> None:
        """Note new photos, and remember in the gallery that their folders are unchecked, as a part of its change.

        Parameters
        ----------
        named : iterable of (Path, str, Path)
            Folder, the name it suggested, and a new photo with a face that has it.
        """
        before = _unchecked(self._store)
        first = dict(before)
        for folder, name, path in named:
            self._photos.setdefault((folder, name), {})[path] = None
            key = _key(folder, name)
            if key not in first and (photo := self._store.photos.held_by(path)) is not None:
                first[key] = min(face.face_id for one in self._store.photos.stored([photo.id]) for face in one.faces)
        if first != before:
            self._store.put_setting(_KEY, first)

    def check(self, threshold: float | None) -> list[FolderName]:
        """Decide for every folder with new photos, and for those that an interrupted registration left unchecked.

        The photos of those that show several people lose the name again. Folders whose name has been demanded since
        are no longer unchecked.

        Parameters
        ----------
        threshold : float or None
            The match threshold; None accepts every name.
        """
        store = self._store
        for key, first in self._left.items():
            self._add_left(*self._keys[key], first)
        decided, named = [], sorted((pair, list(paths)) for pair, paths in self._photos.items() if paths)
        for start in range(0, len(named), _FOLDERS):
            group = named[start : start + _FOLDERS]
            for ((folder, name), paths), agreement in zip(group, _agreements(store, group, threshold), strict=True):
                if not agreement.mostly:
                    _take_name_off(store, paths, name)
                    self.refused.update(paths)
                places = _places(folder, paths)
                decided.append(FolderName(folder, name, len(paths), agreement, agreement.mostly, places))
        with store.changing():
            before = _unchecked(store)
            kept = {key: face for key, face in before.items() if key not in self._keys and key not in self._meant}
            if kept != before:
                store.put_setting(_KEY, kept or None)
        self._photos = {}
        return decided

    def _add_left(self, folder: Path, name: str, first: int) -> None:
        """Add the photos of a folder that an interrupted registration has named; `first` is their first face."""
        paths = self._photos.setdefault((folder, name), {})
        for photo in self._store.photos.stored(self._store.photos.below(folder)):
            if any(face.primary and face.person == name and face.face_id >= first for face in photo.faces):
                places = (file.path for file in self._store.photos.files(photo.photo_id))
                paths.update((path, None) for path in places if path.is_relative_to(folder))


def _key(folder: Path, name: str) -> str:
    """Return what stands for a folder and its name in the setting, which thus holds no names of people."""
    return hashlib.sha256(os.fsencode(folder) + b"\0" + name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _unchecked(store: Store) -> dict[str, int]:
    """Return the first face that each unchecked folder has named."""
    values = store.setting(_KEY)
    if not isinstance(values, dict):
        return {}
    return {str(key): face for key, face in values.items() if isinstance(face, int)}


def _places(folder: Path, paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return where photos below a folder are, in the words of `FolderName`."""
    inside = {folder.joinpath(*path.relative_to(folder).parts[:1]) for path in paths if path.parent != folder}
    return (folder,) if any(path.parent == folder for path in paths) else tuple(sorted(inside))


def _agreements(store: Store, group: _Named, threshold: float | None) -> list[Agreement]:
    """Return for each folder with a name how well the primary faces of its photos agree."""
    if threshold is None:
        return [Agreement(len(paths), len(paths)) for _, paths in group]
    below = store.photos.below_each([folder for (folder, _), _ in group])
    photos = {photo.photo_id: photo for photo in store.photos.stored({id_ for ids in below for id_ in ids})}
    samples = [
        sample(_primary_faces((photos[id_] for id_ in sorted(ids) if id_ in photos), name))
        for ((_, name), _), ids in zip(group, below, strict=True)
    ]
    keys = list(dict.fromkeys(key for chosen in samples for key in chosen))
    vectors = store.faces.vectors(keys)
    place = {key: number for number, key in enumerate(keys)}
    return [agreement_of(vectors[[place[key] for key in chosen]], threshold) for chosen in samples]


def _primary_faces(photos: Iterable[StoredPhoto], name: str) -> list[int]:
    """List the primary faces of photos that belong to a person, or to no one yet."""
    faces = (face for photo in photos for face in photo.faces if face.primary)
    return [face.face_id for face in faces if face.person in (name, None) or not face.named]


def _take_name_off(store: Store, paths: Iterable[Path], name: str) -> None:
    """Unassign the primary faces of photos, if they still belong to the person."""
    with store.changing():
        found = (store.photos.held_by(path) for path in paths)
        photos = store.photos.stored({photo.id for photo in found if photo is not None})
        store.faces.assign(
            [face.face_id for photo in photos for face in photo.faces if face.primary and face.person == name], None
        )
