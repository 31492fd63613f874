"""Names that the folders and files of registered photos suggest, proposed to a user before they are given."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from faceall.errors import ArgumentError
from faceall.gallery.naming import fitting_name, looks_like_person, names_event, person_in_stem
from faceall.gallery.people.clustering.agreement import Agreement, agreement_of, sample
from faceall.gallery.people.names import similar_name, unknown_face, validate_name
from faceall.gallery.people.recording import recording
from faceall.gallery.records import StoredPhoto
from faceall.gallery.store import Store


@dataclass(frozen=True)
class NameProposal:
    """What the name of a folder, or the common part of file names, says about some photos.

    Attributes
    ----------
    name : str
        The suggested name; that of the folder if it does not look like a person's.
    source : str
        The folder, or the name if files suggest it.
    person : bool
        Whether it looks like a person: the name does, and most primary faces agree.
    faces : tuple of int
        The primary faces, which have no name yet.
    agreement : Agreement
        How many of them show one person.
    known : str or None
        An existing person of this name, or of one that differs in case or form only.
    """

    name: str
    source: str
    person: bool
    faces: tuple[int, ...]
    agreement: Agreement
    known: str | None = None


def propose_names(
    store: Store, photos: Iterable[StoredPhoto], names: Mapping[int, str], threshold: float | None
) -> list[NameProposal]:
    """Propose names for the primary faces of photos, the largest folders first.

    Parameters
    ----------
    store : Store
        The gallery.
    photos : iterable of StoredPhoto
        The photos.
    names : mapping
        The name of each photo's file with its folders, by id: "Summer/Ada/1.jpg".
    threshold : float or None
        The distance up to which two faces match; None accepts every name.
    """
    groups: dict[tuple[str, str, bool], list[int]] = {}
    for photo in photos:
        primary = next((face for face in photo.faces if face.primary), None)
        suggestion = _suggestion(names.get(photo.photo_id, ""))
        if primary is not None and suggestion is not None and (primary.person is None or not primary.named):
            groups.setdefault(suggestion, []).append(primary.face_id)
    found = [_proposal(store, *key, faces, threshold) for key, faces in groups.items()]
    return sorted(found, key=lambda one: (not one.person, -len(one.faces), one.name))


def give_names(store: Store, names: Iterable[tuple[str, Iterable[int]]]) -> int:
    """Assign faces to people by name as one change, all or none; return how many faces.

    Raises
    ------
    UnknownFaceError
        One of the faces does not exist.
    FaceallError
        A name is empty, too long or has control characters.
    """
    wanted = [(validate_name(name), list(dict.fromkeys(faces))) for name, faces in names]
    if not wanted:
        raise ArgumentError("no name was given")
    with recording(store, "assign") as details:
        known = store.faces.owners([face for _, faces in wanted for face in faces])
        for name, faces in wanted:
            for face in faces:
                if face not in known:
                    raise unknown_face(store, face)
            store.faces.assign(faces, store.people.make(name))
        details["faces"] = sum(len(faces) for _, faces in wanted)
        people = list(dict.fromkeys(name for name, _ in wanted))
        details["person"] = people[0] if len(people) == 1 else people
    return int(details["faces"])


def _proposal(
    store: Store, name: str, source: str, looks_right: bool, faces: list[int], threshold: float | None
) -> NameProposal:
    agreement = Agreement(len(faces), len(faces))
    if threshold is not None:
        agreement = agreement_of(store.faces.vectors(sample(faces)), threshold)
    known = name if store.people.named(name) is not None else similar_name(store, name)
    return NameProposal(name, source, looks_right and agreement.mostly, tuple(faces), agreement, known)


def _suggestion(path: str) -> tuple[str, str, bool] | None:
    """Return the name that a path suggests, what suggests it, and whether it looks like a person's; None for none."""
    *folders, file = [part for part in re.split(r"[/\\]", path) if part.strip()] or [""]
    for depth in range(len(folders), 0, -1):
        name = fitting_name(folders[depth - 1])
        if looks_like_person(name):
            return name, "/".join(folders[:depth]), True
        if names_event(name):
            break
    stem = person_in_stem(os.path.splitext(file)[0])
    if stem is not None and looks_like_person(stem):
        return stem, stem, True
    return (fitting_name(folders[-1]), "/".join(folders), False) if folders else None
