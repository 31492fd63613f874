"""Read the protocol folders of CFP (Celebrities in Frontal-Profile in the wild).

References
----------
S. Sengupta et al.: Frontal to Profile Face Verification in the Wild. WACV (2016).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from faceall.arguments import checked
from faceall.errors import EvaluationError
from faceall.evaluate.pairs import Pair

CfpProtocol: TypeAlias = Literal["FF", "FP"]
"""FF: frontal with frontal images. FP: frontal with profile images."""

_LISTS = {"F": "Pair_list_F.txt", "P": "Pair_list_P.txt"}
_FILES = {"same.txt": True, "diff.txt": False}
_LINE = re.compile(r"\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*")


@checked
def read_cfp(folder: str | os.PathLike[str], protocol: CfpProtocol) -> list[Pair]:
    """Read the pairs of CFP; its ten splits are the folds.

    Parameters
    ----------
    folder : path-like
        The folder of the data set, with `Protocol` and `Data`, or its folder `Protocol`.
    protocol : {"FF", "FP"}
        Frontal with frontal, or frontal with profile images.

    Returns
    -------
    list of Pair

    Raises
    ------
    EvaluationError
        A file is missing, cannot be read or has an invalid line; the text names the file and the line.
    """
    root = Path(folder)
    inner = root / "Protocol"
    root = inner if inner.is_dir() else root
    first = _read_list(root / _LISTS["F"])
    second = first if protocol == "FF" else _read_list(root / _LISTS["P"])
    splits = _splits(root / "Split" / protocol)
    pairs: list[Pair] = []
    for number, split in enumerate(splits):
        for name, same in _FILES.items():
            pairs += _read_split(split / name, first, second, same, number)
    if not pairs:
        raise EvaluationError(f"{root / 'Split' / protocol}: contains no pairs; expected 01/same.txt with lines of i,j")
    return pairs


def _splits(folder: Path) -> list[Path]:
    """Return the folders of the splits in ascending order."""
    try:
        names = [name for name in os.listdir(folder) if name.isdecimal()]
    except OSError as error:
        raise EvaluationError(
            f"{folder}: cannot be read ({error.strerror}); expected CFP's folder Protocol/Split/{folder.name}"
        ) from error
    return [folder / name for name in sorted(names, key=int)]


def _read_list(file: Path) -> dict[int, Path]:
    """Read the numbers of the images: lines of `1 ../Data/Images/001/frontal/01.jpg`, relative to the list."""
    images: dict[int, Path] = {}
    for number, line in _lines(file):
        words = line.split(maxsplit=1)
        if len(words) != 2 or not words[0].isdecimal() or len(words[0]) > 9:
            raise EvaluationError(f"{file}:{number}: expected a number and a path, got {line[:60]!r}")
        path = file.parent / words[1].strip().replace("\\", "/")
        images[int(words[0])] = Path(os.path.normpath(path))
    return images


def _read_split(file: Path, first: dict[int, Path], second: dict[int, Path], same: bool, split: int) -> Sequence[Pair]:
    """Read the pairs of one kind in one split: lines of `i,j`."""
    pairs = []
    for number, line in _lines(file):
        match = _LINE.fullmatch(line)
        if match is None:
            raise EvaluationError(f"{file}:{number}: expected i,j, got {line[:60]!r}")
        i, j = int(match[1]), int(match[2])
        for place, images in ((i, first), (j, second)):
            if place not in images:
                raise EvaluationError(f"{file}:{number}: image {place} is not in the list of images")
        people = _person(first[i]), _person(second[j])
        pairs.append(Pair(first[i], second[j], same, number, split, people=people))
    return pairs


def _person(image: Path) -> str:
    """Return the person of Images/001/frontal/01.jpg."""
    return image.parent.parent.name


def _lines(file: Path) -> list[tuple[int, str]]:
    """Read the lines of a text file that are not blank, with their numbers."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise EvaluationError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{file}: is not UTF-8 text") from error
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
