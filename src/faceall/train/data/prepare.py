"""Create a shard from a folder of crops: one array of all crops, and a teacher's vectors for each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from faceall.arguments import checked
from faceall.embed import Embedder
from faceall.errors import ImageError, TrainError
from faceall.files import write_file
from faceall.images import find_images, read_image, resize
from faceall.train.align.options import OPTIONS, AlignOptions, read_options
from faceall.train.data.shards import CROPS, SHARD, Shard, open_shard
from faceall.types import Array

BLOCK = 64


@checked
def prepare(
    folder: Path,
    target: Path,
    teachers: dict[str, Embedder],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Shard:
    """Create a shard of the faces in a folder, or continue an interrupted one.

    Parameters
    ----------
    folder : Path
        Crops of faces as `faceall align` writes them, or any images of one face each.
    target : Path
        Folder of the shard: crops.npy, TEACHER.npy for each teacher, shard.json.
    teachers : dict of str to Embedder
        The teachers, by the names that a distillation uses.
    progress : callable
        Called with the numbers of finished and of all vectors.

    Returns
    -------
    Shard
        The shard, memory-mapped.

    Raises
    ------
    TrainError
        If the folder has no images, an image cannot be read, or the shard was made of other images.
    AlignError
        If align.json of the folder is damaged.
    """
    options = _alignment(folder)
    files = find_images(folder)
    if not files:
        raise TrainError(f"{folder}: contains no images")
    about = {"size": options.size, "side": options.side, "images": [str(file.relative_to(folder)) for file in files]}
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
    """Read how the crops were made; without align.json, assume the defaults."""
    return read_options(folder) if (folder / OPTIONS).exists() else AlignOptions()


def _crops(files: list[Path], target: Path, about: dict[str, Any]) -> Array:
    """Return all crops as one memory-mapped array, filled on the first call."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        if (target / SHARD).is_file():
            if _described(target) != about:
                raise TrainError(f"{target}: is a shard of other images; choose a new folder")
            held: Array = np.load(target / CROPS, mmap_mode="r")
            return held
        if any(target.iterdir()) and not (target / CROPS).is_file():
            raise TrainError(f"{target}: contains something else; choose a new folder")
        side = int(about["side"])
        crops: Any = _open(target / CROPS, (len(files), side, side, 3), np.uint8)
        for number, file in enumerate(files):
            crops[number] = resize(read_image(file), (side, side))
        crops.flush()
        write_file(target / SHARD, json.dumps(about))
    except ImageError as error:
        raise TrainError(f"{error}; fix or remove it and start again") from error
    except (OSError, ValueError) as error:
        raise TrainError(f"{target}: the shard cannot be written ({error})") from error
    filled: Array = crops
    return filled


def _described(target: Path) -> dict[str, Any]:
    """Read shard.json, whose list of images was called "pictures" in earlier versions."""
    about: dict[str, Any] = json.loads((target / SHARD).read_bytes())
    if "pictures" in about:
        about["images"] = about.pop("pictures")
    return about


def _open(path: Path, shape: tuple[int, ...], kind: Any) -> Any:
    """Map an array for writing: the existing one if it fits, else a new one of zeros."""
    if path.is_file() and os.path.getsize(path) > np.prod(shape) * np.dtype(kind).itemsize:
        held = np.load(path, mmap_mode="r+")
        if held.shape == shape and held.dtype == kind:
            return held
    return np.lib.format.open_memmap(path, "w+", kind, shape)


def _vectors(crops: Array, teacher: Embedder, options: AlignOptions) -> Array:
    """Embed the middles of crops and their mirror images with a teacher, (n, 2, D)."""
    edge = (options.side - options.size) // 2
    middles = crops[:, edge : edge + options.size, edge : edge + options.size]
    if teacher.model.manifest.input_size != (options.size, options.size):
        middles = np.stack([resize(crop, teacher.model.manifest.input_size) for crop in middles])
    return np.stack([teacher.embed_crops(middles), teacher.embed_crops(middles[:, :, ::-1])], axis=1)
