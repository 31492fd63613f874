"""Decode image files to RGB pixels.

Pillow decodes everything. OpenCV is some tenths of a millisecond faster on a small JPEG, but it writes messages about
damaged files to stderr, fills the missing part of a truncated image with gray, and reports the size only afterwards.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn, TypeVar

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFile

from faceall.errors import ImageError, ImageTooLargeError, UnreadableImageError
from faceall.files import open_regular
from faceall.images.hostile import MeteredFile, TooMuchWorkError, check_scans, check_tiff
from faceall.types import Array, Image

DEFAULT_MAX_PIXELS = 200_000_000
"""The default limit for the number of pixels of an image."""

_T = TypeVar("_T")
_ORIENTATION = 0x0112  # EXIF and TIFF tag
_BITS_PER_SAMPLE = 0x0102  # TIFF tag
_PHOTOMETRIC = 0x0106  # TIFF tag; 0 means that zero is white
_STRIP_BYTES = 1 << 22
_PILLOW_WARNS_FROM = 80_000_000  # pixels, somewhat below Pillow's own limit
_ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
_HEIF_BRANDS = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1", b"ftypmsf1")


@dataclass(frozen=True)
class _Format:
    """A file format: its first bytes, and the Pillow class that reads it."""

    name: str
    magic: bytes
    plugin: str
    reader: str
    offset: int = 0


_FORMATS = (
    _Format("JPEG", b"\xff\xd8\xff", "JpegImagePlugin", "JpegImageFile"),  # MPO too: its first image is a JPEG
    _Format("PNG", b"\x89PNG\r\n\x1a\n", "PngImagePlugin", "PngImageFile"),
    _Format("WebP", b"WEBP", "WebPImagePlugin", "WebPImageFile", offset=8),
    _Format("GIF", b"GIF8", "GifImagePlugin", "GifImageFile"),
    _Format("BMP", b"BM", "BmpImagePlugin", "BmpImageFile"),
    _Format("TIFF", b"II*\0", "TiffImagePlugin", "TiffImageFile"),
    _Format("TIFF", b"MM\0*", "TiffImagePlugin", "TiffImageFile"),
    _Format("TIFF", b"II+\0", "TiffImagePlugin", "TiffImageFile"),
    _Format("TIFF", b"MM\0+", "TiffImagePlugin", "TiffImageFile"),
    _Format("AVIF", b"ftypavif", "AvifImagePlugin", "AvifImageFile", offset=4),
    _Format("AVIF", b"ftypavis", "AvifImagePlugin", "AvifImageFile", offset=4),
    _Format("JPEG 2000", b"\0\0\0\x0cjP  ", "Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    _Format("JPEG 2000", b"\xff\x4f\xff\x51", "Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    *(_Format("PNM", b"P" + digit, "PpmImagePlugin", "PpmImageFile") for digit in (b"1", b"2", b"3", b"4", b"5", b"6")),
)

# EXIF orientation -> how to make the stored pixels upright: whether to transpose, and along which axes to flip
# afterwards (OpenCV's codes: 1 left-right, 0 top-bottom, -1 both)
_TURNS: dict[int, tuple[bool, int | None]] = {
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}


def read_image(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Image:
    """Read one image as upright RGB. Safe to call from several threads.

    Parameters
    ----------
    source : path-like or bytes-like
        A path, or the content of a file: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000 or PNM.
    max_pixels : int
        Limit for width times height; checked against the header before anything is decoded.

    Returns
    -------
    (H, W, 3) uint8
        Writable RGB pixels. The EXIF orientation is applied; of an animation the first frame is read; gray and palette
        images become RGB; transparency is composited on white; 16 bits per channel are scaled to 8. Colour profiles
        are not applied.

    Raises
    ------
    UnreadableImageError
        If the file is missing, not an image, damaged or truncated.
    ImageTooLargeError
        If the image has more than `max_pixels` pixels.
    """
    return _open_and(source, lambda file: _decode(file, max_pixels))


def pillow_pixels(image: PillowImage.Image) -> Image:
    """Convert an open Pillow image.

    Parameters
    ----------
    image : PIL.Image.Image
        An image of any mode.

    Returns
    -------
    (H, W, 3) uint8
        RGB, upright: the EXIF orientation is applied.

    Raises
    ------
    UnreadableImageError
        If the image cannot be decoded or has floating-point pixels.
    """
    try:
        image.load()
        return _apply_orientation(_rgb(image), int(image.getexif().get(_ORIENTATION, 1)))
    except _UnreadableError as error:
        raise UnreadableImageError(None, str(error)) from error
    except Exception as error:  # as for files, Pillow raises nearly anything
        raise UnreadableImageError(None, f"the Pillow image cannot be decoded ({_one_line(error)})") from error


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file states.

    Attributes
    ----------
    kind : str
        The format, for example "JPEG".
    width, height : int
        The stored size in pixels, before the EXIF orientation is applied.
    """

    kind: str
    width: int
    height: int


