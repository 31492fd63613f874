"""Large photos are decoded at a reduced size, and faces are stored in coordinates of the full photo."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from faceall.analysis import make_thumbnail
from faceall.gallery import Gallery
from faceall.images import read_image, write_image
from faceall.types import Face, Image
from tiny_model import write_tiny_model


@pytest.fixture
def real(tmp_path: Path) -> Gallery:
    """A gallery with the default detector and a tiny embedder."""
    from faceall.embed import Embedder

    return Gallery.open(tmp_path / "real", embedder=Embedder(write_tiny_model(tmp_path / "model").path))


def test_boxes_of_reduced_photos_are_in_full_size_coordinates(real: Gallery, photos: Path, astronaut: Image) -> None:
    """The box of a face on a 12-megapixel photo equals that of a detection at full size."""
    large = np.asarray(cv2.resize(astronaut, (3072, 3072), interpolation=cv2.INTER_CUBIC), np.uint8)
    write_image(photos / "large.jpg", large)
    with real:
        (result,) = real.register(photos, names_from="none")
        photo = real.photos.at(photos / "large.jpg")
        found = real.analyse(large).faces
    assert result.faces == 1
    assert photo is not None
    assert (photo.width, photo.height) == (3072, 3072)
    assert np.asarray(photo.faces[0].box) == pytest.approx(found.boxes[0], abs=30)


def test_a_small_face_beside_a_large_one_keeps_its_pixels(real: Gallery, photos: Path, astronaut: Image) -> None:
    """A large face is cut out of the reduced photo, a small one of a finer decoding: both as sharp as in the photo."""
    large = np.asarray(cv2.resize(astronaut, (3072, 3072), interpolation=cv2.INTER_CUBIC), np.uint8)
    large[:600, :600] = cv2.resize(astronaut, (600, 600), interpolation=cv2.INTER_CUBIC)
    write_image(photos / "two.jpg", large)
    with real:
        real.register(photos / "two.jpg", names_from="none")
        photo = real.photos.at(photos / "two.jpg")
        assert photo is not None
        sides = [face.box[2] - face.box[0] for face in photo.faces]
        assert min(sides) < 120 < 400 < max(sides)
        for face in photo.faces:
            stored = read_image(real.faces.thumbnail(face.face_id)).astype(float)
            box = np.asarray(face.box, np.float32)
            direct = read_image(make_thumbnail(large, Face(box, 1.0, np.zeros((5, 2), np.float32)))).astype(float)
            assert abs(stored - direct).mean() < 4
