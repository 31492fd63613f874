"""Formats of phones and cameras: found by content, upright once, and read as far as they go."""

from __future__ import annotations

import importlib
import io
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image as PillowImage

from faceall.errors import ImageMemoryError, UnreadableImageError
from faceall.images import decode_image, find_images, read_header, read_image, reader_version
from faceall.images.decoding.formats import identify
from faceall.images.decoding.progressive import lacks_scans
from faceall.types import Image


def scene(width: int = 96, height: int = 64) -> Image:
    """Red on the left, blue on the right, green at the bottom."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (220, 20, 20)
    pixels[:, width // 2 :] = (20, 20, 220)
    pixels[height * 3 // 4 :] = (20, 200, 20)
    return pixels


def saved(kind: str, pixels: Image, **options: object) -> bytes:
    """The pixels as a file."""
    file = io.BytesIO()
    PillowImage.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def near(first: Image, second: Image) -> bool:
    """Whether two images differ by compression only."""
    return first.shape == second.shape and float(np.abs(first.astype(int) - second).mean()) < 12


@pytest.fixture
def heif() -> None:
    """Lets Pillow write HEIC."""
    pytest.importorskip("pillow_heif").register_heif_opener()


@pytest.mark.usefixtures("heif")
@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"msf1", b"miaf"])
def test_heic_of_every_brand_is_read(brand: bytes) -> None:
    """The compatible brands decide where the major one says only that it is a container."""
    content = saved("HEIF", scene(), quality=90)
    content = content[:8] + brand + content[12:]
    assert read_header(content).kind == "HEIC"
    assert near(read_image(content), scene())


@pytest.mark.usefixtures("heif")
def test_heic_is_turned_once() -> None:
    """The orientation of an iPhone's photo is applied once."""
    exif = PillowImage.Exif()
    exif[0x0112] = 6  # the stored top is the right side
    pixels = read_image(saved("HEIF", scene(), quality=90, exif=exif.tobytes()))
    assert near(pixels, np.ascontiguousarray(np.rot90(scene(), -1)))


def test_avif_by_a_compatible_brand() -> None:
    """A file that says `mif1` first and `avif` later is AVIF."""
    content = saved("AVIF", scene(), quality=90)
    content = content[:8] + b"mif1" + content[12:]
    assert read_header(content).kind == "AVIF"
    assert near(read_image(content), scene())


@pytest.mark.parametrize(
    ("head", "extra"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", "heic"),
        (b"\xff\x0a" + bytes(60), "jxl"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(60), "raw"),
    ],
)
def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, head: bytes, extra: str) -> None:
    """The line says which extra reads the file."""
    found = importlib.import_module

    def without(name: str) -> object:
        if name.startswith(("pillow_heif", "pillow_jxl")):
            raise ImportError(name)
        return found(name)

    monkeypatch.setattr("faceall.images.decoding.opening.importlib.import_module", without)
    monkeypatch.setitem(__import__("sys").modules, "rawpy", None)
    with pytest.raises(UnreadableImageError, match=rf'pip install "faceall\[{extra}\]"'):
        read_image(head)


