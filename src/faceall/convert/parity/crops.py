"""Read crops of faces for comparison and calibration: an .npz file, a folder of images, or the golden crops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from faceall.arguments import checked
from faceall.convert.parity.comparison import random_images, read_check
from faceall.errors import ConvertError, ImageError
from faceall.images import find_images, read_image, resize
from faceall.types import Float32Array

_GOLDEN = Path(__file__).with_name("golden-crops.npz")
"""`crops` (6, 160, 160, 3) uint8: the face of Eileen Collins (NASA, public domain) in six kinds of light."""

_MOST_ENLARGED = 2
"""The largest factor by which the golden crops are enlarged."""

_NOISE = 4
"""The number of noise images for a net whose images are too large for the golden crops."""


@dataclass(frozen=True, eq=False)
class FaceCrops:
    """Crops of faces, all of one size.

    Parameters
    ----------
    crops : (n, H, W, 3) uint8
        RGB, at least one crop.
    labels : tuple of str, optional
        The person of each crop.
    embeddings : (n, D) float32, optional
        The vectors that the source of a model computes for the crops.
    origin : str
        The report's name for the crops.

    Raises
    ------
    ConvertError
        The shapes or the counts do not fit.
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
    """Return the crops that a net is compared on by default.

    Parameters
    ----------
    size : (int, int)
        Width and height of the net's input.

    Returns
    -------
    FaceCrops
        The golden crops, scaled to the size, or seeded noise if the size is far larger.
    """
    golden, _ = read_check(_GOLDEN)
    if max(size) > _MOST_ENLARGED * golden.shape[1]:
        return FaceCrops(random_images(_NOISE, (size[1], size[0], 3)), origin="seeded noise")
    scaled = golden if size == golden.shape[2:0:-1] else np.stack([resize(crop, size) for crop in golden])
    return FaceCrops(scaled, origin="golden crops")


CropReader: TypeAlias = Callable[[Path, tuple[int, int], int | None], FaceCrops]
"""(path, (width, height), limit) -> the crops at the path, at most `limit` of them."""


@checked
def read_crops(path: Path, size: tuple[int, int], limit: int | None = None) -> FaceCrops:
    """Read crops of faces.

    Parameters
    ----------
    path : Path
        An .npz file with `crops` (n, H, W, 3) uint8 of the given size and, optionally, `embeddings` (n, D); or a
        folder of images, each a crop of one face and at least of that size, which are scaled. With one subfolder per
        person, the folders' names are the labels.
    size : (int, int)
        Width and height.
    limit : int, optional
        The largest number of crops, chosen evenly.

    Raises
    ------
    ConvertError
        The file or folder cannot be used; the message names it.
    """
    if not path.is_dir():
        return _read_archive(path, size, limit)
    files = spread(find_images(path), limit)
    if not files:
        raise ConvertError(f"{path}: the folder has no images")
    return FaceCrops(np.stack([_read_crop(file, size) for file in files]), labels_of(files, path))


@checked
def labels_of(files: list[Path], folder: Path) -> tuple[str, ...] | None:
    """Return the folder names of images FOLDER/NAME/FILE, or None if an image is elsewhere."""
    if any(file.parent.parent != folder for file in files):
        return None
    return tuple(file.parent.name for file in files)


@checked
def spread(files: list[Path], limit: int | None) -> list[Path]:
    """Return at most `limit` of the files, chosen evenly."""
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
        image = read_image(file)
    except ImageError as error:
        raise ConvertError(str(error)) from error
    height, width = image.shape[:2]
    if width < size[0] or height < size[1]:
        raise ConvertError(
            f"{file}: is {width}x{height} pixels, a crop for this model has at least {size[0]}x{size[1]}"
        )
    return image if (width, height) == size else resize(image, size)
