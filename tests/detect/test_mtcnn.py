"""The detector on real and on impossible images."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceall.detect import Cascade, MtcnnDetector
from faceall.detect.boxes import overlaps
from faceall.types import Faces, Image


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector()


def read(path: Path) -> Image:
    """The image at `path`, RGB."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert image is not None
    return np.ascontiguousarray(image[:, :, ::-1], np.uint8)


def assert_same(first: Faces, second: Faces, pixels: float = 0.01) -> None:
    """Both have the same faces in the same order."""
    assert len(first) == len(second)
    np.testing.assert_allclose(first.boxes, second.boxes, atol=pixels)
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-4)
    np.testing.assert_allclose(first.landmarks, second.landmarks, atol=pixels)


def test_finds_the_astronaut(detector: MtcnnDetector, astronaut: Image) -> None:
    """The portrait has one face, and its eyes, nose and mouth are where they are."""
    faces = detector(astronaut)
    assert len(faces) == 1
    face = faces[0]
    assert face.score > 0.99
    np.testing.assert_allclose(face.box, [181, 62, 266, 171], atol=6)
    np.testing.assert_allclose(face.landmarks[:2], [[204, 101], [246, 103]], atol=4)
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert nose[1] < left_mouth[1]


def test_finds_the_face_wherever_it_is(detector: MtcnnDetector, astronaut: Image) -> None:
    """A face moved by some pixels is found moved by as many."""
    moved = np.pad(astronaut, ((40, 8), (64, 16), (0, 0)), "edge")
    before, after = detector(astronaut), detector(moved)
    assert (after.scores > 0.9).sum() == 1
    np.testing.assert_allclose(after.boxes[0] - before.boxes[0], [64, 40, 64, 40], atol=6)


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 500), (2, 3000), (3000, 2), (11, 11), (12, 12), (20, 20), (21, 333), (22, 40000)]
)
@pytest.mark.parametrize("kind", ["blank", "noise"])
def test_small_and_thin_images_have_no_faces(detector: MtcnnDetector, shape: tuple[int, int], kind: str) -> None:
    """However small or thin an image is, the answer is an empty `Faces`."""
    rng = np.random.default_rng(3)
    image = np.full((*shape, 3), 90, np.uint8) if kind == "blank" else rng.integers(0, 256, (*shape, 3), np.uint8)
    assert len(detector(image)) == 0


def test_blank_and_noise_have_no_faces(detector: MtcnnDetector) -> None:
    """Nothing is found where there is nothing."""
    rng = np.random.default_rng(5)
    for image in (np.zeros((300, 400, 3), np.uint8), rng.integers(0, 256, (300, 400, 3), np.uint8)):
        faces = detector(image)
        assert len(faces) == 0
        assert (faces.boxes.shape, faces.landmarks.shape) == ((0, 4), (0, 5, 2))


@pytest.mark.slow
def test_a_huge_image_is_searched(detector: MtcnnDetector, astronaut: Image) -> None:
    """In 12000 x 9000 pixels a face is found, large or small."""
    image = np.full((9000, 12000, 3), 128, np.uint8)
    image[8000:8512, 11000:11512] = astronaut
    image[1000:7000, 2000:8000] = cv2.resize(astronaut, (6000, 6000))
    faces = detector(image)
    assert len(faces) == 2
    widths = np.sort(faces.boxes[:, 2] - faces.boxes[:, 0])
    np.testing.assert_allclose(widths / [1, 6000 / 512], [95, 95], atol=15)


def test_min_face_leaves_out_smaller_faces(astronaut: Image) -> None:
    """A face of about 95 pixels is found with min_face 60 and not with min_face 250."""
    assert len(MtcnnDetector(min_face=60)(astronaut)) == 1
    assert len(MtcnnDetector(min_face=250)(astronaut)) == 0


def test_thresholds_are_obeyed(detector: MtcnnDetector, astronaut: Image) -> None:
    """A threshold of 1 lets nothing through; one of 0 in the last stage lets through all that the stage before did."""
    assert len(MtcnnDetector(cascade=Cascade(thresholds=(0.6, 0.7, 1), lenient=False))(astronaut)) == 0
    least = MtcnnDetector(cascade=Cascade(thresholds=(0.6, 0.7, 0), lenient=False))
    assert len(least(astronaut)) >= len(detector(astronaut))


