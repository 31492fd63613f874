"""An ArcFace-shaped ONNX file on its whole way: import, Caffe folder, Core ML, Swift package with its alignment."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from faceall.convert.targets.coreml import read_coreml
from faceall.embed import Embedder
from faceall.models import Alignment, find_model
from faceall_cli.main import main

sys.path.insert(0, str(Path(__file__).parent.parent / "convert" / "sources"))
from onnx_nets import iresnet

MODELS = Path("FaceAll/Sources/FaceAllCoreML/Models")


@pytest.mark.slow
def test_an_arcface_net_becomes_a_swift_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step passes its parity report; the package has the alignment, and its model the server's vectors."""
    pytest.importorskip("coremltools", reason='writing Core ML needs coremltools: pip install "faceall[coreml]"')
    monkeypatch.setenv("FACEALL_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("FACEALL_MODELS", raising=False)
    run = CliRunner().invoke
    (tmp_path / "arc.onnx").write_bytes(iresnet())
    options = ["--channels", "bgr", "--standardisation", "arcface", "--alignment", "arcface", "--no-eight-bit"]
    done = run(main, ["models", "import", str(tmp_path / "arc.onnx"), *options])
    assert done.exit_code == 0, done.output
    model = find_model("arc")
    assert sorted(model.manifest.files) == ["model.caffemodel", "model.prototxt"]
    assert isinstance(model.manifest.framing, Alignment)
    place = tmp_path / "Phone"
    done = run(main, ["convert", "arc", "--to", "ios", "--precision", "float32", "-o", str(place), "--json"])
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout.splitlines()[-1])
    assert record["fingerprint"] == model.fingerprint
    assert all(step["passed"] for step in record["steps"])
    contract = json.loads((place / MODELS / "contract.json").read_text())
    assert contract["manifest"]["alignment"] == model.manifest.alignment.to_json()
    assert contract["manifest"]["channels"] == "BGR"
    package = read_coreml(place / MODELS / contract["embedder"]["path"])
    crops = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    (name,), (output,) = package.inputs, package.outputs
    wanted = Embedder("arc", precision="float32").embed_crops(crops)
    for crop, vector in zip(crops, wanted, strict=True):
        made = np.ravel(package.run({name: crop})[output])
        np.testing.assert_allclose(made / np.linalg.norm(made), vector, rtol=0, atol=1e-5)
