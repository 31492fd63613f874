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
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, NoReturn, TypeVar

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFile

from faceall.errors import ImageError, ImageMemoryError, ImageTooLargeError, UnreadableImageError
from faceall.files import open_regular
from faceall.images.formats import HEAD_BYTES, JPEG, RAW, RAW_IN_TIFF, TIFF, Format, format_names, identify
from faceall.images.hostile import MeteredFile, TooMuchWorkError, check_scans, check_tiff
from faceall.images.raw import decode_raw, raw_size
from faceall.native import native_call
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
_SUBFILE_TYPE = 0x00FE  # TIFF tag; bit 0 marks a reduced version of another page
_SUB_IFDS = 0x014A  # TIFF tag
_DNG_VERSION = 0xC612  # TIFF tag
_PHOTOMETRIC_CFA = 32803  # the values of a colour filter array: a RAW file
_END_OF_JPEG = b"\xff\xd9"
_MAX_PAGES = 32  # of a TIFF


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
        A path, or the content of a file: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000 or PNM; HEIC, JPEG XL and
        camera RAW with the extras `heic`, `jxl` and `raw`.
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
    return _open_and(source, lambda file: _decode(file, max_pixels).pixels)


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """An image and what its file says about it.

    Attributes
    ----------
    pixels : (H, W, 3) uint8
        RGB, upright.
    truncated : bool
        The end of the file is missing; the pixels of that part are gray.
    size : (width, height) or None
        Of the image in the file, upright; None if the pixels have that size.
    """

    pixels: Image
    truncated: bool = False
    size: tuple[int, int] | None = None

    @property
    def reduced(self) -> bool:
        """Whether the pixels are fewer than those of the file."""
        return self.size not in (None, (self.pixels.shape[1], self.pixels.shape[0]))


Reduction = Callable[[int, int], int]
"""Returns by which factor (1, 2, 4 or 8) an image of a width and a height is reduced while it is decoded."""


def _whole(width: int, height: int) -> int:
    """Return 1: no reduction."""
    return 1


def decode_image(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    reduction: Reduction = _whole,
) -> DecodedImage:
    """Read one image as `read_image` does, but use a JPEG whose end is missing as far as it goes.

    A JPEG that `reduction` reduces is decoded at that scale at once, which is several times as fast; images in other
    formats are always decoded whole.

    Parameters
    ----------
    source : path-like or bytes-like
        A path or the content of a file, as for `read_image`.
    max_pixels : int
        Limit for width times height.
    reduction : callable, optional
        By which factor an image of a width and height may be reduced.

    Returns
    -------
    DecodedImage

    Raises
    ------
    UnreadableImageError
        If the file is missing, not an image or damaged.
    ImageTooLargeError
        If the image has more than `max_pixels` pixels.
    """
    return _open_and(source, lambda file: _decode_leniently(file, max_pixels, reduction))


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


class _OutOfMemoryError(_TooLargeError):
    """Memory is too short."""


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
    except _OutOfMemoryError as error:
        _fail(ImageMemoryError(path, str(error)), error)
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
    kind = _format_of(file)
    if kind.name == RAW:
        with _translated(kind):
            return ImageHeader(RAW, *_checked_raw_size(file, max_pixels))
    with _identified(file, kind, max_pixels) as image:
        return ImageHeader(kind.name, *image.size)


