"""Reading images: every usual kind is right, everything else is one clear line."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL import features

from faceall.errors import ImageError, ImageTooLargeError, UnreadableImageError
from faceall.images import ImageHeader, read_header, read_image
from faceall.types import Array, Image

HEIGHT, WIDTH = 40, 60
DOWN, ACROSS = np.mgrid[0:HEIGHT, 0:WIDTH]
COLOURS = np.stack([ACROSS * 4, DOWN * 6, (ACROSS + DOWN) * 2], axis=-1).astype(np.uint8)
GRAY = (ACROSS * 4).astype(np.uint8)
ALPHA = (DOWN * 6).astype(np.uint8)


def as_rgb(gray: Array) -> Image:
    return np.repeat(gray[..., None], 3, axis=2).astype(np.uint8)


def on_white(colours: Array) -> Image:
    """The oracle of transparency, in real numbers."""
    share = ALPHA[..., None] / 255
    return np.rint(colours * share + 255 * (1 - share)).astype(np.uint8)


def encode(pixels: Array | PillowImage.Image, kind: str, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, PillowImage.Image) else PillowImage.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def opencv(suffix: str, pixels: Array) -> bytes:
    """The same pixels (channels B G R [A], 8 or 16 bits) as OpenCV writes them."""
    cv2 = pytest.importorskip("cv2")
    return bytes(cv2.imencode(suffix, pixels)[1].tobytes())


def with_alpha(colours: Array) -> Array:
    return np.dstack([colours, ALPHA])


def palette() -> PillowImage.Image:
    return PillowImage.fromarray(COLOURS).quantize(64)


def adobe_cmyk() -> PillowImage.Image:
    return PillowImage.fromarray(COLOURS).convert("CMYK")


FINE = {"quality": 95, "subsampling": 0}
SIXTEEN = np.uint16(257)
BLACK_AND_WHITE = GRAY > 100

# name: (how the file is made, what must come out, greatest difference)
CORPUS: dict[str, tuple[Callable[[], bytes], Callable[[], Image], int]] = {
    "jpeg": (lambda: encode(COLOURS, "JPEG", **FINE), lambda: COLOURS, 6),
    "jpeg progressive": (lambda: encode(COLOURS, "JPEG", progressive=True, **FINE), lambda: COLOURS, 6),
    "jpeg gray": (lambda: encode(GRAY, "JPEG", quality=95), lambda: as_rgb(GRAY), 4),
    "jpeg cmyk inverted": (lambda: encode(adobe_cmyk(), "JPEG", **FINE), lambda: COLOURS, 8),
    "jpeg with a tail": (lambda: encode(COLOURS, "JPEG", **FINE) + b"tail" * 500, lambda: COLOURS, 6),
    "mpo": (
        lambda: encode(COLOURS, "MPO", save_all=True, append_images=[PillowImage.new("RGB", (60, 40))], **FINE),
        lambda: COLOURS,
        6,
    ),
    "png": (lambda: encode(COLOURS, "PNG"), lambda: COLOURS, 0),
    "png gray": (lambda: encode(GRAY, "PNG"), lambda: as_rgb(GRAY), 0),
    "png gray 16": (lambda: encode(GRAY * SIXTEEN, "PNG"), lambda: as_rgb(GRAY), 0),
    "png colours 16": (lambda: opencv(".png", COLOURS[..., ::-1] * SIXTEEN), lambda: COLOURS, 0),
    "png 1 bit": (lambda: encode(BLACK_AND_WHITE, "PNG"), lambda: as_rgb(BLACK_AND_WHITE * 255), 0),
    "png alpha": (lambda: encode(with_alpha(COLOURS), "PNG"), lambda: on_white(COLOURS), 1),
    "png alpha 16": (
        lambda: opencv(".png", with_alpha(COLOURS[..., ::-1]) * SIXTEEN),
        lambda: on_white(COLOURS),
        1,
    ),
    "png gray alpha": (lambda: encode(with_alpha(GRAY), "PNG"), lambda: on_white(as_rgb(GRAY)), 1),
    "png palette": (lambda: encode(palette(), "PNG"), lambda: np.asarray(palette().convert("RGB")), 0),
    "png palette with one clear colour": (
        lambda: encode(palette(), "PNG", transparency=3),
        lambda: np.where((np.asarray(palette()) == 3)[..., None], 255, np.asarray(palette().convert("RGB"))),
        0,
    ),
    "png one clear colour": (
        lambda: encode(COLOURS, "PNG", transparency=(0, 0, 0)),
        lambda: np.where((COLOURS == 0).all(axis=2, keepdims=True), 255, COLOURS),
        0,
    ),
    "gif": (lambda: encode(palette(), "GIF"), lambda: np.asarray(palette().convert("RGB")), 0),
    "gif animation": (
        lambda: encode(palette(), "GIF", save_all=True, append_images=[PillowImage.new("P", (60, 40))]),
        lambda: np.asarray(palette().convert("RGB")),
        0,
    ),
    "webp": (lambda: encode(COLOURS, "WEBP", lossless=True), lambda: COLOURS, 0),
    "webp alpha": (
        lambda: encode(with_alpha(COLOURS), "WEBP", lossless=True, exact=True),
        lambda: on_white(COLOURS),
        1,
    ),
    "bmp": (lambda: encode(COLOURS, "BMP"), lambda: COLOURS, 0),
    "ppm": (lambda: encode(COLOURS, "PPM"), lambda: COLOURS, 0),
    "tiff": (lambda: encode(COLOURS, "TIFF"), lambda: COLOURS, 0),
    "tiff lzw": (lambda: encode(COLOURS, "TIFF", compression="tiff_lzw"), lambda: COLOURS, 0),
    "tiff gray 16": (lambda: encode(GRAY * SIXTEEN, "TIFF"), lambda: as_rgb(GRAY), 0),
    "tiff colours 16": (lambda: opencv(".tiff", COLOURS[..., ::-1] * SIXTEEN), lambda: COLOURS, 0),
    "tiff cmyk": (lambda: encode(adobe_cmyk(), "TIFF"), lambda: COLOURS, 2),
    "tiff 1 bit": (
        lambda: encode(BLACK_AND_WHITE, "TIFF", compression="group4"),
        lambda: as_rgb(BLACK_AND_WHITE * 255),
        0,
    ),
    "tiff pages": (
        lambda: encode(COLOURS, "TIFF", save_all=True, append_images=[PillowImage.new("RGB", (9, 9))]),
        lambda: COLOURS,
        0,
    ),
}


@pytest.mark.parametrize("name", CORPUS)
def test_every_kind_of_image_gives_its_colours(name: str) -> None:
    """Whatever the file's kind, mode and depth, the pixels are those of the known image, as writable RGB uint8."""
    make, expected, tolerance = CORPUS[name]
    pixels = read_image(make())
    assert (pixels.dtype, pixels.shape) == (np.uint8, (HEIGHT, WIDTH, 3))
    assert pixels.flags.writeable
    assert pixels.flags.c_contiguous
    assert np.abs(pixels.astype(int) - expected().astype(int)).max() <= tolerance


