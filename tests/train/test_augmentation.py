"""Changes to crops."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from faceall.errors import TrainError
from faceall.train.data.augmentation import NO_AUGMENTATION, Augmentation, augment


@pytest.fixture
def crop() -> np.ndarray:
    """A smooth image with a bright patch that is left of the middle."""
    rows, columns = np.mgrid[:184, :184]
    image = np.stack([rows, columns, 255 - rows], axis=-1).astype(np.float32) * 0.6
    image[80:104, 50:74] = 250
    return image.astype(np.uint8)


def test_without_changes_it_is_the_middle_of_the_crop(crop: np.ndarray) -> None:
    """At the size of the middle, pixel by pixel."""
    image, mirrored = augment(crop, NO_AUGMENTATION, np.random.default_rng(0), inner=160, size=160)
    np.testing.assert_array_equal(image, crop[12:172, 12:172])
    assert not mirrored


def test_a_mirrored_middle_is_the_middle_from_right_to_left(crop: np.ndarray) -> None:
    """Pixel by pixel, and it is said."""
    how = dataclasses.replace(NO_AUGMENTATION, flip=1.0)
    image, mirrored = augment(crop, how, np.random.default_rng(0), inner=160, size=160)
    np.testing.assert_array_equal(image, crop[12:172, 12:172][:, ::-1])
    assert mirrored


def test_a_smaller_size_shows_the_same_face_smaller(crop: np.ndarray) -> None:
    """The bright patch stays in its place, in proportion."""
    image, _ = augment(crop, NO_AUGMENTATION, np.random.default_rng(0), inner=160, size=80)
    bright = np.argwhere(image.min(axis=2) > 230).mean(axis=0)
    np.testing.assert_allclose(bright, ((91.5 - 12) / 2 - 0.25, (61.5 - 12) / 2 - 0.25), atol=0.6)


def test_the_same_chance_makes_the_same_image(crop: np.ndarray) -> None:
    """Bit for bit; another one makes another."""
    how = Augmentation(blur=1, jpeg=1, gray=0.5)
    made = [augment(crop, how, np.random.default_rng(seed), inner=160, size=112)[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_changes_stay_within_their_bounds(crop: np.ndarray) -> None:
    """The patch is found within the shift, the turn and the scale that are allowed, and both ways at times."""
    how = dataclasses.replace(NO_AUGMENTATION, shift=0.05)
    places = []
    for seed in range(40):
        image, _ = augment(crop, how, np.random.default_rng(seed), inner=160, size=160)
        places.append(np.argwhere(image.min(axis=2) > 230).mean(axis=0))
    moved = np.asarray(places) - [91.5 - 12, 61.5 - 12]
    assert np.abs(moved).max() <= 8.6
    assert (moved.min(axis=0) < -3).all()
    assert (moved.max(axis=0) > 3).all()


def test_gray_has_no_colours(crop: np.ndarray) -> None:
    """All channels are equal."""
    how = dataclasses.replace(NO_AUGMENTATION, gray=1.0)
    image, _ = augment(crop, how, np.random.default_rng(0), inner=160, size=112)
    assert (np.ptp(image, axis=2) == 0).all()


@pytest.mark.parametrize("wrong", [{"flip": 1.5}, {"rotation": -1}, {"light": 2}])
def test_impossible_changes_are_refused(wrong: dict[str, float]) -> None:
    """The option is named."""
    with pytest.raises(TrainError, match=next(iter(wrong))):
        Augmentation(**wrong)