def dng(pixels: int = 64) -> bytes:
    """A camera's RAW file: a small thumbnail first, then the values of a colour filter array; all of it green."""
    values = np.zeros((pixels, pixels), "<u2")
    values[0::2, 1::2] = values[1::2, 0::2] = 40_000  # the green ones of RGGB
    data, thumbnail = values.tobytes(), bytes(8 * 8 * 3)
    strips: list[tuple[int, int]] = []

    def ifd(entries: list[tuple[int, int, list[int]]], at: int) -> bytes:
        body, extra, end = b"", b"", at + 2 + 12 * len(entries) + 4
        sizes = {1: "B", 2: "B", 3: "H", 4: "I", 10: "i", 5: "I"}
        for tag, kind, numbers in sorted(entries):
            packed = struct.pack(f"<{len(numbers)}{sizes[kind]}", *numbers)
            count = len(numbers) // (2 if kind in (5, 10) else 1)
            if len(packed) > 4:
                value = struct.pack("<I", end + len(extra))
                extra += packed + bytes(len(packed) % 2)
            else:
                value = packed.ljust(4, b"\0")
            body += struct.pack("<HHI", tag, kind, count) + value
        return struct.pack("<H", len(entries)) + body + struct.pack("<I", 0) + extra

    def first(sub: int) -> list[tuple[int, int, list[int]]]:
        matrix = [1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1]
        return [
            (254, 4, [1]), (256, 4, [8]), (257, 4, [8]), (258, 3, [8, 8, 8]), (259, 3, [1]), (262, 3, [2]),
            (271, 2, list(b"Test\0")), (272, 2, list(b"Camera\0")), (273, 4, [strips[0][0] if strips else 0]),
            (274, 3, [1]), (277, 3, [3]), (278, 4, [8]), (279, 4, [len(thumbnail)]), (330, 4, [sub]),
            (50706, 1, [1, 4, 0, 0]), (50708, 2, list(b"Test Camera\0")), (50721, 10, matrix), (50778, 3, [21]),
            (50728, 5, [1, 1, 1, 1, 1, 1]),
        ]  # fmt: skip

    def second() -> list[tuple[int, int, list[int]]]:
        return [
            (254, 4, [0]), (256, 4, [pixels]), (257, 4, [pixels]), (258, 3, [16]), (259, 3, [1]), (262, 3, [32803]),
            (273, 4, [strips[1][0] if strips else 0]), (277, 3, [1]), (278, 4, [pixels]), (279, 4, [len(data)]),
            (33421, 3, [2, 2]), (33422, 1, [0, 1, 1, 2]), (50714, 3, [0]), (50717, 4, [65535]),
        ]  # fmt: skip

    size_first = len(ifd(first(0), 8))
    size_second = len(ifd(second(), 8 + size_first))
    start = 8 + size_first + size_second
    strips += [(start, len(thumbnail)), (start + len(thumbnail), len(data))]
    head = b"II*\0" + struct.pack("<I", 8)
    return head + ifd(first(8 + size_first), 8) + ifd(second(), 8 + size_first) + thumbnail + data


def test_raw_file_whose_first_page_is_a_thumbnail() -> None:
    """A DNG is read from its sensor's data, not from the eight pixels of its thumbnail."""
    pytest.importorskip("rawpy")
    content = dng()
    assert read_header(content).kind == "RAW"
    pixels = read_image(content)
    assert min(pixels.shape[:2]) >= 60
    red, green, blue = pixels.reshape(-1, 3).mean(axis=0)
    assert green > red + 50
    assert green > blue + 50


def test_largest_page_of_a_tiff_is_read() -> None:
    """A scan whose first page is a thumbnail gives the scan."""
    small, file = PillowImage.fromarray(scene(12, 8)), io.BytesIO()
    small.save(file, "TIFF", save_all=True, append_images=[PillowImage.fromarray(scene())])
    assert np.array_equal(read_image(file.getvalue()), scene())