def test_gray_tiff_that_counts_from_white_is_not_a_negative() -> None:
    """A 16-bit TIFF whose zero is white has its values the other way round."""
    options = {"tiffinfo": {262: 0}}
    data = bytearray(encode(GRAY * SIXTEEN, "TIFF", **options))
    tag = data.find(struct.pack("<HHI", 262, 3, 1))
    data[tag + 8 : tag + 10] = struct.pack("<H", 0)
    assert (read_image(bytes(data)) == as_rgb(255 - GRAY)).all()


# EXIF orientation -> how a viewer shows the stored image
UPRIGHT: dict[int, Callable[[Array], Array]] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: np.rot90(np.fliplr(stored), 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(np.fliplr(stored), -1),
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", FINE), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})],
    ids=["jpeg", "png", "webp", "tiff", "tiff-lzw"],
)
def test_images_stand_upright(kind: str, options: dict[str, Any], orientation: int) -> None:
    """Every EXIF orientation is undone, once, in every kind of file that can hold one."""
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    pixels = read_image(encode(COLOURS, kind, exif=exif, **options))
    expected = UPRIGHT[orientation](COLOURS)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= (6 if kind == "JPEG" else 0)
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_unknown_orientations_are_upright(orientation: int) -> None:
    """An orientation outside 1..8 changes nothing."""
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    assert (read_image(encode(COLOURS, "PNG", exif=exif)) == COLOURS).all()


