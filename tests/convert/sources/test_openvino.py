"""ONNX, OpenVINO IR and TFLite files of other programs, read through OpenVINO."""

from __future__ import annotations

import random
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx_nets import NETS, Exporter
from source_checks import refusal

from faceall.caffe import Net, get_engine, read_net, write_net
from faceall.caffe.engines.openvino import import_openvino
from faceall.convert import SourceOptions, convert
from faceall.convert.sources import Source, open_source
from faceall.errors import ConvertError, FaceallError
from faceall.types import Array, Float32Array

TOLERANCE = 1e-5
REAL = {
    "models/omz/face-reidentification-retail-0095.xml": 255.0,
    "models/mobileface/mobileface_v2.xml": 1.0,
}
"""File of the shared folder -> the largest pixel that it takes."""


def run_openvino(path: Path, images: Float32Array) -> list[Array]:
    """What OpenVINO computes from the file itself."""
    core = import_openvino().Core()
    model = core.read_model(path)
    if model.is_dynamic():
        model.reshape(list(images.shape))
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [np.array(value) for value in compiled([images]).values()]


def assert_parity(net: Net, images: Float32Array, wanted: list[Array], engine: str = "reference") -> None:
    """The net gives what the file gives, in proportion to its size."""
    (name,) = net.inputs
    results = get_engine(engine).compile(net)({name: images})
    assert len(net.outputs) == len(wanted)
    for blob, expected in zip(net.outputs, wanted, strict=True):
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(results[blob].reshape(expected.shape), expected, rtol=0, atol=TOLERANCE * scale)


def opened(path: Path) -> tuple[Source, Net]:
    """The source and its net."""
    source = open_source(path)
    assert source.net is not None
    return source, source.net


@pytest.fixture(params=sorted(NETS))
def exported(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Float32Array]:
    """A file as PyTorch exports it, and images for it."""
    path = tmp_path / f"{request.param}.onnx"
    path.write_bytes(NETS[request.param]())
    fixed = request.param == "sface"
    images = np.random.default_rng(1).uniform(0, 255 if fixed else 1, (1 if fixed else 3, 3, 32, 32))
    return path, images.astype(np.float32)


def test_exported_nets_compute_what_onnxruntime_computes(exported: tuple[Path, Float32Array]) -> None:
    """Residuals, depthwise, SE blocks, views and normalisation, for a batch where the file allows one."""
    runtime = pytest.importorskip("onnxruntime")
    path, images = exported
    wanted = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"]).run(
        None, {"input.1": images}
    )
    source, net = opened(path)
    assert source.kind == "onnx"
    assert_parity(net, images, wanted)


