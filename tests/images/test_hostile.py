"""Files that ask for much more work than their size justifies are refused quickly."""

from __future__ import annotations

import io
import os
import struct
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from faceall.errors import UnreadableImageError
from faceall.images import read_header, read_image
from faceall.images.decoding.hostile import MAX_SCANS, MAX_TIFF_VALUES

MIB = 1 << 20


def encoded(kind: str, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    """The file of an image of noise."""
    noise = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), np.uint8)
    buffer = io.BytesIO()
    PillowImage.fromarray(noise).save(buffer, kind, **options)
    return buffer.getvalue()


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = encoded("JPEG", (800, 600), progressive=True, quality=5)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + b"\xff\xd9"


def tiny_jpeg_segments() -> bytes:
    """A JPEG with four million empty comments before its first table."""
    data = encoded("JPEG")
    return data[:2] + b"\xff\xfe\x00\x02" * (4 * MIB) + data[2:]


def chunk(name: bytes) -> bytes:
    """An empty chunk of a PNG."""
    return bytes(4) + name + struct.pack(">I", zlib.crc32(name))


def tiny_png_chunks() -> bytes:
    """A PNG with a million empty private chunks before its pixels."""
    data = encoded("PNG")
    return data[:33] + chunk(b"prVt") * MIB + data[33:]


def tiny_pixel_chunks() -> bytes:
    """A PNG with a million empty pixel chunks."""
    data = encoded("PNG")
    start = data.index(b"IDAT") - 4
    return data[:start] + chunk(b"IDAT") * MIB + data[start:]


def long_gif_comment() -> bytes:
    """A GIF with a comment of 20 MB in 80,000 blocks."""
    data = encoded("GIF")
    start = data.index(b"\x2c", 781) if data[781:782] != b"\x2c" else 781
    return data[:start] + b"\x21\xfe" + (b"\xff" + b"x" * 255) * 80_000 + b"\0" + data[start:]


def long_pnm_comment() -> bytes:
    """A PNM with a comment of 20 MB, which is read character by character."""
    return b"P6\n#" + b"x" * (20 * MIB) + b"\n2 2\n255\n" + bytes(12)


def many_tiff_strips() -> bytes:
    """A TIFF of 1 x 3,000,000 pixels with a strip per row."""
    count = 3_000_000
    fields = [(256, 3, 1, 1), (257, 4, 1, count), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (278, 3, 1, 1)]
    fields += [(273, 4, count, 200), (279, 4, count, 200)]
    entries = b"".join(struct.pack("<HHII", *field) for field in sorted(fields))
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(fields)) + entries + struct.pack("<I", 0)
    return head.ljust(200, b"\0") + struct.pack("<I", 200) * count


HOSTILE = {
    "JPEG with 5,000 scans": lambda: many_scans(5000),
    "JPEG with a tiny segment per 4 bytes": tiny_jpeg_segments,
    "PNG with a tiny chunk per 12 bytes": tiny_png_chunks,
    "PNG with tiny pixel chunks": tiny_pixel_chunks,
    "GIF with a long comment": long_gif_comment,
    "PNM with a long comment": long_pnm_comment,
    "TIFF with a strip per pixel": many_tiff_strips,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_of_tiny_parts_is_refused_quickly(name: str) -> None:
    """Within two seconds of processor time, in one line."""
    data = HOSTILE[name]()
    began = time.thread_time()
    with pytest.raises(UnreadableImageError, match=f"malicious {name.split()[0]} image"):
        read_image(data)
    assert time.thread_time() - began < 2


@pytest.mark.parametrize("name", [name for name in HOSTILE if "pixel chunks" not in name])
def test_its_header_is_refused_quickly_too(name: str) -> None:
    """`read_header` has the same limits; the chunks of the pixels are not read by it."""
    data = HOSTILE[name]()
    began = time.thread_time()
    with pytest.raises(UnreadableImageError):
        read_header(data)
    assert time.thread_time() - began < 2


def test_normal_files_are_far_from_the_limits() -> None:
    """Progressive JPEGs, PNGs of small chunks, and TIFFs of many strips are read."""
    for kind, options in (("JPEG", {"progressive": True}), ("PNG", {}), ("GIF", {}), ("TIFF", {}), ("WebP", {})):
        assert read_image(encoded(kind, (400, 300), **options)).shape == (300, 400, 3)
    assert read_image(many_scans(20)).shape == (600, 800, 3)
    assert MAX_SCANS > 50
    assert MAX_TIFF_VALUES > 100_000


def test_scans_of_thumbnails_do_not_count() -> None:
    """Bytes like those of a scan inside a metadata segment are no scans."""
    data = encoded("JPEG")
    segment = b"\xff\xe3" + struct.pack(">H", 2 + 2000) + b"\xff\xda" * 1000
    assert read_image(data[:2] + segment + data[2:]).shape == (48, 64, 3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_the_place_of_a_photo_is_refused(tmp_path: Path) -> None:
    """Without waiting for a writer."""
    path = tmp_path / "a.jpg"
    os.mkfifo(path)
    problems: list[Exception] = []

    def read() -> None:
        try:
            read_image(path)
        except UnreadableImageError as error:
            problems.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert "not a regular file" in str(problems[0])
