"""The report of an alignment: one JSON line for every photo, which also tells a later run what is done."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, get_args

from faceall.errors import AlignError

JOURNAL = "align.jsonl"

AlignStatus = Literal["aligned", "unchanged", "no-face", "unreadable", "too-large"]
_STATUSES = get_args(AlignStatus)


@dataclass(frozen=True, kw_only=True)
class FaceCrop:
    """One crop.

    file       its path below the folder of crops, with /
    box        x0 y0 x1 y1 of the face in pixels of the upright photo
    score      how sure the detector is, 0..1
    landmarks  five points x y in pixels of the photo: eyes, nose, corners of the mouth
    """

    file: str
    box: tuple[float, ...]
    score: float
    landmarks: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class AlignedPhoto:
    """What became of one photo.

    path      below the folder of photos, with /
    status    "aligned"; "unchanged": done by an earlier run; "no-face", "unreadable" or "too-large": no crop
    faces     how many faces were found, also those that were not asked for
    crops     the crops that were written
    size, modified  of the file in bytes, and when it changed, in nanoseconds; -1 where it cannot be looked up
    message   why there is no crop
    """

    path: str
    status: AlignStatus
    faces: int = 0
    crops: tuple[FaceCrop, ...] = ()
    size: int = -1
    modified: int = -1
    message: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        crops = [
            {**vars(crop), "box": list(crop.box), "landmarks": list(map(list, crop.landmarks))} for crop in self.crops
        ]
        values: dict[str, Any] = {"path": self.path, "status": self.status, "faces": self.faces, "crops": crops}
        values |= {"size": self.size, "modified": self.modified}
        return values if self.message is None else {**values, "message": self.message}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> AlignedPhoto:
        """The photo in a line of a report. Raises ValueError, TypeError or KeyError for anything else."""
        crops = tuple(
            FaceCrop(
                file=str(crop["file"]),
                box=tuple(map(float, crop["box"])),
                score=float(crop["score"]),
                landmarks=tuple(tuple(map(float, point)) for point in crop["landmarks"]),
            )
            for crop in values["crops"]
        )
        if values["status"] not in _STATUSES:
            raise ValueError(f"status is {values['status']!r}, known are {', '.join(_STATUSES)}")
        return replace(cls(**{**values, "crops": crops}), path=str(values["path"]))


class Journal:
    """Appends photos to a report; a line counts once it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Journal:
        """Open the file for appending, and drop what a killed run left of its last line. Raises AlignError."""
        try:
            self._file = open(self._path, "ab")
            _lock(self._file, self._path)
            with open(self._path, "rb") as whole:
                content = whole.read()
            self._file.truncate(content.rfind(b"\n") + 1)
        except OSError as error:
            raise _failure(self._path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, photos: Iterable[AlignedPhoto]) -> None:
        """Write photos down; they outlive a kill of this process once this returns. Raises AlignError."""
        if self._file is None:
            raise ValueError("the journal is not open")
        lines = "".join(json.dumps(photo.to_json()) + "\n" for photo in photos)
        try:
            self._file.write(lines.encode("ascii"))
            self._file.flush()
        except OSError as error:
            raise _failure(self._path, error) from error


def read_report(path: str | os.PathLike[str]) -> dict[str, AlignedPhoto]:
    """The photos in a report, by path; of two lines for a photo the later counts.

    path  the folder of crops, or its align.jsonl

    An unfinished last line, which a killed run leaves, is passed over.
    Raises AlignError: the report cannot be read, or another line is damaged.
    """
    file = Path(path) / JOURNAL if os.path.isdir(path) else Path(path)
    return {photo.path: photo for photo in _photos(file)}


def _photos(file: Path) -> Iterator[AlignedPhoto]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise _failure(file, error) from error
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
        yield _photo(line, f"{file}: line {number}")


def _photo(line: bytes, where: str) -> AlignedPhoto:
    try:
        return AlignedPhoto.from_json(json.loads(line))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise AlignError(f"{where} is damaged ({error}): delete it, and its photo is aligned again") from error


def _lock(file: IO[bytes], path: Path) -> None:
    """Keep a second alignment out of the folder for as long as `file` is open; where the system has such locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise AlignError(f"{path.parent}: another alignment is writing there; wait for it, or stop it") from error


def _failure(path: Path, error: OSError) -> AlignError:
    return AlignError(f"{path}: cannot be used ({error.strerror})")


def remove_drafts(folder: Path) -> None:
    """Delete the unfinished crops that a killed run left in `folder` and below it."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(".part"):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(place, name))
