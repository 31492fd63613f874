"""Large photos are decoded reduced, and their faces are stored as of the whole photo."""

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


def test_faces_of_reduced_photos_have_places_on_the_whole_photo(real: Gallery, photos: Path, astronaut: Image) -> None:
    """The face of a photo of 12 megapixels is where it is with a search at full size."""
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
