"""`faceall convert --to ios`: the package is whole, and its models give the server's vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from golden_vectors import read_pixels

from faceall.convert.targets.coreml import read_coreml
from faceall.convert.targets.ios.template import tree_sha256
from faceall.models import ModelFolder
from faceall_cli.main import main
from tiny_model import write_tiny_model

MODELS = Path("FaceAll/Sources/FaceAllCoreML/Models")


def run(*arguments: object) -> Result:
    """Run the command line."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    """A model folder of 128 numbers."""
    return write_tiny_model(tmp_path / "models")


@pytest.mark.slow
def test_package_is_whole_and_its_models_agree(model: ModelFolder, tmp_path: Path) -> None:
    """Models, contract and golden vectors; the embedder in the package gives the golden vectors from the crops."""
    pytest.importorskip("coremltools", reason='writing Core ML needs coremltools: pip install "faceall[coreml]"')
    done = run("convert", model.path, "--to", "ios", "-o", tmp_path / "Phone", "--json")
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout.splitlines()[-1])
    assert (record["status"], record["fingerprint"]) == ("written", model.fingerprint)
    assert [step["step"] for step in record["steps"]] == [
        *("net", "coreml"),
        *("proposal net", "refinement net", "output net"),
    ]
    assert all(step["passed"] for step in record["steps"])
    folder = tmp_path / "Phone" / MODELS
    contract = json.loads((folder / "contract.json").read_text())
    assert contract["fingerprint"] == model.fingerprint
    assert contract["manifest"] == json.loads(model.manifest.to_json())
    for part in (contract["embedder"], *contract["detector"].values()):
        assert tree_sha256(folder / part["path"]) == part["sha256"]
    golden = json.loads((folder / "golden.json").read_text())
    embedder = read_coreml(folder / contract["embedder"]["path"])
    for crop, vector in zip(golden["crops"], golden["vectors"], strict=True):
        made = embedder.run({"image": read_pixels(crop)})["embedding"].reshape(-1)
        assert float(made @ np.array(vector)) >= golden["gate"]
    assert len(golden["crops"]) > 1
    assert {path.name for path in tmp_path.iterdir()} == {"models", "Phone"}


def test_foreign_folder_is_left_alone(model: ModelFolder, tmp_path: Path) -> None:
    """One line, exit code 1, nothing changed."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.swift").write_text("mine")
    done = run("convert", model.path, "--to", "ios", "-o", tmp_path / "app")
    assert done.exit_code == 1
    assert "no package that faceall made" in done.stderr
    assert [path.name for path in (tmp_path / "app").iterdir()] == ["main.swift"]


def test_without_coremltools_the_extra_is_named(
    model: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what to install, and nothing is left behind."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "coremltools.py").write_text("raise ImportError('absent')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    done = run("convert", model.path, "--to", "ios", "-o", tmp_path / "Phone")
    assert done.exit_code == 1
    assert 'pip install "faceall[coreml]"' in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"models", "broken"}


def test_detectors_are_refused(tmp_path: Path, shared: Path) -> None:
    """A package needs an embedder."""
    done = run("convert", shared / "models/mtcnn/det1.prototxt", "--to", "ios", "-o", tmp_path / "Phone")
    assert done.exit_code == 1
    assert "needs an embedder" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--input-kind", "array"], "--input-kind has no effect for --to ios"),
        (["--to", "coreml", "--core-ai"], "--core-ai has no effect for --to coreml"),
        (["--bottleneck", "convolution"], "--bottleneck has no effect for --to ios"),
        (["--minimum-ios", "14"], "needs iOS 15 or later"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    model: ModelFolder, tmp_path: Path, options: list[str], words: str
) -> None:
    """Said before any work."""
    done = run("convert", model.path, "--to", "ios", "-o", tmp_path / "Phone", *options)
    assert done.exit_code == 1
    assert words in done.stderr
