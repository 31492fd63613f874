"""Layers in 8 bits: chosen by measurement, and only where the vectors stay."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceall.caffe.engines import get_engine, has_eight_bit_products
from faceall.caffe.net import Layer, Net, input_layer, weight_keys
from faceall.caffe.onnx import to_onnx
from faceall.embed import Embedder
from faceall.embed.quantisation import (
    MINIMUM_COSINE,
    _cheapest,
    _groups,
    add_eight_bit,
    choose_ranges,
    exaggerated,
    measure_ranges,
    portraits,
)
from faceall.errors import EngineError, ModelDamagedError
from faceall.models import EIGHT_BIT, Alignment, CropRule, ModelFolder, adopt
from faceall.types import Array
from tiny_model import write_tiny_model

needs_eight_bit = pytest.mark.skipif(
    not has_eight_bit_products(), reason="this processor does not multiply bytes natively"
)


@pytest.fixture
def net() -> Net:
    """conv -> ReLU -> conv -> ReLU -> conv, the last one's input is never negative either."""
    random = np.random.default_rng(5)
    layers, weights, bottom, channels = [input_layer("data", (1, 3, 16, 16))], {}, "data", 3
    for number in range(3):
        name = f"conv{number}"
        options = {"convolution_param": {"num_output": 16, "kernel_size": [3]}}
        layers += [
            Layer(name, "Convolution", (bottom,), (name,), options),
            Layer(f"relu{number}", "ReLU", (name,), (f"relu{number}",)),
        ]
        weights |= weight_keys(name, [random.normal(0, 0.2, (16, channels, 3, 3)), random.normal(0, 0.1, 16)])
        bottom, channels = f"relu{number}", 16
    layers += [
        Layer("flat", "Flatten", (bottom,), ("flat",)),
        Layer("out", "InnerProduct", ("flat",), ("out",), {"inner_product_param": {"num_output": 32}}),
    ]
    weights |= weight_keys("out", [random.normal(0, 0.05, (32, 1600)), np.zeros(32)])
    return Net("small", tuple(layers), weights)


@pytest.fixture
def pictures() -> Array:
    return np.random.default_rng(6).normal(size=(8, 3, 16, 16)).astype(np.float32)


def test_ranges_are_those_of_inputs_that_are_never_negative(net: Net, pictures: Array) -> None:
    """The first convolution reads the picture, which has negative numbers; the others read what ReLU gives."""
    ranges = measure_ranges(net, {"data": pictures})
    blobs = get_engine("reference").compile(net, ["relu0", "relu1"])({"data": pictures})
    assert ranges.keys() == {"conv1", "conv2"}
    assert ranges["conv1"] == pytest.approx(float(blobs["relu0"].max()) * 1.6, rel=1e-5)


def test_eight_bit_arithmetic_is_close(net: Net, pictures: Array) -> None:
    """With both layers in 8 bits the result moves, but little: rounding is to a 255th and a 127th."""
    ranges = measure_ranges(net, {"data": pictures})
    exact = get_engine("openvino").compile(net)({"data": pictures})["out"]
    rounded = get_engine("openvino").compile(replace(net, ranges=ranges), precision="int8")({"data": pictures})["out"]
    if has_eight_bit_products():
        assert np.abs(rounded - exact).max() > 0
    assert np.abs(rounded - exact).max() < 0.05 * np.abs(exact).max()


def test_rounding_is_as_written(net: Net, pictures: Array) -> None:
    """onnxruntime, which takes the same file, agrees with rounding done by hand in NumPy."""
    ort = pytest.importorskip("onnxruntime")
    ranges = {"conv1": measure_ranges(net, {"data": pictures})["conv1"]}
    session = ort.InferenceSession(to_onnx(replace(net, ranges=ranges), ["conv1"], eight_bit=True))
    (found,) = session.run(["conv1"], {"data": pictures})
    step = np.float32(ranges["conv1"] / 255)
    read = get_engine("reference").compile(net, ["relu0"])({"data": pictures})["relu0"]
    kernel = net.weights["conv1/0"]
    steps = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) / np.float32(127)
    by_hand = Net(
        "one",
        (input_layer("relu0", (1, *read.shape[1:])), replace(net.layers[3], bottoms=("relu0",))),
        weight_keys("conv1", [np.rint(kernel / steps) * steps, net.weights["conv1/1"]]),
    )
    expected = get_engine("reference").compile(by_hand)({"relu0": np.clip(np.rint(read / step), 0, 255) * step})
    np.testing.assert_allclose(found, expected["conv1"], atol=2e-2)


@needs_eight_bit
def test_the_gate_holds(net: Net, pictures: Array) -> None:
    """What is chosen keeps the gate; under one that nothing can keep, nothing is chosen."""
    loose = choose_ranges(net, pictures, pictures[:2] * 2, output="out", minimum_cosine=0.99)
    assert loose.ranges.keys() == {"conv1", "conv2"}
    assert loose.cosine[0] >= 0.99
    assert 0 < loose.share < 1
    assert not choose_ranges(net, pictures, pictures[:2] * 2, output="out", minimum_cosine=1.0).ranges