def test_exported_nets_compute_what_openvino_computes(exported: tuple[Path, Float32Array], tmp_path: Path) -> None:
    """From the net written as Caffe's files and read back, in the default engine."""
    path, images = exported
    write_net(opened(path)[1], tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    net = read_net(tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    assert_parity(net, images, run_openvino(path, images), "openvino")


def test_normalisation_is_folded_into_convolutions(tmp_path: Path) -> None:
    """Of the ArcFace net only the normalisations before a convolution are left as layers."""
    (tmp_path / "net.onnx").write_bytes(NETS["iresnet"]())
    types = [layer.type for layer in opened(tmp_path / "net.onnx")[1].layers]
    assert "BatchNorm" not in types
    assert types.count("Scale") == 4
    assert types[-1] == "InnerProduct"


def test_unit_length_is_written_with_layers_of_every_caffe(tmp_path: Path) -> None:
    """ReduceL2, Clip, Expand and Div become the chain that the other converters write, too."""
    (tmp_path / "net.onnx").write_bytes(NETS["mobile_facenet"]())
    types = [layer.type for layer in opened(tmp_path / "net.onnx")[1].layers]
    assert types[-5:] == ["Power", "InnerProduct", "Power", "InnerProduct", "Eltwise"]


@pytest.mark.parametrize("name", sorted(REAL))
def test_real_openvino_models_become_caffe_nets(shared: Path, name: str) -> None:
    """Weights of 16 bits are float32 afterwards; the results agree with OpenVINO's own."""
    path = shared / name
    if not path.is_file():
        pytest.skip(f"needs {path}")
    source, net = opened(path)
    assert source.kind == "openvino"
    assert set(source.files_sha256) == {path.name, path.with_suffix(".bin").name}
    (shape,) = net.inputs.values()
    images = np.random.default_rng(0).uniform(0, REAL[name], (1, *shape[1:])).astype(np.float32)
    assert_parity(net, images, run_openvino(path, images))


@pytest.mark.parametrize("name", ["mobile", "squeeze"])
def test_tflite_nets_compute_what_tensorflow_lite_computes(tmp_path: Path, name: str) -> None:
    """Channels come last in these files and first in the net; no transposition is left before the last layers."""
    with zipfile.ZipFile(Path(__file__).with_name("tflite_files.zip")) as archive:
        archive.extractall(tmp_path)
    source, net = opened(tmp_path / f"{name}.tflite")
    assert source.kind == "tflite"
    assert [layer.type for layer in net.layers].count("Permute") == 1
    images = np.load(tmp_path / f"{name}-images.npy").transpose(0, 3, 1, 2)
    assert_parity(net, images, [np.load(tmp_path / f"{name}.npy")])


def test_operations_without_a_counterpart_are_listed_at_once(tmp_path: Path) -> None:
    """Every one with its name and type, none that only reads what another should have made."""
    net = Exporter((1, 3, 8, 8))
    first = net.node("Softplus", ["input.1"])
    second = net.node("Cos", [net.node("Relu", [first])])
    third = net.node("Erf", [net.node("Relu", ["input.1"])])
    (tmp_path / "net.onnx").write_bytes(net.finish(net.node("Add", [second, third])))
    text = refusal(tmp_path / "net.onnx")
    assert "2 operations have no counterpart in Caffe" in text
    assert "(SoftPlus)" in text
    assert "(Erf)" in text


def test_an_open_image_size_is_asked_for(tmp_path: Path) -> None:
    """One line names the option; with it the file is read."""
    net = Exporter(("batch", 3, "height", "width"))
    (tmp_path / "net.onnx").write_bytes(net.finish(net.node("GlobalAveragePool", [net.convolution("input.1", 4)])))
    with pytest.raises(ConvertError, match=r"leaves the size of its images free: give it with --image-size N"):
        open_source(tmp_path / "net.onnx")
    made = open_source(tmp_path / "net.onnx", image_size=96).net
    assert made is not None
    assert list(made.inputs.values()) == [(1, 3, 96, 96)]


def test_a_length_beside_the_embedding_is_left_out(tmp_path: Path) -> None:
    """Some exports also return the length of the vector; two long vectors have to be chosen between by name."""
    net = Exporter()
    x = net.node("Flatten", [net.node("GlobalAveragePool", [net.convolution("input.1", 8)])], axis=1)
    length, vector = net.gemm(x, 8, 1), net.gemm(x, 8, 16)
    (tmp_path / "two.onnx").write_bytes(net.finish(length, vector))
    reading = SourceOptions(channels="rgb", standardisation="fixed", alignment="none")
    done = convert(tmp_path / "two.onnx", tmp_path / "two", reading=reading)
    assert (done.manifest.kind, done.manifest.embedding_size, done.manifest.output_blob) == ("embedder", 16, "684")
    net = Exporter(seed=1)
    x = net.node("Flatten", [net.node("GlobalAveragePool", [net.convolution("input.1", 8)])], axis=1)
    (tmp_path / "three.onnx").write_bytes(net.finish(net.gemm(x, 8, 16), net.gemm(x, 8, 24)))
    chosen = replace(reading, output="684")
    assert convert(tmp_path / "three.onnx", tmp_path / "three", reading=chosen).manifest.embedding_size == 24
    with pytest.raises(ConvertError, match=r"--output-node: there is no result 'x'; the net has 683 .*, 684"):
        convert(tmp_path / "three.onnx", tmp_path / "none", reading=replace(reading, output="x"))


EXPECTED = {
    "nodes": "nodes, at most 20,000 are read",
    "value": "numbers, at most 134,217,728 are read",
    "constant": "its constants are much larger than the file",
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_files_that_grow_when_they_are_read_are_refused(tmp_path: Path, kind: str) -> None:
    """A small file may ask for gigabytes: too many nodes, a huge image, a constant computed from a small one."""
    net = Exporter((1, 3, 8, 8) if kind != "value" else (1, 3, 60_000, 60_000))
    x = "input.1"
    if kind == "nodes":
        for _ in range(21_000):
            x = net.node("Relu", [x])
    elif kind == "constant":
        large = net.graph.node("Expand", [net.graph.scalar(1.0), net.graph.integers(192, 1 << 17)])
        x = net.node("MatMul", [net.node("Flatten", [x], axis=1), large])
    (tmp_path / "net.onnx").write_bytes(net.finish(net.node("Relu", [x])))
    assert EXPECTED[kind] in refusal(tmp_path / "net.onnx")


def test_an_embedder_becomes_a_model_folder(tmp_path: Path) -> None:
    """The whole conversion of a file of another program, with its report."""
    (tmp_path / "net.onnx").write_bytes(NETS["mobile_facenet"]())
    done = convert(tmp_path / "net.onnx", tmp_path / "model", reading=SourceOptions(standardisation="fixed"))
    assert done.report.passed
    assert done.manifest.embedding_size == 16


@pytest.mark.parametrize("seed", range(8))
def test_damaged_files_are_read_or_refused(tmp_path: Path, seed: int) -> None:
    """A cut or overwritten bytes: a net or one clear line; the process that reads cannot take this one with it."""
    choice = random.Random(seed)
    data = bytearray(NETS["sface"]())
    place = choice.randrange(len(data))
    if seed % 2:
        del data[place:]
    else:
        data[place : place + 40] = choice.randbytes(len(data[place : place + 40]))
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    try:
        source = open_source(path)
        if source.net is not None:
            get_engine("reference").compile(source.net)
    except FaceallError as error:
        message = str(error)
    else:
        return
    assert message
    assert "\n" not in message


def test_a_model_is_opened_by_its_weights(tmp_path: Path) -> None:
    """The .bin of an OpenVINO model stands for the .xml beside it."""
    openvino = import_openvino()
    (tmp_path / "net.onnx").write_bytes(NETS["sface"]())
    openvino.save_model(openvino.Core().read_model(tmp_path / "net.onnx"), tmp_path / "net.xml")
    assert open_source(tmp_path / "net.bin").kind == "openvino"
