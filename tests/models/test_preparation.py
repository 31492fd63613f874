"""Standardisation and crop rule against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceall.errors import ModelError
from faceall.models import CropRule, Standardisation


@pytest.fixture
def crops() -> np.ndarray:
    """Noise, a gradient, a flat crop and one with a single bright number: (4, 20, 30, 3)."""
    rng = np.random.default_rng(1)
    gradient = np.broadcast_to(np.arange(30, dtype=np.uint8)[:, None] * 8, (20, 30, 3))
    flat, dot = np.full((20, 30, 3), 200, np.uint8), np.zeros((20, 30, 3), np.uint8)
    dot[0, 0, 0] = 255
    return np.stack([rng.integers(0, 256, (20, 30, 3), dtype=np.uint8), gradient, flat, dot])


def test_fixed_standardisation_is_exact(crops: np.ndarray) -> None:
    """(x - 127.5) / 128 has no rounding at all in float32."""
    result = Standardisation().apply(crops)
    assert result.dtype == np.float32
    assert (result == (crops.astype(np.float64) - 127.5) / 128).all()


def test_any_mean_and_scale_are_within_a_rounding_step(crops: np.ndarray) -> None:
    """Numbers that binary fractions cannot hold cost no more than float32 itself."""
    result = Standardisation(kind="fixed", mean=103.94, scale=0.017).apply(crops)
    np.testing.assert_allclose(result, (crops.astype(np.float64) - 103.94) * 0.017, rtol=1e-6, atol=1e-6)


def test_prewhitening_is_float64_rounded_once(crops: np.ndarray) -> None:
    """Each crop has its own mean and deviation over all its numbers; a flat crop becomes zero, not a division by it."""
    result = Standardisation(kind="prewhiten").apply(crops)
    assert result.dtype == np.float32
    for crop, numbers in zip(crops.astype(np.float64), result, strict=True):
        expected = (crop - crop.mean()) / max(crop.std(), 1 / np.sqrt(crop.size))
        np.testing.assert_allclose(numbers, expected, rtol=2e-7, atol=1e-9)
    assert not result[2].any()


def test_prewhitening_stays_exact_on_large_crops() -> None:
    """Sums over a million numbers lose nothing, as sums in float32 would."""
    crop = np.full((1, 700, 700, 3), 255, np.uint8)
    crop[0, 0, 0, 0] = 254
    expected = (254 - crop.mean()) / max(crop.std(), 1 / np.sqrt(crop.size))
    assert Standardisation(kind="prewhiten").apply(crop)[0, 0, 0, 0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["fixed", "prewhiten"])
def test_no_crops_give_no_numbers(kind: str) -> None:
    """An empty batch keeps its shape; other types and shapes are refused, and the crops stay as they were."""
    standardisation = Standardisation(kind=kind)  # type: ignore[arg-type]
    assert standardisation.apply(np.zeros((0, 160, 160, 3), np.uint8)).shape == (0, 160, 160, 3)
    for wrong in (np.zeros((160, 160, 3), np.uint8), np.zeros((1, 9, 9, 3), np.float32)):
        with pytest.raises(ValueError, match="expected uint8"):
            standardisation.apply(wrong)


def test_a_margin_is_in_proportion() -> None:
    """A quarter more in all is an eighth on each side, on each axis by its own side."""
    assert CropRule(margin=0.25).regions([[80, 40, 160, 80]]).tolist() == [[70, 35, 170, 85]]


def test_a_square_stands_on_the_mean_side() -> None:
    """A square keeps the centre, moved down in proportion to its side before the margin."""
    rule = CropRule(margin=0.15, shape="square", shift=0.1)
    assert rule.regions([[0, 0, 80, 120]]) == pytest.approx(np.array([[-17.5, 12.5, 97.5, 127.5]]))


def test_clipping_ends_at_the_picture() -> None:
    """The border 'clip' needs the picture's size; 'black' leaves the region as it is."""
    boxes = [[-5, 10, 40, 95]]
    assert CropRule(margin=0).regions(boxes).tolist() == boxes
    assert CropRule(margin=0, border="clip").regions(boxes, image_size=(30, 90)).tolist() == [[0, 10, 30, 90]]
    with pytest.raises(ValueError, match="needs the image's size"):
        CropRule(border="clip").regions(boxes)


@given(st.floats(0.01, 50), st.floats(-0.5, 2), st.sampled_from(["stretch", "square"]), st.floats(-0.5, 0.5))
def test_a_face_at_two_sizes_has_the_same_region(factor: float, margin: float, shape: str, shift: float) -> None:
    """A box scaled by any factor gives the region scaled by it: nothing is in pixels."""
    rule = CropRule(margin=margin, shape=shape, shift=shift)  # type: ignore[arg-type]
    boxes = np.array([[10.0, 20, 110, 150], [3, 4, 9, 30]])
    assert rule.regions(boxes * factor) == pytest.approx(rule.regions(boxes) * factor)


def test_no_boxes_give_no_regions() -> None:
    """An empty list of boxes is (0, 4)."""
    assert CropRule().regions(np.zeros((0, 4), np.float32)).shape == (0, 4)


def test_wrong_rules_are_refused() -> None:
    """Unknown words list the known, and numbers have to be finite."""
    with pytest.raises(ModelError, match="known are fixed, prewhiten"):
        Standardisation(kind="none")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"crop\.margin is nan, expected a number above -1"):
        CropRule(margin=float("nan"))
