"""From a file to RGB pixels.

Pillow decodes everything. OpenCV is some tenths of a millisecond faster on a small JPEG, but it writes remarks about
damaged files to stderr, fills what is missing of a truncated picture with gray, and knows the size only afterwards.
"""

from __future__ import annotations

import importlib
import io
import os
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFile

from faceall.errors import ImageError, ImageTooLargeError, UnreadableImageError
from faceall.types import Array, Image

DEFAULT_MAX_PIXELS = 200_000_000
"""The most pixels that a picture may have unless the caller says otherwise."""

_T = TypeVar("_T")
_ORIENTATION = 0x0112  # EXIF and TIFF tag
_BITS_PER_SAMPLE = 0x0102  # TIFF tag
_PHOTOMETRIC = 0x0106  # TIFF tag; 0 means that zero is white
_STRIP_BYTES = 1 << 22
_PILLOW_REMARKS_FROM = 80_000_000  # pixels, somewhat below the limit of its own
_ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
_HEIF_BRANDS = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1", b"ftypmsf1")


@dataclass(frozen=True)
class _Format:
    """One kind of file: its first bytes, and the Pillow class that reads it."""

    name: str
    magic: bytes
    plugin: str
    reader: str
    offset: int = 0


_FORMATS = (
    _Format("JPEG", b"\xff\xd8\xff", "JpegImagePlugin", "JpegImageFile"),  # MPO too: its first picture is a JPEG
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

# EXIF orientation -> how the stored pixels become upright: whether rows and columns change places, and along which
# axes the picture is then mirrored (OpenCV's codes: 1 left and right, 0 top and bottom, -1 both)
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
    """Read one picture, upright, as RGB.

    source      a path, or the bytes of a file: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000 or PNM
    max_pixels  the cap; it is checked against the header before anything is decoded
    returns     (H, W, 3) uint8, writable, turned by the EXIF orientation; the first picture of an animation,
                gray and palettes as RGB, transparency laid on white, 16 bits per channel scaled to 8

    Colour profiles are not applied. Safe to call from several threads.

    Raises UnreadableImageError (missing, not a picture, damaged, truncated) or ImageTooLargeError.
    """
    return _with_name(source, lambda file: _decode(file, max_pixels))


@dataclass(frozen=True)
class PictureHeader:
    """What a picture says of itself before it is decoded: its kind, and its stored size in pixels."""

    kind: str
    width: int
    height: int


def read_header(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> PictureHeader:
    """Read what kind of picture it is and how large, and decode nothing; arguments as of `read_image`.

    Raises UnreadableImageError (missing, not a picture, a damaged header) or ImageTooLargeError.
    """
    return _with_name(source, lambda file: _inspect(file, max_pixels))


def _with_name(source: str | os.PathLike[str] | bytes | bytearray | memoryview, use: Callable[[BinaryIO], _T]) -> _T:
    """What `use` makes of an opened picture; its errors get the picture's name."""
    if isinstance(source, bytes | bytearray | memoryview):
        name, opened = "picture in memory", _in_memory
    else:
        name, opened = _printable(os.fsdecode(source)), _on_disk
    try:
        with opened(source) as file:
            return use(file)
    except ImageError as error:
        raise type(error)(f"{name}: {error}") from error


def _printable(name: str) -> str:
    """A path as it can stand in one line of text, whatever characters it has."""
    return name if name.isprintable() else ascii(name)


def _in_memory(source: Any) -> BinaryIO:
    """The bytes of a file as an open file."""
    return io.BytesIO(source)


def _on_disk(source: Any) -> BinaryIO:
    """The file at a path, opened; only regular files, for a pipe could block or never end."""
    try:
        mode = os.stat(source).st_mode
        if stat.S_ISREG(mode):
            return open(source, "rb")
    except FileNotFoundError as error:
        raise UnreadableImageError("no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise UnreadableImageError(f"cannot be opened ({getattr(error, 'strerror', None) or error})") from error
    raise UnreadableImageError("is a folder, expected a picture" if stat.S_ISDIR(mode) else "is not a regular file")


def _inspect(file: BinaryIO, max_pixels: int) -> PictureHeader:
    """The header of an open file."""
    with _recognised(file, max_pixels) as (kind, picture):
        return PictureHeader(kind.name, *picture.size)


def _decode(file: BinaryIO, max_pixels: int) -> Image:
    """The upright RGB pixels of an open file."""
    with _recognised(file, max_pixels) as (_, picture):
        picture.load()
        return _turn(_rgb(picture), _orientation(picture))


@contextmanager
def _recognised(file: BinaryIO, max_pixels: int) -> Iterator[tuple[_Format, ImageFile.ImageFile]]:
    """An open file as a picture of known kind and allowed size, not decoded; errors of the block as ours."""
    _silence(UserWarning, r"PIL\.\w+Plugin")
    kind = _recognise(file)
    try:
        with _open(kind, file) as picture:
            _check_size(picture.size, max_pixels)
            yield kind, picture
    except ImageError:
        raise
    except PillowImage.DecompressionBombError as error:
        raise ImageTooLargeError(f"has a part that is too large ({_one_line(error)})") from error
    except MemoryError as error:
        raise ImageTooLargeError(f"not enough memory to decode this {kind.name} picture") from error
    except Exception as error:  # damaged bytes make Pillow's readers raise nearly anything
        raise UnreadableImageError(f"damaged or truncated {kind.name} picture ({_one_line(error)})") from error


def _silence(category: type[Warning], module: str) -> None:
    """Keep what Pillow remarks in passing off stderr.

    A filter for good, put back when somebody reset the list: `warnings.catch_warnings` is not safe with threads.
    """
    if not any(entry[2] is category and getattr(entry[3], "pattern", None) == module for entry in warnings.filters):
        warnings.filterwarnings("ignore", category=category, module=module)


def _recognise(file: BinaryIO) -> _Format:
    """The kind of an open file by its first bytes, never by its name."""
    try:
        start = file.read(16)
        file.seek(0)
    except OSError as error:
        raise UnreadableImageError(f"cannot be read ({error.strerror})") from error
    for kind in _FORMATS:
        if start.startswith(kind.magic, kind.offset):
            return kind
    if not start:
        raise UnreadableImageError("is empty, expected a picture")
    if start[4:12] in _HEIF_BRANDS:
        raise UnreadableImageError("HEIC pictures are not supported; save it as JPEG or PNG first")
    known = ", ".join(dict.fromkeys(kind.name for kind in _FORMATS))
    raise UnreadableImageError(f"is not a picture of a known kind; known are {known}")


def _open(kind: _Format, file: BinaryIO) -> ImageFile.ImageFile:
    """The picture with its header read and nothing decoded.

    The reader is called directly: `PIL.Image.open` has a size limit of its own, for the whole process.
    """
    try:
        reader = getattr(importlib.import_module(f"PIL.{kind.plugin}"), kind.reader)
    except ImportError as error:
        raise UnreadableImageError(f"the installed Pillow cannot read {kind.name}") from error
    picture: ImageFile.ImageFile = reader(file)
    return picture


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Refuse more pixels than the cap."""
    width, height = size
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"has {width} x {height} = {width * height:,} pixels, the cap is {max_pixels:,}; "
            "scale it down or raise max_pixels"
        )
    if width * height > _PILLOW_REMARKS_FROM:
        _silence(PillowImage.DecompressionBombWarning, r"PIL\.Image")


def _orientation(picture: ImageFile.ImageFile) -> int:
    """The EXIF orientation, 1..8; 1 (upright) where it is absent or unreadable."""
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - broken metadata, at which Pillow raises nearly anything, does not spoil pixels
        return 1


def _turn(pixels: Image, orientation: int) -> Image:
    """Pixels (H, W, 3) turned and mirrored to stand upright, contiguous."""
    if orientation not in _TURNS:
        return pixels
    import cv2  # ten times faster at this than NumPy

    swap, mirror = _TURNS[orientation]
    result: Array = pixels
    if swap:
        result = cv2.transpose(result)
    if mirror is not None:
        result = cv2.flip(result, mirror)
    return result


def _rgb(picture: PillowImage.Image) -> Image:
    """A decoded picture of any mode as (H, W, 3) uint8."""
    if picture.mode.startswith("I"):
        picture = PillowImage.fromarray(_eight_bits(picture))
    if picture.mode == "F":
        raise UnreadableImageError("has floating-point pixels; save it with 8 or 16 bits per channel first")
    if picture.mode in _ALPHA_MODES or "transparency" in picture.info:
        picture = _on_white(picture)
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    return _array(picture)


def _on_white(picture: PillowImage.Image) -> PillowImage.Image:
    """A picture with transparency, laid on white."""
    picture = picture.convert("RGBA")
    white = PillowImage.new("RGB", picture.size, (255, 255, 255))
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def _eight_bits(picture: PillowImage.Image) -> Array:
    """Gray of 12 or 16 bits as (H, W) uint8, black staying black and white white."""
    values = np.asarray(picture)
    tags = getattr(picture, "tag_v2", {})
    bits = int(np.ravel(tags.get(_BITS_PER_SAMPLE, 16))[0])
    if bits > 16 or values.min() < 0 or values.max() > 65535:
        raise UnreadableImageError("has 32 bits per pixel; save it with 8 or 16 bits per channel first")
    gray: Array = np.clip(values >> (bits - 8), 0, 255).astype(np.uint8)
    return 255 - gray if tags.get(_PHOTOMETRIC) == 0 else gray


def _array(picture: PillowImage.Image) -> Image:
    """An RGB picture as (H, W, 3) uint8, copied in strips so that a huge one is not in memory three times."""
    width, height = picture.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_BYTES // (3 * width))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = picture if bottom - top == height else picture.crop((0, top, width, bottom))
        pixels[top:bottom] = np.frombuffer(strip.tobytes(), np.uint8).reshape(bottom - top, width, 3)
    return pixels


def _one_line(error: BaseException) -> str:
    """The text of an error on one line; its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