def test_broken_exif_does_not_spoil_the_pixels(capfd: pytest.CaptureFixture[str]) -> None:
    """A JPEG with damaged EXIF is read as upright, without a remark on stderr and without a warning."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0" * 6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = read_image(encode(COLOURS, "JPEG", exif=exif, **FINE))
    assert pixels.shape == COLOURS.shape
    assert capfd.readouterr().err == ""


def test_paths_and_bytes_are_the_same(tmp_path: Path) -> None:
    """A path as text, a Path, bytes, bytearray and memoryview give the same image; the suffix plays no part."""
    data = encode(COLOURS, "PNG")
    path = tmp_path / "image.jpg"
    path.write_bytes(data)
    for source in (str(path), path, data, bytearray(data), memoryview(data)):
        assert (read_image(source) == COLOURS).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_truncated_images_are_refused(kind: str) -> None:
    """A file that ends early is an error wherever it ends, never a half-gray image."""
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (90, 110, 3), dtype=np.uint8)
    data = encode(noise, kind)
    for length in [0, 1, 3, 11, *range(16, len(data) - 8, max(1, len(data) // 40))]:
        with pytest.raises(UnreadableImageError) as caught:
            read_image(data[:length])
        assert "\n" not in str(caught.value)
        assert "unpack" not in str(caught.value)  # the words of Python's struct


def test_a_truncated_jpeg_says_so_and_nothing_else_does(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The error names the file and the damage; libjpeg writes nothing to stderr."""
    path = tmp_path / "half.jpg"
    data = encode(COLOURS, "JPEG")
    path.write_bytes(data[: len(data) - 100])
    with pytest.raises(UnreadableImageError, match=r"half\.jpg: damaged or truncated JPEG image"):
        read_image(path)
    assert capfd.readouterr().err == ""


def test_non_images_are_reported_in_one_line(tmp_path: Path) -> None:
    """Text, an empty file, a folder, nothing at all, HEIC: each has its own words, after the path."""
    (tmp_path / "text.jpg").write_text("this is a letter, not an image")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 50)
    for name, words in {
        "text.jpg": "is not an image of a known format",
        "empty.jpg": "is empty",
        "folder.jpg": "is a folder",
        "missing.jpg": "no such file",
        "phone.heic": "damaged or truncated HEIC" if find_spec("pillow_heif") else "HEIC images need an extra",
    }.items():
        with pytest.raises(UnreadableImageError) as caught:
            read_image(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: {words}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_refused_at_once(tmp_path: Path) -> None:
    """Reading a named pipe would wait for a writer for ever."""
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    with pytest.raises(UnreadableImageError, match="is not a regular file"):
        read_image(pipe)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    """The system's own words stand in the error."""
    path = tmp_path / "secret.jpg"
    path.write_bytes(encode(COLOURS, "JPEG"))
    path.chmod(0)
    with pytest.raises(UnreadableImageError, match="cannot be opened"):
        read_image(path)


def test_odd_paths_stay_on_one_line(tmp_path: Path) -> None:
    """A line break or a null character in a path does not break the error's line."""
    for path in (tmp_path / "two\nlines.jpg", "null\0.jpg"):
        with pytest.raises(UnreadableImageError) as caught:
            read_image(path)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("pixels", [np.ones((8, 8), np.float32), np.full((8, 8), 1 << 20, np.int32)])
def test_pixels_without_a_known_white_are_refused(pixels: Array) -> None:
    """Floating-point and 32-bit pixels say nothing of what is white, so they are not guessed at."""
    with pytest.raises(UnreadableImageError, match="save it with 8 or 16 bits"):
        read_image(encode(pixels, "TIFF"))


def png_claiming(width: int, height: int) -> bytes:
    """A small PNG whose header claims a size."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_bombs_are_refused_by_their_header() -> None:
    """A header that claims 100,000 x 100,000 pixels is refused with the numbers and a way out, before any decoding."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageTooLargeError) as caught:
            read_image(png_claiming(100_000, 100_000))
    text = str(caught.value)
    assert "100000 x 100000 = 10,000,000,000 pixels, the limit is 200,000,000" in text
    assert "max_pixels" in text


def test_a_header_tells_kind_and_size_without_decoding() -> None:
    """A PNG whose pixels are missing has a header all the same; the cap and damage are told as by reading."""
    file = io.BytesIO()
    PillowImage.new("RGB", (30, 20)).save(file, "PNG")
    data = file.getvalue()
    assert read_header(data) == read_header(data[:45]) == ImageHeader("PNG", 30, 20)
    with pytest.raises(UnreadableImageError):
        read_image(data[:45])
    with pytest.raises(ImageTooLargeError, match="the limit is 599"):
        read_header(data, max_pixels=599)
    for broken in (b"", b"<svg/>", data[:20]):
        with pytest.raises(UnreadableImageError, match="image in memory: "):
            read_header(broken)


def test_the_cap_is_exact() -> None:
    """As many pixels as the cap pass, one fewer allowed refuses."""
    data = encode(COLOURS, "PNG")
    assert read_image(data, max_pixels=WIDTH * HEIGHT).shape == COLOURS.shape
    with pytest.raises(ImageTooLargeError):
        read_image(data, max_pixels=WIDTH * HEIGHT - 1)


def test_the_default_cap_lets_108_million_pixels_through() -> None:
    """12,000 x 9,000 is below the cap: the claim is believed, and only the missing data are complained about."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnreadableImageError, match="truncated"):
            read_image(png_claiming(12_000, 9_000))


def test_the_limit_of_pillow_is_neither_obeyed_nor_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's own limit is for the whole process; reading images leaves it alone."""
    monkeypatch.setattr(PillowImage, "MAX_IMAGE_PIXELS", 10)
    assert (read_image(encode(COLOURS, "PNG")) == COLOURS).all()
    assert PillowImage.MAX_IMAGE_PIXELS == 10


def test_tall_images_are_copied_strip_by_strip() -> None:
    """An image larger than one strip of copying comes out whole."""
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (3001, 700, 3), dtype=np.uint8)
    assert (read_image(encode(pixels, "BMP")) == pixels).all()


