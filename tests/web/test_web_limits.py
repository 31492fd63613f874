"""Limits: images by their header, clients by their rate, JSON by size and depth."""

from __future__ import annotations

import io
import json
import struct
import threading
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage

from faceall.detect import reduction
from faceall.errors import ImageTooLargeError, UnreadableImageError
from faceall.web.refusal import RefusedError
from faceall.web.security.decoding import DecodeBudget
from faceall.web.security.json_bodies import parse_json
from faceall.web.security.rates import RateLimit, client_of


def image_file(kind: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    """Encode a small image."""
    file = io.BytesIO()
    PillowImage.new("RGB", size, (200, 100, 50)).save(file, kind)
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """Make a small PNG that decompresses to the given number of gray pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    rows = b"\0" * (width + 1)
    data = b"".join(packer.compress(rows) for _ in range(min(height, 1000))) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def limiter(**given: int | float) -> DecodeBudget:
    """Return a limiter for images of at most 10,000 pixels and 100,000 bytes."""
    bounds = {"max_bytes": 100_000, "max_pixels": 10_000, "pixels_at_once": 20_000, "timeout": 5.0} | given
    return DecodeBudget(**bounds)  # type: ignore[arg-type]


def test_an_image_within_the_limits_is_opened() -> None:
    """The image is returned as RGB pixels."""
    with limiter().open(image_file()) as image:
        assert image.shape == (30, 40, 3)
        assert image.dtype == np.uint8


def test_a_bomb_is_refused_by_its_header() -> None:
    """The error has the size, and the 2.5 thousand million pixels need no memory."""
    for use in (limiter().check, lambda data: limiter().open(data).__enter__()):
        with pytest.raises(ImageTooLargeError, match=r"50000 x 50000 = 2,500,000,000 pixels, the limit is 10,000"):
            use(bomb(50_000, 50_000))


def test_the_limits_are_exact() -> None:
    """A file with exactly the allowed bytes and pixels passes; with a limit one lower it is refused."""
    data = image_file(size=(100, 100))
    limiter(max_bytes=len(data)).check(data)
    with pytest.raises(RefusedError) as caught:
        limiter(max_bytes=len(data) - 1).check(data)
    assert (caught.value.status, caught.value.code) == (413, "too_large")
    with pytest.raises(ImageTooLargeError):
        limiter(max_pixels=9_999).check(data)


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"%PDF-1.4", b"PK\3\4", b"GIF89a", b"\xff\xd8\xff"])
def test_a_file_that_is_not_an_image_is_refused(data: bytes) -> None:
    """The file is refused before it is decoded."""
    with pytest.raises(UnreadableImageError):
        limiter().check(data)


def test_images_wait_until_others_are_done() -> None:
    """Two images fit at once; the third is admitted when one has ended, also with an error."""
    small = limiter(timeout=30.0)
    data = image_file(size=(100, 100))
    entered = threading.Event()

    def third() -> None:
        with small.open(data):
            entered.set()

    thread = threading.Thread(target=third)

    def fail_while_the_third_waits() -> None:
        with small.open(data):
            thread.start()
            assert not entered.wait(0.2)
            raise ZeroDivisionError

    with small.open(data):
        with pytest.raises(ZeroDivisionError):
            fail_while_the_third_waits()
        assert entered.wait(10)
    thread.join()


def test_waiting_for_a_place_times_out() -> None:
    """If no place becomes free, the request is refused with a time to retry."""
    small = limiter(pixels_at_once=10_000, timeout=0.05)
    data = image_file(size=(100, 100))
    with small.open(data), pytest.raises(RefusedError) as caught, small.open(data):
        pass
    assert (caught.value.status, caught.value.code) == (503, "busy")
    assert caught.value.retry_after
    with small.open(data):
        pass


def test_several_places_can_be_reserved() -> None:
    """A request for more places than there are reserves all; by default it waits without a timeout."""
    small = limiter(pixels_at_once=10_000, timeout=0.05)
    data = image_file(size=(100, 100))
    with small.hold(10**12), pytest.raises(RefusedError), small.open(data):
        pass
    with small.open(data), pytest.raises(RefusedError), small.hold(1, timeout=0.05):
        pass
    with small.hold(10_000, timeout=0.05):
        pass


class Clock:
    """Clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_client_gets_its_burst_and_then_the_rate() -> None:
    """A client has a burst and then the rate; other clients have their own."""
    clock = Clock()
    limit = RateLimit(rate=2, burst=3, clock=clock)
    assert [limit.take("a") for _ in range(5)] == [0, 0, 0, 1, 1]
    assert limit.take("b") == 0
    clock.now += 0.5
    assert [limit.take("a") for _ in range(2)] == [0, 1]
    clock.now += 1000
    assert [limit.take("a") for _ in range(4)] == [0, 0, 0, 1]


def test_the_wait_is_the_time_to_the_next_token() -> None:
    """The wait is the time until the next token, and a refused request does not prolong it."""
    clock = Clock()
    limit = RateLimit(rate=0.1, burst=1, clock=clock)
    assert limit.wait_of("a") == 0
    assert limit.take("a") == 0
    assert limit.take("a") == limit.wait_of("a") == 10
    clock.now += 9
    assert limit.wait_of("a") == 1
    clock.now += 1
    assert limit.wait_of("a") == 0
    limit.check("a")
    with pytest.raises(RefusedError) as caught:
        limit.check("a")
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (429, "too_many_requests", 10)


def test_the_number_of_remembered_clients_is_limited() -> None:
    """Old clients are forgotten beyond the limit; active ones are not."""
    limit = RateLimit(rate=0.001, burst=1, max_clients=100)
    assert limit.take("steady") == 0
    for number in range(1000):
        limit.take(str(number))
        if number % 50 == 0:
            assert limit.take("steady") > 0
    assert len(limit._buckets) == 100


@pytest.mark.parametrize(
    ("address", "client"),
    [("10.1.2.3", "10.1.2.3"), ("2a00:1450:4001:80b:1:2:3:4", "2a00:1450:4001:80b::/64"),
     ("::ffff:10.1.2.3", "10.1.2.3"),
     (None, "unknown"), ("localhost", "localhost")],
)  # fmt: skip
def test_a_client_of_ipv6_is_its_network(address: str | None, client: str) -> None:
    """Addresses of one /64 network are one client."""
    assert client_of(address) == client


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", "not valid JSON"), (b"{", "not valid JSON"), (b"[NaN]", "not valid JSON"),
     (b"[Infinity]", "not valid JSON"), (b"[1e999]", "not valid JSON"),
     (b"\xff\xfe", "not valid JSON"), (b"1" * 5000, "not valid JSON"), (b'"\xc3"', "not valid JSON"),
     (b"[" * 100_000, "deeper than 20"),
     (b'{"a":' * 30 + b"1" + b"}" * 30, "deeper than 20"), (b'"' + b"x" * (1 << 20) + b'"', "1,048,578 bytes")],
)  # fmt: skip
def test_json_is_limited(body: bytes, reason: str) -> None:
    """JSON is limited in size and depth, and NaN and infinity are refused."""
    with pytest.raises(RefusedError, match=reason) as caught:
        parse_json(body)
    assert caught.value.status == (413 if "bytes" in reason else 400)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_every_json_value_is_read_unchanged(value: object) -> None:
    """Brackets and quotes in strings do not count as depth."""
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(json.dumps(["[{" * 50 + '\\"[', value]).encode())[0] == "[{" * 50 + '\\"['


def test_a_large_jpeg_counts_as_many_pixels_as_are_decoded() -> None:
    """A registration counts a JPEG at its reduced scale; other formats and searches count all pixels."""
    size = (4000, 3000)
    pixels, factor = size[0] * size[1], reduction(*size)
    assert factor > 1
    budget = limiter(max_pixels=pixels, pixels_at_once=pixels, max_bytes=10_000_000)
    assert budget.check(image_file("JPEG", size)).pixels == pixels // factor**2
    assert budget.check(image_file("PNG", size)).pixels == pixels
    with budget.open(image_file("JPEG", size)) as image:
        assert image.shape == (3000, 4000, 3)
    with budget.open(image_file("JPEG", size), lambda width, height: 4) as image:
        assert image.shape == (750, 1000, 3)