def _decode(file: BinaryIO, max_pixels: int, reduction: Reduction = _whole) -> DecodedImage:
    """Decode an open file to upright RGB pixels."""
    kind = _format_of(file)
    if kind.name == RAW:
        with _translated(kind):
            _checked_raw_size(file, max_pixels)
            pixels = decode_raw(file, lambda preview: _decode_preview(preview, max_pixels), _apply_orientation)
            return DecodedImage(pixels, size=(pixels.shape[1], pixels.shape[0]))
    with _identified(file, kind, max_pixels) as image:
        if kind.name == TIFF:
            _seek_largest_page(image, max_pixels)
        size = image.size
        if kind.name == JPEG and (factor := reduction(*size)) > 1:
            image.draft(image.mode, (size[0] // factor, size[1] // factor))
        image.load()
        orientation = _orientation(image)
        pixels = _apply_orientation(_rgb(image), orientation)
        return DecodedImage(pixels, size=size[::-1] if _TURNS.get(orientation, (False,))[0] else size)


def _decode_leniently(file: BinaryIO, max_pixels: int, reduction: Reduction) -> DecodedImage:
    """Decode an open file; a JPEG without its end is decoded as if it ended there."""
    try:
        return _decode(file, max_pixels, reduction)
    except _UnreadableError as unreadable:
        file.seek(0)
        content = file.read()
        if _known_format(content) != JPEG or _END_OF_JPEG in content[-32:]:
            raise
        completed = io.BytesIO(content + _END_OF_JPEG)
        try:
            return replace(_decode(completed, max_pixels, reduction), truncated=True)
        except _UnreadableError:
            raise unreadable from None  # the reason is that of the file as it is


def _known_format(content: bytes) -> str | None:
    found = identify(content[:HEAD_BYTES])
    return None if found is None else found.name


def _decode_preview(file: BinaryIO, max_pixels: int) -> tuple[Image, int]:
    """Decode the preview of a RAW file: pixels as stored, and the EXIF orientation that it states, else 0."""
    with _identified(file, _identify(file), max_pixels) as image:
        image.load()
        return _rgb(image), int(image.getexif().get(_ORIENTATION, 0))


def _checked_raw_size(file: BinaryIO, max_pixels: int) -> tuple[int, int]:
    try:
        size = raw_size(file)
    except ImportError as error:
        raise _UnreadableError('camera RAW files need rawpy: pip install "faceall[raw]"') from error
    _check_size(size, max_pixels)
    return size


def _format_of(file: BinaryIO) -> Format:
    """Return the format of an open file; a TIFF that holds a camera's RAW data is RAW."""
    kind = _identify(file)
    if kind.name != TIFF:
        return kind
    with _identified(file, kind, 1 << 62) as image:
        tags: Any = getattr(image, "tag_v2", {})
        raw = tags.get(_PHOTOMETRIC) == _PHOTOMETRIC_CFA or _DNG_VERSION in tags
        reduced = bool(int(tags.get(_SUBFILE_TYPE, 0)) & 1) and _SUB_IFDS in tags
    file.seek(0)
    return RAW_IN_TIFF if raw or reduced else kind


@contextmanager
def open_header(file: BinaryIO) -> Iterator[ImageFile.ImageFile]:
    """Open an image of any size with Pillow to read its header; raises nearly anything for a damaged one."""
    with _identified(file, _identify(file), 1 << 62) as image:
        yield image


def _seek_largest_page(image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Go to the largest page of a TIFF: the first one may be a thumbnail."""
    pages = min(int(getattr(image, "n_frames", 1)), _MAX_PAGES)
    if pages < 2:
        return
    sizes = []
    for page in range(pages):
        image.seek(page)
        sizes.append(image.size[0] * image.size[1])
    image.seek(sizes.index(max(sizes)))
    _check_size(image.size, max_pixels)


@contextmanager
def _identified(file: BinaryIO, kind: Format, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """Open a file as an image of a known format and allowed size; translate all errors of the block."""
    _silence(UserWarning, r"PIL\.\w+Plugin")
    metered = MeteredFile(file, _size(file))
    with _translated(kind):
        if kind.name == TIFF:
            check_tiff(file)
        with _open(kind, metered) as image:
            _check_size(image.size, max_pixels)
            metered.header_is_read()
            if kind.name == JPEG:
                check_scans(file)
            yield image


@contextmanager
def _translated(kind: Format) -> Iterator[None]:
    """Translate all errors of decoding."""
    try:
        yield
    except (_UnreadableError, _TooLargeError):
        raise
    except TooMuchWorkError as error:
        raise _UnreadableError(f"damaged or malicious {kind.name} image ({error})") from error
    except PillowImage.DecompressionBombError as error:
        raise _TooLargeError(f"has a part that is too large ({_one_line(error)})") from error
    except MemoryError as error:
        raise _OutOfMemoryError(f"not enough memory to decode this {kind.name} image") from error
    except Exception as error:  # with damaged bytes, the readers raise nearly anything
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


def _identify(file: BinaryIO) -> Format:
    """Return the format of an open file by its first bytes, never by its name."""
    try:
        start = file.read(HEAD_BYTES)
        file.seek(0)
    except OSError as error:
        raise _UnreadableError(f"cannot be read ({error.strerror})") from error
    if not start:
        raise _UnreadableError("is empty, expected an image")
    kind = identify(start)
    if kind is None:
        raise _UnreadableError(f"is not an image of a known format; supported are {format_names()}")
    return kind


def _open(kind: Format, file: MeteredFile) -> ImageFile.ImageFile:
    """Open an image with Pillow, reading only its header.

    The reader class is called directly: `PIL.Image.open` applies a size limit that is global to the process.
    """
    try:
        reader = getattr(importlib.import_module(kind.module), kind.reader)
    except ImportError as error:
        if kind.extra:
            raise _UnreadableError(f'{kind.name} images need an extra: pip install "faceall[{kind.extra}]"') from error
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


@native_call
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
