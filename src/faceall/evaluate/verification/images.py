"""What is known of the images of an evaluation: their groups, and what makes a face hard to recognise."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np

from faceall.analysis.quality import sharpness, turn
from faceall.arguments import checked
from faceall.errors import EvaluationError, ImageError
from faceall.evaluate.curves import Float64Array
from faceall.evaluate.embedding import Read
from faceall.images.metadata import read_metadata
from faceall.types import Face

Factor: TypeAlias = Literal["age-gap", "size", "pose", "blur"]
"""What pairs are divided by: the time between two images, or the poorer of their faces in size, pose or sharpness."""

FACTORS: tuple[Factor, ...] = get_args(Factor)
UNITS: Mapping[Factor, str] = {
    "age-gap": "years between the images",
    "size": "pixels, the smaller face",
    "pose": "offset of the nose in eye distances, the more turned face",
    "blur": "sharpness, the less sharp face",
}
"""What the values of a factor are."""

_YEAR = 365.2425


@checked
def read_groups(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read a CSV file of `path or person,group`; the first line may be the header `path,group` or `person,group`.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    dict of str to str
        The group of each path or person.

    Raises
    ------
    EvaluationError
        If the file cannot be read, has an invalid line, gives two groups to one name, or names fewer than two groups.
    """
    file = Path(path)
    try:
        rows = list(csv.reader(file.read_bytes().decode("utf-8-sig").splitlines(), strict=True))
    except OSError as error:
        raise EvaluationError(f"{file}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{file}: is not CSV in UTF-8 ({error})") from error
    groups: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and len(cells) == 2 and cells[1].lower() == "group"):
            continue
        if len(cells) != 2 or not all(cells):
            raise EvaluationError(f"{file}:{number}: expected path or person,group, got {','.join(cells)[:60]!r}")
        if groups.setdefault(cells[0], cells[1]) != cells[1]:
            raise EvaluationError(f"{file}:{number}: {cells[0]} is in {groups[cells[0]]} and in {cells[1]}")
    if len(set(groups.values())) < 2:
        raise EvaluationError(f"{file}: names {len(set(groups.values()))} groups, expected at least 2")
    return groups


def groups_of(
    images: Sequence[Path], people: Sequence[str | None], listed: Mapping[str, str], folder: Path | None
) -> list[str | None]:
    """Return the group of every image: by its path, relative to the folder or not, else by its person, else None.

    The person of an image whose person is not listed may be the name of its folder.
    """
    found = []
    for path, person in zip(images, people, strict=True):
        names = [str(path), *((path.name, path.parent.name) if person is None else (person,))]
        if folder is not None and path.is_relative_to(folder):
            names.insert(0, path.relative_to(folder).as_posix())
        found.append(next((listed[name] for name in names if name in listed), None))
    return found


def factor_values(factor: Factor, images: Sequence[Path], faces: Sequence[Face], read: Read) -> Float64Array:
    """Measure a factor on every image, (n,) float64; nan where it is not known.

    Parameters
    ----------
    factor : Factor
        age-gap: the day the photo was taken, in years; size: mean of the width and height of the face in pixels; pose:
        absolute offset of the nose, in eye distances; blur: sharpness (`faceall.analysis.quality.sharpness`).
    images : sequence of Path
        The files.
    faces : sequence of Face
        Their faces.
    read : callable
        Reads an image.
    """
    measures: dict[Factor, Callable[[Path, Face], float]] = {
        "age-gap": lambda path, _: _day(path),
        "size": lambda _, face: float(face.box[2] - face.box[0] + face.box[3] - face.box[1]) / 2,
        "pose": lambda _, face: abs(turn(face)),
        "blur": lambda path, face: _sharpness(path, face, read),
    }
    return np.array([measures[factor](path, face) for path, face in zip(images, faces, strict=True)], np.float64)


def pair_values(factor: Factor, first: Float64Array, second: Float64Array) -> Float64Array:
    """Return the value of pairs: the difference of times, otherwise that of the poorer face."""
    if factor == "age-gap":
        return np.abs(first - second)
    return np.maximum(first, second) if factor == "pose" else np.minimum(first, second)


def _sharpness(path: Path, face: Face, read: Read) -> float:
    try:
        return sharpness(read(path), face)
    except ImageError:  # it has gone since
        return float("nan")


def _day(path: Path) -> float:
    """Return the day a photo was taken in years, from its EXIF; nan if it is not noted."""
    try:
        taken = read_metadata(path.read_bytes()).taken
        return date.fromisoformat((taken or "")[:10]).toordinal() / _YEAR
    except (OSError, ValueError):
        return float("nan")
