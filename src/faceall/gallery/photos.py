"""What the gallery remembers of photos, and what becomes of one that comes in.

A photo is its content: one row per SHA-256, however many files hold it. A file is a path where that content was seen.
A photo whose only file got other content is displaced: files are renumbered and swapped, so it may turn up under
another path before the run ends. Until then it keeps the row of its file, with a mark before the path.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

import faceall
from faceall.gallery import aside
from faceall.gallery.lookalikes import Lookalikes, Print
from faceall.gallery.naming import Candidate
from faceall.index import FaceIndex
from faceall.types import Face, Faces, Float32Array

Unusable = Literal["unreadable", "too-large"]
PhotoState = Literal["ok", Unusable]
PhotoStatus = Literal[
    "added", "changed", "unchanged", "moved", "duplicate", "refiled", "back", "refused", "no-face", Unusable
]

_MARK, _BEHIND_MARK = b"\0", b"\1"  # no path holds such a character

_FACTS = (
    "SELECT p.id, p.state, p.message, p.reader, (SELECT count(*) FROM faces WHERE photo = p.id),"
    " (SELECT count(*) FROM faces WHERE photo = p.id AND chief),"
    " (SELECT name FROM people JOIN faces ON person = people.id WHERE photo = p.id AND chief) FROM photos p"
)


@dataclass(frozen=True)
class PhotoResult:
    """What became of one file.

    path     as an absolute path
    status   added: its faces are in the gallery now, and safe on the disk
             changed: known under this path with other content, whose faces are replaced
             unchanged: nothing to do
             moved: known under a path that is gone
             duplicate: known under another path, which is still there
             refiled: known, its chief face now belongs to the person that was asked for
             back: its faces, put aside when the gallery changed its model, are found again, under their ids and names
             refused: its chief face is poor, see `notes`, and only good ones were asked for; nothing was stored
             no-face: readable, but nobody is on it
             unreadable, too-large: see `message`
    faces    how many faces of this photo the gallery holds
    person   whom its chief face is filed under, None without a face
    message  why, where there is something to tell
    notes    of a new photo: what makes its chief face hard to recognise, and which photo it nearly equals
    """

    path: Path
    status: PhotoStatus
    faces: int = 0
    person: str | None = None
    message: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Findings:
    """What looking at a picture's pixels gave; `faces` is empty where `state` is not "ok"."""

    state: PhotoState
    message: str | None
    width: int | None
    height: int | None
    faces: Faces
    chief: int | None
    thumbnails: tuple[bytes, ...]
    vectors: Float32Array
    notes: tuple[str, ...] = ()
    print: Print | None = None


@dataclass(frozen=True)
class Sighting:
    """A file as it was when it was read: its candidate, size in bytes, time of change in ns, SHA-256 of its content."""

    candidate: Candidate
    size: int
    mtime: int
    digest: bytes


@dataclass(frozen=True)
class KnownPhoto:
    """A photo's row, the number of its faces, whether the chief one is still among them, and whose that is."""

    id: int
    state: PhotoState
    message: str | None
    reader: str
    faces: int
    chief: int
    person: str | None

    @property
    def settled(self) -> bool:
        """Whether looking again would give the same: it was readable, or this very faceall could not read it."""
        return self.state == "ok" or self.reader == faceall.__version__

    def result(self, path: Path, status: PhotoStatus, message: str | None = None) -> PhotoResult:
        """The result for a file with this content; unreadable and without a face it stays wherever the file goes."""
        if self.state != "ok":
            return PhotoResult(path, self.state, message=self.message)
        if not self.faces:  # it never had one: a photo whose last face was removed is not known any more
            return PhotoResult(path, "no-face", message=message)
        return PhotoResult(path, status, self.faces, self.person, message)


