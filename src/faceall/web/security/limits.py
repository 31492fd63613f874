"""The bounds on what one request, one client and all together may ask for."""

from __future__ import annotations

import ipaddress
import json
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from faceall.errors import ImageTooLargeError
from faceall.images import read_header, read_image
from faceall.types import Image
from faceall.web.refusal import RefusedError

PIXELS_AT_ONCE = 150_000_000
"""Of all pictures that are decoded at a moment: about a gigabyte, for decoding takes up to seven bytes per pixel."""

JSON_BYTES = 1 << 20
JSON_DEPTH = 20

_SECONDS_FOR_A_PLACE = 20.0


class PictureGate:
    """Decodes pictures, as many at a moment as their pixels fit into memory.

    A picture that claims too many pixels is refused by its header, before anything is decoded.

    most_bytes      of one picture's file
    most_pixels     of one picture
    pixels_at_once  of all pictures that are open at a moment, whoever sent them
    patience        seconds that a picture waits for its place
    """

    def __init__(
        self,
        *,
        most_bytes: int,
        most_pixels: int,
        pixels_at_once: int = PIXELS_AT_ONCE,
        patience: float = _SECONDS_FOR_A_PLACE,
    ) -> None:
        self._most_bytes, self._most_pixels, self._patience = most_bytes, most_pixels, patience
        self._free = self._all = max(pixels_at_once, most_pixels)
        self._changed = threading.Condition()

    def check(self, data: bytes) -> None:
        """Refuse what is too large or no picture. Raises ImageError, RefusedError for too many bytes."""
        self._pixels_of(data)

    @contextmanager
    def open(self, data: bytes) -> Iterator[Image]:
        """The pixels of a picture (H, W, 3) uint8 RGB; its place is kept until the block ends.

        Raises ImageError, or RefusedError: too many bytes, or no place came free.
        """
        with self.hold(self._pixels_of(data), self._patience):
            yield read_image(data, max_pixels=self._most_pixels)

    @contextmanager
    def hold(self, pixels: int, patience: float | None = None) -> Iterator[None]:
        """Places for pictures of so many pixels that somebody else decodes, kept until the block ends.

        patience  seconds to wait for them; None: as long as it takes

        Raises RefusedError where no place came free.
        """
        pixels = min(pixels, self._all)
        with self._changed:
            if not self._changed.wait_for(lambda: self._free >= pixels, patience):
                raise RefusedError(
                    "too many large pictures are being looked at; ask again soon",
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

    def _pixels_of(self, data: bytes) -> int:
        if len(data) > self._most_bytes:
            raise too_large(f"the picture has {len(data):,} bytes, the cap is {self._most_bytes:,}")
        header = read_header(data, max_pixels=1 << 62)
        pixels = header.width * header.height
        if pixels > self._most_pixels:
            raise ImageTooLargeError(
                None,
                f"has {header.width} x {header.height} = {pixels:,} pixels, the limit is {self._most_pixels:,}; "
                "scale it down first",
            )
        return pixels


class RateLimit:
    """A bucket of tokens per client: each request takes one, and they come back at a steady rate.

    rate    tokens per second
    burst   how many a client has at first, and at most
    most    at most so many clients are remembered; those not seen for longest are forgotten
    clock   seconds that never go back
    """

    def __init__(
        self, rate: float, burst: int, *, most: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._most, self._clock = rate, burst, most, clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, *, tokens: float = 1.0) -> int:
        """Take tokens for a client: 0, or the seconds (rounded up) until there would be enough; then none is taken."""
        now = self._clock()
        with self._lock:
            left = self._left(client, now)
            enough = left >= tokens
            self._buckets[client] = (left - tokens if enough else left, now)
            self._buckets.move_to_end(client)
            while len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        return 0 if enough else max(1, math.ceil((tokens - left) / self._rate))

    def wait_of(self, client: str) -> int:
        """The seconds until a client has a token again, 0 where it has one; takes none."""
        with self._lock:
            left = self._left(client, self._clock())
        return 0 if left >= 1 else max(1, math.ceil((1 - left) / self._rate))

    def check(self, client: str) -> None:
        """Take a token. Raises RefusedError, 429, where there is none."""
        wait = self.take(client)
        if wait:
            raise too_many(wait)

    def _left(self, client: str, now: float) -> float:
        left, when = self._buckets.get(client, (float(self._burst), now))
        return min(self._burst, left + (now - when) * self._rate)


def client_of(address: str | None) -> str:
    """Whom an address counts as: itself, for IPv6 its /64, of which one client has all."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return address or "unknown"
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))


def parse_json(body: bytes, *, most_bytes: int = JSON_BYTES, most_depth: int = JSON_DEPTH) -> Any:
    """The value of a JSON body. Raises RefusedError: too large, nested too deeply, or not JSON.

    NaN, Infinity and numbers beyond float64 are no JSON.
    """
    if len(body) > most_bytes:
        raise too_large(f"the JSON body has {len(body):,} bytes, the cap is {most_bytes:,}")
    if _depth(body) > most_depth:
        raise _bad(f"the JSON body is nested deeper than {most_depth} levels")
    try:
        return json.loads(body, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and numbers of thousands of digits too
        raise _bad("the body is not JSON") from error


def _depth(body: bytes) -> int:
    """How deep brackets are nested, those in strings left out."""
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
    """A refusal with status 413."""
    return RefusedError(text, status=413, code="too_large")


def too_many(seconds: int) -> RefusedError:
    """A refusal with status 429."""
    return RefusedError(
        f"too many requests; ask again in {seconds} s", status=429, code="too_many_requests", retry_after=seconds
    )


def _bad(text: str) -> RefusedError:
    return RefusedError(text, status=400, code="bad_request")
