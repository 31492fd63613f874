"""Read lists of image pairs with the information whether they show one person."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from faceall.arguments import checked
from faceall.errors import EvaluationError
from faceall.images import is_image_path

_SAME = {"1": True, "true": True, "yes": True, "same": True, "0": False, "false": False, "no": False}
_SAME |= {"different": False, "diff": False}
_NUMBER = re.compile(r"[0-9]{1,9}")
_LFW_LINE = "NAME i j or NAME i NAME j"
_CSV_LINE = "path,path,same with 1 or 0 for same"
_SHOWN = 60  # characters of an invalid line that are quoted in its error


@dataclass(frozen=True)
class Pair:
    """Two images and whether they show one person.

    Attributes
    ----------
    first, second : Path
        The image files.
    same : bool
        Whether they show one person.
    line : int
        Line number in the list, from 1.
    set : int or None
        The part of the list that the pair belongs to, from 0; None if the list is not divided.
    people : (str, str) or None
        The people of the images, if the format of the list names them.
    """

    first: Path
    second: Path
    same: bool
    line: int
    set: int | None = None
    people: tuple[str, str] | None = field(default=None, compare=False)


@checked
def read_pairs(path: str | os.PathLike[str], *, folder: str | os.PathLike[str] | None = None) -> list[Pair]:
    """Read a list of pairs in LFW format, or as CSV if the file name ends in .csv.

    LFW format: the first line may be `N` (N pairs of one person, then N of two) or `SETS N` (repeated for every set).
    The other lines are `NAME i j` (one person) or `NAME i NAME j` (two people), separated by tabs or spaces, for
    NAME/NAME_0001.jpg.

    CSV: lines of `path,path,same` with 1, true, yes or same for one person and 0, false, no or different for two. The
    first line may be a header.

    Parameters
    ----------
    path : path-like
        The list.
    folder : path-like, optional
        The folder to which the image paths are relative. Default: the folder of the list.

    Returns
    -------
    list of Pair

    Raises
    ------
    EvaluationError
        If the list cannot be read or has an invalid line; the text names the file and the line.
    """
    file = Path(path)
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise EvaluationError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{file}: is not UTF-8 text, expected a list of pairs") from error
    root = file.parent if folder is None else Path(folder)
    read = _read_csv if file.suffix.lower() == ".csv" else _read_lfw
    try:
        pairs = list(read(text.splitlines(), root))
    except _LineError as error:
        raise EvaluationError(f"{file}:{error.line}: {error}") from error
    if not pairs:
        raise EvaluationError(
            f"{file}: contains no pairs; expected lines of {_CSV_LINE if read is _read_csv else _LFW_LINE}"
        )
    return pairs


class _LineError(Exception):
    """A line is invalid."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


def _read_lfw(lines: Sequence[str], root: Path) -> Iterator[Pair]:
    """Parse LFW format."""
    heading = lines[0].split() if lines else []
    counts = [int(word) for word in heading if _NUMBER.fullmatch(word)]
    skipped = 1 if heading and len(counts) == len(heading) <= 2 else 0
    find = _finder(root)
    pairs = [_lfw_pair(number, line, find) for number, line in enumerate(lines[skipped:], 1 + skipped) if line.strip()]
    return iter(_divided(pairs, counts) if skipped else pairs)


def _lfw_pair(number: int, line: str, find: Callable[[str, str], Path]) -> Pair:
    """Parse one line of LFW format."""
    words = [word.strip() for word in line.split("\t") if word.strip()] if "\t" in line else line.split()
    fits = len(words) in (3, 4) and all(_NUMBER.fullmatch(word) for word in (words[1], words[-1]))
    if not fits:
        raise _LineError(number, f"expected {_LFW_LINE}, got {_short(line)}")
    other = words[0] if len(words) == 3 else words[2]
    people = (words[0], other)
    return _checked(Pair(find(words[0], words[1]), find(other, words[-1]), len(words) == 3, number, people=people))


def _finder(root: Path) -> Callable[[str, str], Path]:
    """Return a function from name and number to NAME/NAME_0001.jpg, or the same name with another image suffix."""
    listed: dict[str, dict[str, Path]] = {}

    def find(name: str, number: str) -> Path:
        if name not in listed:
            listed[name] = _images_by_stem(root / name)
        stem = f"{name}_{int(number):04d}"
        return listed[name].get(stem, root / name / f"{stem}.jpg")

    return find


def _images_by_stem(folder: Path) -> dict[str, Path]:
    """List the images directly in a folder by their names without suffix; empty if there is no such folder."""
    try:
        names = sorted(os.listdir(folder), reverse=True)  # of two suffixes the first wins
    except (OSError, ValueError):
        return {}
    return {Path(name).stem: folder / name for name in names if is_image_path(name)}


def _divided(pairs: list[Pair], counts: Sequence[int]) -> list[Pair]:
    """Assign the sets; raise if the numbers in the header do not match the lines that follow."""
    sets, number = counts if len(counts) == 2 else (1, counts[0])
    wanted = sets * 2 * number
    if len(pairs) != wanted:
        what = f"{wanted} pairs ({sets} x {number} of one person and {number} of two)"
        raise _LineError(1, f"the first line declares {what}, {len(pairs)} follow; correct or delete that line")
    if sets < 2:
        return pairs
    return [replace(pair, set=place // (2 * number)) for place, pair in enumerate(pairs)]


def _read_csv(lines: Sequence[str], root: Path) -> Iterator[Pair]:
    """Parse CSV."""
    rows = csv.reader(lines, strict=True)
    first = True
    while True:
        try:
            cells = [cell.strip() for cell in next(rows)]
        except StopIteration:
            return
        except csv.Error as error:
            raise _LineError(rows.line_num, f"is not valid CSV ({error})") from error
        if not any(cells):
            continue
        heading, first = first, False
        same = _SAME.get(cells[2].lower()) if len(cells) == 3 else None
        if heading and _is_heading(cells, same):
            continue
        if same is None or not cells[0] or not cells[1]:
            raise _LineError(rows.line_num, f"expected {_CSV_LINE}, got {_short(','.join(cells))}")
        yield _checked(Pair(root / cells[0], root / cells[1], same, rows.line_num))


def _is_heading(cells: Sequence[str], same: bool | None) -> bool:
    """Return whether a first line is a header: no image suffixes, and no yes or no in the third column."""
    words = len(cells) == 3 and not any(map(is_image_path, cells[:2]))
    return words and (same is None or cells[2].lower() == "same")


def _checked(pair: Pair) -> Pair:
    """Return the pair; raise if it compares an image with itself."""
    if pair.first == pair.second:
        raise _LineError(pair.line, f"compares {pair.first.name} with itself")
    return pair


def _short(line: str) -> str:
    """Quote a line, shortened."""
    text = line.strip()
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
