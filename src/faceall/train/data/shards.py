"""Faces with teachers' vectors in memory-mapped arrays, so that they may exceed the memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceall.arguments import checked
from faceall.errors import TrainError
from faceall.types import Array

HELD_OUT = 0.02
MOST_HELD_OUT = 500
CROPS = "crops.npy"
SHARD = "shard.json"


@dataclass(frozen=True, eq=False)
class Shard:
    """Faces of one source.

    Attributes
    ----------
    name : str
        Name of the shard.
    crops : (n, S, S, 3) uint8
        RGB, with a margin around the face.
    teachers : dict of str to (n, D) or (n, 2, D) float
        Unit vectors by teacher; with two rows per face, of the crop and of its mirror image.
    inner : int
        Side in pixels of the middle of a crop, which the model sees.
    """

    name: str
    crops: Array
    teachers: dict[str, Array]
    inner: int = 160


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces of several shards as one list.

    Attributes
    ----------
    shards : tuple of Shard
        Where the crops and vectors are.
    rows : (m, 2) int64
        For each face, the number of its shard and its row there.
    """

    shards: tuple[Shard, ...]
    rows: Array

    def __len__(self) -> int:
        return len(self.rows)

    def some(self, most: int) -> Faces:
        """Return at most `most` faces, evenly spaced over all."""
        chosen = np.linspace(0, len(self) - 1, min(len(self), most)).astype(int)
        return Faces(self.shards, self.rows[chosen])

    def crop(self, number: int) -> Array:
        """Return the crop (S, S, 3) uint8 of a face."""
        shard, place = self.rows[number]
        return np.asarray(self.shards[shard].crops[place])

    def vectors(self, numbers: Sequence[int] | Array, mirrored: Sequence[bool] | Array, teacher: str) -> Array:
        """Return a teacher's vectors of faces.

        Parameters
        ----------
        numbers : (n,) int
            The faces.
        mirrored : (n,) bool
            Whether the vector of the mirror image is wanted.
        teacher : str
            Name of the teacher.

        Returns
        -------
        (n, D) float32
            Unit vectors.
        """
        rows = self.rows[np.asarray(numbers)]
        found = []
        for (shard, place), flip in zip(rows, mirrored, strict=True):
            vectors = self.shards[shard].teachers[teacher][place]
            found.append(vectors if vectors.ndim == 1 else vectors[int(flip)])
        return np.stack(found).astype(np.float32)

    def digest(self) -> str:
        """Return a SHA-256 of the names and sizes of the shards and of the rows of the faces."""
        sha = hashlib.sha256(np.ascontiguousarray(self.rows).tobytes())
        for shard in self.shards:
            shapes = {name: list(vectors.shape) for name, vectors in sorted(shard.teachers.items())}
            sha.update(json.dumps([shard.name, list(shard.crops.shape), shapes]).encode())
        return sha.hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Describe the data for run.json."""
        counts = np.bincount(self.rows[:, 0], minlength=len(self.shards)).tolist()
        named = {shard.name: count for shard, count in zip(self.shards, counts, strict=True)}
        return {"faces": len(self), "shards": named, "sha256": self.digest()}


@checked
def open_shard(folder: Path) -> Shard:
    """Open a shard.

    Parameters
    ----------
    folder : Path
        Contains crops.npy, (n, S, S, 3) uint8, and TEACHER.npy for each teacher.

    Returns
    -------
    Shard
        The shard, memory-mapped.

    Raises
    ------
    TrainError
        If a file is missing, damaged or of the wrong shape.
    """
    crops = _mapped(folder / CROPS)
    if crops.ndim != 4 or crops.dtype != np.uint8 or crops.shape[1] != crops.shape[2] or crops.shape[3] != 3:
        raise TrainError(f"{folder / CROPS}: is {crops.dtype} {crops.shape}, expected uint8 (n, S, S, 3)")
    teachers = {file.stem: _mapped(file) for file in sorted(folder.glob("*.npy")) if file.name != CROPS}
    for name, vectors in teachers.items():
        both = vectors.ndim == 3 and vectors.shape[1] == 2
        if not (both or vectors.ndim == 2) or len(vectors) != len(crops) or vectors.dtype.kind != "f":
            expected = f"float ({len(crops)}, D), or ({len(crops)}, 2, D) with the vectors of the mirror images"
            raise TrainError(f"{folder / name}.npy: is {vectors.dtype} {vectors.shape}, expected {expected}")
    if not teachers:
        raise TrainError(f"{folder}: contains only crops.npy, expected a teacher's vectors in TEACHER.npy beside it")
    return Shard(folder.name, crops, teachers, _inner(folder, crops.shape[1]))


def split(shards: Sequence[Shard], *, seed: int, teachers: Sequence[str]) -> tuple[Faces, Faces]:
    """Split the faces that have vectors of every teacher into a training and a held-out set.

    2 % of each shard, at most 500 faces, are held out. The choice depends only on the shard's name and the seed, so
    adding a shard does not change the others.

    Parameters
    ----------
    shards : sequence of Shard
        The shards, with distinct names.
    seed : int
        Determines the choice.
    teachers : sequence of str
        The teachers whose vectors are needed.

    Returns
    -------
    Faces
        The training set.
    Faces
        The held-out set.

    Raises
    ------
    TrainError
        If a shard has no vectors of a teacher, or two shards have the same name.
    """
    names = [shard.name for shard in shards]
    if len(set(names)) != len(names):
        raise TrainError(f"two shards have the same name among {', '.join(names)}")
    learn: list[Array] = []
    keep: list[Array] = []
    for number, shard in enumerate(shards):
        if missing := [name for name in teachers if name not in shard.teachers]:
            raise TrainError(f"shard '{shard.name}' has no vectors of '{missing[0]}', only {', '.join(shard.teachers)}")
        usable = np.flatnonzero(np.all([_known(shard.teachers[name]) for name in teachers], axis=0))
        random = np.random.default_rng([seed, *shard.name.encode()])
        shuffled = random.permutation(usable)
        held = min(MOST_HELD_OUT, int(len(usable) * HELD_OUT))
        for places, faces in ((np.sort(shuffled[held:]), learn), (np.sort(shuffled[:held]), keep)):
            faces.append(np.stack([np.full(len(places), number), places], axis=1))
    return tuple(Faces(tuple(shards), np.concatenate(part).astype(np.int64)) for part in (learn, keep))  # type: ignore[return-value]


@checked
def only_teacher(shards: Sequence[Shard]) -> str:
    """Return the name of the only teacher of the shards.

    Parameters
    ----------
    shards : sequence of Shard
        The shards.

    Returns
    -------
    str
        The teacher.

    Raises
    ------
    TrainError
        If there are several teachers.
    """
    names = sorted({name for shard in shards for name in shard.teachers})
    if len(names) != 1:
        raise TrainError(f"the shards contain vectors of {', '.join(names)}: choose one with --teacher")
    return names[0]


@checked
def common_inner(shards: Sequence[Shard]) -> int:
    """Return the side in pixels of the middle of the crops, which must be the same in all shards.

    Parameters
    ----------
    shards : sequence of Shard
        The shards.

    Returns
    -------
    int
        The side in pixels.

    Raises
    ------
    TrainError
        If the shards differ.
    """
    sizes = {(shard.inner, shard.crops.shape[1]) for shard in shards}
    if len(sizes) != 1:
        listed = ", ".join(f"{inner} of {side}" for inner, side in sorted(sizes))
        raise TrainError(
            f"the shards contain crops of different sizes ({listed} pixels): align them with the same options"
        )
    return next(iter(sizes))[0]


def _inner(folder: Path, side: int) -> int:
    """Read the size of the middle of the crops; without shard.json, assume the defaults of `faceall align`."""
    try:
        inner = int(json.loads((folder / SHARD).read_bytes())["size"])
    except FileNotFoundError:
        return round(side * 160 / 184)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError(f"{folder / SHARD}: cannot be read: it is damaged") from error
    if not 0 < inner <= side:
        raise TrainError(f"{folder / SHARD}: states an inner size of {inner} in crops of {side} pixels")
    return inner


def _known(vectors: Array) -> Array:
    """Return which rows are finite and not all zero."""
    flat = np.asarray(vectors).reshape(len(vectors), -1)
    return np.asarray(np.isfinite(flat).all(axis=1) & flat.any(axis=1))


def _mapped(path: Path) -> Array:
    """Memory-map an array."""
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
        return array
    except FileNotFoundError as error:
        raise TrainError(f"{path}: is missing") from error
    except (OSError, ValueError, EOFError) as error:
        raise TrainError(f"{path}: is not a readable array (.npy)") from error
