"""Images as programs hold them become the same pixels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from faceall.errors import ArgumentError
from faceall.images import as_image
from faceall.types import Image


@pytest.fixture
def image() -> Image:
    """Three different channels, more columns than rows."""
    return np.random.default_rng(0).integers(0, 256, (20, 31, 3), np.uint8)


class Tensor:
    """What a tensor of another library offers: `detach`, `cpu` and `__array__`."""

    def __init__(self, array: Any) -> None:
        self._array = np.asarray(array)

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self._array


def test_array_is_returned_without_a_copy(image: Image) -> None:
    """uint8 RGB is what faceall uses itself."""
    assert as_image(image) is image


def test_files_bytes_and_open_files_are_decoded(image: Image, tmp_path: Path) -> None:
    """A path, a string, bytes and an open file give the same pixels."""
    path = tmp_path / "a.png"
    PillowImage.fromarray(image).save(path)
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(as_image(source), image)


def test_pillow_image_is_upright(image: Image) -> None:
    """The EXIF orientation 6 is a rotation by 90 degrees clockwise; palettes and alpha become RGB."""
    turned = PillowImage.fromarray(image)
    turned.getexif()[0x0112] = 6
    np.testing.assert_array_equal(as_image(turned), np.rot90(image, -1))
    clear = PillowImage.fromarray(np.dstack([image, np.zeros((20, 31), np.uint8)]))
    assert (as_image(clear) == 255).all()
    assert as_image(PillowImage.fromarray(image).convert("P")).shape == image.shape


def test_arrays_of_other_kinds_become_rgb(image: Image) -> None:
    """Gray, one channel, RGBA, floats, booleans and BGR."""
    gray = image[:, :, 0]
    for source in (gray, gray[:, :, None]):
        np.testing.assert_array_equal(as_image(source), np.dstack([gray] * 3))
    np.testing.assert_array_equal(as_image(np.dstack([image, np.full((20, 31), 255, np.uint8)])), image)
    assert (as_image(np.dstack([image, np.zeros((20, 31), np.uint8)])) == 255).all()
    for dtype in (np.float16, np.float32, np.float64):
        np.testing.assert_allclose(as_image((image / 255).astype(dtype)), image, atol=0 if dtype != np.float16 else 1)
    np.testing.assert_array_equal(as_image(image[:, :, ::-1], channels="bgr"), image)
    assert set(np.unique(as_image(gray > 99))) == {0, 255}


def test_tensors_may_have_their_channels_first(image: Image) -> None:
    """(C, H, W) and (H, W, C), uint8 and float."""
    for array in (image, image.transpose(2, 0, 1), image.transpose(2, 0, 1).astype(np.float32) / 255):
        np.testing.assert_array_equal(as_image(Tensor(array)), image)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("https://example.org/a.jpg", "is a URL"),
        (None, "an image is a NoneType, expected a path"),
        (3, "an image is a int, expected a path"),
        ([[0]], "an image is a list"),
        (io.StringIO("text"), "open it in binary mode"),
        (np.zeros((3, 20, 31), np.uint8), r"pass image\.transpose\(1, 2, 0\)"),
        (np.zeros((2, 20, 31, 3), np.uint8), "one by one"),
        (np.zeros((20, 31, 2), np.uint8), r"has the shape \(20, 31, 2\)"),
        (np.zeros((0, 31, 3), np.uint8), r"has the shape \(0, 31, 3\)"),
        (np.zeros(5, np.uint8), r"has the shape \(5,\)"),
        (np.full((4, 4, 3), 200.0), "floats from 200 to 200, expected 0 to 1"),
        (np.full((4, 4, 3), np.nan), "floats from nan to nan"),
        (np.zeros((4, 4, 3), np.int64), "an image is int64"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(source: Any, text: str) -> None:
    """The message has what was given and what was expected."""
    with pytest.raises(ArgumentError, match=text) as caught:
        as_image(source)
    assert "\n" not in str(caught.value)


def test_channels_are_checked(image: Image) -> None:
    """Only "rgb" and "bgr" exist."""
    with pytest.raises(ArgumentError, match="channels is 'hsv', expected one of rgb, bgr"):
        as_image(image, channels="hsv")  # type: ignore[arg-type]
