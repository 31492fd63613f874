"""Read the vectors of other programs (FaceAll, facenet, face_recognition), recognised by their files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from faceall.errors import IndexDamagedError, IndexFileError, VectorError
from faceall.index.checks import checked_vectors
from faceall.index.graph.hnsw_elements import read_elements
from faceall.index.portable.pickles import load_plain
from faceall.types import Array, Float32Array

_LARGEST = 4 << 30  # bytes of one file
_NO_ARRAY = (
    ValueError, EOFError, TypeError, OverflowError, SyntaxError, MemoryError, RecursionError, TokenError,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ForeignVectors:
    """The contents of a file of another program.

    Attributes
    ----------
    program : str
        The program's name.
    vectors : (n, dimension) float32
        Embeddings.
    names : tuple of (str or None)
        The person of each vector, None if unknown.
    photos : tuple of (str or None)
        The photo of each vector, None if unknown.
    """

    program: str
    vectors: Float32Array
    names: tuple[str | None, ...]
    photos: tuple[str | None, ...]


def read_foreign(path: Path) -> ForeignVectors:
    """Read the vectors in a file or folder of another program.

    Parameters
    ----------
    path : Path
        A file or folder of a known program.

    Returns
    -------
    ForeignVectors
        The vectors with names and photos, if the file has these.

    Raises
    ------
    IndexFileError
        If there is no such file or its format is unknown.
    IndexDamagedError
        If its contents are invalid.
    """
    if path.is_dir():
        if (path / "embeddings.npy").is_file():
            return _facenet(path)
        raise IndexFileError(f"{path}: has no embeddings.npy; expected {_KNOWN}")
    if not path.is_file():
        raise IndexFileError(f"{path}: there is no such file; expected {_KNOWN}")
    if Path(f"{path}.pkl").is_file():
        return _faceall(path)
    if path.suffix.lower() == ".npy":
        return _checked("numpy", path, load_array(path))
    if path.suffix.lower() in (".pkl", ".pickle", ".dat"):
        return _face_recognition(path)
    raise IndexFileError(f"{path}: has an unknown format; expected {_KNOWN}")


_KNOWN = (
    "a folder that faceall exported or with facenet's embeddings.npy, FaceAll's faceSearchData with its .pkl, or"
    " face_recognition's encodings as .pkl or .npy"
)


def _faceall(path: Path) -> ForeignVectors:
    """Read a file of hnswlib, and beside it a pickle (count, {label: photo})."""
    found = load_plain(_bytes(Path(f"{path}.pkl")), f"{path}.pkl")
    labels = found[1] if isinstance(found, tuple | list) and len(found) == 2 else found
    if isinstance(labels, list | tuple):
        labels = dict(enumerate(labels))
    if not isinstance(labels, dict):
        raise IndexDamagedError(f"{path}.pkl: is {type(found).__name__}, expected a dict from numbers to photos")
    with path.open("rb") as file:
        elements = read_elements(file, str(path))
        there = ~elements.removed
        vectors, numbers = np.array(elements.vectors[there]), elements.labels[there].tolist()
    photos = [labels.get(number) for number in numbers]
    missing = [number for number, photo in zip(numbers, photos, strict=True) if photo is None]
    if missing:
        raise IndexDamagedError(
            f"{path}.pkl: does not name the photo of {len(missing)} faces, as of number {missing[0]}"
        )
    return _checked("FaceAll", path, vectors, photos=[str(photo) for photo in photos])


def _facenet(folder: Path) -> ForeignVectors:
    """Read embeddings.npy with label_strings.npy or labels.npy."""
    vectors = load_array(folder / "embeddings.npy")
    names: list[str | None] | None = None
    for name in ("label_strings.npy", "labels.npy"):
        if (folder / name).is_file():
            labels = load_array(folder / name)
            if labels.shape != (len(vectors),):
                raise IndexDamagedError(f"{folder / name}: has shape {labels.shape}, expected ({len(vectors)},)")
            names = [_name(label) for label in labels.tolist()]
            break
    return _checked("facenet", folder / "embeddings.npy", vectors, names=names)


def _face_recognition(path: Path) -> ForeignVectors:
    """Read {"encodings": [...], "names": [...]}, {name: encoding or encodings}, (encodings, names) or encodings."""
    found = load_plain(_bytes(path), str(path))
    try:
        vectors, names = _encodings(found)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise IndexDamagedError(f"{path}: has no list of encodings ({' '.join(str(error).split())[:150]})") from error
    if names is not None and len(names) != len(vectors):
        raise IndexDamagedError(f"{path}: has {len(vectors)} encodings and {len(names)} names")
    return _checked("face_recognition", path, vectors, names=None if names is None else list(map(_name, names)))


def _encodings(found: Any) -> tuple[Any, Sequence[Any] | None]:
    """Return the encodings and the names in an unpickled object."""
    names: Sequence[Any] | None = None
    if isinstance(found, dict) and "encodings" in found:
        found, names = found["encodings"], found.get("names")
    elif isinstance(found, dict):
        pairs = [(name, row) for name, rows in found.items() for row in _rows(rows)]
        found, names = [row for _, row in pairs], [name for name, _ in pairs]
    elif isinstance(found, tuple) and len(found) == 2:
        texts = [number for number in (0, 1) if len(found[number]) and isinstance(found[number][0], str | bytes)]
        found, names = (found[1 - texts[0]], found[texts[0]]) if texts else (list(found), None)
    return list(found), names


def _rows(value: Any) -> list[Any]:
    """Return one or several encodings as a list."""
    array = np.asarray(value, np.float64)
    return [array] if array.ndim == 1 else list(array)


def _checked(
    program: str,
    path: Path,
    vectors: Any,
    *,
    names: Sequence[str | None] | None = None,
    photos: list[str] | None = None,
) -> ForeignVectors:
    try:
        array = checked_vectors(np.asarray(vectors, np.float32)) if len(vectors) else np.zeros((0, 1), np.float32)
    except (VectorError, TypeError, ValueError) as error:
        raise IndexDamagedError(f"{path}: {' '.join(str(error).split())[:200]}") from error
    none: tuple[None, ...] = (None,) * len(array)
    return ForeignVectors(
        program, array, none if names is None else tuple(names), none if photos is None else tuple(photos)
    )


def _name(label: Any) -> str | None:
    text = label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)
    return text.strip() or None


def load_array(path: Path) -> Array:
    """Map an array in NumPy's format into memory.

    Parameters
    ----------
    path : Path
        A .npy file.

    Returns
    -------
    ndarray
        A read-only view of the file.

    Raises
    ------
    IndexFileError
        If it cannot be read or is larger than 4 GiB.
    IndexDamagedError
        If it is not an array of numbers.
    """
    try:
        if os.path.getsize(path) > _LARGEST:
            raise IndexFileError(f"{path}: is larger than 4 GiB")
        array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        if array.size and not array.dtype.itemsize:
            raise IndexDamagedError(f"{path}: declares {array.size:,} elements of no bytes, expected numbers")
        if 4 * array.size > _LARGEST:
            raise IndexFileError(f"{path}: holds {array.size:,} numbers, more than 4 GiB as float32")
        return array
    except OSError as error:
        raise IndexFileError(f"{path}: cannot be read ({error.strerror or error})") from error
    except _NO_ARRAY as error:
        raise IndexDamagedError(f"{path}: is not an array of numbers ({' '.join(str(error).split())[:150]})") from error


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise IndexFileError(f"{path}: is larger than 4 GiB")
        return path.read_bytes()
    except OSError as error:
        raise IndexFileError(f"{path}: cannot be read ({error.strerror})") from error
