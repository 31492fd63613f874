"""Convert records to rows of Milvus and back: a pair of functions per collection."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from faceall.gallery.milvus.connection import Row
from faceall.gallery.milvus.identity import quoted, unquoted
from faceall.gallery.records import Analysis, Moment, SeenFile, StoredFace
from faceall.gallery.store.transfer import PhotoCopy
from faceall.images import reader_version
from faceall.types import Face, Float32Array

UNASSIGNED = 0
"""Value of the column `person` for an unassigned face."""

PRIMARY = "chief"
"""Stored key: the primary face in a photo's record; whether a face is primary in a face's record."""

MOMENT = "moment"
"""Key in the record of a face of a video: the seconds of its frame, and of the first and the last one."""

SOURCE = "source"
"""Key in the record of a video, where it is "video"; a photo has none."""

HAS_STALE = "aside"
"""Stored key in a photo's record: whether the photo has stale faces."""


def photo_row(photo: int, digest: bytes, analysis: Analysis) -> Row:
    """Make the row of a new photo, without files and faces."""
    record: dict[str, Any] = {
        "message": analysis.message,
        "reader": reader_version(),
        "width": analysis.width,
        "height": analysis.height,
        **shot_record(analysis),
        "files": [],
        "faces": [],
        PRIMARY: None,
        **({SOURCE: "video"} if analysis.moments else {}),
        "print": None if analysis.print is None else analysis.print.tobytes().hex(),
    }
    return {"id": photo, "hash": digest.hex(), "state": analysis.state, "displaced": False, "record": record}


def shot_record(photo: Analysis | PhotoCopy) -> dict[str, Any]:
    """Return how a photo was searched and taken, for its record."""
    return {"smallest_face": photo.smallest_face, "taken": photo.taken, "camera": photo.camera}


def shot_of(record: Mapping[str, Any]) -> tuple[float | None, str | None, str | None]:
    """Return the smallest face, the time and the camera in a photo's record; older records have none."""
    return record.get("smallest_face"), record.get("taken"), record.get("camera")


def with_files(row: Row, files: Iterable[SeenFile]) -> Row:
    """Return a photo's row with other files."""
    listed = [_file_json(file) for file in files]
    displaced = bool(listed) and any(file["displaced"] for file in listed)
    return {**row, "displaced": displaced, "record": {**row["record"], "files": listed}}


def with_faces(row: Row, faces: Iterable[int], primary: int | None) -> Row:
    """Return a photo's row with other faces."""
    return {**row, "record": {**row["record"], "faces": list(faces), PRIMARY: primary}}


def files_of(row: Row) -> list[SeenFile]:
    """Return the files in which a photo was seen."""
    return [
        SeenFile(path_of(file["path"]), file["size"], int(file["mtime"]), unquoted(file["person"]), file["displaced"])
        for file in row["record"]["files"]
    ]


def first_path(row: Row | None) -> Path:
    """Return the first file that contained a photo; an empty path if there is none."""
    files = row["record"]["files"] if row else ()
    return path_of(files[0]["path"]) if files else Path()


def _file_json(file: SeenFile) -> dict[str, Any]:
    return {
        "path": quoted(os.fsencode(file.path)),
        "size": file.size,
        "mtime": str(file.mtime),  # JSON numbers may be read as doubles, which cannot hold nanoseconds
        "person": quoted(file.person),
        "displaced": file.displaced,
    }


def path_bytes(path: Path) -> bytes:
    """Return a path as bytes in the encoding of the file system."""
    return os.fsencode(path)


def path_of(text: str) -> Path:
    """Return the path of a quoted text."""
    from urllib.parse import unquote_to_bytes

    return Path(os.fsdecode(unquote_to_bytes(text)))


def moment_record(moment: Moment | None) -> dict[str, Any]:
    """Return when a video shows a face, for its record; nothing for a face of a photo."""
    return {} if moment is None else {MOMENT: [moment.seconds, moment.first, moment.last]}


def moment_of(record: Mapping[str, Any]) -> Moment | None:
    """Return when a video shows the face of a record; None for a face of a photo."""
    times = record.get(MOMENT)
    return None if times is None else Moment(*times)


def face_row(
    key: int,
    photo: int,
    person: int | None,
    face: Face,
    vector: Float32Array,
    *,
    primary: bool,
    moment: Moment | None = None,
) -> Row:
    """Make the row of a face with its vector."""
    record: dict[str, Any] = {
        **moment_record(moment),
        "box": [float(number) for number in face.box],
        "score": float(face.score),
        "landmarks": [float(number) for number in face.landmarks.reshape(-1)],
        PRIMARY: primary,
    }
    numbers = np.asarray(vector, np.float32).tolist()
    return {"id": key, "photo": photo, "person": person or UNASSIGNED, "record": record, "vector": numbers}


def stored_face(row: Row, photo: Row | None, people: Mapping[int, Row]) -> StoredFace:
    """Return a face from its row; it is unassigned if its person was removed at the same time."""
    record, person = row["record"], people.get(row["person"])
    x0, y0, x1, y1 = record["box"]
    marks = record["landmarks"]
    return StoredFace(
        face_id=row["id"],
        person=None if person is None else unquoted(person["name"]),
        path=first_path(photo),
        box=(x0, y0, x1, y1),
        score=record["score"],
        photo_id=row["photo"],
        person_id=None if person is None else person["id"],
        named=person is None or not person["cluster"],
        primary=record[PRIMARY],
        landmarks=tuple(zip(marks[::2], marks[1::2], strict=True)),
        moment=moment_of(record),
        image_size=_size_of(photo),
    )


def _size_of(photo: Row | None) -> tuple[int, int] | None:
    """Return the width and height of a photo, if they are known."""
    record = {} if photo is None else photo["record"]
    width, height = record.get("width"), record.get("height")
    return None if width is None or height is None else (width, height)


def person_row(row: int, name: str, *, cluster: bool = False) -> Row:
    """Make the row of a person."""
    return {"id": row, "name": quoted(name), "cluster": cluster}


def thumbnail_row(key: int, jpeg: bytes) -> Row:
    """Make the row of a face's JPEG."""
    return {"id": key, "jpeg": base64.b64encode(jpeg).decode()}


def jpeg_of(row: Row) -> bytes:
    """Return the JPEG in a row."""
    return base64.b64decode(row["jpeg"])
