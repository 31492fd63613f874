"""Faces with a teacher's vectors, in files of arrays that are mapped, not read: more faces than fit into memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceall.errors import TrainError
from faceall.types import Array

HELD_OUT = 0.02
MOST_HELD_OUT = 500
CROPS = "crops.npy"
SHARD = "shard.json"


@dataclass(frozen=True, eq=False)
class Shard:
    """Faces of one origin.

    name      the shard's name
    inner     rows and columns of the middle of a crop, which stands for the face
    crops     (n, S, S, 3) uint8 RGB, with room around the face
    teachers  name of the teacher -> (n, D) float of unit length, or (n, 2, D): of the crop and of its mirror image
    """

    name: str
    crops: Array
    teachers: dict[str, Array]
    inner: int = 160


@dataclass(frozen=True, eq=False)
class Faces:
    """All shards, as one list of faces; face number i is one of `rows`.

    shards  where the pictures and vectors are
    rows    (m, 2) int64: the shard, and the place in it
    """

    shards: tuple[Shard, ...]
    rows: Array

    def __len__(self) -> int:
        return len(self.rows)

    def some(self, most: int) -> Faces:
        """At most `most` of the faces, evenly drawn from all."""
        chosen = np.linspace(0, len(self) - 1, min(len(self), most)).astype(int)
        return Faces(self.shards, self.rows[chosen])

    def crop(self, number: int) -> Array:
        """The crop (S, S, 3) uint8 of a face."""
        shard, place = self.rows[number]
        return np.asarray(self.shards[shard].crops[place])

    def vectors(self, numbers: Sequence[int] | Array, mirrored: Sequence[bool] | Array, teacher: str) -> Array:
        """A teacher's vectors (n, D) float32 of faces, of their mirror images where `mirrored`."""
        rows = self.rows[np.asarray(numbers)]
        found = []
        for (shard, place), flip in zip(rows, mirrored, strict=True):
            vectors = self.shards[shard].teachers[teacher][place]
            found.append(vectors if vectors.ndim == 1 else vectors[int(flip)])
        return np.stack(found).astype(np.float32)

    def digest(self) -> str:
        """The SHA-256 of what this list is made of: names, sizes and the places of the faces."""
        sha = hashlib.sha256(np.ascontiguousarray(self.rows).tobytes())
        for shard in self.shards:
            shapes = {name: list(vectors.shape) for name, vectors in sorted(shard.teachers.items())}
            sha.update(json.dumps([shard.name, list(shard.crops.shape), shapes]).encode())
        return sha.hexdigest()

    def to_json(self) -> dict[str, Any]:
        """What the run folder says of the data."""
        counts = np.bincount(self.rows[:, 0], minlength=len(self.shards)).tolist()
        named = {shard.name: count for shard, count in zip(self.shards, counts, strict=True)}
        return {"faces": len(self), "shards": named, "sha256": self.digest()}


def open_shard(folder: Path) -> Shard:
    """Map a shard: a folder with crops.npy, (n, S, S, 3) uint8, and TEACHER.npy for each teacher, as `Shard` has them.

    Raises TrainError, which names the file.
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
        raise TrainError(f"{folder}: holds crops.npy alone, expected a teacher's vectors in TEACHER.npy beside it")
    return Shard(folder.name, crops, teachers, _inner(folder, crops.shape[1]))


def split(shards: Sequence[Shard], *, seed: int, teachers: Sequence[str]) -> tuple[Faces, Faces]:
    """All faces whose vectors every teacher has, as (to learn from, held out).

    Which are held out, two of a hundred but at most 500 of a shard, hangs on the shard's name and the seed alone, so
    that a shard more leaves the others as they are.

    Raises TrainError where a shard lacks a teacher, or two have one name.
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


def only_teacher(shards: Sequence[Shard]) -> str:
    """The teacher of the shards, where they have one and the same. Raises TrainError that names the ones there are."""
    names = sorted({name for shard in shards for name in shard.teachers})
    if len(names) != 1:
        raise TrainError(f"the shards hold vectors of {', '.join(names)}: choose one with --teacher")
    return names[0]


def common_inner(shards: Sequence[Shard]) -> int:
    """Rows and columns of the middle of the crops, which has to be the same in all shards. Raises TrainError."""
    sizes = {(shard.inner, shard.crops.shape[1]) for shard in shards}
    if len(sizes) != 1:
        listed = ", ".join(f"{inner} of {side}" for inner, side in sorted(sizes))
        raise TrainError(f"the shards hold crops of different sizes ({listed} pixels): align them alike")
    return next(iter(sizes))[0]


def _inner(folder: Path, side: int) -> int:
    """What shard.json says of the middle of the crops; as `faceall align` makes them where there is none."""
    try:
        inner = int(json.loads((folder / SHARD).read_bytes())["size"])
    except FileNotFoundError:
        return round(side * 160 / 184)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError(f"{folder / SHARD}: cannot be read: it is damaged") from error
    if not 0 < inner <= side:
        raise TrainError(f"{folder / SHARD}: says that {inner} of {side} pixels are the face")
    return inner


def _known(vectors: Array) -> Array:
    """Which rows hold numbers; not all of them zero."""
    flat = np.asarray(vectors).reshape(len(vectors), -1)
    return np.asarray(np.isfinite(flat).all(axis=1) & flat.any(axis=1))


def _mapped(path: Path) -> Array:
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
        return array
    except FileNotFoundError as error:
        raise TrainError(f"{path}: is absent") from error
    except (OSError, ValueError, EOFError) as error:
        raise TrainError(f"{path}: is no array that can be read (.npy)") from error
