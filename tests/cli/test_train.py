"""The parts of `faceall train` that do not need Keras; tests/train has the trainings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Run, records
from PIL import Image as PillowImage

from faceall.train.align.options import AlignOptions
from faceall.train.options import DistillationOptions
from faceall.train.run_folder import RunFolder
from faceall.types import Image


@pytest.fixture
def crops(tmp_path: Path, astronaut: Image) -> Path:
    """Return three face crops as `faceall align` writes them."""
    folder = tmp_path / "crops"
    folder.mkdir()
    for number, shift in enumerate((0, 4, 8)):
        face = PillowImage.fromarray(astronaut[40 : 240 + shift, 120 : 320 + shift]).resize((184, 184))
        face.save(folder / f"{number}.png")
    return folder


@pytest.fixture
def finished(tmp_path: Path) -> RunFolder:
    """Return a run that was measured twice."""
    run = RunFolder(tmp_path / "run")
    run.begin({"kind": "distillation", "options": DistillationOptions().to_json(), "data": []})
    run.record({"step": 200, "loss": 0.5, "cosine": 0.6})
    run.record({"step": 400, "loss": 0.4, "cosine": 0.7})
    return run


def test_prepare_makes_a_shard_of_crops_and_vectors(run: Run, crops: Path, tmp_path: Path) -> None:
    """The shard has a teacher vector per crop and mirror image; a second run writes the same."""
    for _ in range(2):
        done = run("train", "prepare", crops, tmp_path / "shard", "--teacher", "tiny", "--json")
        assert records(done.stdout)[0]["face_count"] == 3
    vectors = np.load(tmp_path / "shard" / "tiny.npy")
    assert vectors.shape[:2] == (3, 2)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)
    pixels = np.load(tmp_path / "shard" / "crops.npy")
    assert np.array_equal(pixels[1], np.asarray(PillowImage.open(crops / "1.png")))
    assert json.loads((tmp_path / "shard" / "shard.json").read_text())["size"] == 160


def test_prepare_continues_a_shard_of_an_earlier_version(run: Run, crops: Path, tmp_path: Path) -> None:
    """A shard.json of an earlier version, with the key "pictures", is read."""
    run("train", "prepare", crops, tmp_path / "shard", "--teacher", "tiny")
    record = tmp_path / "shard" / "shard.json"
    record.write_text(record.read_text().replace('"images"', '"pictures"'))
    (tmp_path / "shard" / "tiny.npy").unlink()
    done = run("train", "prepare", crops, tmp_path / "shard", "--teacher", "tiny", "--json")
    assert records(done.stdout)[0]["face_count"] == 3
    assert "pictures" in record.read_text()


def test_prepare_reads_the_crop_size_from_align_json(run: Run, crops: Path, tmp_path: Path) -> None:
    """align.json gives the position of the face in a crop; a damaged file gives a one-line error."""
    (crops / "align.json").write_text(AlignOptions(size=112, room=0.25).to_json())
    run("train", "prepare", crops, tmp_path / "shard", "--teacher", "tiny")
    assert json.loads((tmp_path / "shard" / "shard.json").read_text())["size"] == 112
    assert np.load(tmp_path / "shard" / "crops.npy").shape == (3, 140, 140, 3)
    (crops / "align.json").write_text('{"schema": 1}')
    damaged = run("train", "prepare", crops, tmp_path / "other", "--teacher", "tiny", exit_code=1)
    assert "align.json: is not a record of an alignment" in damaged.stderr
    assert len(damaged.stderr.strip().splitlines()) == 1


def test_prepare_refuses_a_shard_of_other_images(run: Run, crops: Path, tmp_path: Path) -> None:
    """A shard of other images, and a folder without images, give a one-line error and exit code 1."""
    run("train", "prepare", crops, tmp_path / "shard", "--teacher", "tiny")
    (crops / "2.png").unlink()
    again = run("train", "prepare", crops, tmp_path / "shard", "--teacher", "tiny", exit_code=1)
    assert "shard of other images" in again.stderr
    (tmp_path / "none").mkdir()
    none = run("train", "prepare", tmp_path / "none", tmp_path / "x", "--teacher", "tiny", exit_code=1)
    assert "contains no images" in none.stderr


def test_show_prints_the_learning_curve(run: Run, finished: RunFolder) -> None:
    """The output has one row per measurement, or one object with --json."""
    text = run("train", "show", finished.path).stdout
    assert [line.split() for line in text.splitlines()] == [
        ["step", "loss", "cosine"],
        ["200", "0.5", "0.6"],
        ["400", "0.4", "0.7"],
    ]
    assert [values["step"] for values in records(run("train", "show", finished.path, "--json").stdout)] == [200, 400]


def test_invalid_runs_give_one_line_errors(run: Run, finished: RunFolder, tmp_path: Path) -> None:
    """Runs without checkpoints, other folders and invalid options give one-line errors."""
    (tmp_path / "empty").mkdir()
    people = RunFolder(tmp_path / "people")
    people.begin({"kind": "identification", "options": {}, "data": []})
    cases = [
        (("finish", people.path, tmp_path / "end", tmp_path / "empty", "--steps", "5"), "is a run of another kind"),
        (("export", finished.path, tmp_path / "model"), "has no checkpoint yet"),
        (("show", tmp_path / "empty"), "contains no run.json, so it is not a run folder"),
        (("export", tmp_path / "empty", tmp_path / "model"), "contains no run.json, so it is not a run folder"),
        (
            ("finish", finished.path, tmp_path / "end", tmp_path / "empty", "--steps", "5"),
            "no checkpoint to continue from",
        ),
        (("distill", tmp_path / "new", tmp_path / "empty"), "crops.npy: is missing"),
        (("classify", tmp_path / "new", tmp_path / "empty", "--minimum", "3", "--maximum", "2"), "contradict"),
        (("classify", tmp_path / "new", tmp_path / "empty", "--flip", "3"), "flip is 3.0, expected a share"),
        (("classify", tmp_path / "new", tmp_path / "empty", "--image-size", "74"), "at least 75 pixels, got 74"),
    ]
    for arguments, problem in cases:
        done = run("train", *arguments, exit_code=1)
        assert problem in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "new").exists()
