"""Accept images as programs hold them: files, bytes, Pillow images, arrays and tensors."""

from __future__ import annotations

import os
import re
from typing import Any, Literal, TypeAlias

import numpy as np

from faceall.arguments import checked
from faceall.errors import ArgumentError
from faceall.images.decoding import DEFAULT_MAX_PIXELS, pillow_pixels, read_image
from faceall.types import Array, Image

ImageSource: TypeAlias = Any
"""What `as_image` accepts; too many kinds for a useful union, because libraries are recognised without an import."""

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_EXPECTED = "a path, the bytes of a file, an open binary file, a Pillow image, or an array (H, W), (H, W, 3 or 4)"


@checked
def as_image(
    source: ImageSource, *, channels: Literal["rgb", "bgr"] = "rgb", max_pixels: int = DEFAULT_MAX_PIXELS
) -> Image:
    """Convert an image to upright RGB pixels.

    Parameters
    ----------
    source : object
        One of:

        - a path, the bytes of an image file, or a file opened for reading bytes: read as by `read_image`;
        - a Pillow image: its EXIF orientation is applied;
        - a NumPy array, gray (H, W), RGB (H, W, 3) or RGBA (H, W, 4), uint8, or float from 0 to 1. RGBA is composited
          on white;
        - any other object with `__array__`, such as a PyTorch tensor: as an array, or with the channels first.

        A uint8 array (H, W, 3) in RGB is returned as it is, without a copy.
    channels : {"rgb", "bgr"}
        Order of the channels of an array; OpenCV's arrays are "bgr". Files and Pillow images know their order.
    max_pixels : int
        Limit for width times height of a file.

    Returns
    -------
    (H, W, 3) uint8
        RGB.

    Raises
    ------
    ArgumentError
        If the object is none of these.
    ImageError
        If a file cannot be read.
    """
    if channels not in ("rgb", "bgr"):
        raise ArgumentError(f"channels is {channels!r}, expected 'rgb' or 'bgr'")
    if isinstance(source, str) and _URL.match(source):
        raise ArgumentError(f"'{source[:80]}' is a URL, which is never downloaded: download it and pass the bytes")
    if isinstance(source, str | os.PathLike | bytes | bytearray | memoryview):
        return read_image(source, max_pixels=max_pixels)
    if isinstance(source, np.ndarray):
        return _from_array(source, channels)
    if hasattr(source, "getexif") and hasattr(source, "convert"):
        return pillow_pixels(source)
    if hasattr(source, "__array__"):
        return _from_array(_channels_last(_to_numpy(source)), channels)
    if callable(getattr(source, "read", None)):
        return read_image(_content(source), max_pixels=max_pixels)
    raise ArgumentError(f"an image is a {type(source).__name__}, expected {_EXPECTED}")


def _content(file: Any) -> bytes:
    """Read an open file."""
    content = file.read()
    if not isinstance(content, bytes):
        raise ArgumentError(f"the file returns {type(content).__name__}, expected bytes: open it in binary mode")
    return content


def _to_numpy(source: Any) -> Array:
    """Convert a tensor of another library, also one with gradients or on another device."""
    for step in ("detach", "cpu"):
        if callable(getattr(source, step, None)):
            source = getattr(source, step)()
    return np.asarray(source)


def _channels_last(array: Array) -> Array:
    """Move the channels of a tensor (C, H, W) to the end."""
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    return array


def _from_array(array: Array, channels: str) -> Image:
    """Convert an array to RGB uint8."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))) or not array.size:
        hint = ""
        if array.ndim == 3 and array.shape[0] in (3, 4):
            hint = "; this one has the channels first: pass image.transpose(1, 2, 0)"
        elif array.ndim == 4:
            hint = "; pass the images of a batch one by one"
        raise ArgumentError(f"an image has the shape {array.shape}, expected (H, W), (H, W, 3) or (H, W, 4){hint}")
    pixels = _eight_bit(array)
    if pixels.ndim == 2:
        return np.ascontiguousarray(np.repeat(pixels[:, :, None], 3, axis=2))
    if pixels.shape[2] == 4:
        alpha = pixels[:, :, 3:].astype(np.float32) / 255
        pixels = np.rint(pixels[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(pixels[:, :, ::-1]) if channels == "bgr" else pixels


def _eight_bit(array: Array) -> Image:
    """Convert floats from 0 to 1 to uint8; booleans count as black and white."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):  # also NaN
            raise ArgumentError(
                f"an image has floats from {low:g} to {high:g}, expected 0 to 1; convert 0 to 255 with astype('uint8')"
            )
        return np.asarray(np.rint(array * 255), np.uint8)
    raise ArgumentError(f"an image is {array.dtype}, expected uint8, or floats from 0 to 1")
