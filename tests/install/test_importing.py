"""A model is installed whole and verified, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceall.caffe import Layer, Net, input_layer, to_onnx, write_net
from faceall.caffe.net import weight_keys
from faceall.convert import SourceOptions
from faceall.errors import ConvertError, FaceallError, ModelError
from faceall.install import import_model
from faceall.models import Manifest, installed_models, write_model_folder
from tiny_model import write_tiny_model

SIDE = 24


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("FACEALL_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("FACEALL_MODELS", raising=False)
    return tmp_path / "data"


def small_net(scale: float = 1.0) -> Net:
    """An embedder of 8 dimensions with random weights."""
    random = np.random.default_rng(0)
    options = {"inner_product_param": {"num_output": 8, "bias_term": False}}
    layers = (input_layer("data", (1, 3, SIDE, SIDE)), Layer("fc", "InnerProduct", ("data",), ("vector",), options))
    matrix = random.normal(size=(8, 3 * SIDE * SIDE)).astype(np.float32) * scale
    return Net("net", layers, weight_keys("fc", [matrix]))


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    """An ONNX file of another program."""
    path = tmp_path / "net.onnx"
    path.write_bytes(to_onnx(small_net(), ["vector"]))
    return path


def test_a_model_folder_is_copied(tmp_path: Path) -> None:
    """Without options nothing is converted."""
    model = write_tiny_model(tmp_path / "models")
    done = import_model(model.path, eight_bit=False)
    assert (done.conversion, done.probe, done.eight_bit) == (None, None, None)
    assert done.model.fingerprint == model.fingerprint


def test_an_embedder_of_unknown_input_is_refused(onnx: Path) -> None:
    """Random weights separate no faces: the options that decide are named, and nothing is installed."""
    with pytest.raises(ConvertError, match=r"do not settle the input it expects .*--channels"):
        import_model(onnx)
    assert installed_models() == []


def test_a_chosen_input_is_written_into_the_manifest(onnx: Path) -> None:
    """Channels, scaling and alignment are those of the options; the net is compared with the file itself."""
    reading = SourceOptions(channels="bgr", standardisation="unit", alignment="arcface")
    done = import_model(onnx, reading=reading, eight_bit=False)
    manifest = done.model.manifest
    assert (manifest.channels, manifest.standardisation.scale) == ("BGR", 1 / 255)
    assert manifest.alignment is not None
    assert done.conversion is not None
    assert [report.reference for report in done.conversion.reports] == ["source", "net"]


def test_a_model_that_does_not_run_leaves_nothing(tmp_path: Path) -> None:
    """Values that are not finite, and a size other than the stated one."""
    reading = SourceOptions(channels="rgb", standardisation="unit", alignment="none")
    write_net(small_net(float("inf")), tmp_path / "bad.prototxt", tmp_path / "bad.caffemodel")
    with pytest.raises(FaceallError):
        import_model(tmp_path / "bad.prototxt", reading=reading, eight_bit=False)
    write_net(small_net(), tmp_path / "model.prototxt", tmp_path / "model.caffemodel")
    manifest = Manifest(
        name="wrong", embedding_size=9, input_size=(SIDE, SIDE), input_blob="data", output_blob="vector"
    )
    files = {name: (tmp_path / name).read_bytes() for name in ("model.prototxt", "model.caffemodel")}
    folder = write_model_folder(tmp_path / "wrong", manifest, files)
    with pytest.raises(ModelError, match="gives 8 values, its manifest says 9; it is not installed"):
        import_model(folder.path, eight_bit=False)
    assert installed_models() == []
