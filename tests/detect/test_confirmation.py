"""The confirmation net: covered and small faces that MTCNN's own nets reject."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from faceall.caffe.engines import get_engine
from faceall.detect import Cascade, MtcnnDetector
from faceall.detect.boxes import overlaps, to_square
from faceall.detect.confirmation import Confirmation
from faceall.detect.crops import halvings
from faceall.types import Array, Faces, Float32Array, Image

FACE = np.array([[181, 62, 266, 171]], np.float32)
"""The face of the astronaut in pixels."""


@pytest.fixture(scope="module")
def confirmation() -> Confirmation:
    return Confirmation(get_engine(None), "float32")


def masked(astronaut: Image) -> Image:
    """Return the portrait with a white mask over nose, mouth and chin."""
    image = astronaut.copy()
    outline = np.array([[184, 112], [222, 104], [264, 112], [262, 150], [226, 180], [188, 152]], np.int32)
    cv2.fillPoly(image, [outline], (240, 240, 240))
    return image


def found(confirmation: Confirmation, image: Image, squares: Array, faces: Faces | None = None) -> Faces:
    logits = np.ones((len(squares), 2), np.float32)
    return confirmation(halvings(image), squares.astype(np.float32), logits, Faces.empty() if faces is None else faces)


@pytest.mark.parametrize("side", [30, 60, 120])
@pytest.mark.parametrize("covered", [False, True], ids=["open", "masked"])
def test_a_face_is_confirmed_and_placed(confirmation: Confirmation, astronaut: Image, side: int, covered: bool) -> None:
    """From a candidate beside it, a face of any size gets its box and its eyes, with a mask or without."""
    scale = side / 100
    image = cv2.resize(
        masked(astronaut) if covered else astronaut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    )
    candidate = to_square(FACE * scale) + np.float32(0.08 * side)
    faces = found(confirmation, np.asarray(image, np.uint8), candidate)
    assert len(faces) == 1
    assert overlaps(faces.boxes, FACE * scale)[0, 0] > 0.6
    np.testing.assert_allclose(faces.landmarks[0, :2] / scale, [[204, 101], [246, 103]], atol=10)


def test_what_is_no_face_is_rejected(confirmation: Confirmation, astronaut: Image) -> None:
    """Squares on the suit, the flag and the shuttle, and on noise give no face."""
    squares: Float32Array = np.array(
        [[40, 350, 140, 450], [20, 40, 120, 140], [380, 60, 480, 160], [180, 330, 300, 450]], np.float32
    )
    assert len(found(confirmation, astronaut, squares)) == 0
    noise = np.random.default_rng(0).integers(0, 256, astronaut.shape).astype(np.uint8)
    assert len(found(confirmation, noise, squares)) == 0


def test_several_candidates_of_one_face_give_one(confirmation: Confirmation, astronaut: Image) -> None:
    """Candidates around one face are merged; a face that is known already is not found again."""
    squares = np.concatenate([to_square(FACE) + np.float32(shift) for shift in (-9, -4, 0, 6, 11)])
    (face,) = found(confirmation, astronaut, squares)
    known = Faces.of([face])
    assert len(found(confirmation, astronaut, squares, known)) == 0


def test_no_candidates_and_candidates_outside_give_nothing(confirmation: Confirmation, astronaut: Image) -> None:
    """Without candidates nothing is computed; a square that leaves the image is no error."""
    assert len(found(confirmation, astronaut, np.zeros((0, 4)))) == 0
    outside = np.array([[-300, -300, -10, -10], [500, 500, 5000, 5000]])
    assert len(found(confirmation, astronaut, outside)) == 0


def test_a_masked_face_is_found_by_default(astronaut: Image) -> None:
    """A portrait with a mask: the strict cascade finds nothing, the default finds the face and its eyes."""
    image = masked(astronaut)
    assert len(MtcnnDetector(cascade=Cascade(lenient=False))(image)) == 0
    (face,) = MtcnnDetector()(image)
    assert overlaps(face.box[None], FACE)[0, 0] > 0.6
    np.testing.assert_allclose(face.landmarks[:2], [[204, 101], [246, 103]], atol=10)


def test_the_faces_of_the_strict_cascade_stay_as_they_are(astronaut: Image) -> None:
    """Boxes and landmarks of faces that pass MTCNN's thresholds do not depend on the confirmation net."""
    image = np.hstack([astronaut, masked(astronaut)])
    lenient = MtcnnDetector()
    plain = MtcnnDetector()
    plain._confirmation = None
    for face in plain(image):
        assert any(np.array_equal(face.box, other.box) for other in lenient(image))
