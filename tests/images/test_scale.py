"""Cutting and scaling against slow arithmetic."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceall.images import crop, resize
from faceall.types import Array, Image


@pytest.fixture(scope="module")
def waves() -> Image:
    """A smooth image, (90, 130, 3), so that a shift of a tenth of a pixel is seen."""
    y, x = np.mgrid[0:90, 0:130] + 0.5
    planes = [np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)]
    return np.rint(127.5 + 120 * np.stack(planes, axis=-1)).astype(np.uint8)


def area_weights(start: float, stop: float, source: int, target: int) -> Array:
    """(target, source): which share of each source pixel lies in each of `target` equal stretches of start..stop."""
    edges = np.linspace(start, stop, target + 1)
    pixels = np.arange(source)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(overlap, 0, None) / (edges[1] - edges[0])


def area_crop(image: Image, box: Array, width: int, height: int) -> Array:
    """The exact mean of the image (black outside) over each pixel of the result, as float64."""
    across = area_weights(box[0], box[2], image.shape[1], width)
    down = area_weights(box[1], box[3], image.shape[0], height)
    return np.einsum("ts,sxc,ux->tuc", down, image.astype(float), across, optimize=True)


def linear_crop(image: Image, box: Array, width: int, height: int) -> Array:
    """Bilinear samples at the centres of the result's pixels, black outside, as float64."""
    padded = np.pad(image.astype(float), ((1, 1), (1, 1), (0, 0)))
    xs = box[0] + (np.arange(width) + 0.5) * (box[2] - box[0]) / width + 0.5
    ys = box[1] + (np.arange(height) + 0.5) * (box[3] - box[1]) / height + 0.5

    def weights(places: Array, count: int) -> Array:
        return np.clip(1 - np.abs(places[:, None] - np.arange(count)), 0, None)

    return np.einsum(
        "ts,sxc,ux->tuc", weights(ys, padded.shape[0]), padded, weights(xs, padded.shape[1]), optimize=True
    )


def test_shrinking_averages_areas(waves: Image) -> None:
    """Shrinking by whole and by broken factors is the mean over areas."""
    for width, height in [(65, 45), (50, 31), (1, 1), (129, 90)]:
        expected = area_crop(waves, np.array([0, 0, 130, 90]), width, height)
        assert np.abs(resize(waves, (width, height)) - expected).max() <= 1


def test_growing_is_bilinear(waves: Image) -> None:
    """Growing samples bilinearly at the pixels' centres; inside the border the oracle is exact."""
    expected = linear_crop(waves, np.array([0, 0, 130, 90]), 260, 200)
    assert np.abs(resize(waves, (260, 200)) - expected)[4:-4, 4:-4].max() <= 1


def test_each_axis_goes_its_own_way(waves: Image) -> None:
    """An image that shrinks across and grows down is averaged across and interpolated down."""
    across = resize(waves, (26, 90))
    assert (resize(waves, (26, 180)) == resize(across, (26, 180))).all()
    assert resize(waves, (26, 180)).shape == (180, 26, 3)


def test_the_same_size_is_the_same_image(waves: Image) -> None:
    """Nothing is computed where nothing changes, and gray images are welcome."""
    assert resize(waves, (130, 90)) is waves
    assert resize(waves[..., 0], (65, 45)).shape == (45, 65)


def test_whole_boxes_are_slices(waves: Image) -> None:
    """A box on whole pixels without a size, or with its own size, is a copy of these pixels."""
    for size in (None, (40, 30)):
        part = crop(waves, (20, 10, 60, 40), size=size)
        assert (part == waves[10:40, 20:60]).all()
        assert not np.shares_memory(part, waves)


def test_what_leaves_the_image_is_black(waves: Image) -> None:
    """Without scaling, a box over a corner is the image with a black border."""
    part = crop(waves, (-5, -7, 140, 100))
    assert part.shape == (107, 145, 3)
    assert (part[7:97, 5:135] == waves).all()
    part[7:97, 5:135] = 0
    assert not part.any()


@pytest.mark.parametrize("size", [(8, 8), (300, 300), None])
def test_boxes_outside_are_all_black(waves: Image, size: tuple[int, int] | None) -> None:
    """A box that does not touch the image gives black, shrinking and growing."""
    for box in [(200, 10, 230, 40), (-50, -50, -10, -10), (10, 500, 30, 520)]:
        assert not crop(waves, box, size=size).any()


boxes = st.tuples(st.floats(-60, 120), st.floats(-60, 80), st.floats(4, 150), st.floats(4, 150))


