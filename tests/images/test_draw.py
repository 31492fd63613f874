"""Drawing faces."""

from __future__ import annotations

import numpy as np
import pytest

from faceall.images import draw_faces
from faceall.types import Faces


def one_face(box: tuple[float, ...], landmarks: list[tuple[float, float]]) -> Faces:
    return Faces(np.array([box], np.float32), np.ones(1, np.float32), np.array([landmarks], np.float32))


MARKS = [(40.0, 50.0), (60.0, 50.0), (50.0, 60.0), (42.0, 70.0), (58.0, 70.0)]


def test_boxes_are_red_and_landmarks_green() -> None:
    """The colours stand exactly where box and landmarks are; the rest and the input stay as they were."""
    image = np.full((200, 200, 3), 90, np.uint8)
    drawn = draw_faces(image, one_face((30, 40, 70, 90), MARKS))
    assert (image == 90).all()
    assert drawn[40, 50].tolist() == drawn[65, 30].tolist() == drawn[90, 50].tolist() == [255, 0, 0]
    for x, y in MARKS:
        assert drawn[int(y), int(x)].tolist() == [0, 255, 0]
    assert drawn[45, 35].tolist() == drawn[150, 150].tolist() == [90, 90, 90]


def test_lines_grow_with_the_image() -> None:
    """An image of 4,000 pixels gets lines of four pixels, one of 400 lines of one."""
    for side, width in ((400, 1), (4000, 4)):
        image = np.zeros((side, side, 3), np.uint8)
        box = (side * 0.2, side * 0.2, side * 0.8, side * 0.8)
        drawn = draw_faces(image, one_face(box, [(1.0, 1.0)] * 5))
        assert (drawn[side // 2, : side // 2, 0] == 255).sum() == width


def test_boxes_outside_the_image_are_drawn_at_its_edge() -> None:
    """A box that leaves the image, even by far, does no harm."""
    image = np.zeros((100, 100, 3), np.uint8)
    drawn = draw_faces(image, one_face((-1e6, -50, 50, 1e9), [(-5.0, -5.0), (1e9, 1e9), *MARKS[:3]]))
    assert drawn.shape == image.shape
    assert drawn[50, 50, 0] == 255


@pytest.mark.parametrize("box", [(30, 40, 70, 90), (30, 0, 70, 90), (180, 40, 199, 60)])
def test_labels_are_white_on_red(box: tuple[float, ...]) -> None:
    """A label is written above the box, or in it at the image's top, and stays inside the image."""
    image = np.zeros((200, 200, 3), np.uint8)
    plain, labelled = (draw_faces(image, one_face(box, MARKS), labels) for labels in (None, ["Zoë 1"]))
    assert (labelled.min(axis=2) > 128).sum() > 20
    assert not (plain.min(axis=2) > 128).any()


def test_labels_may_be_left_out_one_by_one() -> None:
    """None and an empty text draw no label; a wrong number of labels is refused."""
    image = np.zeros((200, 200, 3), np.uint8)
    face = one_face((30, 40, 70, 90), MARKS)
    for label in (None, ""):
        assert (draw_faces(image, face, [label]) == draw_faces(image, face)).all()
    with pytest.raises(ValueError, match="2 labels for 1 faces"):
        draw_faces(image, face, ["a", "b"])


def test_no_faces_draw_nothing() -> None:
    """Without faces the result is a copy."""
    image = np.full((5, 5, 3), 7, np.uint8)
    drawn = draw_faces(image, Faces.empty())
    assert (drawn == image).all()
    assert not np.shares_memory(drawn, image)
