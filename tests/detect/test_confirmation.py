"""The confirmation net: covered and small faces that MTCNN's own nets reject."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceall import read_image
from faceall.caffe.engines import get_engine
from faceall.detect import Cascade, MtcnnDetector
from faceall.detect.boxes import overlaps, to_square
from faceall.detect.confirmation import Confirmation
from faceall.detect.crops import halvings
from faceall.detect.together import run_together
from faceall.types import Array, Faces, Float32Array, Image

FACE = np.array([[181, 62, 266, 171]], np.float32)
"""The face of the astronaut in pixels."""


@pytest.fixture(scope="module")
def confirmation() -> Confirmation:
    return Confirmation(get_engine(None), "float32")


def run(confirmation: Confirmation, *given: Any) -> Faces:
    """Run the step alone, not as a part of a search."""
    (result,) = run_together([confirmation.steps(*given)])
    return result


def masked(astronaut: Image) -> Image:
    """Return the portrait with a white mask over nose, mouth and chin."""
    image = astronaut.copy()
    outline = np.array([[184, 112], [222, 104], [264, 112], [262, 150], [226, 180], [188, 152]], np.int32)
    cv2.fillPoly(image, [outline], (240, 240, 240))
    return image


def found(confirmation: Confirmation, image: Image, squares: Array, faces: Faces | None = None) -> Faces:
    """Return the faces beside the given ones, which are certain."""
    logits, known = np.full((len(squares), 2), 2, np.float32), Faces.empty() if faces is None else faces
    result = run(confirmation, halvings(image), squares.astype(np.float32), logits, known, np.ones(len(known), bool))
    return result.take(
        [number for number in range(len(result)) if result[number].box.tolist() not in known.boxes.tolist()]
    )


def checked(confirmation: Confirmation, image: Image, boxes: Array, score: float) -> Faces:
    """Return what is left of doubtful faces with a score."""
    count = len(boxes)
    points = np.repeat((boxes[:, None, :2] + boxes[:, None, 2:]) / 2, 5, axis=1)
    doubtful = Faces(boxes.astype(np.float32), np.full(count, score, np.float32), points.astype(np.float32))
    nothing = np.zeros((0, 4), np.float32), np.zeros((0, 2), np.float32)
    return run(confirmation, halvings(image), *nothing, doubtful, np.zeros(count, bool))


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
    """Squares on the suit and the flag, and on noise give no face."""
    squares: Float32Array = np.array([[40, 350, 140, 450], [20, 40, 120, 140], [180, 330, 300, 450]], np.float32)
    assert len(found(confirmation, astronaut, squares)) == 0
    noise = np.random.default_rng(0).integers(0, 256, astronaut.shape).astype(np.uint8)
    assert len(found(confirmation, noise, squares)) == 0


def test_a_thing_that_resembles_a_face_needs_the_evidence_of_the_first_nets(
    confirmation: Confirmation, astronaut: Image
) -> None:
    """The net takes the model of a shuttle for a face; without evidence of P- and R-Net it is not asked."""
    shuttle = np.array([[380, 60, 480, 160]], np.float32)
    nothing = Faces.empty()
    assert (
        len(run(confirmation, halvings(astronaut), shuttle, np.full((1, 2), -2, np.float32), nothing, np.ones(0, bool)))
        == 0
    )
    assert len(MtcnnDetector()(astronaut)) == 1


def test_doubtful_faces_are_checked(confirmation: Confirmation, astronaut: Image) -> None:
    """Of two doubtful faces the one that shows a face stays as it is; certain ones are not looked at."""
    both = np.concatenate([FACE, np.array([[40, 350, 140, 450]], np.float32)])
    (face,) = checked(confirmation, astronaut, both, 0.6)
    np.testing.assert_array_equal(face.box, FACE[0])
    assert face.score == pytest.approx(0.6)
    assert len(checked(confirmation, astronaut, both, 0.99)) == 2


def test_several_candidates_of_one_face_give_one(confirmation: Confirmation, astronaut: Image) -> None:
    """Candidates around one face are merged; a face that is known already is not found again."""
    squares = np.concatenate([to_square(FACE) + np.float32(shift) for shift in (-9, -4, 0, 6, 11)])
    (face,) = found(confirmation, astronaut, squares)
    known = Faces.of([face])
    assert len(found(confirmation, astronaut, squares, known)) == 0


def test_beside_a_large_face_only_likely_candidates_are_looked_at(
    confirmation: Confirmation, astronaut: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A portrait costs little: of two candidates beside its face the unlikely one is not cut out."""
    looked_at: list[int] = []
    look = confirmation._look

    def counted(scaled_images: list[Image], squares: Float32Array, *, mirrored: bool = False) -> object:
        looked_at.append(len(squares))
        return look(scaled_images, squares, mirrored=mirrored)

    monkeypatch.setattr(confirmation, "_look", counted)
    image = np.asarray(cv2.resize(astronaut[40:260, 100:340], None, fx=1.2, fy=1.2), np.uint8)
    portrait = MtcnnDetector(cascade=Cascade(lenient=False))(image)
    assert len(portrait) == 1
    squares = np.array([[0, 0, 50, 50], [200, 200, 250, 250]], np.float32)
    logits = np.array([[2, 2], [0, 0]], np.float32)
    run(confirmation, halvings(image), squares, logits, portrait, np.ones(1, bool))
    assert looked_at[:1] == [1]


