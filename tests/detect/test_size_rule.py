"""The smallest face that is searched for follows the photo."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from faceall.detect import Detector, reduction, smallest_face
from faceall.images import decode_image


@pytest.mark.parametrize(
    ("size", "smallest", "factor"),
    [((250, 250), 20, 1), ((1200, 630), 20, 1), ((4032, 3024), 50.4, 2), ((6048, 8064), 100.8, 4)],
)
def test_rule(size: tuple[int, int], smallest: float, factor: int) -> None:
    """Twenty pixels in small photos, a sixtieth of the shorter side in large ones, which are decoded smaller."""
    assert smallest_face(*size) == pytest.approx(smallest)
    assert reduction(*size) == factor


def test_detector_states_the_rule() -> None:
    """A detector says how small faces may be; a number that is given holds at every size."""
    assert Detector().smallest_face(4032, 3024) == pytest.approx(50.4)
    assert Detector(min_face=20).smallest_face(4032, 3024) == 20


@pytest.mark.parametrize("orientation", [1, 6])
def test_reduced_decoding(orientation: int) -> None:
    """A reduced JPEG stands upright and knows the size of the whole photo."""
    pixels = np.zeros((120, 200, 3), np.uint8)
    pixels[:, 100:] = 255
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    PillowImage.fromarray(pixels).save(file, "JPEG", exif=exif)
    found = decode_image(file.getvalue(), reduction=lambda width, height: 2)
    width, height = (200, 120) if orientation == 1 else (120, 200)
    assert found.size == (width, height)
    assert found.reduced
    assert found.pixels.shape == (height // 2, width // 2, 3)
    assert not decode_image(file.getvalue()).reduced
