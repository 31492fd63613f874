"""Which pictures a conversion is compared on, and at which threshold its decisions are counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from faceall import images
from faceall.convert import ParityOptions, convert
from faceall.convert.parity.comparison import random_images
from faceall.convert.parity.crops import default_crops
from faceall.convert.parity.report import DEFAULT_THRESHOLD
from faceall.models import FACENET_CROP, write_model_folder
from tensorflow_graphs import small_facenet
from tiny_model import write_tiny_model

PORTRAIT = Path(images.__file__).parent.parent / "embed" / "portrait.jpg"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small frozen graph on disk."""
    return small_facenet().write(tmp_path / "small.pb")


def test_golden_crops_are_compared_where_none_are_given(source: Path, tmp_path: Path) -> None:
    """The report says which pictures were used: those that come along, of a face, or the ones that were given."""
    made = convert(source, tmp_path / "m")
    assert {(report.inputs, report.images) for report in made.reports} == {("golden crops", 6)}
    assert "6 (golden crops), against the graph" in made.report.to_text()
    assert [step["inputs"] for step in json.loads(made.report_path.read_text())["steps"]] == ["golden crops"]
    np.savez(tmp_path / "crops.npz", crops=random_images(2, (19, 19, 3)))
    given = convert(source, tmp_path / "n", parity=ParityOptions(crops=tmp_path / "crops.npz"))
    assert given.report.inputs == f"crops from {tmp_path / 'crops.npz'}"


@pytest.mark.parametrize("size", [(160, 160), (112, 112), (24, 24), (12, 12), (96, 128), (320, 320)])
def test_golden_crops_show_a_face_at_every_size(size: tuple[int, int]) -> None:
    """All have the structure of the portrait that they were cut from, whatever the light and the scale."""
    made = default_crops(size)
    assert made.crops.shape == (6, size[1], size[0], 3)
    box = np.array([[70.0, 60.1, 154.9, 169.6]])
    picture = images.read_image(PORTRAIT)
    region = FACENET_CROP.regions(box, image_size=(picture.shape[1], picture.shape[0]))[0]
    cut = images.crop(picture, region, size=(160, 160))
    wanted, *small = (images.resize(each, (12, 12)).mean(axis=2) for each in (cut, *made.crops))
    for each in small:
        either_way = [np.corrcoef(wanted.ravel(), turned.ravel())[0, 1] for turned in (each, each[:, ::-1])]
        assert max(either_way) > 0.6  # of noise and a face it is 0, but for chance


def test_a_net_for_large_pictures_gets_seeded_noise() -> None:
    """Golden crops would be shown far larger than they are; the noise is the same every time."""
    first, again = default_crops((321, 200)), default_crops((321, 200))
    assert first.origin == "seeded noise"
    assert first.crops.shape == (4, 200, 321, 3)
    np.testing.assert_array_equal(first.crops, again.crops)


def test_flips_are_counted_at_the_threshold_of_the_manifest(tmp_path: Path) -> None:
    """Where a model is calibrated its own threshold counts, else the usual one."""
    folder = write_tiny_model(tmp_path, "tiny", 16)
    for threshold, wanted in ((0.25, 0.25), (None, DEFAULT_THRESHOLD)):
        manifest = replace(folder.manifest, match_threshold=threshold)
        files = {name: (folder.path / name).read_bytes() for name in manifest.files}
        folder = write_model_folder(folder.path, manifest, files, replace_existing=True)
        report = convert(folder.path, tmp_path / "m", replace_existing=True).report
        assert (report.threshold, report.pairs, report.flips) == (wanted, 15, 0)