def test_a_certain_box_of_half_a_face_is_corrected(confirmation: Confirmation, astronaut: Image) -> None:
    """The box moves towards the whole face that the net sees, but still overlaps its old place by half."""
    half = np.array([[181, 62, 266, 112]], np.float32)
    logits = np.full((1, 2), 2, np.float32)
    (face,) = run(confirmation, halvings(astronaut), to_square(FACE), logits, certain(half), np.ones(1, bool))
    before, after = overlaps(half, FACE)[0, 0], overlaps(face.box[None], FACE)[0, 0]
    assert after > before + 0.1
    assert overlaps(face.box[None], half)[0, 0] >= 0.5
    assert face.score == 1


def certain(boxes: Array) -> Faces:
    """Return faces that MTCNN is certain of; their landmarks are at the centre."""
    points = np.repeat((boxes[:, None, :2] + boxes[:, None, 2:]) / 2, 5, axis=1)
    return Faces(boxes.astype(np.float32), np.ones(len(boxes), np.float32), points.astype(np.float32))


def test_a_face_replaces_a_certain_box_on_its_eye(confirmation: Confirmation, astronaut: Image) -> None:
    """MTCNN may be certain of an eye or of glasses; the face that the net sees around it is found in place of it."""
    eye = np.array([[189, 86, 219, 116]], np.float32)
    logits = np.full((1, 2), 2, np.float32)
    (face,) = run(confirmation, halvings(astronaut), to_square(FACE), logits, certain(eye), np.ones(1, bool))
    assert overlaps(face.box[None], FACE)[0, 0] > 0.6
    np.testing.assert_allclose(face.landmarks[:2], [[204, 101], [246, 103]], atol=10)


def test_a_small_face_in_front_of_a_large_one_stays(confirmation: Confirmation, astronaut: Image) -> None:
    """A certain box inside a large face is kept if it shows a face itself, such as that of a child or a photo."""
    image = astronaut.copy()
    small = np.asarray(cv2.resize(astronaut[50:185, 165:280], (29, 34), interpolation=cv2.INTER_AREA), np.uint8)
    image[140:174, 190:219] = small
    box = np.array([[194, 143, 216, 171]], np.float32)
    logits = np.full((1, 2), 2, np.float32)
    faces = run(confirmation, halvings(image), to_square(FACE), logits, certain(box), np.ones(1, bool))
    assert len(faces) == 2
    assert any(np.array_equal(face.box, box[0]) for face in faces)


def test_the_result_for_the_mirrored_crop_counts(confirmation: Confirmation, astronaut: Image) -> None:
    """The mean of both results of the second look mirrors with the image."""
    square = to_square(FACE) + np.float32([8, 4, 8, 4])
    width = astronaut.shape[1]
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    (search,) = run_together([confirmation._look(halvings(astronaut), square, mirrored=True)])
    other_square = np.array([width, 0, width, 0], np.float32) + square[:, [2, 1, 0, 3]] * [-1, 1, -1, 1]
    (other,) = run_together([confirmation._look([mirrored], other_square.astype(np.float32), mirrored=True)])
    for mine, its, order, signs in (
        (search[0], other[0], [2, 1, 0, 3], [-1, 1, -1, 1]),
        (search[1][0], other[1][0], [1, 0, 2, 4, 3], [-1, 1]),
    ):
        its = its[:, order] if its.shape[-1] == 4 else its[order]
        back = its * signs + np.where(np.array(signs) < 0, width, 0)
        np.testing.assert_allclose(back, mine, atol=0.01)  # pixels; 3 and more for one crop alone
    np.testing.assert_allclose(search[2], other[2], atol=0.002)


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
    """Boxes and landmarks of faces that pass MTCNN's thresholds do not depend on the confirmation net if it agrees."""
    image = np.hstack([astronaut, masked(astronaut)])
    lenient = MtcnnDetector()
    plain = MtcnnDetector()
    plain._confirmation = None
    for face in plain(image):
        assert any(np.array_equal(face.box, other.box) for other in lenient(image))


def test_no_face_of_the_strict_cascade_is_lost(shared: Path) -> None:
    """On photos of LFW the default finds every face of the original cascade, at the same place."""
    strict, lenient = MtcnnDetector(cascade=Cascade(lenient=False)), MtcnnDetector()
    paths = sorted(shared.glob("data/lfw-dev/*/*.jpg"))[::50]
    assert paths
    for path in paths:
        image = read_image(path)
        faces, found = strict(image), lenient(image)
        assert (overlaps(faces.boxes, found.boxes).max(axis=1, initial=0) > 0.7).all(), path.name
