"""Cut-outs against sampling done point by point."""

from __future__ import annotations

import numpy as np

from faceall.detect.crops import cut_squares, halvings
from faceall.types import Array, Image


def sample(image: Image, x: float, y: float) -> Array:
    """The bilinear mean of the four pixels around a point; pixels outside are 127."""
    column, row = int(np.floor(x)), int(np.floor(y))
    total = np.zeros(3)
    for r, c in ((row, column), (row, column + 1), (row + 1, column), (row + 1, column + 1)):
        inside = 0 <= r < image.shape[0] and 0 <= c < image.shape[1]
        total += (1 - abs(x - c)) * (1 - abs(y - r)) * (image[r, c] if inside else np.full(3, 127))
    return total


def test_crops_are_bilinear_samples() -> None:
    """A crop is a grid of samples from corner to corner of its box, also where the box juts out."""
    image = np.random.default_rng(4).integers(0, 256, (60, 80, 3), np.uint8)
    boxes = np.array([[10, 5, 40, 35], [-8, -6, 12, 14], [65, 45, 95, 75], [3.3, 4.7, 20.1, 21.5]], np.float32)
    crops = cut_squares([image], boxes, 24)
    assert crops.shape == (4, 3, 24, 24)
    assert crops.dtype == np.float32
    for crop, box in zip(crops, boxes, strict=True):
        for row, column in [(0, 0), (5, 17), (12, 12), (23, 23), (20, 1)]:
            x = (box[0] + (box[2] - box[0]) * column / 23) * 79 / 80
            y = (box[1] + (box[3] - box[1]) * row / 23) * 59 / 60
            np.testing.assert_allclose(crop[:, row, column], sample(image, x, y), atol=6)


def test_crops_of_nothing() -> None:
    """No boxes, no crops."""
    assert cut_squares([np.zeros((30, 30, 3), np.uint8)], np.zeros((0, 4), np.float32), 24).shape == (0, 3, 24, 24)


def test_many_crops_are_the_same_as_few() -> None:
    """However many boxes are cut at once, each crop is the one that it would be alone."""
    image = np.random.default_rng(5).integers(0, 256, (200, 200, 3), np.uint8)
    corners = np.random.default_rng(6).uniform(-10, 180, (1500, 2))
    boxes = np.hstack([corners, corners + 30]).astype(np.float32)
    crops = cut_squares([image], boxes, 24)
    for number in (0, 700, 1499):
        np.testing.assert_array_equal(crops[number], cut_squares([image], boxes[number : number + 1], 24)[0])


def test_large_boxes_are_taken_from_a_halved_image() -> None:
    """Of a fine checkerboard a huge box gives its mean, gray, and not stray black and white pixels."""
    image = np.zeros((2000, 2000, 3), np.uint8)
    image[::2, ::2] = image[1::2, 1::2] = 255
    crop = cut_squares(halvings(image), np.array([[10, 10, 1900, 1900]], np.float32), 24)[0]
    assert abs(crop - 127.5).max() < 3


def test_very_long_images_can_be_cut() -> None:
    """An image with a side beyond 2^15 pixels is sampled from its halving."""
    image = np.full((64, 40000, 3), 9, np.uint8)
    image[:, 36000:] = 200
    crops = cut_squares(halvings(image), np.array([[100, 10, 140, 50], [38000, 10, 38040, 50]], np.float32), 24)
    assert crops[0].max() == crops[0].min() == 9
    assert crops[1].max() == crops[1].min() == 200


def test_halvings_go_down_to_twelve_pixels() -> None:
    """Each is half of the one before, the last one not below 12 pixels."""
    shapes = [image.shape[:2] for image in halvings(np.zeros((100, 301, 3), np.uint8))]
    assert shapes == [(100, 301), (50, 151), (25, 76), (13, 38)]