def test_jpeg_without_its_end_is_used_as_far_as_it_goes() -> None:
    """The top is as it was, and the result says so; `read_image` refuses it, and so is one without any pixels."""
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    content = saved("JPEG", pixels, quality=90)
    whole, cut = decode_image(content), decode_image(content[: len(content) // 2])
    assert (whole.truncated, cut.truncated) == (False, True)
    assert np.array_equal(whole.pixels[:120], cut.pixels[:120])
    assert cut.pixels.shape == whole.pixels.shape
    with pytest.raises(UnreadableImageError, match="truncated"):
        read_image(content[: len(content) // 2])
    with pytest.raises(UnreadableImageError):
        decode_image(content[:20])


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"subsampling": 0}])
def test_jpeg_that_ends_early_behind_an_end_marker_is_noticed(options: dict[str, int], orientation: int) -> None:
    """A cut transfer that was closed with an end marker decodes without an error; the result says what is missing."""
    pixels = np.kron(np.random.default_rng(1).integers(0, 255, (40, 60, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    exif = PillowImage.Exif()
    exif[0x112] = orientation
    content = saved("JPEG", pixels, quality=90, exif=exif, **options)
    cut = decode_image(content[: len(content) // 2] + b"\xff\xd9")
    assert (decode_image(content).truncated, cut.truncated) == (False, True)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"subsampling": 0}])
def test_progressive_jpeg_without_its_last_scans_is_noticed(options: dict[str, int], mode: str) -> None:
    """Closed with an end marker it decodes to a blurred image without an error; JPEGs in the metadata do not count."""
    thumbnail = saved("JPEG", scene(64, 48), progressive=True)
    exif = b"Exif\0\0" + thumbnail[: len(thumbnail) // 2] + b"\xff\xd9"
    file = io.BytesIO()
    image = PillowImage.fromarray(scene(320, 240)).convert(mode)
    image.save(file, "JPEG", quality=90, progressive=True, comment=exif, **options)
    content = file.getvalue()
    scans = [place for place in range(len(content)) if content[place : place + 2] == b"\xff\xda"]
    last = scans[-1]  # it sends the last bit of some coefficients
    assert not decode_image(content).truncated
    for end in (last, (last + scans[-2]) // 2):
        assert decode_image(content[:end] + b"\xff\xd9").truncated


@given(content=st.binary(max_size=200))
@example(content=b"\xff\xc2\x00\x08\x08\x00\x10\x00\x10\x00")
@example(content=b"\xff\xc2\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00\xff\xda\x00\x02")
@example(content=b"\xff\xc2\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\xff\x00")
def test_headers_of_scans_may_be_anything(content: bytes) -> None:
    """Damaged headers raise nothing: the decoder refuses what it cannot read."""
    assert lacks_scans(io.BytesIO(b"\xff\xd8" + content)) in (True, False)


def test_gray_corner_of_a_complete_jpeg_is_not_missing() -> None:
    """The gray of missing data can be the image's own."""
    pixels = scene(320, 240).copy()
    pixels[100:] = 128
    content = saved("JPEG", pixels, quality=95)
    assert (read_image(content)[-2:, -2:] == 128).all()
    assert not decode_image(content).truncated


def test_memory_shortage_has_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says nothing about the file, which can be tried again."""
    monkeypatch.setattr("faceall.images.decoding.decode.to_rgb", lambda image: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(ImageMemoryError, match="not enough memory"):
        read_image(saved("PNG", scene()))


@pytest.mark.parametrize(
    "head", [b"", b"ftyp", b"\0\0\0\x18ftyp", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", b"hello world"]
)
def test_what_is_not_an_image_has_no_format(head: bytes) -> None:
    """Videos in the same container, and texts."""
    assert identify(head) is None


def test_reader_version_names_what_decodes() -> None:
    """It changes with faceall, Pillow and each extra."""
    assert any(part.startswith("pillow-") for part in reader_version().split())


def test_junk_of_real_libraries_is_skipped_by_kind(tmp_path: Path) -> None:
    """NAS thumbnails, trash, catalogues, AppleDouble, videos; originals and odd suffixes are found."""
    image = saved("JPEG", scene())
    photos = [
        "a.jpg",
        "b.JFIF",
        "c.jpg_large",
        "d.insp",
        "no suffix",
        "odd.suffix",
        "x.photoslibrary/originals/1/e.jpg",
    ]
    junk = {
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg": "thumbnail cache",
        "#recycle/a.jpg": "trash",
        "$RECYCLE.BIN/a.jpg": "trash",
        "@Recycle/a.jpg": "trash",
        ".Trash-1000/files/a.jpg": "trash",
        "x.photoslibrary/resources/derivatives/a.jpg": "library internals",
        "c.lrdata/a.jpg": "thumbnail cache",
        "._a.jpg": "AppleDouble",
        ".hidden/a.jpg": "hidden",
        "v.mp4": "video",
        "a.jpg.xmp": "metadata",
        "notes.pdf": "document",
        "README": "other",
    }
    for name in (*photos, *junk):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"just text" if name == "README" else image)
    skipped: list[tuple[Path, str]] = []
    found = find_images(tmp_path, on_skip=lambda path, kind: skipped.append((path, kind)))
    assert {str(path.relative_to(tmp_path)) for path in found} == set(photos)
    assert Counter(kind for _, kind in skipped) == Counter(junk.values())
