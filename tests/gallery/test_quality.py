"""Faces that are hard to recognise, and duplicate images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from stand_ins import write_photo

from faceall.analysis.quality import MIN_SHARPNESS, Note, cut, notes_on, sharpness, turn
from faceall.gallery import Gallery
from faceall.gallery.records.near_duplicates import NEAR, print_of
from faceall.images import read_image, write_image
from faceall.types import Face, Image

BOX = (177.0, 68.0, 281.0, 195.0)  # the astronaut's face
POINTS = ((206, 116), (252, 114), (230, 143), (211, 162), (254, 160))


def face(box: tuple[float, float, float, float] = BOX, points: tuple[tuple[float, float], ...] = POINTS) -> Face:
    return Face(np.array(box, np.float32), 0.99, np.array(points, np.float32))


def test_a_good_face_has_no_notes(astronaut: Image) -> None:
    """A sharp frontal portrait has no notes."""
    assert notes_on(astronaut, face()) == ()


def test_blur_is_reported(astronaut: Image) -> None:
    """Sharpness falls with every blur, and a strong blur is reported."""
    width = BOX[2] - BOX[0]
    blurred = [cv2.GaussianBlur(astronaut, (0, 0), sigma * width / 160) for sigma in (1, 2, 3, 4, 6)]
    measures = [sharpness(astronaut, face()), *(sharpness(image, face()) for image in blurred)]
    assert measures == sorted(measures, reverse=True)
    assert measures[0] > 2 * MIN_SHARPNESS > 2 * measures[-1]
    assert notes_on(blurred[-1], face()) == (Note("blurred", "blurred"),)


def test_small_size_is_reported_instead_of_blur(astronaut: Image) -> None:
    """A face of 20 pixels is reported as small, and not also as blurred."""
    small = cv2.resize(astronaut, None, fx=0.17, fy=0.17, interpolation=cv2.INTER_AREA)
    shrunk = face(tuple(0.17 * value for value in BOX), tuple((0.17 * x, 0.17 * y) for x, y in POINTS))
    assert notes_on(small, shrunk) == (Note("small", "small (20 pixels)"),)


def test_a_turned_face_is_reported(astronaut: Image) -> None:
    """A face with the nose over an eye is turned away; an in-plane rotation is not reported."""
    profile = ((206, 116), (252, 114), (206, 143), (205, 162), (240, 160))
    assert turn(face(points=profile)) == pytest.approx(-0.52, abs=0.02)
    assert notes_on(astronaut, face(points=profile)) == (Note("turned-away", "turned away"),)
    angle = np.radians(40)
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rolled = tuple(map(tuple, (np.array(POINTS) @ spin.T).tolist()))
    assert turn(face(points=rolled)) == pytest.approx(turn(face()), abs=1e-3)
    assert abs(turn(face(points=((5, 5),) * 5))) == 1.0  # coinciding landmarks have no direction


@pytest.mark.parametrize(
    ("box", "part"),
    [((10, 10, 90, 90), 0.0), ((-20, 10, 80, 90), 0.2), ((10, -8, 90, 92), 0.08), ((10, 10, 110, 130), 0.25)],
)
def test_cut_is_the_largest_part_outside(box: tuple[float, float, float, float], part: float) -> None:
    """`cut` is the largest part of a side of the box outside of any of the four edges."""
    assert cut((100, 100, 3), face(box)) == pytest.approx(part)


def test_copies_are_near_and_others_far(astronaut: Image) -> None:
    """Shrinking, recompressing and brightening change few bits of a print; mirroring changes most."""
    print_ = print_of(astronaut)
    huge = cv2.resize(astronaut, (3001, 2500), interpolation=cv2.INTER_CUBIC)
    assert int(np.unpackbits(print_ ^ print_of(np.asarray(huge, np.uint8))).sum()) <= 8

    def bits(image: Image) -> int:
        return int(np.unpackbits(print_ ^ print_of(image)).sum())

    jpeg = cv2.imdecode(cv2.imencode(".jpg", astronaut, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)
    half = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    bright = np.clip(astronaut * 1.1 + 5, 0, 255).astype(np.uint8)
    assert max(map(bits, (jpeg, half, bright))) <= NEAR
    assert bits(np.ascontiguousarray(astronaut[:, ::-1])) > 2 * NEAR


def test_different_images_of_lfw_are_not_duplicates(shared: Path) -> None:
    """Among 400 different images with the same crop rule no two are near duplicates."""
    files = sorted((shared / "data" / "lfw-dev").rglob("*.jpg"))[:400]
    prints = np.stack([print_of(read_image(file)) for file in files])
    bits = np.unpackbits(prints, axis=1).astype(np.int32)
    distances = bits @ (1 - bits.T) + (1 - bits) @ bits.T
    np.fill_diagonal(distances, 256)
    assert distances.min() > NEAR


def test_a_near_copy_is_reported(gallery: Gallery, photos: Path) -> None:
    """A resized photo is added with a note that names the similar photo; a removed photo is not named."""
    squares = [(30, 20, 60, (200, 40, 10)), (5, 5, 12, (10, 220, 40)), (100, 60, 15, (10, 40, 220))]
    first = write_photo(photos / "first.png", squares)
    again = photos / "second.png"
    large = cv2.resize(read_image(first), (240, 180), interpolation=cv2.INTER_NEAREST)
    write_image(again, large)
    (one,) = gallery.register(first)
    (two,) = gallery.register(again)
    assert [result.status for result in (one, two)] == ["added", "added"]
    assert [note.text for note in one.notes + two.notes if note.kind == "near-duplicate"] == [
        f"nearly the same image as {first}"
    ]
    gallery.photos.remove(first)
    write_image(photos / "third.png", cv2.resize(large, (360, 270), interpolation=cv2.INTER_NEAREST))
    (three,) = gallery.register(photos / "third.png")
    assert three.notes[-1].text == f"nearly the same image as {again}"
    assert three.notes[-1].photo_id == gallery.photos.at(again).photo_id  # type: ignore[union-attr]
    assert gallery.index.problems() == []


def test_strict_registration_stores_no_poor_face(gallery: Gallery, photos: Path) -> None:
    """With `strict` a photo with a small primary face is refused; without it, it is added with a note."""
    path = write_photo(photos / "far.png", [(50, 30, 12, (200, 40, 10))])
    (refused,) = gallery.register(path, strict=True)
    assert (refused.status, refused.faces, refused.message) == ("refused", 0, "small (12 pixels)")
    assert (len(gallery), list(gallery.people)) == (0, [])
    (taken,) = gallery.register(path)
    assert (taken.status, [note.kind for note in taken.notes]) == ("added", ["small"])