def test_without_the_instructions_nothing_is_measured(
    net: Net, pictures: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A measurement that would silently run in float32 is refused."""
    monkeypatch.setattr("faceall.caffe.engines.openvino.processor_flags", lambda: frozenset({"avx2"}))
    with pytest.raises(EngineError, match="8 bits"):
        choose_ranges(net, pictures, pictures[:2] * 2, output="out")


def test_groups_hold_every_layer_once_in_order() -> None:
    """Neighbours stay together, and the groups are about equal."""
    work = {f"layer{number}": 1 + number % 5 for number in range(100)}
    groups = _groups(list(work), work)
    assert [layer for group in groups for layer in group] == list(work)
    loads = [sum(work[layer] for layer in group) for group in groups]
    assert max(loads) <= 2 * min(loads)


def test_the_cheapest_groups_come_first_and_within_the_budget() -> None:
    """Harm per work decides, and a group that would break the budget is passed over."""
    groups, work = [["a"], ["b"], ["c"]], {"a": 10, "b": 10, "c": 1}
    assert _cheapest(groups, [0.5, 0.1, 0.3], work, 0.45) == [1, 2]


def test_portraits_are_always_the_same_and_differ() -> None:
    """The same pictures on every machine; no two alike."""
    first, again = (portraits(CropRule(), (160, 160)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len({picture.tobytes() for picture in first}) == len(first)


def test_exaggerations_use_the_whole_range() -> None:
    """They are as many as promised, and each kind reaches black and white."""
    crops = portraits(CropRule(), (160, 160))
    harsh = exaggerated(crops)
    assert harsh.shape == (len(crops) + len(crops) // 3, 160, 160, 3)
    assert harsh.dtype == np.uint8
    assert (harsh[8:16].reshape(8, -1).max(axis=1) == 255).all()
    assert set(np.unique(harsh[8:16])) <= {0, 255}


@pytest.fixture
def tiny(tmp_path: Path) -> ModelFolder:
    return write_tiny_model(tmp_path / "models")


@needs_eight_bit
@pytest.mark.slow
def test_facenet_keeps_its_vectors_and_its_identity(
    shared: Path, facenet: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least 0.9999 on the golden vectors, more than a third of the work in 8 bits, the same fingerprint."""
    copy = ModelFolder.open(shutil.copytree(facenet.path, tmp_path / "model"))
    model, report = add_eight_bit(copy)
    monkeypatch.setenv("FACEALL_PRECISION", "int8")
    golden = np.load(shared / "models/facenet/golden.npz")
    embedder = Embedder(model.path)
    cosines = (embedder.embed_crops(golden["crops"]) * golden["embeddings"]).sum(axis=1)
    assert embedder.precision == "int8"
    assert cosines.min() >= 0.9999
    assert report.share > 1 / 3
    assert report.cosine[0] >= MINIMUM_COSINE
    assert model.fingerprint == facenet.fingerprint
    model.verify()
    exact = Embedder(model.path, precision="float32").embed_crops(golden["crops"])
    assert np.abs(exact - golden["embeddings"]).max() <= 1e-5


@needs_eight_bit
def test_importing_again_keeps_what_was_measured(
    tiny: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layers in 8 bits are no other model: adopting the plain one again changes nothing."""
    monkeypatch.setenv("FACEALL_DATA", str(tmp_path / "data"))
    installed = adopt(tiny)
    files: dict[str, bytes | Path] = {name: installed.path / name for name in installed.manifest.files}
    files[EIGHT_BIT] = json.dumps({"ranges": {"conv": 1.0}}).encode()
    from faceall.models import write_model_folder

    measured = write_model_folder(installed.path, installed.manifest, files, replace_existing=True)
    assert adopt(tiny).manifest == measured.manifest
    assert measured.ranges == {"conv": 1.0}


def test_a_damaged_file_is_told(tiny: ModelFolder) -> None:
    """One line, with the file and what to do."""
    files = {path.name: path for path in tiny.path.iterdir() if path.name != "manifest.json"}
    from faceall.models import write_model_folder

    model = write_model_folder(tiny.path, tiny.manifest, {**files, EIGHT_BIT: b"{"}, replace_existing=True)
    with pytest.raises(ModelDamagedError, match=f"{EIGHT_BIT}.*import the model again"):
        _ = model.ranges


def test_all_files_of_a_model_are_kept(tiny: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What else the manifest lists is still there after the layers in 8 bits were noted."""
    from faceall.embed import quantisation as eight_bit
    from faceall.models import write_model_folder

    files: dict[str, bytes | Path] = {name: tiny.path / name for name in tiny.manifest.files}
    model = write_model_folder(tiny.path, tiny.manifest, {**files, "LICENSE": b"terms"}, replace_existing=True)
    report = eight_bit.EightBitReport({"conv": 1.0}, 0.5, (1.0, 1.0))
    monkeypatch.setattr(eight_bit, "choose_ranges", lambda *_, **__: report)
    noted, _ = eight_bit.add_eight_bit(model)
    assert set(noted.manifest.files) == {*tiny.manifest.files, "LICENSE", EIGHT_BIT}
    noted.verify()


def test_ranges_of_many_pictures_are_those_of_their_parts() -> None:
    """The largest value counts wherever it stands, and one negative value anywhere excludes a layer."""
    one = {"convolution_param": {"num_output": 3, "kernel_size": [1], "bias_term": False}}
    layers = [input_layer("data", (1, 3, 4, 4))]
    weights: dict[str, Any] = {}
    for name, bottom in (("first", "data"), ("second", "first")):
        layers.append(Layer(name, "Convolution", (bottom,), (name,), one))
        weights |= weight_keys(name, [np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)])
    net = Net("net", tuple(layers), weights)
    pictures = np.random.default_rng(0).uniform(0, 1, (21, 3, 4, 4)).astype(np.float32)
    pictures[10, 1, 2, 3] = 5
    assert measure_ranges(net, {"data": pictures}) == pytest.approx({"second": 8.0})
    pictures[20, 0, 0, 0] = -1
    assert measure_ranges(net, {"data": pictures}) == {}


def test_portraits_can_be_aligned() -> None:
    """The portrait of a model with an alignment shows the eyes at the template's height."""
    crops = portraits(Alignment("openvino-0095"), (112, 112), count=4)
    assert crops.shape == (4, 112, 112, 3)
    assert crops.std() > 20
