"""Caffe itself loads every kind of file that faceall writes, unchanged, and computes the same.

Runs where Caffe's Python module is on the path, as scripts/check-against-caffe has it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from faceall.caffe.engines import get_engine
from faceall.caffe.files import read_net, write_net
from faceall.caffe.net import Net
from faceall.convert import (
    BatchNormStyle,
    BottleneckStyle,
    CaffeOptions,
    FaceCrops,
    FloorPool,
    ParityOptions,
    Reduction,
    SourceOptions,
    convert,
)
from faceall.convert.architectures.definitions import ARCHITECTURES
from faceall.convert.parity.comparison import channels_first, random_images
from faceall.types import Float32Array
from tensorflow_graphs import small_facenet

TOLERANCE = 1e-5

VARIANTS = [
    (batch_norm, floor_pool, bottleneck)
    for batch_norm in get_args(BatchNormStyle)
    for floor_pool in get_args(FloorPool)
    for bottleneck in get_args(BottleneckStyle)
]


@pytest.fixture(scope="module")
def caffe() -> Any:
    """Caffe's Python module."""
    if os.environ.get("FACEALL_NEEDS_CAFFE"):
        import caffe
    else:
        caffe = pytest.importorskip("caffe", reason="needs Caffe; run scripts/check-against-caffe")
    if not hasattr(caffe, "Net"):
        pytest.skip("the module `caffe` here is not Caffe; run scripts/check-against-caffe")
    return caffe


def knows_round_mode(caffe: Any) -> bool:
    """Whether this Caffe has BVLC's option of 2018."""
    return "round_mode" in caffe.proto.caffe_pb2.PoolingParameter.DESCRIPTOR.fields_by_name


def run(caffe: Any, prototxt: Path, caffemodel: Path, x: Float32Array) -> dict[str, Float32Array]:
    """What Caffe makes of the two files as they are."""
    net = caffe.Net(str(prototxt), str(caffemodel), caffe.TEST)
    (name,) = net.inputs
    net.blobs[name].reshape(*x.shape)
    net.reshape()
    net.blobs[name].data[...] = x
    return {blob: np.array(array) for blob, array in net.forward().items()}


def assert_agrees(caffe: Any, prototxt: Path, caffemodel: Path, x: Float32Array) -> None:
    """Caffe's outputs are the reference's, to 1e-5."""
    net = read_net(prototxt, caffemodel)
    wanted = get_engine("reference").compile(net)({next(iter(net.inputs)): x})
    actual = run(caffe, prototxt, caffemodel, x)
    assert set(actual) == set(wanted)
    for blob, array in wanted.items():
        assert actual[blob].shape == array.shape
        assert np.abs(actual[blob] - array).max() <= TOLERANCE


def crops_of(net: Net, count: int) -> Float32Array:
    """Random pictures of the net's size, standardised."""
    ((_, _, height, width),) = net.inputs.values()
    return channels_first((random_images(count, (height, width, 3)).astype(np.float32) - 127.5) / 128)


def options_of(styles: dict[str, Any]) -> dict[str, Any]:
    """The options of `convert` for a batch norm style and Caffe's styles."""
    reading = SourceOptions(batch_norm=styles["batch_norm"])
    target = CaffeOptions(floor_pool=styles["floor_pool"], bottleneck=styles["bottleneck"])
    return {"reading": reading, "target": target}


@pytest.mark.parametrize(("batch_norm", "floor_pool", "bottleneck"), VARIANTS)
def test_every_variant_of_a_small_net(
    caffe: Any, tmp_path: Path, batch_norm: Any, floor_pool: Any, bottleneck: Any
) -> None:
    """All styles of batch norm, floor pools and bottleneck."""
    if floor_pool == "round-mode" and not knows_round_mode(caffe):
        pytest.skip("this Caffe does not have the option round_mode")
    source = small_facenet().write(tmp_path / "small.pb")
    styles = {"batch_norm": batch_norm, "floor_pool": floor_pool, "bottleneck": bottleneck}
    folder = convert(source, tmp_path / "m", **options_of(styles), parity=ParityOptions(engine="reference")).folder
    assert_agrees(caffe, folder.prototxt, folder.caffemodel, crops_of(read_net(folder.prototxt), 3))


@pytest.mark.parametrize("size", [1, 4, 9])
def test_projected_sizes(caffe: Any, tmp_path: Path, size: int) -> None:
    """A smaller embedding is a net like any other."""
    source = small_facenet().write(tmp_path / "small.pb")
    faces = FaceCrops(random_images(30, (19, 19, 3), seed=4))
    made = convert(
        source, tmp_path / "m", parity=ParityOptions(engine="reference"), reduction=Reduction(size=size, crops=faces)
    )
    assert_agrees(caffe, made.folder.prototxt, made.folder.caffemodel, crops_of(read_net(made.folder.prototxt), 3))


@pytest.mark.parametrize("batch_norm", get_args(BatchNormStyle))
@pytest.mark.parametrize(("name", "width"), [("mobile_facenet", 1.0), ("inception_resnet_v1", 0.25)])
def test_architectures(caffe: Any, tmp_path: Path, name: str, width: float, batch_norm: Any) -> None:
    """MobileFaceNet, depthwise and with PReLU, and Inception-ResNet-v1, from random weights."""
    net, source = ARCHITECTURES[name](width=width), tmp_path / "net.prototxt"
    write_net(net, source, source.with_suffix(".caffemodel"))
    made = convert(
        source, tmp_path / "m", parity=ParityOptions(engine="pycaffe"), reading=SourceOptions(batch_norm=batch_norm)
    ).folder
    assert_agrees(caffe, made.prototxt, made.caffemodel, crops_of(net, 2))


@pytest.mark.parametrize("batch_norm", get_args(BatchNormStyle))
@pytest.mark.parametrize("floor_pool", ["crop", "slice", "conv"])
def test_real_facenet(caffe: Any, shared: Path, tmp_path: Path, batch_norm: Any, floor_pool: Any) -> None:
    """FaceNet in every spelling gives TensorFlow's golden vectors."""
    golden = np.load(shared / "models/facenet/golden.npz")
    source = shared / "models/facenet/20180408-102900.pb"
    crops, vectors = golden["crops"][:4], golden["embeddings"][:4]
    styles = {"batch_norm": batch_norm, "floor_pool": floor_pool, "bottleneck": "convolution"}
    styles |= {} if floor_pool == "conv" else {"bottleneck": "inner-product"}
    made = convert(
        source,
        tmp_path / "m",
        **options_of(styles),
        parity=ParityOptions(engine="pycaffe", crops=crops, expected=vectors),
    )
    x = channels_first(made.manifest.standardisation.apply(crops))
    actual = run(caffe, made.folder.prototxt, made.folder.caffemodel, x)["embeddings"]
    assert np.abs(actual - vectors).max() <= TOLERANCE


@pytest.mark.parametrize("number", [1, 2, 3])
def test_mtcnn_written_again(caffe: Any, shared: Path, tmp_path: Path, number: int) -> None:
    """P-, R- and O-Net, read and written by faceall."""
    source = shared / f"models/mtcnn/det{number}.prototxt"
    made = convert(source, tmp_path / "m", parity=ParityOptions(engine="reference"))
    assert_agrees(caffe, made.folder.prototxt, made.folder.caffemodel, crops_of(read_net(source), 3))
