"""Large photos are decoded at a reduced size, and faces are stored in coordinates of the full photo."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from faceall.gallery import Gallery
from faceall.images import write_image
from faceall.types import Image
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
