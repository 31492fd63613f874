"""Rows of Milvus to records, and back: a pair of functions per collection."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from faceall.gallery.milvus.connection import Row
from faceall.gallery.milvus.identity import quoted, unquoted
from faceall.gallery.records import Analysis, SeenFile, StoredFace
from faceall.images import reader_version
from faceall.types import Face, Float32Array

UNASSIGNED = 0
"""What stands in the column of the person for a face of nobody."""


def photo_row(photo: int, digest: bytes, analysis: Analysis) -> Row:
    """A new photo, without files and faces so far."""
    record: dict[str, Any] = {
        "message": analysis.message,
        "reader": reader_version(),
        "width": analysis.width,
        "height": analysis.height,
        "files": [],
        "faces": [],
        "chief": None,
        "print": None if analysis.print is None else analysis.print.tobytes().hex(),
    }
    return {"id": photo, "hash": digest.hex(), "state": analysis.state, "displaced": False, "record": record}


def with_files(row: Row, files: Iterable[SeenFile]) -> Row:
    """A photo's row with other files."""
    listed = [_file_json(file) for file in files]
    displaced = bool(listed) and any(file["displaced"] for file in listed)
    return {**row, "displaced": displaced, "record": {**row["record"], "files": listed}}


def with_faces(row: Row, faces: Iterable[int], chief: int | None) -> Row:
    """A photo's row that makes other faces count."""
    return {**row, "record": {**row["record"], "faces": list(faces), "chief": chief}}


def files_of(row: Row) -> list[SeenFile]:
    """Where a photo was seen."""
    return [
        SeenFile(path_of(file["path"]), file["size"], int(file["mtime"]), unquoted(file["person"]), file["displaced"])
        for file in row["record"]["files"]
    ]


def first_path(row: Row | None) -> Path:
    """The first file that held a photo; an empty path where none is known."""
    files = row["record"]["files"] if row else ()
    return path_of(files[0]["path"]) if files else Path()


def _file_json(file: SeenFile) -> dict[str, Any]:
    return {
        "path": quoted(os.fsencode(file.path)),
        "size": file.size,
        "mtime": str(file.mtime),  # nanoseconds need more bits than a double has
        "person": quoted(file.person),
        "displaced": file.displaced,
    }


def path_bytes(path: Path) -> bytes:
    """A path as the system's bytes."""
    return os.fsencode(path)


def path_of(text: str) -> Path:
    """A path as it was before it was quoted."""
    from urllib.parse import unquote_to_bytes

    return Path(os.fsdecode(unquote_to_bytes(text)))


def face_row(key: int, photo: int, person: int | None, face: Face, vector: Float32Array, *, chief: bool) -> Row:
    """A face with its vector."""
    record = {
        "box": [float(number) for number in face.box],
        "score": float(face.score),
        "landmarks": [float(number) for number in face.landmarks.reshape(-1)],
        "chief": chief,
    }
    numbers = np.asarray(vector, np.float32).tolist()
    return {"id": key, "photo": photo, "person": person or UNASSIGNED, "record": record, "vector": numbers}


def stored_face(row: Row, photo: Row | None, people: Mapping[int, Row]) -> StoredFace:
    """A face as it is told of; a person who has vanished at this moment counts as nobody."""
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
        primary=record["chief"],
        landmarks=tuple(zip(marks[::2], marks[1::2], strict=True)),
    )


def person_row(row: int, name: str, *, cluster: bool = False) -> Row:
    """Somebody."""
    return {"id": row, "name": quoted(name), "cluster": cluster}


def thumbnail_row(key: int, jpeg: bytes) -> Row:
    """A face as a picture."""
    return {"id": key, "jpeg": base64.b64encode(jpeg).decode()}


def jpeg_of(row: Row) -> bytes:
    """The picture in a row."""
    return base64.b64decode(row["jpeg"])
