"""Store scanned files: new, known, moved, duplicate, or no longer readable.

A photo is its content: one per SHA-256, however many files hold it. A file is a path where that content was seen.
A photo whose only file received other content is displaced: files are renumbered and swapped, so it may be found under
another path before the registration ends. Until then it is kept, with its faces.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from faceall.analysis.quality import Note
from faceall.gallery.people.aliases import read_aliases
from faceall.gallery.people.recording import recording
from faceall.gallery.records import Analysis, FileInfo, KnownPhoto, PhotoResult, PhotoStatus, SeenFile, Unusable
from faceall.gallery.registration.options import Reassign
from faceall.gallery.registration.scanned_file import ScannedFile
from faceall.gallery.store import Store
from faceall.types import Float32Array


def unchanged_photo(store: Store, path: Path, size: int, mtime: int) -> KnownPhoto | None:
    """Return the photo that a file held when it was last seen, if it need not be analysed again."""
    known = store.photos.at(path, size, mtime)
    return known if known and known.settled else None


def known_photo(store: Store, digest: bytes) -> KnownPhoto | None:
    """Return the photo with this SHA-256, if it need not be analysed again."""
    known = store.photos.of(digest)
    return known if known and known.settled else None


def store_new_photo(store: Store, file: ScannedFile, info: FileInfo, *, strict: bool) -> PhotoResult:
    """Store a photo with unknown content, as a part of a change of `store`.

    With `strict`, nothing of a photo whose primary face is poor is stored.
    """
    path, person = info.path, file.candidate.person
    analysis = file.analysis or Analysis(file.state, file.message)
    poor = [note.text for note in analysis.notes if note.kind != "truncated"]
    if strict and poor:
        message = ", ".join(poor)
        return PhotoResult(path, "refused", message=message, notes=analysis.notes)
    with store.changing():
        if analysis.state != "ok" and (_holds_faces(store, path) or store.photos.pending(info.digest)):
            return _damaged(path, analysis.state, analysis.message)
        photo = store.photos.add(info.digest, analysis)
        replaced = _put_file(store, info, photo, person)
        if analysis.state != "ok":
            return PhotoResult(path, analysis.state, message=analysis.message)
        if not len(analysis.faces):
            return PhotoResult(path, "no-face", notes=analysis.notes)
        store.photos.add_faces(photo, analysis, person)
        notes = analysis.notes
        if (twin := store.photos.lookalike(photo, analysis)) is not None:
            place = _place_of(store, twin)
            notes = (*notes, Note("near-duplicate", f"nearly the same image as {place}", twin, place))
    status: PhotoStatus = "changed" if replaced else "added"
    return PhotoResult(path, status, len(analysis.faces), person, notes=notes)


def _place_of(store: Store, photo: int) -> str:
    """Return a file that held a photo when it was last seen."""
    return os.fspath(store.photos.files(photo)[0].path)


def store_known_photo(
    store: Store, info: FileInfo, person: str | None, known: KnownPhoto, *, reassign: Reassign
) -> PhotoResult:
    """Note where a known photo was seen, as a part of a change of `store`.

    With `reassign` "all", its primary face is assigned to `person`, whatever its person was, and with None it loses a
    name that came with its registration; with "unassigned" only if it has no name.
    """
    path = info.path
    done: PhotoStatus = "reassigned"
    with store.changing():
        if known.state != "ok" and _holds_faces(store, path):
            return _damaged(path, known.state, known.message)
        status, message, old = _whereabouts(store, path, known.id)
        _put_file(store, info, known.id, person)
        follow = old is not None and old.person == known.person  # it was moved to another person's folder on purpose
        if reassign == "all" and person is None and take_names_off(store, [known.id]):
            done = "unnamed"
        elif person is not None and reassigns(store, known, person, "all" if follow else reassign):
            store.photos.assign_primary(known.id, person)
        else:
            return known.result(path, status, message, moved_from=None if old is None else old.path)
        known = replace(known, person=person)
    return known.result(path, done if old is None else "moved", message, moved_from=None if old is None else old.path)


def reassigns(store: Store, known: KnownPhoto, person: str | None, reassign: Reassign) -> bool:
    """Return whether the primary face of a known photo is going to be assigned to a person."""
    if reassign == "none" or person is None or not known.primary or known.person == person:
        return False
    return reassign == "all" or _awaits_name(store, known.id, person)


def _awaits_name(store: Store, photo: int, person: str) -> bool:
    """Return whether the primary face of a photo has no name, and no user said that it does not show the person."""
    (stored,) = store.photos.stored([photo])
    faces = [face.face_id for face in stored.faces if face.primary and (face.person is None or not face.named)]
    row = store.people.named(person)
    return any(row is None or row not in store.people.rejections([face]).get(face, ()) for face in faces)


def take_names_off(store: Store, photos: Sequence[int]) -> list[int]:
    """Unassign the primary faces of photos, as one change in the history; return the photos that had a name.

    Only names that came with the registration of a file are removed, also if the person has been renamed since. Names
    that were given by hand and clusters without a name stay.
    """
    aliases = read_aliases(store)
    named = {
        face.face_id: photo.photo_id
        for photo in store.photos.stored(photos)
        for face in photo.faces
        if face.primary and face.named and face.person in _names_by_files(store, photo.photo_id, aliases)
    }
    if named:
        with recording(store, "unassign", faces=len(named)):
            store.faces.assign(list(named), None)
    return list(named.values())


def _names_by_files(store: Store, photo: int, aliases: Mapping[str, str | None]) -> set[str | None]:
    """Return the names that the files of a photo gave to it, and what these people are called now."""
    given = {file.person for file in store.photos.files(photo) if file.person is not None}
    return {*given, *(aliases.get(name) for name in given)} - {None}


def restore_stale_faces(
    store: Store, file: ScannedFile, info: FileInfo, ids: Sequence[int], vectors: Float32Array, *, reassign: Reassign
) -> PhotoResult | None:
    """Make the stale faces of a photo current, as a part of a change of `store`; None if none was left.

    Parameters
    ----------
    store : Store
        Where they are.
    file, info : ScannedFile, FileInfo
        A file with the photo.
    ids : sequence of int
        The stale faces.
    vectors : (n, D) float32
        Their new embeddings.
    reassign : {"none", "unassigned", "all"}
        Whether the primary face is assigned to the file's person.
    """
    with store.changing():
        store.photos.restore(ids, vectors)
        known = known_photo(store, info.digest)
        if known is None:
            return None
        result = store_known_photo(store, info, file.candidate.person, known, reassign=reassign)
    return replace(result, status="back")


def _holds_faces(store: Store, path: Path) -> bool:
    """Return whether the photo that a path held when it was last seen has faces in the gallery, stale ones included."""
    held = store.photos.held_by(path)
    return held is not None and (held.faces > 0 or held.stale)


def _damaged(path: Path, state: Unusable, message: str | None) -> PhotoResult:
    """Return the result for a file that was a photo with faces and cannot be read any more: nothing is removed."""
    return PhotoResult(path, state, message=f"{message}; the faces that it showed before are kept")


def _whereabouts(store: Store, path: Path, photo: int) -> tuple[PhotoStatus, str | None, SeenFile | None]:
    """Compare a file with the other files of the same content: status, message, and where a moved one was.

    Files that no longer exist are forgotten when the content is found elsewhere.
    """
    others = store.photos.files(photo)
    if any(file.path == path and not file.displaced for file in others):
        return "unchanged", None, None
    gone = [file for file in others if file.displaced or not _is_still(file)]
    store.photos.drop_files(photo, gone)
    if len(gone) < len(others):
        first = next(file.path for file in others if file not in gone)
        return "duplicate", f"the same image as {first}", None
    if gone and gone[0].path != path:
        return "moved", f"was {gone[0].path}", gone[0]
    return "unchanged", None, None


def _is_still(file: SeenFile) -> bool:
    """Return whether a file exists and has the same size and time."""
    try:
        status = os.stat(file.path)
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (file.size, file.mtime)


def _put_file(store: Store, info: FileInfo, photo: int, person: str | None) -> bool:
    """Note that a path holds a photo; the one that it held before is displaced unless another file holds it too.

    Returns whether the path held a readable photo with other content.
    """
    before = store.photos.held_by(info.path)
    other = before is not None and before.id != photo
    if other and before is not None and before.files == 1:
        store.photos.displace(info.path)
    store.photos.put_file(photo, SeenFile(info.path, info.size, info.mtime, person or ""))
    return other and before is not None and before.state == "ok"


def forget_displaced(store: Store) -> None:
    """Forget the photos that were not found again, with their faces: the end of a registration."""
    if store.photos.displaced():
        with store.changing():
            store.photos.remove(store.photos.displaced())
