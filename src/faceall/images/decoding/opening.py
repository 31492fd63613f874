"""Open image files with Pillow, by their content and within limits; translate its errors."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from PIL import Image as PillowImage
from PIL import ImageFile

from faceall.images.decoding.formats import HEAD_BYTES, JPEG, RAW_IN_TIFF, TIFF, Format, format_names, identify
from faceall.images.decoding.hostile import MeteredFile, TooMuchWorkError, check_scans, check_tiff
from faceall.images.decoding.pixels import PHOTOMETRIC
from faceall.images.decoding.raw import raw_size
from faceall.images.decoding.refusals import OutOfMemoryError, TooLargeError, UnreadableError, one_line

_PILLOW_WARNS_FROM = 80_000_000  # pixels, somewhat below Pillow's own limit

_SUBFILE_TYPE = 0x00FE  # TIFF tag; bit 0 marks a reduced version of another page

_SUB_IFDS = 0x014A  # TIFF tag

_DNG_VERSION = 0xC612  # TIFF tag

_PHOTOMETRIC_CFA = 32803  # the values of a colour filter array: a RAW file

_MAX_PAGES = 32  # of a TIFF


def checked_raw_size(file: BinaryIO, max_pixels: int) -> tuple[int, int]:
    """Return the width and height of a RAW file, if they are allowed.

    Raises
    ------
    UnreadableError
        rawpy is missing.
    """
    try:
        size = raw_size(file)
    except ImportError as error:
        raise UnreadableError('camera RAW files need rawpy: pip install "faceall[raw]"') from error
    check_size(size, max_pixels)
    return size


def format_of(file: BinaryIO) -> Format:
    """Return the format of an open file; a TIFF that holds a camera's RAW data is RAW."""
    kind = identify_file(file)
    if kind.name != TIFF:
        return kind
    with identified(file, kind, 1 << 62) as image:
        tags: Any = getattr(image, "tag_v2", {})
        raw = tags.get(PHOTOMETRIC) == _PHOTOMETRIC_CFA or _DNG_VERSION in tags
        reduced = bool(int(tags.get(_SUBFILE_TYPE, 0)) & 1) and _SUB_IFDS in tags
    file.seek(0)
    return RAW_IN_TIFF if raw or reduced else kind


@contextmanager
def open_header(file: BinaryIO) -> Iterator[ImageFile.ImageFile]:
    """Open an image of any size with Pillow to read its header; raises nearly anything for a damaged one."""
    with identified(file, identify_file(file), 1 << 62) as image:
        yield image


def seek_largest_page(image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Go to the largest page of a TIFF: the first one may be a thumbnail."""
    pages = min(int(getattr(image, "n_frames", 1)), _MAX_PAGES)
    if pages < 2:
        return
    sizes = []
    for page in range(pages):
        image.seek(page)
        sizes.append(image.size[0] * image.size[1])
    image.seek(sizes.index(max(sizes)))
    check_size(image.size, max_pixels)


@contextmanager
def identified(file: BinaryIO, kind: Format, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """Open a file as an image of a known format and allowed size; translate all errors of the block."""
    _silence(UserWarning, r"PIL\.\w+Plugin")
    metered = MeteredFile(file, _size(file))
    with translated(kind):
        if kind.name == TIFF:
            check_tiff(file)
        with _open(kind, metered) as image:
            check_size(image.size, max_pixels)
            metered.header_is_read()
            if kind.name == JPEG:
                check_scans(file)
            yield image


@contextmanager
def translated(kind: Format) -> Iterator[None]:
    """Translate all errors of decoding. Raises UnreadableError, TooLargeError or OutOfMemoryError."""
    try:
        yield
    except (UnreadableError, TooLargeError):
        raise
    except TooMuchWorkError as error:
        raise UnreadableError(f"damaged or malicious {kind.name} image ({error})") from error
    except PillowImage.DecompressionBombError as error:
        raise TooLargeError(f"has a part that is too large ({one_line(error)})") from error
    except MemoryError as error:
        raise OutOfMemoryError(f"not enough memory to decode this {kind.name} image") from error
    except Exception as error:  # with damaged bytes, the readers raise nearly anything
        raise UnreadableError(f"damaged or truncated {kind.name} image ({one_line(error)})") from error


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


def identify_file(file: BinaryIO) -> Format:
    """Return the format of an open file by its first bytes, never by its name.

    Raises
    ------
    UnreadableError
        It is empty or of an unknown format.
    """
    try:
        start = file.read(HEAD_BYTES)
        file.seek(0)
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror})") from error
    if not start:
        raise UnreadableError("is empty, expected an image")
    kind = identify(start)
    if kind is None:
        raise UnreadableError(f"is not an image of a known format; supported are {format_names()}")
    return kind


def _open(kind: Format, file: MeteredFile) -> ImageFile.ImageFile:
    """Open an image with Pillow, reading only its header.

    The reader class is called directly: `PIL.Image.open` applies a size limit that is global to the process.
    """
    try:
        reader = getattr(importlib.import_module(kind.module), kind.reader)
    except ImportError as error:
        if kind.extra:
            raise UnreadableError(f'{kind.name} images need an extra: pip install "faceall[{kind.extra}]"') from error
        raise UnreadableError(f"the installed Pillow cannot read {kind.name}") from error
    image: ImageFile.ImageFile = reader(file)
    return image


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Raise TooLargeError if an image has too many pixels."""
    width, height = size
    if width * height > max_pixels:
        raise TooLargeError(
            f"has {width} x {height} = {width * height:,} pixels, the limit is {max_pixels:,}; "
            "scale it down or raise max_pixels"
        )
    if width * height > _PILLOW_WARNS_FROM:
        _silence(PillowImage.DecompressionBombWarning, r"PIL\.Image")
