"""What becomes of a photo that comes in: new, known, moved, double, or not readable any more.

A photo is its content: one per SHA-256, however many files hold it. A file is a path where that content was seen.
A photo whose only file got other content is displaced: files are renumbered and swapped, so it may turn up under
another path before the run ends. Until then it is kept, with its faces.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from faceall.gallery.records import Findings, KnownPhoto, PhotoResult, PhotoStatus, SeenFile, Sighting, Unusable
from faceall.gallery.store import Store
from faceall.types import Float32Array


def unchanged_photo(store: Store, path: Path, size: int, mtime: int) -> KnownPhoto | None:
    """The photo that a file held when it was last seen, if that need not be looked at again."""
    known = store.photos.at(path, size, mtime)
    return known if known and known.settled else None


def known_photo(store: Store, digest: bytes) -> KnownPhoto | None:
    """The photo with this SHA-256, if it is known and need not be looked at again."""
    known = store.photos.of(digest)
    return known if known and known.settled else None


def file_new_photo(store: Store, sighting: Sighting, findings: Findings, *, strict: bool) -> PhotoResult:
    """Take up a photo whose content is not known, as a part of a change of `store`.

    strict  store nothing of one whose chief face is poor
    """
    path, person = sighting.candidate.path, sighting.candidate.person
    if strict and findings.notes:
        return PhotoResult(path, "refused", message=", ".join(findings.notes), notes=findings.notes)
    with store.changing():
        if findings.state != "ok" and (_holds_faces(store, path) or store.photos.waiting(sighting.digest)):
            return _spoilt(path, findings.state, findings.message)
        photo = store.photos.add(sighting.digest, findings)
        replaced = _put_file(store, sighting, photo)
        if findings.state != "ok":
            return PhotoResult(path, findings.state, message=findings.message)
        if not len(findings.faces):
            return PhotoResult(path, "no-face")
        store.photos.add_faces(photo, findings, person)
        notes = findings.notes
        if (twin := store.photos.lookalike(photo, findings)) is not None:
            notes = (*notes, f"nearly the same picture as {_place_of(store, twin)}")
    status: PhotoStatus = "changed" if replaced else "added"
    return PhotoResult(path, status, len(findings.faces), person, notes=notes)


def _place_of(store: Store, photo: int) -> str:
    """A file that held a photo, as last seen."""
    return os.fspath(store.photos.files(photo)[0].path)


def file_known_photo(store: Store, sighting: Sighting, known: KnownPhoto, *, refile: bool) -> PhotoResult:
    """Note where a known photo was seen, as a part of a change of `store`.

    refile  file its chief face under the candidate's person, whoever it belonged to
    """
    path, person = sighting.candidate.path, sighting.candidate.person
    with store.changing():
        if known.state != "ok" and _holds_faces(store, path):
            return _spoilt(path, known.state, known.message)
        status, message, old_name = _whereabouts(store, sighting, known.id)
        _put_file(store, sighting, known.id)
        follow = status == "moved" and old_name == known.person  # a move to another person's folder is meant
        if person is not None and known.chief and known.person != person and (refile or follow):
            store.photos.file_chief(known.id, person)
            known = replace(known, person=person)
            status = "moved" if status == "moved" else "refiled"
    return known.result(path, status, message)


def file_photo_back(
    store: Store, sighting: Sighting, ids: Sequence[int], vectors: Float32Array, *, refile: bool
) -> PhotoResult | None:
    """Take up the faces of a photo that are aside, as a part of a change of `store`; None if none came of that.

    ids      theirs
    vectors  (n, dimension) float32, theirs
    refile   file its chief face under the candidate's person, whoever it belonged to
    """
    with store.changing():
        store.photos.take_back(ids, vectors)
        known = known_photo(store, sighting.digest)
        if known is None:
            return None
        result = file_known_photo(store, sighting, known, refile=refile)
    return replace(result, status="back")


def _holds_faces(store: Store, path: Path) -> bool:
    """Whether the photo that a path held when it was last seen has faces in the gallery, be they aside."""
    held = store.photos.held_by(path)
    return held is not None and (held.faces > 0 or held.aside)


def _spoilt(path: Path, state: Unusable, message: str | None) -> PhotoResult:
    """The result for a file that was a photo with faces and cannot be read any more: nothing is taken away."""
    return PhotoResult(path, state, message=f"{message}; the faces that it showed before are kept")


def _whereabouts(store: Store, sighting: Sighting, photo: int) -> tuple[PhotoStatus, str | None, str | None]:
    """How a file relates to the files of the same content, in words, and the person whom a moved one named before.

    Files that have gone are forgotten when the content turns up elsewhere.
    """
    others, path = store.photos.files(photo), sighting.candidate.path
    if any(file.path == path and not file.displaced for file in others):
        return "unchanged", None, None
    gone = [file for file in others if file.displaced or not _is_still(file)]
    store.photos.drop_files(photo, gone)
    if len(gone) < len(others):
        first = next(file.path for file in others if file not in gone)
        return "duplicate", f"the same picture as {first}", None
    if gone and gone[0].path != path:
        return "moved", f"was {gone[0].path}", gone[0].person
    return "unchanged", None, None


def _is_still(file: SeenFile) -> bool:
    """Whether a file is where it was, and as it was."""
    try:
        status = os.stat(file.path)
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (file.size, file.mtime)


def _put_file(store: Store, sighting: Sighting, photo: int) -> bool:
    """Note that a path holds a photo; the one that it held before is displaced unless that lies elsewhere too.

    Returns whether the path held a readable photo of other content.
    """
    path, person = sighting.candidate.path, sighting.candidate.person
    before = store.photos.held_by(path)
    other = before is not None and before.id != photo
    if other and before is not None and before.files == 1:
        store.photos.displace(path)
    store.photos.put_file(photo, SeenFile(path, sighting.size, sighting.mtime, person or ""))
    return other and before is not None and before.state == "ok"


def forget_displaced(store: Store) -> None:
    """Forget the photos that did not turn up again, with their faces: the end of a registration."""
    if store.photos.displaced():
        with store.changing():
            store.photos.remove(store.photos.displaced())
