"""The report of an alignment: one JSON line per photo, from which a later run knows what is finished."""

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

    Attributes
    ----------
    file : str
        Path relative to the folder of crops, with /.
    box : tuple of 4 float
        x0, y0, x1, y1 of the face in pixels of the upright photo.
    score : float
        Confidence of the detector, 0 to 1.
    landmarks : tuple of 5 pairs of float
        x, y in pixels of the photo: eyes, nose, corners of the mouth.
    """

    file: str
    box: tuple[float, ...]
    score: float
    landmarks: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class AlignedPhoto:
    """The result for one photo.

    Attributes
    ----------
    path : str
        Path relative to the folder of photos, with /.
    status : str
        "aligned"; "unchanged" if an earlier run did it; "no-face", "unreadable" or "too-large" if there is no crop.
    faces : int
        Number of faces found, including those that were not cut out.
    crops : tuple of FaceCrop
        The crops that were written.
    size, modified : int
        Size of the file in bytes and its modification time in nanoseconds; -1 if unknown.
    message : str or None
        Why there is no crop.
    """

    path: str
    status: AlignStatus
    faces: int = 0
    crops: tuple[FaceCrop, ...] = ()
    size: int = -1
    modified: int = -1
    message: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        crops = [
            {**vars(crop), "box": list(crop.box), "landmarks": list(map(list, crop.landmarks))} for crop in self.crops
        ]
        values: dict[str, Any] = {"path": self.path, "status": self.status, "faces": self.faces, "crops": crops}
        values |= {"size": self.size, "modified": self.modified}
        return values if self.message is None else {**values, "message": self.message}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> AlignedPhoto:
        """Read the photo of a report's line.

        Parameters
        ----------
        values : dict
            What `to_json` returned.

        Returns
        -------
        AlignedPhoto
            The photo.

        Raises
        ------
        ValueError, TypeError, KeyError
            If the values are not those of a photo.
        """
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
    """Append photos to a report; only complete lines count."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Journal:
        """Open the file for appending and drop an incomplete last line, or raise AlignError."""
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
        """Append photos; they survive a kill of this process once this returns.

        Parameters
        ----------
        photos : iterable of AlignedPhoto
            The photos.

        Raises
        ------
        AlignError
            If the report cannot be written.
        ValueError
            If the journal is not open.
        """
        if self._file is None:
            raise ValueError("the journal is not open")
        lines = "".join(json.dumps(photo.to_json()) + "\n" for photo in photos)
        try:
            self._file.write(lines.encode("ascii"))
            self._file.flush()
        except OSError as error:
            raise _failure(self._path, error) from error


def read_report(path: str | os.PathLike[str]) -> dict[str, AlignedPhoto]:
    """Read a report.

    An incomplete last line, which a killed run leaves, is ignored.

    Parameters
    ----------
    path : str or path-like
        The folder of crops, or its align.jsonl.

    Returns
    -------
    dict of str to AlignedPhoto
        The photos by path; of two lines for one photo the later one counts.

    Raises
    ------
    AlignError
        If the report cannot be read or a line is damaged.
    """
    file = Path(path) / JOURNAL if os.path.isdir(path) else Path(path)
    return {photo.path: photo for photo in _photos(file)}


def _photos(file: Path) -> Iterator[AlignedPhoto]:
    """Yield the photos of all complete lines."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise _failure(file, error) from error
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
        yield _photo(line, f"{file}: line {number}")


def _photo(line: bytes, where: str) -> AlignedPhoto:
    """Read one line; `where` is for the error."""
    try:
        return AlignedPhoto.from_json(json.loads(line))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise AlignError(f"{where} is damaged ({error}): delete the line, and its photo is aligned again") from error


def _lock(file: IO[bytes], path: Path) -> None:
    """Lock the folder against a second alignment while `file` is open, if the system has such locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise AlignError(f"{path.parent}: another alignment is writing there; wait for it or stop it") from error


def _failure(path: Path, error: OSError) -> AlignError:
    """Describe a failed operation on the report."""
    return AlignError(f"{path}: cannot be used ({error.strerror})")


def remove_drafts(folder: Path) -> None:
    """Delete the temporary files that a killed run left in a folder and below it."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(".part"):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(place, name))