@settings(max_examples=60, deadline=None)
@given(boxes)
def test_growing_boxes_are_exact_to_a_fraction_of_a_pixel(waves: Image, box: tuple[float, float, float, float]) -> None:
    """A box with fractions, over the border or not, is sampled where it lies."""
    x, y, width, height = box
    edges = np.array([x, y, x + width, y + height])
    expected = linear_crop(waves, edges, 160, 152)
    part = crop(waves, edges, size=(160, 152))
    # interpolation is in steps of 1/32 pixel, across which the black border is the steepest thing there is
    assert np.abs(part - expected).max() <= 255 / 32 + 2
    assert np.abs(part - expected).mean() <= 1.0


@settings(max_examples=60, deadline=None)
@given(boxes)
def test_shrinking_boxes_err_by_at_most_half_a_pixel_of_the_image(
    waves: Image, box: tuple[float, float, float, float]
) -> None:
    """A shrunk box is the mean over areas of a box whose edges moved by half a pixel of the image.

    Along an axis on which it leaves the image, by half a pixel of the result more, as `crop` says.
    """
    x, y, width, height = box[0], box[1], box[2] + 40, box[3] + 40
    edges = np.array([x, y, x + width, y + height])
    part = crop(waves, edges, size=(24, 20)).astype(float)
    rows, columns = waves.shape[:2]
    across = moves(width / 48 if min(x, columns - x - width) < 0.5 else 0)
    down = moves(height / 40 if min(y, rows - y - height) < 0.5 else 0)
    near = [area_crop(waves, edges + np.array([dx, dy, dx, dy]), 24, 20) for dx in across for dy in down]
    assert (part >= np.min(near, axis=0) - 10).all()
    assert (part <= np.max(near, axis=0) + 10).all()
    assert np.abs(part - area_crop(waves, np.rint(edges), 24, 20)).mean() < 8  # the edges are rounded


def moves(more: float) -> list[float]:
    """Distances, in pixels of the image, that a box may have moved along an axis: one, and `more`."""
    return (
        [-1 - more, -1 - more / 2, -1, -1 / 2, 0, 1 / 2, 1, 1 + more / 2, 1 + more]
        if more
        else [-1, -1 / 2, 0, 1 / 2, 1]
    )


def test_a_shrunk_box_inside_is_an_area_mean(waves: Image) -> None:
    """Inside the image a shrunk box is exact for its rounded edges."""
    expected = area_crop(waves, np.array([10.0, 12.0, 110.0, 82.0]), 32, 32)
    assert np.abs(crop(waves, (10.2, 11.8, 110.4, 81.7), size=(32, 32)) - expected).max() <= 1


def test_a_huge_box_costs_no_memory(waves: Image) -> None:
    """A box of a million pixels a side is cut without a padded image; the image is a dot in it."""
    tracemalloc.start()
    part = crop(waves, (-1e6, -1e6, 1e6, 1e6), size=(160, 160))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert part.shape == (160, 160, 3)
    assert (part.any(axis=2).sum()) <= 1
    assert peak < 2_000_000


def test_images_wider_than_a_warp_allows_are_cut() -> None:
    """A growing box at the far end of an image 40,000 pixels wide is cut like any other."""
    wide = np.zeros((20, 40_000, 3), np.uint8)
    wide[:, 39_990:] = 200
    assert (crop(wide, (39_992, 4, 39_998, 10), size=(32, 32)) == 200).all()


@pytest.mark.parametrize(
    "box", [(0, 0, 0, 5), (5, 5, 4, 9), (0, 0, np.nan, 5), (0, 0, np.inf, 5), (0, 0, 1e9, 5), (0, 0, 5)]
)
def test_impossible_boxes_are_refused(waves: Image, box: tuple[float, ...]) -> None:
    """Empty, turned, endless and incomplete boxes are a mistake of the caller."""
    with pytest.raises(ValueError, match="box"):
        crop(waves, box, size=(8, 8))


def test_impossible_sizes_and_images_are_refused(waves: Image) -> None:
    """Sizes below one pixel, other types and empty images are refused with what was expected."""
    with pytest.raises(ValueError, match="at least 1"):
        resize(waves, (0, 5))
    with pytest.raises(ValueError, match="at least 1"):
        crop(waves, (0, 0, 5, 5), size=(5, 2.5))  # type: ignore[arg-type]
    for image in (waves.astype(np.float32), np.zeros((0, 5, 3), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            resize(image, (5, 5))  # type: ignore[arg-type]