def photo_at(connection: sqlite3.Connection, path: Path, size: int, mtime: int) -> KnownPhoto | None:
    """The photo that a file held when it was last seen, if its size and time are still the same."""
    row = connection.execute(
        f"{_FACTS} JOIN files f ON f.photo = p.id WHERE f.path = ? AND f.size = ? AND f.mtime = ?",
        (os.fsencode(path), size, mtime),
    ).fetchone()
    return KnownPhoto(*row) if row and not aside.has_photo(connection, row[0]) else None


def photo_of(connection: sqlite3.Connection, digest: bytes) -> KnownPhoto | None:
    """The photo with this content, if it is known and need not be looked at again."""
    row = connection.execute(f"{_FACTS} WHERE p.hash = ?", (digest,)).fetchone()
    known = KnownPhoto(*row) if row and not aside.has_photo(connection, row[0]) else None
    return known if known and known.settled else None


def file_new_photo(
    index: FaceIndex, sighting: Sighting, findings: Findings, lookalikes: Lookalikes, *, strict: bool
) -> PhotoResult:
    """Take up a photo whose content is not known, inside a transaction of `index`.

    strict  store nothing of one whose chief face is poor
    """
    path = sighting.candidate.path
    if strict and findings.notes:
        return PhotoResult(path, "refused", message=", ".join(findings.notes), notes=findings.notes)
    with index.transaction() as connection:
        if findings.state != "ok" and (
            _holds_faces(connection, path) or aside.waiting_for(connection, sighting.digest)
        ):
            return _spoilt(path, findings.state, findings.message)
        connection.execute("DELETE FROM photos WHERE hash = ?", (sighting.digest,))  # one that was not readable before
        photo = connection.execute(
            "INSERT INTO photos (hash, state, message, reader, width, height) VALUES (?, ?, ?, ?, ?, ?)",
            (sighting.digest, findings.state, findings.message, faceall.__version__, findings.width, findings.height),
        ).lastrowid
        assert photo is not None
        replaced = _put_file(connection, sighting, photo)
        if findings.state != "ok":
            return PhotoResult(path, findings.state, message=findings.message)
        if not len(findings.faces):
            return PhotoResult(path, "no-face")
        _put_faces(index, connection, photo, findings, sighting.candidate.person)
        notes = findings.notes
        if findings.print is not None and (twin := lookalikes.take(connection, photo, findings.print)) is not None:
            notes = (*notes, f"nearly the same picture as {_place_of(connection, twin)}")
    status: PhotoStatus = "changed" if replaced else "added"
    return PhotoResult(path, status, len(findings.faces), sighting.candidate.person, notes=notes)


def _place_of(connection: sqlite3.Connection, photo: int) -> str:
    """A file that held a photo, as last seen."""
    (path,) = connection.execute("SELECT path FROM files WHERE photo = ? ORDER BY id LIMIT 1", (photo,)).fetchone()
    return os.fsdecode(unmarked(path))


def file_known_photo(index: FaceIndex, sighting: Sighting, known: KnownPhoto, *, refile: bool) -> PhotoResult:
    """Note where a known photo was seen, inside a transaction of `index`.

    refile  file its chief face under the candidate's person, whoever it belonged to
    """
    path, person = sighting.candidate.path, sighting.candidate.person
    with index.transaction() as connection:
        if known.state != "ok" and _holds_faces(connection, path):
            return _spoilt(path, known.state, known.message)
        status, message, old_name = _whereabouts(connection, sighting, known.id)
        _put_file(connection, sighting, known.id)
        follow = status == "moved" and old_name == known.person  # a move to another person's folder is meant
        if person is not None and known.chief and known.person != person and (refile or follow):
            give_chief_face(connection, known.id, person)
            known = replace(known, person=person)
            status = "moved" if status == "moved" else "refiled"
    return known.result(path, status, message)


