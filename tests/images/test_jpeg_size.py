"""The size of a JPEG is read from its first bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from faceall.images.decoding.jpeg_size import jpeg_size


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"comment": b"c" * 60_000}, {"quality": 1}])
def test_the_size_is_that_of_the_frame(tmp_path: Path, options: dict[str, object]) -> None:
    """Baseline and progressive, and behind a long comment."""
    PillowImage.fromarray(np.zeros((30, 50, 3), np.uint8)).save(tmp_path / "a.jpg", **options)  # type: ignore[arg-type]
    assert jpeg_size(tmp_path / "a.jpg") == (50, 30)


def test_the_size_is_that_of_the_photo_and_not_of_its_thumbnail(tmp_path: Path) -> None:
    """A thumbnail lies in a segment of its own, which is passed over."""
    small, large = tmp_path / "small.jpg", tmp_path / "large.jpg"
    PillowImage.fromarray(np.zeros((8, 8, 3), np.uint8)).save(small)
    PillowImage.fromarray(np.zeros((60, 80, 3), np.uint8)).save(large)
    inner, outer = small.read_bytes(), large.read_bytes()
    large.write_bytes(outer[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2, "big") + inner + outer[2:])
    assert jpeg_size(large) == (80, 60)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xe0",
        b"\xff\xd8\xff\xe0\x00\x00" * 3,
        b"\x89PNG\r\n",
        b"\xff\xd8\xff\xda\x00\x08",
    ],
)
def test_other_and_damaged_files_have_no_size(tmp_path: Path, content: bytes) -> None:
    """Nothing is raised for what is not a JPEG, or ends too early."""
    (tmp_path / "a.jpg").write_bytes(content)
    assert jpeg_size(tmp_path / "a.jpg") is None


def test_absent_files_have_no_size(tmp_path: Path) -> None:
    """A file that vanished is reported by those who read it."""
    assert jpeg_size(tmp_path / "absent.jpg") is None
