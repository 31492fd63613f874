"""Embedders that Caffe cannot express are installed and run as their file has them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from faceall.caffe.engines.openvino import import_openvino
from faceall.convert import SourceOptions, convert
from faceall.embed import Embedder
from faceall.errors import ConvertError, EngineError, ModelError, UnsupportedGraphError
from faceall.gallery import Gallery
from faceall.install import import_model
from faceall.models import ModelFolder, find_model, installed_models
from faceall_cli.main import main

sys.path.insert(0, str(Path(__file__).parent.parent / "convert" / "sources"))
from onnx_nets import Exporter

SIZE, SIDE = 32, 32
READING = SourceOptions(channels="bgr", standardisation="arcface", alignment="arcface")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("FACEALL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FACEALL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FACEALL_MODELS", raising=False)
    return tmp_path / "data"


def attention(batch: int | str = "batch", *, quality: bool = False) -> bytes:
    """A net with attention and GELU, as EdgeFace has them; `quality` adds a result of one value."""
    net = Exporter((batch, 3, SIDE, SIDE))
    x = net.convolution("input.1", 16, 8, stride=8)  # (N, 16, 5, 5)
    x = net.node("Reshape", [x, net.graph.integers(0, 16, 25)])
    y = net.node("Softmax", [net.node("MatMul", [x, net.node("Transpose", [x], perm=[0, 2, 1])])], axis=2)
    x = net.node("MatMul", [y, x])
    x = net.node("Mul", [x, net.node("Erf", [x])])
    x = net.node("ReduceMean", [x], axes=[2], keepdims=0)
    vector = net.gemm(x, 16, SIZE)
    return net.finish(vector, net.gemm(x, 16, 1)) if quality else net.finish(vector)


def write(folder: Path, form: str) -> Path:
    """Write the net in a form."""
    path = folder / "edge.onnx"
    path.write_bytes(attention(1 if form == "fixed" else "batch", quality=form == "quality"))
    if form == "openvino":
        openvino = import_openvino()
        openvino.save_model(openvino.Core().read_model(path), folder / "edge.xml", compress_to_fp16=False)
        path.unlink()
        path = folder / "edge.xml"
    return path


def expected(path: Path, crops: np.ndarray) -> np.ndarray:
    """What OpenVINO computes from the file itself, one image at a time, as unit vectors."""
    model = import_openvino().Core().read_model(path)
    model.reshape([1, 3, SIDE, SIDE])
    compiled = import_openvino().Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    images = ((crops[..., ::-1].astype(np.float32) - 127.5) / 127.5).transpose(0, 3, 1, 2)
    vectors = np.concatenate([compiled([image[None]])[0] for image in images])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("form", ["free", "fixed", "openvino", "quality"])
def test_the_installed_model_gives_the_vectors_of_its_file(tmp_path: Path, form: str) -> None:
    """For several faces at once, also where the file takes one; the embedding is found beside a quality."""
    path = write(tmp_path, form)
    done = import_model(path, reading=READING)
    assert done.model.net_file == done.model.path / ("model.xml" if form == "openvino" else "model.onnx")
    assert done.conversion is None
    crops = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)
    for _ in range(2):  # the second is loaded from the cache
        made = Embedder(done.model.path, precision="float32").embed_crops(crops)
        np.testing.assert_allclose(made, expected(path, crops), rtol=0, atol=1e-5)


def test_the_other_engine_gives_the_same_vectors(tmp_path: Path) -> None:
    """onnxruntime runs model.onnx; an engine for Caffe's formats says that it cannot."""
    pytest.importorskip("onnxruntime")
    model = import_model(write(tmp_path, "fixed"), reading=READING).model
    crops = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    made = Embedder(model.path, engine="onnxruntime").embed_crops(crops)
    np.testing.assert_allclose(made, Embedder(model.path, precision="float32").embed_crops(crops), rtol=0, atol=1e-5)
    with pytest.raises(EngineError, match="'reference' runs nets in Caffe's formats only"):
        Embedder(model.path, engine="reference").embed_crops(crops)


def test_the_manifest_has_the_oldest_schema_that_can_tell(tmp_path: Path) -> None:
    """Older releases refuse schema 4 with the advice to upgrade; the weights of an OpenVINO model are required."""
    model = import_model(write(tmp_path, "openvino"), reading=READING).model
    values = json.loads((model.path / "manifest.json").read_text())
    assert values["schema"] == 4
    assert sorted(values["files"]) == ["model.bin", "model.xml"]
    del values["files"]["model.bin"]
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"expected model\.bin among them"):
        ModelFolder.open(tmp_path / "broken")


def test_every_target_is_closed_by_name(tmp_path: Path) -> None:
    """The refusal names the model, the targets and the operations; so does the import, as a remark."""
    path = write(tmp_path, "free")
    done = import_model(path, reading=READING)
    assert "caffe, onnx, coreml, coreai, savedmodel and ios are closed to it" in done.remarks[-1]
    with pytest.raises(
        UnsupportedGraphError, match=r"'edge' runs as model\.onnx; the targets .* are closed .*\(MatMul"
    ):
        convert(done.model.path, tmp_path / "made")
    with pytest.raises(UnsupportedGraphError, match=r"\(MatMul.*faceall models import"):
        convert(path, tmp_path / "made", reading=READING)
    for target, name in {
        "onnx": "made.onnx",
        "coreml": "made.mlpackage",
        "coreai": "made.aimodel",
        "savedmodel": "made",
        "ios": "made",
    }.items():
        ran = CliRunner().invoke(main, ["convert", "edge", "--to", target, "-o", str(tmp_path / name)])
        assert ran.exit_code == 1, target
        assert "are closed to it" in ran.output
    assert not [file for file in tmp_path.iterdir() if file.name.startswith("made")]


def test_an_unknown_input_is_asked_for(tmp_path: Path) -> None:
    """As for every other net: random weights separate no faces, and nothing is installed."""
    with pytest.raises(ConvertError, match=r"do not settle the input it expects .*--channels"):
        import_model(write(tmp_path, "free"))
    assert installed_models() == []


def test_a_gallery_is_filled_and_searched(tmp_path: Path) -> None:
    """From the command line: import, list, register, search, doctor, verify."""
    astronaut = pytest.importorskip("skimage.data").astronaut()
    from PIL import Image

    photo = tmp_path / "photos" / "astronaut.jpg"
    photo.parent.mkdir()
    Image.fromarray(astronaut).save(photo, quality=95)
    place, run = str(tmp_path / "people.faceall"), CliRunner().invoke
    options = ["--channels", "rgb", "--standardisation", "fixed", "--alignment", "arcface"]
    ran = run(main, ["models", "import", str(write(tmp_path, "free")), *options])
    assert ran.exit_code == 0, ran.output
    assert "are closed to it" in ran.output
    ran = run(main, ["register", str(photo.parent), "--gallery", place])
    assert ran.exit_code == 0, ran.output
    with Gallery.open(place, read_only=True) as gallery:
        assert len(gallery) == 1
        assert gallery.model.startswith("edge")
        (match, *_) = gallery.search(photo)[0].matches
        assert match.distance < 1e-3
    ran = run(main, ["doctor", "--gallery", place])
    assert ran.exit_code == 0, ran.output
    assert "edge, runs as model.onnx and cannot be converted, checksums correct" in ran.output
    assert run(main, ["models", "verify", "edge"]).exit_code == 0
    (find_model("edge").path / "model.onnx").write_bytes(b"damaged")
    assert run(main, ["models", "verify", "edge"]).exit_code == 1
