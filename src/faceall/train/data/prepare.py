"""From crops of faces to a shard: one array of all crops, and what a teacher makes of each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from faceall.embed import Embedder
from faceall.errors import ImageError, TrainError
from faceall.images import find_images, read_image, resize
from faceall.train.align.options import OPTIONS, AlignOptions, read_options
from faceall.train.data.shards import CROPS, SHARD, Shard, open_shard
from faceall.types import Array

BLOCK = 64


def prepare(
    folder: Path,
    target: Path,
    teachers: dict[str, Embedder],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Shard:
    """Make a shard of the faces in a folder, or go on where one was interrupted.

    folder    crops of faces as `faceall align` writes them, or any pictures of one face each
    target    the shard's folder, with crops.npy, TEACHER.npy for each teacher, and shard.json
    teachers  by the names that a distillation calls them
    progress  is told how many vectors are done, of how many

    Raises TrainError where the folder holds no pictures, one cannot be read, or the shard is of other pictures;
    AlignError where its align.json is damaged.
    """
    options = _alignment(folder)
    files = find_images(folder)
    if not files:
        raise TrainError(f"{folder}: holds no pictures")
    about = {"size": options.size, "side": options.side, "pictures": [str(file.relative_to(folder)) for file in files]}
    crops = _crops(files, target, about)
    total, done = len(files) * len(teachers), 0
    for name, teacher in teachers.items():
        vectors = _open(target / f"{name}.npy", (len(files), 2, teacher.size), np.float32)
        for start in range(0, len(files), BLOCK):
            block = slice(start, start + BLOCK)
            if not vectors[block].any(axis=-1).all():
                vectors[block] = _vectors(np.asarray(crops[block]), teacher, options)
            done += len(crops[block])
            progress(done, total)
        vectors.flush()
    return open_shard(target)


def _alignment(folder: Path) -> AlignOptions:
    """How the crops were made; as by default where nobody says."""
    return read_options(folder) if (folder / OPTIONS).exists() else AlignOptions()


def _crops(files: list[Path], target: Path, about: dict[str, Any]) -> Array:
    """All crops as one mapped array; read once."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        if (target / SHARD).is_file():
            if json.loads((target / SHARD).read_bytes()) != about:
                raise TrainError(f"{target}: is a shard of other pictures; name a new folder")
            held: Array = np.load(target / CROPS, mmap_mode="r")
            return held
        if any(target.iterdir()) and not (target / CROPS).is_file():
            raise TrainError(f"{target}: holds something else; name a new folder")
        side = int(about["side"])
        crops: Any = _open(target / CROPS, (len(files), side, side, 3), np.uint8)
        for number, file in enumerate(files):
            crops[number] = resize(read_image(file), (side, side))
        crops.flush()
        draft = target / f".{SHARD}.part"
        draft.write_text(json.dumps(about), encoding="utf-8")
        draft.replace(target / SHARD)
    except ImageError as error:
        raise TrainError(f"{error}; mend or remove it, and begin again") from error
    except (OSError, ValueError) as error:
        raise TrainError(f"{target}: the shard cannot be written ({error})") from error
    filled: Array = crops
    return filled


def _open(path: Path, shape: tuple[int, ...], kind: Any) -> Any:
    """A mapped array to write into: the one that is there, where it fits, else a new one full of zeros."""
    if path.is_file() and os.path.getsize(path) > np.prod(shape) * np.dtype(kind).itemsize:
        held = np.load(path, mmap_mode="r+")
        if held.shape == shape and held.dtype == kind:
            return held
    return np.lib.format.open_memmap(path, "w+", kind, shape)


def _vectors(crops: Array, teacher: Embedder, options: AlignOptions) -> Array:
    """What a teacher makes of the middles of crops and of their mirror images, (n, 2, D)."""
    edge = (options.side - options.size) // 2
    middles = crops[:, edge : edge + options.size, edge : edge + options.size]
    if teacher.model.manifest.input_size != (options.size, options.size):
        middles = np.stack([resize(crop, teacher.model.manifest.input_size) for crop in middles])
    return np.stack([teacher.embed_crops(middles), teacher.embed_crops(middles[:, :, ::-1])], axis=1)