def read_header(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> ImageHeader:
    """Read the format and size of an image without decoding it.

    Parameters
    ----------
    source : path-like or bytes-like
        A path or the content of a file, as for `read_image`.
    max_pixels : int
        Limit for width times height.

    Returns
    -------
    ImageHeader

    Raises
    ------
    UnreadableImageError
        If the file is missing, not an image, or has a damaged header.
    ImageTooLargeError
        If the image has more than `max_pixels` pixels.
    """
    return _open_and(source, lambda file: _inspect(file, max_pixels))


class _UnreadableError(Exception):
    """The reason why an image cannot be read, before its path is known."""


class _TooLargeError(Exception):
    """The reason why an image is too large, before its path is known."""


def _open_and(source: str | os.PathLike[str] | bytes | bytearray | memoryview, use: Callable[[BinaryIO], _T]) -> _T:
    """Open an image, call `use`, and add the path to errors."""
    if isinstance(source, bytes | bytearray | memoryview):
        path, opened = None, _in_memory
    else:
        path, opened = os.fsdecode(source), _on_disk
    try:
        with opened(source) as file:
            return use(file)
    except _UnreadableError as error:
        _fail(UnreadableImageError(path, str(error)), error)
    except _TooLargeError as error:
        _fail(ImageTooLargeError(path, str(error)), error)


def _fail(error: ImageError, reason: Exception) -> NoReturn:
    """Raise `error` with the original cause."""
    raise error from (reason.__cause__ or reason)


def _in_memory(source: Any) -> BinaryIO:
    """Wrap the bytes of a file as an open file."""
    return io.BytesIO(source)


def _on_disk(source: Any) -> BinaryIO:
    """Open a regular file."""
    try:
        return open_regular(source)
    except FileNotFoundError as error:
        raise _UnreadableError("no such file") from error
    except IsADirectoryError as error:
        raise _UnreadableError("is a folder, expected an image file") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        if getattr(error, "errno", None) == errno.EINVAL:
            raise _UnreadableError("is not a regular file") from error
        raise _UnreadableError(f"cannot be opened ({getattr(error, 'strerror', None) or error})") from error


def _inspect(file: BinaryIO, max_pixels: int) -> ImageHeader:
    """Read the header of an open file."""
    with _identified(file, max_pixels) as (kind, image):
        return ImageHeader(kind.name, *image.size)


def _decode(file: BinaryIO, max_pixels: int) -> Image:
    """Decode an open file to upright RGB pixels."""
    with _identified(file, max_pixels) as (_, image):
        image.load()
        return _apply_orientation(_rgb(image), _orientation(image))


@contextmanager
def _identified(file: BinaryIO, max_pixels: int) -> Iterator[tuple[_Format, ImageFile.ImageFile]]:
    """Open a file as an image of a known format and allowed size; translate all errors of the block."""
    _silence(UserWarning, r"PIL\.\w+Plugin")
    kind = _identify(file)
    metered = MeteredFile(file, _size(file))
    try:
        if kind.name == "TIFF":
            check_tiff(file)
        with _open(kind, metered) as image:
            _check_size(image.size, max_pixels)
            metered.header_is_read()
            if kind.name == "JPEG":
                check_scans(file)
            yield kind, image
    except (_UnreadableError, _TooLargeError):
        raise
    except TooMuchWorkError as error:
        raise _UnreadableError(f"damaged or malicious {kind.name} image ({error})") from error
    except PillowImage.DecompressionBombError as error:
        raise _TooLargeError(f"has a part that is too large ({_one_line(error)})") from error
    except MemoryError as error:
        raise _TooLargeError(f"not enough memory to decode this {kind.name} image") from error
    except Exception as error:  # with damaged bytes, Pillow's readers raise nearly anything
        raise _UnreadableError(f"damaged or truncated {kind.name} image ({_one_line(error)})") from error


def _size(file: BinaryIO) -> int:
    """Return the size of an open file in bytes."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    return end


def _silence(category: type[Warning], module: str) -> None:
    """Keep Pillow's warnings off stderr.

    The filter is permanent, and added again if the list was reset: `warnings.catch_warnings` is not thread-safe.
    """
    if not any(entry[2] is category and getattr(entry[3], "pattern", None) == module for entry in warnings.filters):
        warnings.filterwarnings("ignore", category=category, module=module)


def _identify(file: BinaryIO) -> _Format:
    """Return the format of an open file by its first bytes, never by its name."""
    try:
        start = file.read(16)
        file.seek(0)
    except OSError as error:
        raise _UnreadableError(f"cannot be read ({error.strerror})") from error
    for kind in _FORMATS:
        if start.startswith(kind.magic, kind.offset):
            return kind
    if not start:
        raise _UnreadableError("is empty, expected an image")
    if start[4:12] in _HEIF_BRANDS:
        raise _UnreadableError("HEIC images are not supported; save it as JPEG or PNG first")
    known = ", ".join(dict.fromkeys(kind.name for kind in _FORMATS))
    raise _UnreadableError(f"is not an image of a known format; supported are {known}")


def _open(kind: _Format, file: MeteredFile) -> ImageFile.ImageFile:
    """Open an image with Pillow, reading only its header.

    The reader class is called directly: `PIL.Image.open` applies a size limit that is global to the process.
    """
    try:
        reader = getattr(importlib.import_module(f"PIL.{kind.plugin}"), kind.reader)
    except ImportError as error:
        raise _UnreadableError(f"the installed Pillow cannot read {kind.name}") from error
    image: ImageFile.ImageFile = reader(file)
    return image


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Raise if an image has too many pixels."""
    width, height = size
    if width * height > max_pixels:
        raise _TooLargeError(
            f"has {width} x {height} = {width * height:,} pixels, the limit is {max_pixels:,}; "
            "scale it down or raise max_pixels"
        )
    if width * height > _PILLOW_WARNS_FROM:
        _silence(PillowImage.DecompressionBombWarning, r"PIL\.Image")


def _orientation(image: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) if it is absent or unreadable."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - with broken metadata Pillow raises nearly anything; the pixels are still good
        return 1


def _apply_orientation(pixels: Image, orientation: int) -> Image:
    """Turn and flip pixels (H, W, 3) so that they are upright; the result is contiguous."""
    if orientation not in _TURNS:
        return pixels
    import cv2  # ten times faster at this than NumPy

    transpose, flip = _TURNS[orientation]
    result: Array = pixels
    if transpose:
        result = cv2.transpose(result)
    if flip is not None:
        result = cv2.flip(result, flip)
    return result


def _rgb(image: PillowImage.Image) -> Image:
    """Convert a decoded image of any mode to (H, W, 3) uint8."""
    if image.mode.startswith("I"):
        image = PillowImage.fromarray(_eight_bits(image))
    if image.mode == "F":
        raise _UnreadableError("has floating-point pixels; save it with 8 or 16 bits per channel first")
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        image = _on_white(image)
    if image.mode != "RGB":
        image = image.convert("RGB")
    return _array(image)


def _on_white(image: PillowImage.Image) -> PillowImage.Image:
    """Composite an image with transparency on white."""
    image = image.convert("RGBA")
    white = PillowImage.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=image.getchannel("A"))
    return white


def _eight_bits(image: PillowImage.Image) -> Array:
    """Convert gray of 12 or 16 bits to (H, W) uint8, preserving black and white."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    bits = int(np.ravel(tags.get(_BITS_PER_SAMPLE, 16))[0])
    if bits > 16 or values.min() < 0 or values.max() > 65535:
        raise _UnreadableError("has 32 bits per pixel; save it with 8 or 16 bits per channel first")
    gray: Array = np.clip(values >> (bits - 8), 0, 255).astype(np.uint8)
    return 255 - gray if tags.get(_PHOTOMETRIC) == 0 else gray


def _array(image: PillowImage.Image) -> Image:
    """Convert an RGB image to (H, W, 3) uint8 in strips, so that a huge one is not three times in memory."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_BYTES // (3 * width))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = image if bottom - top == height else image.crop((0, top, width, bottom))
        pixels[top:bottom] = np.frombuffer(strip.tobytes(), np.uint8).reshape(bottom - top, width, 3)
    return pixels


def _one_line(error: BaseException) -> str:
    """Return the text of an error on one line; its type if it has no text."""
    return " ".join(str(error).split()) or type(error).__name__
