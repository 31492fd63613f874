"""Limits on memory, request rate and JSON size."""

from __future__ import annotations

import ipaddress
import json
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from faceall.detect import reduction
from faceall.errors import ImageTooLargeError
from faceall.images import ImageHeader, decode_image, read_header
from faceall.images.metadata import InspectedImage, Metadata, inspect_image
from faceall.types import Image
from faceall.web.refusal import RefusedError

PIXELS_AT_ONCE = 150_000_000
"""Pixels of all images that are decoded at the same time; decoding needs up to seven bytes per pixel."""

JSON_BYTES = 1 << 20
JSON_DEPTH = 20

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


class RateLimit:
    """A token bucket per client.

    Parameters
    ----------
    rate : float
        Tokens per second.
    burst : int
        Initial and maximum number of tokens of a client.
    max_clients : int
        Clients that are remembered; the least recent is dropped first.
    clock : callable
        Monotonic time in seconds.
    """

    def __init__(
        self, rate: float, burst: int, *, max_clients: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._max_clients, self._clock = rate, burst, max_clients, clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, *, tokens: float = 1.0) -> int:
        """Take tokens for a client; returns 0, or the whole seconds until there are enough, when none is taken."""
        now = self._clock()
        with self._lock:
            left = self._left(client, now)
            enough = left >= tokens
            self._buckets[client] = (left - tokens if enough else left, now)
            self._buckets.move_to_end(client)
            while len(self._buckets) > self._max_clients:
                self._buckets.popitem(last=False)
        return 0 if enough else max(1, math.ceil((tokens - left) / self._rate))

    def wait_of(self, client: str) -> int:
        """Return the whole seconds until a client has a token, 0 if it has one; takes none."""
        with self._lock:
            left = self._left(client, self._clock())
        return 0 if left >= 1 else max(1, math.ceil((1 - left) / self._rate))

    def check(self, client: str) -> None:
        """Take a token.

        Raises
        ------
        RefusedError
            429 if there is none.
        """
        wait = self.take(client)
        if wait:
            raise too_many(wait)

    def _left(self, client: str, now: float) -> float:
        left, when = self._buckets.get(client, (float(self._burst), now))
        return min(self._burst, left + (now - when) * self._rate)


def client_of(address: str | None) -> str:
    """Return the identity of a client for rate limits: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return address or "unknown"
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))


def parse_json(body: bytes, *, max_bytes: int = JSON_BYTES, max_depth: int = JSON_DEPTH) -> Any:
    """Parse a JSON body. NaN, Infinity and numbers beyond float64 are refused.

    Raises
    ------
    RefusedError
        413 if it is too large, 400 if it is nested too deeply or is not JSON.
    """
    if len(body) > max_bytes:
        raise too_large(f"the JSON body has {len(body):,} bytes, the limit is {max_bytes:,}")
    if _depth(body) > max_depth:
        raise _bad(f"the JSON body is nested deeper than {max_depth} levels")
    try:
        return json.loads(body, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and numbers of thousands of digits too
        raise _bad("the body is not valid JSON") from error


def _depth(body: bytes) -> int:
    """Return the nesting depth of brackets outside strings."""
    depth = deepest = 0
    quoted = escaped = False
    for letter in body:
        if quoted:
            quoted = escaped or letter != 0x22
            escaped = letter == 0x5C and not escaped
        elif letter == 0x22:
            quoted = True
        elif letter in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in b"]}":
            depth -= 1
    return deepest


def _no_constant(text: str) -> float:
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def too_large(text: str) -> RefusedError:
    """Make an error with status 413."""
    return RefusedError(text, status=413, code="too_large")


def too_many(seconds: int) -> RefusedError:
    """Make an error with status 429."""
    return RefusedError(
        f"too many requests; try again in {seconds} s", status=429, code="too_many_requests", retry_after=seconds
    )


def _bad(text: str) -> RefusedError:
    return RefusedError(text, status=400, code="bad_request")
