"""JPEGs that simplejpeg decodes have the pixels that Pillow gives; what it refuses is left to Pillow."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from faceall.errors import UnreadableImageError
from faceall.images import decode_image, read_image
from faceall.images.decoding import decode
from faceall.images.decoding.turbo import IrregularError, decode_regular
from faceall.types import Image

ORIENTATION = 0x0112

pytest.importorskip("simplejpeg")


def scene(width: int = 123, height: int = 77) -> PillowImage.Image:
    """Smooth colours with some noise, so that every step of the decoding matters."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    noise = np.random.default_rng(5).normal(0, 12, (height, width, 3))
    pixels = np.stack([across, down, 255 - across], axis=2) + noise
    return PillowImage.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def jpeg(image: PillowImage.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def without_simplejpeg(content: bytes, monkeypatch: pytest.MonkeyPatch, factor: int = 1) -> Image:
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "simplejpeg", None)
        return decode_image(content, reduction=lambda width, height: factor).pixels


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": 0},
        {"subsampling": 1, "quality": 40},
        {"subsampling": 2, "quality": 95},
        {"progressive": True},
        {"optimize": True, "restart_marker_rows": 2},
    ],
    ids=str,
)
def test_pixels_are_those_of_pillow(options: dict[str, Any], factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every subsampling and reduction, also for sides that the reduction does not divide."""
    content = jpeg(scene(), **options)
    size = -(-123 // factor), -(-77 // factor)
    own = decode_regular(content, size)
    assert own is not None
    assert own.shape == (size[1], size[0], 3)
    np.testing.assert_array_equal(own, without_simplejpeg(content, monkeypatch, factor))
    np.testing.assert_array_equal(decode_image(content, reduction=lambda width, height: factor).pixels, own)


def test_pixels_are_upright_and_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The EXIF orientation is applied as to Pillow's pixels."""
    exif = PillowImage.Exif()
    exif[ORIENTATION] = 6
    content = jpeg(scene(), exif=exif)
    pixels = read_image(content)
    assert pixels.shape == (123, 77, 3)
    assert pixels.flags.writeable
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, without_simplejpeg(content, monkeypatch))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours_are_left_to_pillow(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gray and CMYK give what they gave before."""
    asked: list[bytes] = []
    monkeypatch.setattr(decode, "decode_regular", lambda content, size: asked.append(content))
    content = jpeg(scene().convert(mode))
    assert read_image(content).shape == (77, 123, 3)
    assert asked == []


def test_irregular_files_are_left_to_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes between the segments, which Pillow ignores, and a missing end, which is noted."""
    content = jpeg(scene())
    start = content.index(b"\xff\xda")
    odd = content[:start] + b"\x00\x00" + content[start:]
    with pytest.raises(IrregularError):
        decode_regular(odd, (123, 77))
    np.testing.assert_array_equal(read_image(odd), without_simplejpeg(odd, monkeypatch))
    cut = content[: len(content) * 2 // 3]
    with pytest.raises(IrregularError):
        decode_regular(cut, (123, 77))
    assert decode_image(cut).truncated
    np.testing.assert_array_equal(decode_image(cut).pixels, without_simplejpeg(cut, monkeypatch))


def test_a_progressive_file_that_lacks_data_of_its_last_scan_is_truncated() -> None:
    """Also with an end marker behind the cut: all scans are there, and nothing is gray."""
    content = jpeg(scene(), progressive=True)
    assert not decode_image(content).truncated
    last = content.rindex(b"\xff\xda")
    cut = content[: (last + len(content)) // 2] + b"\xff\xd9"
    assert decode_image(cut).truncated
    assert decode_image(cut).pixels.shape == (77, 123, 3)


def test_what_neither_can_read_is_refused() -> None:
    """A header without an image, and a size that is not the file's."""
    content = jpeg(scene())
    with pytest.raises(UnreadableImageError, match="damaged or truncated JPEG"):
        read_image(content[: content.index(b"\xff\xda")])
    assert decode_regular(content, (124, 77)) is None
    assert decode_regular(content, (60, 30)) is None
