"""`faceall convert` from end to end, on a very small model."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Run

import faceall
from faceall.convert.parity.comparison import random_images
from faceall.images import write_image
from faceall.models import ModelFolder
from faceall.types import Image
from places import ROOT
from tiny_model import write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a model folder with a 128-dimensional embedding."""
    return write_tiny_model(tmp_path / "models").path


def test_model_folder_becomes_onnx(run: Run, model: Path, tmp_path: Path) -> None:
    """stdout has one line with the path, stderr the tables; the report is beside the file."""
    done = run("convert", model, "--to", "onnx", "-o", tmp_path / "tiny.onnx")
    assert done.stdout == f"tiny: {tmp_path / 'tiny.onnx'}\n"
    assert "step         onnx" in done.stderr
    assert json.loads((tmp_path / "tiny.onnx.parity.json").read_text())["passed"] is True


def test_json_has_every_step(run: Run, model: Path, tmp_path: Path) -> None:
    """--json prints one object with the steps and the path of the report."""
    done = run("convert", model, "--to", "onnx", "-o", tmp_path / "tiny.onnx", "--json", "--quiet")
    values = json.loads(done.stdout)
    assert [step["step"] for step in values["steps"]] == ["net", "onnx"]
    assert Path(values["report"]).is_file()


def test_smaller_embedding_from_a_folder_of_crops(run: Run, model: Path, tmp_path: Path) -> None:
    """The manifest says 16 dimensions; the table reports the kept variance and the accuracy."""
    for number, crop in enumerate(random_images(40, (160, 160, 3), seed=2)):
        folder = tmp_path / "crops" / f"person-{number // 2}"
        folder.mkdir(parents=True, exist_ok=True)
        write_image(folder / f"{number}.png", crop)
    options = ["--embedding-size", "16", "--calibrate", tmp_path / "crops"]
    done = run("convert", model, "-o", tmp_path / "small", *options)
    manifest = ModelFolder.open(tmp_path / "small").manifest
    assert (manifest.name, manifest.embedding_size) == ("tiny-16", 16)
    assert "128 to 16 numbers, fitted on 40 crops" in done.stderr
    assert "accuracy" in done.stderr


def test_find_faces_crops_the_photos(run: Run, model: Path, tmp_path: Path, astronaut: Image) -> None:
    """With --find-faces photos are cropped; an image without a face is skipped and reported."""
    (tmp_path / "photos").mkdir()
    write_image(tmp_path / "photos" / "portrait.png", astronaut)
    write_image(tmp_path / "photos" / "wall.png", np.full((200, 200, 3), 99, np.uint8))
    done = run("convert", model, "-o", tmp_path / "again", "--check", tmp_path / "photos", "--find-faces")
    assert "1 of 2 photos without a face" in done.stderr
    assert "images       1 (crops from " in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--embedding-size", "16"], "--calibrate"),
        (["--embedding-size", "128", "--calibrate", "CROPS"], "from 1 to 127"),
        (["--calibrate", "CROPS"], "--embedding-size"),
        (["--check", "EMPTY"], "has no images"),
        (["--to", "onnx"], "exists already"),
        (["--bottleneck", "convolution", "--to", "onnx"], "--bottleneck has no effect for --to onnx"),
        (["--floor-pool", "crop", "--to", "onnx"], "--floor-pool has no effect for --to onnx"),
        (["--precision", "float32"], "--precision has no effect for --to caffe"),
        (["--minimum-ios", "16"], "--minimum-ios has no effect for --to caffe"),
        (["--input", "x", "--image-size", "9"], "--input and --image-size: only for TensorFlow graphs"),
    ],
)
def test_mistakes_are_one_line(run: Run, model: Path, tmp_path: Path, options: list[str], words: str) -> None:
    """The error names what is missing or does not fit, and nothing is written."""
    (tmp_path / "empty").mkdir()
    np.savez(tmp_path / "crops.npz", crops=random_images(3, (160, 160, 3)))
    places = {"CROPS": str(tmp_path / "crops.npz"), "EMPTY": str(tmp_path / "empty")}
    place = tmp_path / "crops.npz" if "onnx" in options else tmp_path / "out"
    done = run("convert", model, "-o", place, *(places.get(option, option) for option in options), exit_code=1)
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_import_copies_a_folder_unless_options_change_it(run: Run, model: Path, tmp_path: Path) -> None:
    """Without options the model is copied; with options, or without a manifest, it is converted."""
    options = ["--no-eight-bit", "--json"]
    run("models", "import", model, *options)
    made = tmp_path / "data" / "models"
    assert (made / "tiny" / "model.prototxt").read_bytes() == (model / "model.prototxt").read_bytes()
    run("models", "import", model, "--name", "mine", "--standardisation", "prewhiten", *options)
    changed = ModelFolder.open(made / "mine").manifest
    assert (changed.name, changed.standardisation.kind) == ("mine", "prewhiten")
    (model / "manifest.json").unlink()
    refused = run("models", "import", model, "--name", "bare", *options, exit_code=1).stderr
    assert "give --channels rgb|bgr and --standardisation NAME and --alignment" in refused
    assert not (made / "bare").exists()
    chosen = ["--channels", "bgr", "--standardisation", "arcface", "--alignment", "none"]
    run("models", "import", model, "--name", "bare", *chosen, *options)
    assert ModelFolder.open(made / "bare").manifest.channels == "BGR"
    assert ModelFolder.open(made / "bare").manifest.embedding_size == 128


def test_unfit_zips_are_one_line(run: Run, tmp_path: Path) -> None:
    """Encrypted, damaged and unsupported zips give one-line errors; files of __MACOSX are ignored."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/x.pb", "shadow")
        archive.writestr("._x.pb", "shadow")
        archive.writestr("graph.pb", "no graph at all, " * 9)
    whole = path.read_bytes()
    assert "graph.pb" in run("models", "import", path, exit_code=1).stderr  # found, read and refused as invalid
    local, central = whole.rindex(b"PK\x03\x04"), whole.rindex(b"PK\x01\x02")
    start = local + 30 + len("graph.pb")
    changes = {
        "password": {local + 6: 1, central + 8: 1},
        "method": {local + 8: 99, central + 10: 99},
        "data": {start: 7},
    }
    for changed in changes.values():
        data = bytearray(whole)
        for place, value in changed.items():
            data[place] = value
        path.write_bytes(data)
        error = run("models", "import", path, exit_code=1).stderr
        assert "cannot be unpacked" in error
        assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize("target", ["onnx", "coreml"])
def test_first_examples_of_the_guide_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """The guide's first examples run with an installed model and write into the current folder."""
    if target == "coreml":
        pytest.importorskip("coremltools", reason="needs coremltools")
    monkeypatch.setattr("faceall.models.store.BUNDLED", Path(faceall.__file__).parent / "models" / "bundled")
    monkeypatch.chdir(tmp_path)
    guide = ROOT / "docs" / "guides" / "conversion.md"
    if not guide.is_file():
        pytest.skip("needs the source tree: docs is absent")
    lines = [line.partition("#")[0].split() for line in guide.read_text().splitlines() if "    faceall convert" in line]
    examples = [words[1:] for words in lines[:2]]
    assert examples[0][:2] == ["convert", "faceall-128"]
    (example,) = [words for words in examples if words[-1] == target]
    run(*example)
    suffix = {"onnx": ".onnx", "coreml": ".mlpackage"}[target]
    assert (tmp_path / f"faceall-128{suffix}").exists()
