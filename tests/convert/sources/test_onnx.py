"""ONNX files that faceall wrote, read back."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from source_checks import refusal

from faceall.caffe import Layer, Net, get_engine, input_layer, read_net, to_onnx
from faceall.convert import facenet_net, translate
from faceall.convert.architectures.definitions import mobile_facenet
from faceall.convert.sources import open_source
from faceall.errors import FaceallError
from tensorflow_graphs import small_facenet


def small(tmp_path: Path, batch_norm: str = "keep") -> Net:
    """A net of FaceNet's build."""
    return facenet_net(
        small_facenet().write(tmp_path / "model.pb"), batch_norm="fold" if batch_norm == "fold" else "keep"
    )


def assert_same(net: Net, path: Path) -> None:
    """Written and read back, the net gives the same numbers under the same names."""
    path.write_bytes(to_onnx(net))
    source = open_source(path)
    assert source.kind == "onnx"
    assert source.net is not None
    images = {
        blob: np.random.default_rng(0).normal(size=(2, *shape[1:])).astype(np.float32)
        for blob, shape in net.inputs.items()
    }
    wanted = get_engine("reference").compile(net)(images)
    actual = get_engine("reference").compile(source.net)(images)
    assert set(actual) == set(wanted)
    for blob in wanted:
        np.testing.assert_allclose(actual[blob], wanted[blob], rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch_norm", ["keep", "fold"])
def test_facenets_build_comes_back(tmp_path: Path, batch_norm: str) -> None:
    """Cut pools, sums with coefficients, normalisation and unit length survive the way through ONNX."""
    assert_same(small(tmp_path, batch_norm), tmp_path / "net.onnx")


def test_mobile_facenet_comes_back(tmp_path: Path) -> None:
    """Depthwise convolutions and PReLU survive."""
    assert_same(mobile_facenet(width=0.125, embedding_size=8, batch_norm="fold"), tmp_path / "net.onnx")


def test_keras_net_comes_back(made: Path, tmp_path: Path) -> None:
    """What stands in a SavedModel survives two conversions."""
    assert_same(translate(open_source(made / "exported").bound(), name="net").net, tmp_path / "net.onnx")


@pytest.mark.parametrize("name", ["det1", "det2", "det3"])
def test_mtcnn_comes_back(shared: Path, tmp_path: Path, name: str) -> None:
    """The three nets of MTCNN survive, P-Net with its open size."""
    folder = shared / "models/mtcnn"
    if not folder.is_dir():
        pytest.skip(f"needs MTCNN's Caffe files; {folder} is absent")
    assert_same(read_net(folder / f"{name}.prototxt", folder / f"{name}.caffemodel"), tmp_path / "net.onnx")


def test_operations_of_others_are_listed(tmp_path: Path) -> None:
    """What has no counterpart in Caffe is refused by name, all at once."""
    data = to_onnx(small(tmp_path)).replace(b"\x22\x04Relu", b"\x22\x04Sign")
    (tmp_path / "net.onnx").write_bytes(data)
    text = refusal(tmp_path / "net.onnx")
    assert "operations have no counterpart in Caffe: 'Relu_" in text
    assert "(Sign)" in text


def test_layers_of_several_nodes_come_back_through_openvino(tmp_path: Path) -> None:
    """A Normalize is several nodes in ONNX, which the reader of own files does not know."""
    layers = (
        input_layer("data", (1, 3, 9, 9)),
        Layer("flat", "Flatten", ("data",), ("flat",)),
        Layer("unit", "Normalize", ("flat",), ("unit",)),
    )
    assert_same(Net("net", layers), tmp_path / "net.onnx")


@pytest.mark.parametrize("seed", range(60))
def test_damaged_files_are_read_or_refused(tmp_path: Path, seed: int) -> None:
    """A cut, a flipped bit, overwritten bytes: a net or one clear line."""
    choice = random.Random(seed)
    data = bytearray(to_onnx(small(tmp_path)))
    place = choice.randrange(len(data))
    if seed % 3 == 0:
        del data[place:]
    elif seed % 3 == 1:
        data[place] ^= 1 << choice.randrange(8)
    else:
        data[place : place + 20] = choice.randbytes(len(data[place : place + 20]))
    (tmp_path / "net.onnx").write_bytes(data)
    try:
        source = open_source(tmp_path / "net.onnx")
        if source.net is not None:
            get_engine("reference").compile(source.net)
    except FaceallError as error:
        message = str(error)
    else:
        return
    assert message
    assert "\n" not in message
