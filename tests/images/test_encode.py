"""Writing images: whole or not at all, and readable again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from faceall.errors import ImageError
from faceall.images import encode_jpeg, read_image, write_image
from faceall.types import Image


@pytest.fixture
def image() -> Image:
    """A soft gradient, (50, 70, 3)."""
    y, x = np.mgrid[0:50, 0:70]
    return np.stack([x * 3, y * 5, x + y], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    ("suffix", "tolerance"), [(".jpg", 20), (".JPEG", 20), (".png", 0), (".webp", 30), (".bmp", 0), (".tif", 0)]
)
def test_written_images_are_read_again(tmp_path: Path, image: Image, suffix: str, tolerance: int) -> None:
    """Every format that can be written gives the image back, exactly where the format is exact."""
    write_image(tmp_path / f"a{suffix}", image)
    again = read_image(tmp_path / f"a{suffix}")
    assert again.shape == image.shape
    assert np.abs(again.astype(int) - image).max() <= tolerance
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_unknown_suffixes_list_the_known(tmp_path: Path, image: Image) -> None:
    """The error says which suffixes can be written, and no file appears."""
    with pytest.raises(ImageError, match=r"a\.xyz: cannot write '\.xyz'; supported are \.jpg"):
        write_image(tmp_path / "a.xyz", image)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_one_clear_line(tmp_path: Path, image: Image) -> None:
    """The system's reason stands in the error."""
    with pytest.raises(ImageError, match=r"a\.png: cannot be written \(No such file or directory\)"):
        write_image(tmp_path / "nowhere" / "a.png", image)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full the file of that name stays as it was, and no draft is left."""
    (tmp_path / "a.png").write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ImageError, match="No space left"):
        write_image(tmp_path / "a.png", image)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.png", b"old")]


def test_jpeg_quality_is_obeyed(image: Image) -> None:
    """More quality is more bytes and less error; a quality that there is not is refused."""
    noise = np.random.default_rng(2).integers(0, 256, image.shape, dtype=np.uint8)
    coarse, fine = encode_jpeg(noise, 20), encode_jpeg(noise, 95)
    assert len(coarse) < len(fine)
    errors = [np.abs(read_image(data).astype(int) - noise).mean() for data in (coarse, fine)]
    assert errors[1] < errors[0]
    with pytest.raises(ValueError, match=r"1\.\.95"):
        encode_jpeg(noise, 0)


def test_only_images_are_written(tmp_path: Path) -> None:
    """Other types and shapes are refused with what was expected; a size that JPEG lacks is an ImageError."""
    for wrong in (np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8)):
        with pytest.raises(ValueError, match="expected uint8"):
            write_image(tmp_path / "a.png", wrong)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="70000 x 1"):
        encode_jpeg(np.zeros((1, 70_000, 3), np.uint8))
