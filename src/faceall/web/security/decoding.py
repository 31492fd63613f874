"""Limits on the images that are decoded at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from faceall.detect import reduction
from faceall.errors import ImageTooLargeError
from faceall.images import ImageHeader, decode_image, read_header
from faceall.images.metadata import InspectedImage, Metadata, inspect_image
from faceall.types import Image
from faceall.web.refusal import RefusedError, too_large

PIXELS_AT_ONCE = 150_000_000
"""Pixels of all images that are decoded at the same time; decoding needs up to seven bytes per pixel."""

_WAIT_SECONDS = 20.0
_ANY_SIZE = 1 << 62  # pixels: the limit is checked afterwards, with a text for web users


Reduction = Callable[[int, int], int]
"""Returns by which factor an image of a width and a height is reduced while it is decoded."""


def whole(width: int, height: int) -> int:
    """Return 1: no reduction."""
    return 1


@dataclass(frozen=True)
class CheckedImage:
    """An image file that may be registered.

    Attributes
    ----------
    pixels : int
        Number of pixels that a registration decodes of it.
    metadata : Metadata
        What its metadata say.
    """

    pixels: int
    metadata: Metadata


class DecodeBudget:
    """Decodes images while their total number of pixels stays within a budget.

    An image with too many pixels is refused by its header, before it is decoded.

    Parameters
    ----------
    max_bytes : int
        Of one file.
    max_pixels : int
        Of one image.
    pixels_at_once : int
        Of all images that are open at the same time.
    timeout : float
        Seconds that an image waits for its share of the budget.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        max_pixels: int,
        pixels_at_once: int = PIXELS_AT_ONCE,
        timeout: float = _WAIT_SECONDS,
    ) -> None:
        self._max_bytes, self._max_pixels, self._timeout = max_bytes, max_pixels, timeout
        self._free = self._all = max(pixels_at_once, max_pixels)
        self._changed = threading.Condition()

    def check(self, data: bytes, inspected: InspectedImage | None = None) -> CheckedImage:
        """Check the header of an image file for a registration.

        A large JPEG is registered at a reduced scale.

        Parameters
        ----------
        data : bytes
            The file.
        inspected : InspectedImage, optional
            Its header and metadata, if they were read before.

        Raises
        ------
        ImageError
            If it is not an image, or has too many pixels.
        RefusedError
            413 if the file is too large.
        """
        self._check_bytes(data)
        found = inspected or inspect_image(data, max_pixels=_ANY_SIZE)
        return CheckedImage(self._pixels_of(found.header, reduction), found.metadata)

    @contextmanager
    def open(self, data: bytes, shrink: Reduction = whole) -> Iterator[Image]:
        """Decode an image to (H, W, 3) uint8 RGB; it counts against the budget until the block ends.

        Parameters
        ----------
        data : bytes
            An image file.
        shrink : callable, optional
            By which factor (1, 2, 4 or 8) a JPEG of a width and height is reduced while it is decoded.

        Raises
        ------
        ImageError
            If it is not an image, or has too many pixels.
        RefusedError
            413 if the file is too large, 503 if the budget stays used up.
        """
        self._check_bytes(data)
        header = read_header(data, max_pixels=_ANY_SIZE)
        with self.hold(self._pixels_of(header, shrink), self._timeout):
            yield decode_image(data, max_pixels=self._max_pixels, reduction=shrink).pixels

    @contextmanager
    def hold(self, pixels: int, timeout: float | None = None) -> Iterator[None]:
        """Reserve a number of pixels of the budget until the block ends.

        Parameters
        ----------
        pixels : int
            Of images that the caller decodes.
        timeout : float, optional
            Seconds to wait; None waits without limit.

        Raises
        ------
        RefusedError
            503 if the budget stays used up.
        """
        pixels = min(pixels, self._all)
        with self._changed:
            if not self._changed.wait_for(lambda: self._free >= pixels, timeout):
                raise RefusedError(
                    "too many large images are being processed; try again soon",
                    status=503,
                    code="busy",
                    retry_after=5,
                )
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()

    def _check_bytes(self, data: bytes) -> None:
        if len(data) > self._max_bytes:
            raise too_large(f"the image file has {len(data):,} bytes, the limit is {self._max_bytes:,}")

    def _pixels_of(self, header: ImageHeader, shrink: Reduction) -> int:
        """Return the number of pixels that are decoded; the limit is on those of the file."""
        pixels = header.width * header.height
        if pixels > self._max_pixels:
            raise ImageTooLargeError(
                None,
                f"has {header.width} x {header.height} = {pixels:,} pixels, the limit is {self._max_pixels:,}; "
                "scale it down first",
            )
        return pixels // shrink(header.width, header.height) ** 2 if header.kind == "JPEG" else pixels
