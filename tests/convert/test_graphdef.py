"""Reading GraphDef files: every way in which numbers are stored, and every way in which a file can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceall.convert.tensorflow.facenet import facenet_net
from faceall.convert.tensorflow.graphdef import parse_graph, read_graph, tensor_value
from faceall.convert.tensorflow.operations import OPERATIONS
from faceall.convert.tensorflow.schema import NUMPY_TYPES, VALUE_FIELDS, messages
from faceall.errors import FaceallError, NetFormatError
from tensorflow_graphs import GraphMaker, fill_tensor, small_facenet


@pytest.mark.parametrize("number", [n for n in NUMPY_TYPES if n != 7])
def test_raw_bytes_and_lists_hold_the_same_numbers(number: int) -> None:
    """A constant reads the same from tensor_content and from its type's value list."""
    array = np.array([[0, 1, 1], [1, 0, 1]], NUMPY_TYPES[number])
    raw = messages()["TensorProto"]()
    fill_tensor(raw, array)
    listed = messages()["TensorProto"](dtype=number, tensor_shape=raw.tensor_shape)
    values = array.view(np.uint16) if array.dtype == np.float16 else array
    getattr(listed, VALUE_FIELDS[number]).extend(values.reshape(-1).tolist())
    for message in (raw, listed):
        np.testing.assert_array_equal(tensor_value(message), array)
        assert tensor_value(message).dtype == array.dtype


def test_short_list_repeats_its_last_number() -> None:
    """Numbers at the end that equal the last one are left out in the file; so is a lone zero."""
    message = messages()["TensorProto"](dtype=1, float_val=[1.0, 2.0])
    message.tensor_shape.dim.add(size=5)
    np.testing.assert_array_equal(tensor_value(message), [1, 2, 2, 2, 2])
    message.ClearField("float_val")
    np.testing.assert_array_equal(tensor_value(message), [0, 0, 0, 0, 0])


def test_nodes_and_edges() -> None:
    """Data and control edges are told apart; the first output of a node goes by its name alone."""
    g = GraphMaker()
    g.constant("a", 1.0)
    g.node("b", "Switch", ["a:0", "a"])
    g.node("c", "Identity", ["b:1", "^a"])
    graph = parse_graph(g.data())
    assert graph.nodes["b"].inputs == ("a", "a")
    assert (graph.nodes["c"].inputs, graph.nodes["c"].controls) == (("b:1",), ("a",))


def assert_refused(path: Path) -> str:
    """The file is refused in one line that names it; returns that line."""
    with pytest.raises(NetFormatError) as caught:
        read_graph(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"", "empty"),
        (b"Once upon a time there was a net.\n", "frozen TensorFlow graph"),
        (b'node {\n  name: "input"\n}\n', "text form"),
        (b"PK\x03\x04" + bytes(60), "zip"),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), "Keras"),
        (bytes(range(256)) * 8, "frozen TensorFlow graph"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, content: bytes, hint: str) -> None:
    """What is no GraphDef is refused, and what it is instead is said where it can be told."""
    path = tmp_path / "model.pb"
    path.write_bytes(content)
    assert hint in assert_refused(path)


def test_folders_and_absent_files(tmp_path: Path) -> None:
    """A SavedModel's folder and a missing file are told from damaged ones."""
    assert "folder" in assert_refused(tmp_path)
    assert "cannot be read" in assert_refused(tmp_path / "absent.pb")


def test_dangling_input_is_named(tmp_path: Path) -> None:
    """A node that reads what is not there means that the file was cut."""
    g = GraphMaker()
    g.node("b", "Relu", ["a"])
    assert "'b' reads 'a'" in assert_refused(g.write(tmp_path / "model.pb"))


def test_two_nodes_of_one_name(tmp_path: Path) -> None:
    """Names are unique."""
    g = GraphMaker()
    g.placeholder("a")
    g.placeholder("a")
    assert "same name" in assert_refused(g.write(tmp_path / "model.pb"))


@pytest.mark.parametrize("shape", [(-1,), (1 << 40, 1 << 40), (3,)])
def test_constant_that_contradicts_itself(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """A constant's shape and its bytes have to agree; the node is named."""
    g = GraphMaker()
    g.constant("c", np.zeros(2, np.float32))
    message = g.message.node[0].attr["value"].tensor.tensor_shape
    del message.dim[:]
    for size in shape:
        message.dim.add(size=size)
    assert "node 'c'" in assert_refused(g.write(tmp_path / "model.pb"))


@pytest.mark.parametrize("seed", range(60))
def test_damaged_files_never_crash(tmp_path: Path, seed: int) -> None:
    """Cut, flipped and overwritten files are read or refused by an error of faceall's own, all the way to the net."""
    random = np.random.default_rng(seed)
    data = bytearray(small_facenet(("fused", "plain")[seed % 2]).data())
    kind = seed % 3
    if kind == 0:
        del data[int(random.integers(1, len(data))) :]
    elif kind == 1:
        for place in random.integers(0, len(data), 1 + seed // 6):
            data[place] ^= 1 << int(random.integers(8))
    else:
        start = int(random.integers(0, len(data) - 64))
        data[start : start + 64] = random.bytes(64)
    path = tmp_path / "model.pb"
    path.write_bytes(bytes(data))
    assert_read_or_refused(path)


@pytest.mark.parametrize("seed", range(100))
def test_twisted_graphs_never_crash(tmp_path: Path, seed: int) -> None:
    """A graph that is a valid message but no valid graph is translated or refused, never a traceback."""
    random = np.random.default_rng(seed)
    maker = small_facenet(("fused", "plain")[seed % 2])
    nodes = maker.message.node

    def pick() -> Any:
        return nodes[int(random.integers(len(nodes)))]

    node = pick()
    constants = [other for other in nodes if other.op == "Const"]
    kind = seed % 6
    if kind == 0 and len(node.attr):
        del node.attr[sorted(node.attr)[0]]
    elif kind == 1:
        node.op = sorted(OPERATIONS)[int(random.integers(len(OPERATIONS)))]
    elif kind == 2 and len(node.input):
        node.input[-1] = pick().name
    elif kind == 3 and len(node.input):
        del node.input[0]
    elif kind == 4:
        tensor = constants[int(random.integers(len(constants)))].attr["value"].tensor
        del tensor.tensor_shape.dim[:]
        tensor.tensor_content = b""
    elif len(node.attr):
        value = node.attr[sorted(node.attr)[-1]]
        value.Clear()
        value.list.i.extend([1, 0, 2, 1])
    assert_read_or_refused(maker.write(tmp_path / "model.pb"))


def assert_read_or_refused(path: Path) -> None:
    """The file becomes a net or is refused in one line that names it."""
    try:
        facenet_net(path)
    except FaceallError as error:
        refusal = str(error)
    else:
        return
    assert str(path) in refusal
    assert "\n" not in refusal


@pytest.mark.parametrize("attribute", ["strides", "padding"])
def test_operation_without_its_attributes_is_damaged(tmp_path: Path, attribute: str) -> None:
    """A convolution without strides is named, with what it lacks."""
    g = GraphMaker()
    name = g.convolution(g.placeholder(), "conv", 3, 4)
    del next(node for node in g.message.node if node.name == name).attr[attribute]
    assert f"'conv/Conv2D' (Conv2D) has no attribute '{attribute}'" in assert_refused(g.write(tmp_path / "model.pb"))
