"""Crops of faces to compare, calibrate and measure on: an .npz, a folder of pictures of faces, or the golden ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from faceall.convert.parity.comparison import random_pictures, read_check
from faceall.errors import ConvertError, ImageError
from faceall.images import find_images, read_image, resize
from faceall.types import Float32Array

_GOLDEN = Path(__file__).with_name("golden-crops.npz")
"""`crops` (6, 160, 160, 3) uint8: one face, Eileen Collins's (NASA, public domain), in six kinds of light."""

_MOST_ENLARGED = 2
"""How much larger than they are the golden crops are shown to a net at most."""

_NOISE = 4
"""How many pictures of noise there are where a net takes larger ones."""


@dataclass(frozen=True, eq=False)
class FaceCrops:
    """Crops of faces, all of one size.

    crops       (n, H, W, 3) uint8 RGB, n of at least 1
    labels      n names of people, or None where they are not known
    embeddings  (n, D) float32, what the source of a model gives for them, or None
    origin      what they are, as a report calls them
    """

    crops: npt.NDArray[np.uint8]
    labels: tuple[str, ...] | None = None
    embeddings: Float32Array | None = None
    origin: str = "given crops"

    def __post_init__(self) -> None:
        crops = self.crops
        if crops.ndim != 4 or crops.dtype != np.uint8 or crops.shape[-1] != 3 or not len(crops):
            raise ConvertError(f"the crops are {crops.dtype} {crops.shape}, expected uint8 (n, H, W, 3)")
        for what, items in (("labels", self.labels), ("embeddings", self.embeddings)):
            if items is not None and len(items) != len(crops):
                raise ConvertError(f"there are {len(crops)} crops and {len(items)} {what}, expected one each")


def default_crops(size: tuple[int, int]) -> FaceCrops:
    """What a net that takes pictures of `size` (width, height) is compared on where no crops are given.

    The golden crops, scaled to the size; seeded noise for a net whose pictures are far larger than these.
    """
    golden, _ = read_check(_GOLDEN)
    if max(size) > _MOST_ENLARGED * golden.shape[1]:
        return FaceCrops(random_pictures(_NOISE, (size[1], size[0], 3)), origin="seeded noise")
    scaled = golden if size == golden.shape[2:0:-1] else np.stack([resize(crop, size) for crop in golden])
    return FaceCrops(scaled, origin="golden crops")


CropReader: TypeAlias = Callable[[Path, tuple[int, int], int | None], FaceCrops]
"""Gives the crops at a path, of a size (width, height), at most so many where a number is given."""


def read_crops(path: Path, size: tuple[int, int], limit: int | None = None) -> FaceCrops:
    """Read crops of faces of `size` (width, height).

    path   an .npz with `crops` (n, H, W, 3) uint8 of that size, and `embeddings` where it has them; or a folder of
           pictures of one face each, at least that large: these are scaled. In subfolders, one per person, the
           folders' names are the labels.
    limit  how many are read at most, evenly spread

    Raises ConvertError, which names the file.
    """
    if not path.is_dir():
        return _read_archive(path, size, limit)
    files = spread(find_images(path), limit)
    if not files:
        raise ConvertError(f"{path}: holds no pictures")
    return FaceCrops(np.stack([_read_crop(file, size) for file in files]), labels_of(files, path))


def labels_of(files: list[Path], folder: Path) -> tuple[str, ...] | None:
    """The people in pictures FOLDER/NAME/FILE, or None where a picture lies elsewhere."""
    if any(file.parent.parent != folder for file in files):
        return None
    return tuple(file.parent.name for file in files)


def spread(files: list[Path], limit: int | None) -> list[Path]:
    """At most `limit` of the files, evenly spread."""
    if limit is None or len(files) <= limit:
        return files
    return [files[place * len(files) // limit] for place in range(limit)]


def _read_archive(path: Path, size: tuple[int, int], limit: int | None) -> FaceCrops:
    crops, embeddings = read_check(path)
    if crops.shape[1:] != (size[1], size[0], 3):
        raise ConvertError(f"{path}: `crops` is uint8 {crops.shape}, expected uint8 (n, {size[1]}, {size[0]}, 3)")
    return FaceCrops(crops[:limit], None, None if embeddings is None else embeddings[:limit])


def _read_crop(file: Path, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    try:
        picture = read_image(file)
    except ImageError as error:
        raise ConvertError(str(error)) from error
    height, width = picture.shape[:2]
    if width < size[0] or height < size[1]:
        raise ConvertError(
            f"{file}: is {width}x{height} pixels, a crop for this model has at least {size[0]}x{size[1]}"
        )
    return picture if (width, height) == size else resize(picture, size)