def test_threads_read_at_once() -> None:
    """Eight threads that read different kinds at once get what one thread gets."""
    files = [make() for make, _, _ in CORPUS.values()]
    alone = [read_image(data) for data in files]
    barrier = threading.Barrier(8)

    def work(_: int) -> list[Image]:
        barrier.wait()
        return [read_image(data) for data in files]

    with ThreadPoolExecutor(8) as pool:
        for together in pool.map(work, range(8)):
            assert all((one == two).all() for one, two in zip(alone, together, strict=True))


SEEDS = [make() for make, _, _ in CORPUS.values()]
if features.check("avif"):
    SEEDS.append(encode(COLOURS, "AVIF"))
if features.check("jpg_2000"):
    SEEDS.append(encode(COLOURS, "JPEG2000"))


def read_or_refuse(data: bytes) -> None:
    """Either an image or an ImageError of one line; any other exception or a warning fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused = ""
        try:
            pixels = read_image(data, max_pixels=1_000_000)
        except ImageError as error:
            refused = str(error)
    if refused:
        assert refused.isprintable()
    else:
        assert (pixels.ndim, pixels.shape[2], pixels.dtype) == (3, 3, np.uint8)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_bytes_never_raise_anything_else(data: st.DataObject) -> None:
    """Bytes changed and cut at random in every kind of file are read or refused, nothing else."""
    damaged = bytearray(data.draw(st.sampled_from(SEEDS)))
    reach = data.draw(st.sampled_from([64, 400, len(damaged)]))
    changes = data.draw(st.lists(st.tuples(st.integers(0, min(reach, len(damaged)) - 1), st.integers(0, 255))))
    for place, value in changes:
        damaged[place] = value
    end = data.draw(st.one_of(st.just(len(damaged)), st.integers(0, len(damaged))))
    read_or_refuse(bytes(damaged[:end]))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([b"", *{seed[:12] for seed in SEEDS}]), st.binary(max_size=300))
def test_random_bytes_never_raise_anything_else(start: bytes, rest: bytes) -> None:
    """Random bytes, also after a true beginning, are refused in one line."""
    read_or_refuse(start + rest)


def test_importing_images_loads_nothing_heavy() -> None:
    """OpenCV is loaded when it is first needed."""
    code = "import sys, faceall.images; sys.exit(bool({'cv2', 'tensorflow', 'openvino'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