def test_few_proposals_bound_the_work(astronaut: Image) -> None:
    """With one proposal at most one face can come out, and the surest place is the face."""
    assert len(MtcnnDetector(cascade=Cascade(max_proposals=1))(astronaut)) <= 1


def test_non_contiguous_and_read_only_images(detector: MtcnnDetector, astronaut: Image) -> None:
    """A view and a read-only array are images like any other."""
    view = astronaut[:, ::-1]
    copied = view.copy()
    copied.flags.writeable = False
    assert_same(detector(view), detector(copied))


def test_threads_share_a_detector(detector: MtcnnDetector, astronaut: Image) -> None:
    """Four threads that use one detector at once each get what one gets alone."""
    images = [astronaut, astronaut[::2, ::2].copy(), astronaut[:300, :400].copy(), astronaut[:, ::-1].copy()]
    expected = [detector(image) for image in images]
    results: dict[int, list[Faces]] = {}

    def work(number: int) -> None:
        results[number] = [detector(images[number]) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, faces in enumerate(expected):
        assert len(results[number]) == 5
        for result in results[number]:
            assert_same(result, faces)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"min_face": 5}, "min_face is 5, expected at least 12"),
        ({"min_face": float("nan")}, "min_face is nan"),
        ({"factor": 1.0}, "factor is 1.0, expected"),
        ({"factor": 0}, "factor is 0, expected"),
        ({"thresholds": (0.6, 0.7)}, "thresholds has 2 numbers, expected 3"),
        ({"thresholds": (0.6, 0.7, 7)}, "thresholds is 7, expected 0 .. 1"),
        ({"max_proposals": 0}, "max_proposals is 0, expected at least 1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], text: str) -> None:
    """A value out of its range is named, with the range."""
    with pytest.raises(ValueError, match=text):
        MtcnnDetector(min_face=options.pop("min_face", None), cascade=Cascade(**options))


def test_group_photo_has_six_faces(detector: MtcnnDetector, shared: Path) -> None:
    """Six people, six faces, none twice."""
    faces = detector(read(shared / "data/photos/group-of-six.jpg"))
    assert len(faces) == 6
    assert faces.scores.min() > 0.9


def test_every_gallery_photo_has_a_face(detector: MtcnnDetector, shared: Path) -> None:
    """In each photo of the three people there is at least one sure face."""
    paths = sorted(shared.glob("data/gallery/*/*.jpg"))
    assert len(paths) == 9
    assert [path.name for path in paths if not (detector(read(path)).scores > 0.9).any()] == []


def test_caffe_folder_finds_the_same_faces(detector: MtcnnDetector, astronaut: Image, shared: Path) -> None:
    """The original Caffe files, trained on transposed images, give the same faces as the default weights."""
    other = MtcnnDetector(weights=shared / "models/mtcnn")
    assert_same(other(astronaut), detector(astronaut))


def test_very_fine_pyramids_are_counted_right(astronaut: Image) -> None:
    """More levels than a byte can number still find the face."""
    image = cv2.resize(astronaut, (1500, 1500))
    faces = MtcnnDetector(min_face=12, cascade=Cascade(factor=0.95))(np.asarray(image, np.uint8))
    assert len(faces) >= 1
    np.testing.assert_allclose(faces[0].box, np.array([181, 62, 266, 171]) * 1500 / 512, atol=20)


def test_lenient_detection_keeps_every_face_of_the_strict_one(shared: Path) -> None:
    """On photos of groups, whatever passes the thresholds is also found with joint evidence."""
    strict, lenient = MtcnnDetector(cascade=Cascade(lenient=False)), MtcnnDetector()
    for path in sorted(shared.glob("data/photos/*.jpg")):
        image = read(path)
        before, after = strict(image), lenient(image)
        overlap = overlaps(before.boxes, after.boxes)
        assert not len(before) or (overlap.max(axis=1) > 0.5).all(), path.name


def test_lenient_detection_finds_covered_faces(astronaut: Image) -> None:
    """A portrait with a gray bar over the mouth is lost by the thresholds and found by joint evidence."""
    covered = astronaut.copy()
    covered[130:175, 190:262] = 200
    strict, lenient = MtcnnDetector(cascade=Cascade(lenient=False))(covered), MtcnnDetector()(covered)
    assert len(lenient) >= len(strict)
    assert len(lenient) == 1
