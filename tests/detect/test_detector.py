"""The common interface: names, batches, orientations, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from faceall.detect import Detector
from faceall.detect.detector import _rotated_back, without_specks
from faceall.types import Faces, Image


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


def assert_same(first: Faces, second: Faces, pixels: float = 0.01) -> None:
    """Both have the same faces in the same order."""
    assert len(first) == len(second)
    np.testing.assert_allclose(first.boxes, second.boxes, atol=pixels)
    np.testing.assert_allclose(first.landmarks, second.landmarks, atol=pixels)


def test_the_default_is_mtcnn(detector: Detector) -> None:
    """Without a name it is MTCNN; its representation says so."""
    assert (detector.name, repr(detector)) == ("mtcnn", "Detector('mtcnn')")


def test_batch_equals_single(detector: Detector, astronaut: Image) -> None:
    """Images of different sizes together give what each gives alone."""
    images = [astronaut, astronaut[::2, ::2].copy(), np.zeros((40, 70, 3), np.uint8), astronaut[40:240, 130:310]]
    for together, image in zip(detector.detect_batch(images), images, strict=True):
        assert_same(together, detector(image))
    assert detector.detect_batch([]) == []


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotated_images_are_searched(detector: Detector, astronaut: Image, turns: int) -> None:
    """A portrait on its side or upside down is found, with landmarks that follow the face."""
    upright = detector(astronaut)
    turned = np.ascontiguousarray(np.rot90(astronaut, -turns))
    assert not (Detector(rotate=False)(turned).scores >= 0.95).any()
    found = detector(turned)
    assert len(found) == 1
    back = _rotated_back(found, 4 - turns, astronaut.shape)
    assert_same(back, upright, pixels=0.5)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_points_are_rotated_back(turns: int) -> None:
    """A marked pixel of the rotated image is mapped to where it was."""
    image = np.zeros((30, 50), np.uint8)
    image[7, 12] = 1
    row, column = (int(values[0]) for values in np.nonzero(np.rot90(image, turns)))
    box = np.array([[column, row, column + 1, row + 1]], np.float32)
    points = np.full((1, 5, 2), (column + 0.5, row + 0.5), np.float32)
    faces = _rotated_back(Faces(box, np.ones(1, np.float32), points), turns, image.shape)
    assert faces.boxes.tolist() == [[12, 7, 13, 8]]
    assert (faces.landmarks == (12.5, 7.5)).all()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((5, 5), np.uint8),
        np.zeros((5, 5, 4), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 5, 3), np.float32),
    ],
)
def test_other_arrays_are_refused(detector: Detector, array: Image) -> None:
    """An array of another shape or type is refused, with its shape and type."""
    with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8 RGB; this array is"):
        detector(array)


def test_min_face_is_checked() -> None:
    """A smallest face below 12 pixels is refused."""
    with pytest.raises(ValueError, match="min_face is 5, expected at least 12"):
        Detector(min_face=5)


def test_tiny_uncertain_faces_on_a_portrait_are_dropped() -> None:
    """Below a twelfth of a large face a score of 0.9 is needed; elsewhere it is not."""
    boxes = np.array([[500, 500, 1220, 1220], [10, 10, 44, 44], [100, 10, 134, 44], [10, 100, 80, 170]], np.float32)
    scores = np.array([0.999, 0.86, 0.91, 0.7], np.float32)
    faces = Faces(boxes, scores, np.zeros((4, 5, 2), np.float32))
    assert without_specks(faces, (2048, 1600)).scores.tolist() == scores[[0, 2, 3]].tolist()
    assert len(without_specks(faces, (6000, 4000))) == 4
    small = faces.take(np.array([1, 2, 3]))
    assert len(without_specks(small, (2048, 1600))) == 3
