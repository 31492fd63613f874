"""Reading and writing Caffe's binary format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from caffe_nets import random_net
from hypothesis import given
from hypothesis import strategies as st

from faceall.caffe.caffemodel import read_caffemodel, read_caffemodel_net, rounded_to_half, write_caffemodel
from faceall.caffe.files import read_net, write_net
from faceall.caffe.net import Net
from faceall.caffe.prototxt import read_prototxt
from faceall.caffe.schema import messages
from faceall.errors import NetError, NetFormatError

DATA = write_caffemodel(random_net(0))


def equal(left: Net, right: Net) -> bool:
    """Whether two nets have the same layers and bit for bit the same weights."""
    same_keys = left.weights.keys() == right.weights.keys()
    return same_keys and all(np.array_equal(left.weights[key], right.weights[key]) for key in left.weights)


def model(**fields: Any) -> Any:
    """An empty NetParameter, as a file of other software would hold."""
    return messages()["NetParameter"](**fields)


@pytest.mark.parametrize("seed", range(5))
def test_written_weights_read_back_bit_for_bit(seed: int) -> None:
    """Layers and weights of a net with every layer type come back from the one file."""
    net = random_net(seed)
    again = read_caffemodel_net(write_caffemodel(net))
    assert equal(again, net)
    assert [layer.type for layer in again.layers] == [layer.type for layer in net.layers]
    assert write_caffemodel(again) == write_caffemodel(net)


def test_read_caffemodel_reads_the_old_format() -> None:
    """V1 `layers`, with blobs of four axes in num, channels, height and width."""
    file = model(name="old")
    item = file.layers.add(name="fc", bottom=["x"], top=["fc"], type=14)
    item.blobs.add(num=1, channels=1, height=2, width=3, data=range(6))
    item.blobs.add(num=1, channels=1, height=1, width=2, data=[7, 8])
    weights = read_caffemodel(file.SerializeToString())
    assert {key: array.shape for key, array in weights.items()} == {"fc/0": (1, 1, 2, 3), "fc/1": (1, 1, 1, 2)}
    np.testing.assert_array_equal(weights["fc/0"].ravel(), np.arange(6, dtype=np.float32))
    assert read_caffemodel_net(file.SerializeToString()).layers[0].type == "InnerProduct"


def test_read_caffemodel_reads_double_precision() -> None:
    """`double_data` becomes float32."""
    file = model()
    file.layer.add(name="a", type="PReLU").blobs.add(double_data=[0.25, 0.5]).shape.dim.append(2)
    array = read_caffemodel(file.SerializeToString())["a/0"]
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [0.25, 0.5])


@pytest.mark.parametrize("shape", [[7], [2, 4], [-1, -6], [2**40, 2**40]])
def test_a_blob_of_the_wrong_count_is_refused(shape: list[int]) -> None:
    """The layer, the declared shape and the count are named."""
    file = model()
    file.layer.add(name="a", type="PReLU").blobs.add(data=range(6)).shape.dim.extend(shape)
    with pytest.raises(NetFormatError, match=r"layer 'a': a blob declares shape .* but holds 6 numbers"):
        read_caffemodel(file.SerializeToString())


@pytest.mark.parametrize("data", [b"", b"\x00", b"PK\x03\x04 no model", b'name: "a prototxt"', DATA[:-1], DATA[1:]])
def test_bytes_that_are_no_caffemodel_are_refused(data: bytes) -> None:
    """Empty, of another format, cut off at either end."""
    with pytest.raises(NetFormatError, match="not a readable caffemodel"):
        read_caffemodel(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_as_a_net(data: bytes) -> None:
    """Nothing but a NetError comes out."""
    try:
        read_caffemodel_net(data)
    except NetError:
        return


@given(st.integers(0, len(DATA)))
def test_a_truncated_file_is_read_or_refused_as_a_net(length: int) -> None:
    """A file that was cut anywhere; between two layers it is a shorter net, which its prototxt then misses."""
    try:
        read_caffemodel_net(DATA[:length])
    except NetError:
        return


@given(st.integers(0, len(DATA) - 1), st.integers(0, 255))
def test_a_file_with_one_wrong_byte_is_read_or_refused_as_a_net(place: int, byte: int) -> None:
    """A flipped byte gives other numbers or a NetError."""
    try:
        read_caffemodel_net(DATA[:place] + bytes([byte]) + DATA[place + 1 :])
    except NetError:
        return


def test_a_name_that_is_no_text_is_refused() -> None:
    """Such bytes would come back as bytes and fail far away."""
    data = DATA.replace(b"depthwise", b"depth\xffise")
    assert data != DATA
    for read in (read_caffemodel, read_caffemodel_net):
        with pytest.raises(NetFormatError, match="text"):
            read(data)


def test_the_nets_of_mtcnn_round_trip_exactly(mtcnn_net: Net, tmp_path: Path) -> None:
    """Read from the published files, written, read again: the same layers, the same bits."""
    files = tmp_path / "model.prototxt", tmp_path / "model.caffemodel"
    write_net(mtcnn_net, *files)
    again = read_net(*files)
    assert again.layers == mtcnn_net.layers
    assert equal(again, mtcnn_net)


def test_read_net_names_the_file_that_is_missing_or_damaged(tmp_path: Path) -> None:
    """Prototxt and caffemodel alike."""
    files = tmp_path / "a.prototxt", tmp_path / "a.caffemodel"
    with pytest.raises(NetFormatError, match=r"a\.prototxt: cannot be read: No such file"):
        read_net(*files)
    write_net(random_net(0), *files)
    files[1].write_bytes(b"damaged")
    with pytest.raises(NetFormatError, match=r"a\.caffemodel: not a readable caffemodel"):
        read_net(*files)
    files[0].write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NetFormatError, match=r"a\.prototxt: not a readable prototxt"):
        read_net(*files)


def test_read_net_leaves_out_weights_of_layers_that_the_prototxt_does_not_have(tmp_path: Path) -> None:
    """As Caffe does, so that one caffemodel serves a shorter net."""
    files = tmp_path / "a.prototxt", tmp_path / "a.caffemodel"
    write_net(random_net(0), *files)
    files[0].write_text('layer { name: "stem" type: "Convolution" bottom: "data" top: "stem" }')
    assert read_net(*files).weights.keys() == {"stem/0"}


def test_a_caffemodel_is_not_a_prototxt() -> None:
    """The two files swapped give one line, not a net."""
    with pytest.raises(NetFormatError):
        read_prototxt(DATA.decode("latin-1"))


def test_weights_in_16_bits_read_back_as_rounded() -> None:
    """Half the bytes; what comes back is each weight rounded to 16 bits, and writing it again changes nothing."""
    net = random_net(1)
    data = write_caffemodel(net, half=True)
    again = read_caffemodel_net(data)
    assert equal(again, rounded_to_half(net))
    assert all(array.dtype == np.float32 for array in again.weights.values())
    for key, array in net.weights.items():
        np.testing.assert_allclose(again.weights[key], array, rtol=2**-11, atol=2**-24)
    assert write_caffemodel(again, half=True) == data
    numbers = sum(array.size for array in net.weights.values())
    assert len(write_caffemodel(net)) - len(data) > 1.9 * numbers


def test_opencv_and_faceall_agree_on_16_bits(tmp_path: Path) -> None:
    """OpenCV's own tool makes a file of 16 bits; faceall reads it, and OpenCV reads faceall's."""
    cv2 = pytest.importorskip("cv2")
    if not hasattr(cv2.dnn, "shrinkCaffeModel"):
        pytest.skip("OpenCV 5 has no part for Caffe")
    text = 'name: "n" input: "x" input_shape { dim: 1 dim: 3 dim: 4 dim: 4 } layer { name: "c" type: "Convolution" '
    text += 'bottom: "x" top: "y" convolution_param { num_output: 5 kernel_size: 3 } }'
    random = np.random.default_rng(0)
    weights = {"c/0": random.standard_normal((5, 3, 3, 3), np.float32), "c/1": random.standard_normal(5, np.float32)}
    net = read_prototxt(text).with_weights(weights)
    large, small = tmp_path / "large.caffemodel", tmp_path / "small.caffemodel"
    large.write_bytes(write_caffemodel(net))
    cv2.dnn.shrinkCaffeModel(str(large), str(small))
    shrunk = read_caffemodel(small.read_bytes())
    for key, array in rounded_to_half(net).weights.items():
        np.testing.assert_array_equal(shrunk[key], array)
    images = random.standard_normal((1, 3, 4, 4), np.float32)
    results = []
    for data in (write_caffemodel(net, half=True), write_caffemodel(rounded_to_half(net))):
        opened = cv2.dnn.readNetFromCaffe(np.frombuffer(text.encode(), np.uint8), np.frombuffer(data, np.uint8))
        opened.setInput(images)
        results.append(opened.forward())
    np.testing.assert_array_equal(*results)


def test_a_weight_too_large_for_16_bits_is_refused() -> None:
    """65504 is the largest number of 16 bits."""
    net = random_net(0)
    key = next(iter(net.weights))
    huge = net.with_weights({**net.weights, key: np.full_like(net.weights[key], 7e4)})
    with pytest.raises(NetFormatError, match="too large for 16 bits"):
        write_caffemodel(huge, half=True)


@pytest.mark.parametrize(("kind", "data", "problem"), [(3, b"12345678", "expected floats"), (2, b"123", "no multiple")])
def test_raw_numbers_that_make_no_sense_are_refused(kind: int, data: bytes, problem: str) -> None:
    """Integers, and bytes that end amid a number."""
    file = model()
    file.layer.add(name="a", type="PReLU").blobs.add(raw_data_type=kind, raw_data=data).shape.dim.append(2)
    with pytest.raises(NetFormatError, match=problem):
        read_caffemodel(file.SerializeToString())
