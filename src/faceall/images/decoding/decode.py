"""Decode image files to RGB pixels.

Pillow opens everything, and decodes all but regular JPEGs in colour, which simplejpeg decodes faster. OpenCV would be
as fast, but it writes messages about damaged files to stderr, fills the missing part of a truncated image with gray,
and reports the size only afterwards.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, NoReturn, TypeVar

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFile

from faceall.arguments import checked
from faceall.errors import ImageError, ImageMemoryError, ImageTooLargeError, UnreadableImageError
from faceall.files import open_regular
from faceall.images.decoding.formats import HEAD_BYTES, JPEG, RAW, TIFF, identify
from faceall.images.decoding.opening import (
    checked_raw_size,
    format_of,
    identified,
    identify_file,
    seek_largest_page,
    translated,
)
from faceall.images.decoding.pixels import ORIENTATION, orientation_of, swaps_sides, to_rgb, upright
from faceall.images.decoding.progressive import lacks_scans
from faceall.images.decoding.raw import decode_raw
from faceall.images.decoding.refusals import OutOfMemoryError, TooLargeError, UnreadableError, one_line
from faceall.images.decoding.turbo import IrregularError, decode_regular
from faceall.types import Image

DEFAULT_MAX_PIXELS = 200_000_000
"""The default limit for the number of pixels of an image."""

_T = TypeVar("_T")

_END_OF_JPEG = b"\xff\xd9"
_FILLER = bytes(37 * number % 251 for number in range(4096))
"""Bytes that a JPEG decoder reads as some pixels or other; 0xFF, which begins markers, is not among them."""
_UNDECODED = 128
"""What a JPEG decoder leaves in all channels where the data have ended."""


@checked
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
        The end of the file is missing; the pixels of that part are gray, or less sharp in a progressive JPEG.
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


@checked
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
        return upright(to_rgb(image), int(image.getexif().get(ORIENTATION, 1)))
    except UnreadableError as error:
        raise UnreadableImageError(None, str(error)) from error
    except Exception as error:  # as for files, Pillow raises nearly anything
        raise UnreadableImageError(None, f"the Pillow image cannot be decoded ({one_line(error)})") from error


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


@checked
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
    return _open_and(source, lambda file: _inspect(file, max_pixels, lambda image: None))[0]


def open_and_look(
    content: bytes, look: Callable[[PillowImage.Image], _T], max_pixels: int
) -> tuple[ImageHeader, _T | None]:
    """Read the header as `read_header` does, and return what `look` finds in the open image; None for camera RAW."""
    return _open_and(content, lambda file: _inspect(file, max_pixels, look))


def _open_and(source: str | os.PathLike[str] | bytes | bytearray | memoryview, use: Callable[[BinaryIO], _T]) -> _T:
    """Open an image, call `use`, and add the path to errors."""
    if isinstance(source, bytes | bytearray | memoryview):
        path, opened = None, _in_memory
    else:
        path, opened = os.fsdecode(source), _on_disk
    try:
        with opened(source) as file:
            return use(file)
    except UnreadableError as error:
        _fail(UnreadableImageError(path, str(error)), error)
    except OutOfMemoryError as error:
        _fail(ImageMemoryError(path, str(error)), error)
    except TooLargeError as error:
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
        raise UnreadableError(why_missing(source)) from error
    except IsADirectoryError as error:
        raise UnreadableError("is a folder, expected an image file") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        if getattr(error, "errno", None) == errno.EINVAL:
            raise UnreadableError("is not a regular file") from error
        raise UnreadableError(f"cannot be opened ({getattr(error, 'strerror', None) or error})") from error


def why_missing(path: str | os.PathLike[str]) -> str:
    """Describe a file that cannot be found: there is none, or a symbolic link that points to nothing."""
    try:
        return f"is a broken link: there is no {os.readlink(path)}"
    except OSError:
        return "no such file"


def _inspect(file: BinaryIO, max_pixels: int, look: Callable[[PillowImage.Image], _T]) -> tuple[ImageHeader, _T | None]:
    """Read the header of an open file."""
    kind = format_of(file)
    if kind.name == RAW:
        with translated(kind):
            return ImageHeader(RAW, *checked_raw_size(file, max_pixels)), None
    with identified(file, kind, max_pixels) as image:
        return ImageHeader(kind.name, *image.size), look(image)


def _decode(file: BinaryIO, max_pixels: int, reduction: Reduction = _whole) -> DecodedImage:
    """Decode an open file to upright RGB pixels."""
    kind = format_of(file)
    if kind.name == RAW:
        with translated(kind):
            checked_raw_size(file, max_pixels)
            pixels = decode_raw(file, lambda preview: _decode_preview(preview, max_pixels), upright)
            return DecodedImage(pixels, size=(pixels.shape[1], pixels.shape[0]))
    with identified(file, kind, max_pixels) as image:
        if kind.name == TIFF:
            seek_largest_page(image, max_pixels)
        size = image.size
        if kind.name == JPEG and (factor := reduction(*size)) > 1:
            image.draft(image.mode, (size[0] // factor, size[1] // factor))
        found, truncated = _decode_regular(file, image) if kind.name == JPEG else (None, False)
        if found is None:
            image.load()
            found = to_rgb(image)
        orientation = orientation_of(image)
        return DecodedImage(upright(found, orientation), truncated, size[::-1] if swaps_sides(orientation) else size)


def _decode_regular(file: BinaryIO, image: ImageFile.ImageFile) -> tuple[Image | None, bool]:
    """Decode a JPEG in colour if it is regular; also return whether data of a progressive one are missing.

    In others missing data are gray; `_ends_early` recognises them.
    """
    if image.mode != "RGB":
        return None, False
    try:
        return decode_regular(_content(file), image.size), False
    except IrregularError as error:
        return None, error.ends_early and bool(image.info.get("progressive"))


def _decode_leniently(file: BinaryIO, max_pixels: int, reduction: Reduction) -> DecodedImage:
    """Decode an open file; a JPEG without its end is decoded as if it ended there."""
    try:
        decoded = _decode(file, max_pixels, reduction)
    except UnreadableError as unreadable:
        content = _content(file)
        if _known_format(content) != JPEG or _END_OF_JPEG in content[-32:]:
            raise
        completed = io.BytesIO(content + _END_OF_JPEG)
        try:
            return replace(_decode(completed, max_pixels, reduction), truncated=True)
        except UnreadableError:
            raise unreadable from None  # the reason is that of the file as it is
    if _has_undecoded_corner(decoded.pixels) and _ends_early(_content(file), decoded.pixels, max_pixels, reduction):
        return replace(decoded, truncated=True)
    return replace(decoded, truncated=True) if lacks_scans(file) else decoded


def _has_undecoded_corner(pixels: Image) -> bool:
    """Return whether a corner has the gray that a decoder leaves where data are missing; any, as images are turned."""
    corners = (pixels[rows, columns] for rows in (slice(2), slice(-2, None)) for columns in (slice(2), slice(-2, None)))
    return any((corner == _UNDECODED).all() for corner in corners)


def _ends_early(content: bytes, pixels: Image, max_pixels: int, reduction: Reduction) -> bool:
    """Return whether a JPEG that has an end marker lacks data before it: more data then change its pixels."""
    if _known_format(content) != JPEG or not content.endswith(_END_OF_JPEG):
        return False
    longer = io.BytesIO(content[: -len(_END_OF_JPEG)] + _FILLER + _END_OF_JPEG)
    try:
        return not np.array_equal(_decode(longer, max_pixels, reduction).pixels, pixels)
    except UnreadableError:
        return False


def _content(file: BinaryIO) -> bytes:
    """Return the whole content of an open file."""
    file.seek(0)
    return file.read()


def _known_format(content: bytes) -> str | None:
    found = identify(content[:HEAD_BYTES])
    return None if found is None else found.name


def _decode_preview(file: BinaryIO, max_pixels: int) -> tuple[Image, int]:
    """Decode the preview of a RAW file: pixels as stored, and the EXIF orientation that it states, else 0."""
    with identified(file, identify_file(file), max_pixels) as image:
        image.load()
        return to_rgb(image), int(image.getexif().get(ORIENTATION, 0))