def file_photo_back(
    index: FaceIndex, sighting: Sighting, ids: Sequence[int], vectors: Float32Array, *, refile: bool
) -> PhotoResult | None:
    """Take up the faces of a photo that are aside, inside a transaction of `index`; None if none came of that.

    ids      their rows
    vectors  (n, dimension) float32, theirs
    refile   file its chief face under the candidate's person, whoever it belonged to
    """
    with index.transaction() as connection:
        aside.take_back(index, ids, vectors)
        known = photo_of(connection, sighting.digest)
        if known is None:
            return None
        result = file_known_photo(index, sighting, known, refile=refile)
    return replace(result, status="back")


def _holds_faces(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the photo that a path held when it was last seen has faces in the gallery, be they aside."""
    statement = "SELECT files.photo, faces.key FROM files LEFT JOIN faces ON faces.photo = files.photo WHERE path = ?"
    row = connection.execute(statement, (os.fsencode(path),)).fetchone()
    return row is not None and (row[1] is not None or aside.has_photo(connection, row[0]))


def _spoilt(path: Path, state: Unusable, message: str | None) -> PhotoResult:
    """The result for a file that was a photo with faces and cannot be read any more: nothing is taken away."""
    return PhotoResult(path, state, message=f"{message}; the faces that it showed before are kept")


def _whereabouts(
    connection: sqlite3.Connection, sighting: Sighting, photo: int
) -> tuple[PhotoStatus, str | None, str | None]:
    """How a file relates to the files of the same content, in words, and the person whom a moved one named before.

    The rows of files that have gone are dropped when the content turns up elsewhere.
    """
    rows = connection.execute("SELECT id, path, size, mtime, person FROM files WHERE photo = ? ORDER BY id", (photo,))
    others = rows.fetchall()
    path = os.fsencode(sighting.candidate.path)
    if any(row[1] == path for row in others):
        return "unchanged", None, None
    gone = [row for row in others if row[1].startswith(_MARK) or not _is_still(os.fsdecode(row[1]), row[2], row[3])]
    connection.executemany("DELETE FROM files WHERE id = ?", [(row[0],) for row in gone])
    if len(gone) < len(others):
        first = next(os.fsdecode(row[1]) for row in others if row not in gone)
        return "duplicate", f"the same picture as {first}", None
    if gone and unmarked(gone[0][1]) != path:
        return "moved", f"was {os.fsdecode(unmarked(gone[0][1]))}", gone[0][4]
    return "unchanged", None, None


def _is_still(path: str, size: int, mtime: int) -> bool:
    """Whether a file is where it was, and as it was."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (size, mtime)


def _put_file(connection: sqlite3.Connection, sighting: Sighting, photo: int) -> bool:
    """Note that a path holds a photo; the one that it held before is displaced unless that lies elsewhere too.

    Returns whether the path held a readable photo of other content.
    """
    path = os.fsencode(sighting.candidate.path)
    before = connection.execute(
        "SELECT f.id, p.state, (SELECT count(*) FROM files WHERE photo = p.id)"
        " FROM files f JOIN photos p ON p.id = f.photo WHERE f.path = ? AND p.id <> ?",
        (path, photo),
    ).fetchone()
    if before and before[2] == 1:
        marked = b"%b%d%b%b" % (_MARK, before[0], _MARK, path)
        connection.execute("UPDATE files SET path = ? WHERE id = ?", (marked, before[0]))
    connection.execute(
        "INSERT INTO files (path, photo, size, mtime, person) VALUES (?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET"
        " photo = excluded.photo, size = excluded.size, mtime = excluded.mtime, person = excluded.person",
        (path, photo, sighting.size, sighting.mtime, sighting.candidate.person or ""),
    )
    return before is not None and before[1] == "ok"


def unmarked(path: bytes) -> bytes:
    """The path of a file's row, without the mark of a displaced photo."""
    return path.rpartition(_MARK)[2]


def forget_displaced(index: FaceIndex) -> None:
    """Forget the photos that did not turn up again, with their faces: the end of a registration."""
    displaced = "SELECT DISTINCT photo FROM files WHERE path < ?"
    with index.reading() as connection:
        if not connection.execute(displaced, (_BEHIND_MARK,)).fetchone():
            return
    with index.transaction() as connection:
        forget_photos(index, [row[0] for row in connection.execute(displaced, (_BEHIND_MARK,)).fetchall()])


def _put_faces(
    index: FaceIndex, connection: sqlite3.Connection, photo: int, findings: Findings, person: str | None
) -> None:
    """Store the faces of a new photo; the chief one belongs to `person`, the others to nobody yet."""
    keys = index.add(findings.vectors).tolist()
    owner = None if person is None else person_id(connection, person)
    chiefs = [number == findings.chief for number in range(len(keys))]
    connection.executemany(
        "INSERT INTO faces (key, photo, person, chief, x0, y0, x1, y1, score, landmarks)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (key, photo, owner if chief else None, chief, *face.box.tolist(), face.score, _bytes(face))
            for key, face, chief in zip(keys, findings.faces, chiefs, strict=True)
        ),
    )
    connection.executemany(
        "INSERT INTO thumbnails (face, jpeg) VALUES (?, ?)", zip(keys, findings.thumbnails, strict=True)
    )


