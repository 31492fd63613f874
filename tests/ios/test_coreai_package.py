"""A Swift package with models for Core AI beside those for Core ML, each run here by Apple's own runtime."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from golden_vectors import read_pixels

from faceall.convert.parity.crops import default_crops
from faceall.convert.targets.coreai import read_coreai
from faceall.convert.targets.coreml import read_coreml
from faceall.convert.targets.ios.template import tree_sha256
from faceall_cli.main import main
from tiny_model import write_tiny_model

MODELS = Path("FaceAll/Sources/FaceAllCoreML/Models")
needs_both = pytest.mark.skipif(
    importlib.util.find_spec("coreai") is None or importlib.util.find_spec("coremltools") is None,
    reason='needs coreai-core and coremltools: pip install "faceall[coreai,coreml]"',
)


def exported(model: Path, place: Path, *options: str) -> Result:
    """Run the export."""
    arguments = ["convert", str(model), "--to", "ios", "-o", str(place), "--json", *options]
    return CliRunner().invoke(main, arguments)


@needs_both
def test_both_runtimes_get_the_same_nets(tmp_path: Path) -> None:
    """The contract names both; in Apple's runtime the embedder gives the golden vectors, and P-Net those of Core ML."""
    model = write_tiny_model(tmp_path / "models")
    done = exported(model.path, tmp_path / "Phone", "--core-ai")
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout.splitlines()[-1])
    nets = ("proposal net", "refinement net", "output net")
    assert [step["step"] for step in record["steps"]] == [
        *("net", "coreml", "coreai"),
        *nets,
        *(f"{name}, coreai" for name in nets),
    ]
    assert all(step["passed"] for step in record["steps"])
    folder = tmp_path / "Phone" / MODELS
    contract = json.loads((folder / "contract.json").read_text())
    assert contract["schema"] == 1  # versions without Core AI read it, and use Core ML
    coreai = contract["coreai"]
    assert (coreai["precision"], coreai["detector"].keys()) == ("float16", contract["detector"].keys())
    for part in (coreai["embedder"], *coreai["detector"].values()):
        assert tree_sha256(folder / part["path"]) == part["sha256"]
    golden = json.loads((folder / "golden.json").read_text())
    part = coreai["embedder"]
    feeds = [{part["input"]: read_pixels(crop)[None]} for crop in golden["crops"]]
    results, _ = read_coreai(folder / part["path"]).run(feeds)
    for made, vector in zip(results, golden["vectors"], strict=True):
        assert float(made[part["output"]].reshape(-1) @ np.array(vector)) >= golden["gate"]
    crop = default_crops((160, 160)).crops[0][:90, :131].transpose(2, 0, 1)[None].astype(np.float32)
    old, new = contract["detector"]["proposal"], coreai["detector"]["proposal"]
    (made,), _ = read_coreai(folder / new["path"]).run([{new["input"]: crop}])
    wanted = read_coreml(folder / old["path"]).run({old["input"]: crop})[old["output"]]
    np.testing.assert_allclose(made[new["output"]].reshape(wanted.shape), wanted, atol=2e-5, rtol=1e-5)


@needs_both
def test_without_the_option_the_contract_has_no_models_for_core_ai(tmp_path: Path) -> None:
    """A package that is refreshed without them loses them."""
    model = write_tiny_model(tmp_path / "models")
    for options in (["--core-ai"], []):
        done = exported(model.path, tmp_path / "Phone", *options)
        assert done.exit_code == 0, done.output
    folder = tmp_path / "Phone" / MODELS
    assert "coreai" not in json.loads((folder / "contract.json").read_text())
    assert not list(folder.glob("*.aimodel"))


def test_without_coreai_core_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install, and nothing is left behind."""
    pytest.importorskip("coremltools", reason='writing Core ML needs coremltools: pip install "faceall[coreml]"')
    absent = tmp_path / "absent" / "coreai"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError('absent')\n")
    monkeypatch.setenv("PYTHONPATH", str(absent.parent))
    model = write_tiny_model(tmp_path / "models")
    done = exported(model.path, tmp_path / "Phone", "--core-ai")
    assert done.exit_code == 1
    assert 'pip install "faceall[coreai]"' in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"models", "absent"}
