"""Convert paths, landmarks and faces from and to the columns of the gallery's tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from faceall.types import Face, Faces, Float32Array

MARK, BEHIND_MARK = b"\0", b"\1"
"""The prefix of the path of a displaced photo, and a byte that sorts after it; no path contains either."""


def unmarked(path: bytes) -> bytes:
    """Return the path of a file's row, without the mark of a displaced photo."""
    return path.rpartition(MARK)[2]


def path_of(path: bytes | None) -> Path:
    """Return the path of a file's row as a `Path`, an empty one for None."""
    return Path(os.fsdecode(unmarked(path or b"")))


def marks_of(face: Face) -> bytes:
    """Return the landmarks of a face as they are stored: ten little-endian float32."""
    return face.landmarks.astype("<f4").tobytes()


def points_of(marks: bytes) -> tuple[tuple[float, float], ...]:
    """Return stored landmarks as pairs of x and y."""
    return tuple((x, y) for x, y in _landmarks(marks).tolist())


def face_in(row: Sequence[Any]) -> Face:
    """Return the face in a stored row of x0, y0, x1, y1, score, landmarks."""
    return Face(np.array(row[:4], np.float32), row[4], _landmarks(row[5]))


def faces_in(rows: Sequence[Sequence[Any]]) -> Faces:
    """Return the faces in stored rows of x0, y0, x1, y1, score, landmarks."""
    if not rows:
        return Faces.empty()
    values = np.array([row[:5] for row in rows], np.float32)
    return Faces(values[:, :4], values[:, 4], np.stack([_landmarks(row[5]) for row in rows]))


def _landmarks(marks: bytes) -> Float32Array:
    return np.frombuffer(marks, "<f4").reshape(5, 2)