def faces_in(rows: Sequence[Sequence[object]]) -> Faces:
    """Faces from rows of x0, y0, x1, y1, score, landmarks, as they are stored."""
    if not rows:
        return Faces.empty()
    landmarks = [np.frombuffer(row[5], "<f4").reshape(5, 2) for row in rows]  # type: ignore[call-overload]
    numbers = np.array([row[:5] for row in rows], np.float32)
    return Faces(numbers[:, :4], numbers[:, 4], np.stack(landmarks))


def _bytes(face: Face) -> bytes:
    """The landmarks as they are stored: ten little-endian float32."""
    return face.landmarks.astype("<f4").tobytes()


def give_chief_face(connection: sqlite3.Connection, photo: int, person: str) -> None:
    """File the chief face of a photo under `person`."""
    owner = person_id(connection, person)
    connection.execute("UPDATE faces SET person = ? WHERE photo = ? AND chief", (owner, photo))
    forget_nobodies(connection)


def person_id(connection: sqlite3.Connection, name: str) -> int:
    """The row of a person, made if it is not there."""
    connection.execute("INSERT OR IGNORE INTO people (name) VALUES (?)", (name,))
    return int(connection.execute("SELECT id FROM people WHERE name = ?", (name,)).fetchone()[0])


def forget_nobodies(connection: sqlite3.Connection) -> None:
    """Drop the people who have no face left."""
    connection.execute("DELETE FROM people WHERE id NOT IN (SELECT person FROM faces WHERE person IS NOT NULL)")


def forget_photos(index: FaceIndex, photos: list[int]) -> int:
    """Remove photos with their faces, vectors and thumbnails; returns how many faces went."""
    with index.transaction() as connection:
        keys = [
            row[0]
            for photo in photos
            for row in connection.execute("SELECT key FROM faces WHERE photo = ?", (photo,)).fetchall()
        ]
        index.remove(keys)  # takes the faces and thumbnails along
        connection.executemany("DELETE FROM photos WHERE id = ?", [(photo,) for photo in photos])
        forget_nobodies(connection)
    return len(keys)


def forget_faces(index: FaceIndex, keys: list[int]) -> int:
    """Remove faces with their vectors and thumbnails, and photos that are left without any; returns how many went."""
    with index.transaction() as connection:
        photos = {
            row[0]
            for key in keys
            for row in connection.execute("SELECT photo FROM faces WHERE key = ?", (key,)).fetchall()
        }
        index.remove(keys)
        for photo in photos:
            connection.execute(
                "DELETE FROM photos WHERE id = ? AND NOT EXISTS (SELECT 1 FROM faces WHERE photo = ?)", (photo, photo)
            )
        forget_nobodies(connection)
    return len(keys)
