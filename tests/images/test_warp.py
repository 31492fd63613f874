"""Warping images by affine maps."""

from __future__ import annotations

import math

import numpy as np
import pytest

from faceall.images import warp
from faceall.types import Image

IDENTITY = [[1, 0, 0], [0, 1, 0]]


@pytest.fixture
def image() -> Image:
    """A smooth image of 60 x 48 pixels."""
    y, x = np.mgrid[:48, :60]
    waves = [127 + 100 * np.sin(x / 9 + shift) * np.cos(y / 7 - shift) for shift in (0, 1, 2)]
    return np.stack(waves, axis=2).astype(np.uint8)


def test_the_identity_copies(image: Image) -> None:
    """The identity returns the image; a shift by whole pixels moves it and leaves black."""
    np.testing.assert_array_equal(warp(image, IDENTITY, size=(60, 48)), image)
    moved = warp(image, [[1, 0, 5], [0, 1, -3]], size=(60, 48))
    np.testing.assert_array_equal(moved[:45, 5:], image[3:, :55])
    assert not moved[:, :5].any()
    assert not moved[45:].any()


def test_replicate_repeats_the_edge(image: Image) -> None:
    """Outside the image its nearest pixel is shown."""
    moved = warp(image, [[1, 0, 5], [0, 1, 0]], size=(60, 48), border="replicate")
    np.testing.assert_array_equal(moved[:, :5], np.repeat(image[:, :1], 5, axis=1))
    far = warp(image, [[1, 0, -500], [0, 1, 0]], size=(4, 4), border="replicate")
    assert (far == far[0, 0]).all()
    assert not warp(image, [[1, 0, -500], [0, 1, 0]], size=(4, 4)).any()


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_a_whole_reduction_averages_blocks(image: Image, factor: int) -> None:
    """Reduced by k, each pixel is the mean of k x k pixels."""
    small = warp(image, [[1 / factor, 0, 0], [0, 1 / factor, 0]], size=(60 // factor, 48 // factor))
    rows, columns = 48 // factor, 60 // factor
    blocks = image[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor, 3)
    assert np.abs(small - blocks.mean(axis=(1, 3))).max() <= 1


@pytest.mark.parametrize("degrees", [0, 30, 90])
def test_a_strong_reduction_does_not_alias(degrees: float) -> None:
    """A fine checkerboard becomes grey, at any angle."""
    y, x = np.mgrid[:400, :400]
    board = np.repeat((((x + y) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / 6.4
    shift = 20 - turn @ [200, 200]
    grey = warp(board, np.hstack([turn, shift[:, None]]), size=(40, 40))
    assert np.abs(grey[5:-5, 5:-5].astype(int) - 128).max() <= 12


def test_points_land_where_the_map_says(image: Image) -> None:
    """The brightest spot is found at its mapped place."""
    dark = np.zeros((300, 300, 3), np.uint8)
    dark[118:123, 58:63] = 255  # centre at 60.5, 120.5
    angle = math.radians(25)
    matrix = np.array([[math.cos(angle), -math.sin(angle), 40], [math.sin(angle), math.cos(angle), -30]]) * 0.8
    result = warp(dark, matrix, size=(200, 200))[..., 0].astype(float)
    y, x = np.mgrid[:200, :200] + 0.5
    centre = np.array([(x * result).sum(), (y * result).sum()]) / result.sum()
    np.testing.assert_allclose(centre, matrix @ [60.5, 120.5, 1], atol=0.1)


def test_wrong_arguments_are_refused(image: Image) -> None:
    """Maps that are not finite or flatten the image, and images of another shape."""
    for matrix in ([[0, 0, 0], [0, 0, 0]], [[math.nan, 0, 0], [0, 1, 0]], [[1, 0], [0, 1]]):
        with pytest.raises(ValueError, match="matrix"):
            warp(image, matrix, size=(8, 8))
    with pytest.raises(ValueError, match="expected uint8"):
        warp(image[..., 0], IDENTITY, size=(8, 8))
    with pytest.raises(ValueError, match="border is 'white', expected one of black, replicate"):
        warp(image, IDENTITY, size=(8, 8), border="white")  # type: ignore[arg-type]
