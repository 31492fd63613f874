"""The preparation of a net's input: the crop rule and the standardisation of pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from faceall.errors import ModelError
from faceall.types import Array, Float32Array

StandardisationKind = Literal["fixed", "prewhiten"]
CropShape = Literal["stretch", "square"]
CropBorder = Literal["black", "clip"]


@dataclass(frozen=True)
class Standardisation:
    """How pixels are scaled before they enter a net.

    Attributes
    ----------
    kind : {"fixed", "prewhiten"}
        "fixed": (x - mean) * scale, the same for every image. "prewhiten": (x - m) / max(s, 1 / sqrt(size)), with m and
        s the mean and standard deviation of all values of the crop and size their count; `mean` and `scale` are unused.
    mean, scale : float
        The parameters of "fixed".
    """

    kind: StandardisationKind = "fixed"
    mean: float = 127.5
    scale: float = 1 / 128

    def __post_init__(self) -> None:
        _check_choice("standardisation.kind", self.kind, get_args(StandardisationKind))
        _check_number("standardisation.mean", self.mean)
        _check_number("standardisation.scale", self.scale)

    def apply(self, crops: npt.NDArray[np.uint8]) -> Float32Array:
        """Standardise crops.

        Parameters
        ----------
        crops : (n, H, W, 3) uint8

        Returns
        -------
        (n, H, W, 3) float32
            Within one rounding step of exact arithmetic.

        Raises
        ------
        ValueError
            If the crops have another shape or dtype.
        """
        if crops.dtype != np.uint8 or crops.ndim != 4:
            raise ValueError(f"crops is {crops.dtype} {crops.shape}, expected uint8 (n, H, W, 3)")
        if self.kind == "fixed":
            result = np.subtract(crops, np.float32(self.mean), dtype=np.float32)
            result *= np.float32(self.scale)
            return result
        result = np.empty(crops.shape, np.float32)
        for crop, numbers in zip(crops, result, strict=True):
            np.take(_whitening(crop), crop, out=numbers, mode="clip")  # faster than "raise"; all are in 0..255
        return result

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class CropRule:
    """Which region around a detected box a net sees.

    Attributes
    ----------
    margin : float
        How much the box grows in total (half of it on each side), in proportion to its sides.
    shape : {"stretch", "square"}
        "stretch": the box, stretched to the shape of the net's input; "square": a square whose side is the mean of the
        box's width and height.
    shift : float
        How far the centre moves down, in proportion to the box's height ("square": to the mean side).
    border : {"black", "clip"}
        Beyond the image the crop is black, or it ends at the image's edge.
    """

    margin: float = 0.25
    shape: CropShape = "stretch"
    shift: float = 0.0
    border: CropBorder = "black"

    def __post_init__(self) -> None:
        _check_number("crop.margin", self.margin, above=-1.0)
        _check_number("crop.shift", self.shift)
        _check_choice("crop.shape", self.shape, get_args(CropShape))
        _check_choice("crop.border", self.border, get_args(CropBorder))

    def regions(self, boxes: npt.ArrayLike, *, image_size: tuple[int, int] | None = None) -> Array:
        """Return the regions to cut out.

        Parameters
        ----------
        boxes : (n, 4) array_like
            x0, y0, x1, y1 in pixels.
        image_size : tuple of int, optional
            Width and height of the image; needed for the border "clip".

        Returns
        -------
        (n, 4) float64
            x0, y0, x1, y1 in pixels; they may be fractional and beyond the image.

        Raises
        ------
        ValueError
            If the border is "clip" and `image_size` is missing.
        """
        corners = np.asarray(boxes, np.float64).reshape(-1, 2, 2)
        sides = corners[:, 1] - corners[:, 0]
        centres = corners.mean(axis=1)
        if self.shape == "square":
            sides = np.repeat(sides.mean(axis=1, keepdims=True), 2, axis=1)
        centres[:, 1] += self.shift * sides[:, 1]
        half = sides * (1 + self.margin) / 2
        regions = np.concatenate([centres - half, centres + half], axis=1)
        if self.border == "clip":
            if image_size is None:
                raise ValueError("the border 'clip' needs the image's size")
            regions = np.clip(regions, 0, np.array([*image_size, *image_size], np.float64))
        return regions

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _whitening(crop: npt.NDArray[np.uint8]) -> Float32Array:
    """Return the standardised value of each of the 256 pixel values in a crop, (256,) float32."""
    counts = np.bincount(crop.reshape(-1), minlength=256)
    values = np.arange(256, dtype=np.float64)
    size = max(crop.size, 1)
    mean = float(counts @ values) / size
    deviation = math.sqrt(float(counts @ (values - mean) ** 2) / size)
    return ((values - mean) / max(deviation, 1 / math.sqrt(size))).astype(np.float32)


def _check_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ModelError(f"{name} is {value!r}, known are {', '.join(known)}")


def _check_number(name: str, value: object, *, above: float = -math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= above:
        limit = "" if above == -math.inf else f" above {above:g}"
        raise ModelError(f"{name} is {value!r}, expected a number{limit}")
