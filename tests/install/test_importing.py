"""A model is installed whole and verified, or not at all."""

from __future__ import annotations

import zipfile
from dataclasses import replace
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


def _wide_files(folder: Path) -> list[Path]:
    """Files of nets whose images are 100,000 pixels wide: a prototxt, ONNX, a model folder."""
    net = small_net()
    (matrix,) = net.blobs("fc")
    layers = (input_layer("data", (1, 3, 1, 100_000)), *net.layers[1:])
    wide = replace(net, layers=layers, weights=weight_keys("fc", [np.resize(matrix, (8, 300_000))]))
    write_net(wide, folder / "wide.prototxt", folder / "wide.caffemodel")
    (folder / "wide.onnx").write_bytes(to_onnx(wide, ["vector"]))
    manifest = Manifest(
        name="wide", embedding_size=8, input_size=(100_000, 1), input_blob="data", output_blob="vector", source="x"
    )
    pairs = {"model.prototxt": folder / "wide.prototxt", "model.caffemodel": folder / "wide.caffemodel"}
    model = write_model_folder(folder / "wide", manifest, {name: path.read_bytes() for name, path in pairs.items()})
    return [folder / "wide.prototxt", folder / "wide.onnx", model.path]


def test_a_failed_import_changes_nothing(tmp_path: Path, data: Path) -> None:
    """Nets for images 100,000 pixels wide are refused; what was installed stays, in its order, and nothing is added."""
    import_model(write_tiny_model(tmp_path / "models").path, eight_bit=False)
    before = [model.manifest.name for model in installed_models()]
    files = sorted(path.relative_to(data) for path in data.rglob("*"))
    for path in _wide_files(tmp_path):
        reading = None if path.is_dir() else SourceOptions(channels="rgb", standardisation="unit", alignment="none")
        with pytest.raises(FaceallError, match=r"100000x1|100,000|takes an input of shape"):
            import_model(path, reading=reading, eight_bit=False)
        assert [model.manifest.name for model in installed_models()] == before
        assert sorted(path.relative_to(data) for path in data.rglob("*")) == files


def test_an_archive_that_unfolds_is_refused(tmp_path: Path) -> None:
    """A zip of 1 MB that holds a graph of 1 GB is not unpacked."""
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net.pb", bytes(1 << 28))
    with pytest.raises(ConvertError, match="at most"):
        import_model(tmp_path / "bomb.zip")
