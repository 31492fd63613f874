"""Reading and running Core ML files, sound and damaged, without coremltools."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from coreml_files import ProgramWriter, by_hand, small_network, small_program, small_weights, write_package
from faceall.convert.targets.coreml import read_coreml
from faceall.convert.targets.coreml.schema import BGR
from faceall.errors import FaceallError, NetFormatError, ShapeError
from faceall.types import Array

CASES = 150
"""Damaged files of each kind."""


@pytest.fixture
def image() -> Array:
    return np.random.default_rng(5).integers(0, 256, (6, 6, 3)).astype(np.uint8)


def test_program_gives_what_loops_give(tmp_path: Path, image: Array) -> None:
    """A program with its numbers in the blob file agrees with plain loops to float32."""
    kernel, matrix = small_weights()
    model = read_coreml(small_program(kernel, matrix).save(tmp_path / "a.mlpackage"))
    result = model.run({"image": image})["embedding"]
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[0], by_hand(image, kernel, matrix), atol=2e-7)


def test_half_precision_is_rounded(tmp_path: Path, image: Array) -> None:
    """A float16 program is near the exact result, and not equal to the float32 one."""
    kernel, matrix = small_weights()
    model = read_coreml(small_program(kernel, matrix, dtype="float16").save(tmp_path / "a.mlpackage"))
    difference = np.abs(model.run({"image": image})["embedding"][0] - by_hand(image, kernel, matrix)).max()
    assert 1e-6 < difference < 2e-3


def test_network_gives_what_loops_give(tmp_path: Path, image: Array) -> None:
    """Layers agree with plain loops, the scaler of the image included."""
    kernel, matrix = small_weights()
    path = tmp_path / "a.mlmodel"
    path.write_bytes(small_network(kernel, matrix).SerializeToString())
    result = read_coreml(path).run({"image": image})["embedding"]
    np.testing.assert_allclose(result[0], by_hand(image, kernel, matrix), atol=2e-7)


def test_channels_of_a_blue_first_model_are_turned(tmp_path: Path, image: Array) -> None:
    """A model declared BGR sees blue first, in both formats."""
    kernel, matrix = small_weights()
    writer, network = small_program(kernel, matrix), small_network(kernel, matrix)
    writer.model.description.input[0].type.imageType.colorSpace = BGR
    network.description.input[0].type.imageType.colorSpace = BGR
    (tmp_path / "a.mlmodel").write_bytes(network.SerializeToString())
    wanted = by_hand(image[:, :, ::-1], kernel, matrix)
    for path in (writer.save(tmp_path / "a.mlpackage"), tmp_path / "a.mlmodel"):
        np.testing.assert_allclose(read_coreml(path).run({"image": image})["embedding"][0], wanted, atol=2e-7)


def test_the_scaler_offsets_go_by_colour(tmp_path: Path) -> None:
    """The offset for red is added to red, in whichever order the net takes the colours."""
    kernel, matrix = small_weights()
    image = np.full((6, 6, 3), 100, np.uint8)
    network = small_network(kernel, matrix)
    scaler = network.neuralNetwork.preprocessing[0].scaler
    scaler.redBias, scaler.greenBias, scaler.blueBias = 16 / 128, 32 / 128, 64 / 128
    shifted = image + np.array([16, 32, 64], np.uint8)
    for color, wanted in ((20, shifted), (30, shifted[:, :, ::-1])):
        network.description.input[0].type.imageType.colorSpace = color
        (tmp_path / "a.mlmodel").write_bytes(network.SerializeToString())
        result = read_coreml(tmp_path / "a.mlmodel").run({"image": image})["embedding"][0]
        np.testing.assert_allclose(result, by_hand(wanted, kernel, matrix), atol=2e-7)


@pytest.mark.parametrize("kind", ["table", "affine", "sparse", "blocks"])
def test_compressed_weights_are_brought_back(tmp_path: Path, kind: str) -> None:
    """Tables, scales, masks and blocks give the dense tensor that they stand for."""
    random_numbers, writer = np.random.default_rng(3), ProgramWriter()
    writer.input("x", (1, 4))
    if kind == "table":
        table, shape = random_numbers.normal(size=64).astype(np.float32), np.array([6, 4], np.uint32)
        numbers = random_numbers.integers(0, 64, (6, 4))
        bits = (numbers.reshape(-1, 1) >> np.arange(6)) & 1
        packed = np.packbits(bits.reshape(-1).astype(np.uint8), bitorder="little")
        dense = table[numbers]
        writer.operation("constexpr_lut_to_dense", "w", (6, 4), {},
                         attributes={"indices": packed, "lut": table, "shape": shape})  # fmt: skip
    elif kind == "affine":
        numbers = random_numbers.integers(-128, 128, (6, 4)).astype(np.int8)
        scale = random_numbers.uniform(0.1, 1, 6).astype(np.float32)
        dense = (numbers - np.float32(3)) * scale[:, None]
        writer.operation("constexpr_affine_dequantize", "w", (6, 4), {},
                         attributes={"quantized_data": numbers, "zero_point": np.int8(3), "scale": scale,
                                     "axis": np.int32(0)})  # fmt: skip
    elif kind == "sparse":
        dense = random_numbers.normal(size=(6, 4)).astype(np.float32)
        dense[random_numbers.random((6, 4)) < 0.5] = 0
        packed = np.packbits((dense != 0).reshape(-1), bitorder="little")
        writer.operation("constexpr_sparse_to_dense", "w", (6, 4), {},
                         attributes={"mask": packed, "nonzero_data": dense[dense != 0],
                                     "shape": np.array([6, 4], np.uint32)})  # fmt: skip
    else:
        numbers = random_numbers.integers(-128, 128, (6, 4)).astype(np.int8)
        scale = random_numbers.uniform(0.1, 1, (3, 2)).astype(np.float32)
        dense = numbers * np.kron(scale, np.ones((2, 2), np.float32))
        writer.operation("constexpr_blockwise_shift_scale", "w", (6, 4), {"data": numbers, "scale": scale})
    writer.operation("linear", "y", (1, 6), {"x": "x", "weight": "w"})
    writer.output("y")
    sample = np.array([[1, -2, 0.5, 3]], np.float32)
    result = read_coreml(writer.save(tmp_path / "a.mlpackage")).run({"x": sample})["y"]
    np.testing.assert_allclose(result, sample @ dense.T, rtol=1e-5, atol=1e-5)


def test_pooling_over_the_last_pixel_is_caffes(tmp_path: Path) -> None:
    """A window that begins inside and ends outside counts: 5 pixels, windows of 2 by 2 steps of 2, make 3."""
    writer = ProgramWriter()
    writer.input("x", (1, 1, 5, 5))
    given = {"x": "x", "kernel_sizes": [np.array([2, 2])], "strides": [np.array([2, 2])], "pad_type": "=valid",
             "ceil_mode": np.bool_(True)}  # fmt: skip
    writer.operation("max_pool", "y", (1, 1, 3, 3), given)
    writer.output("y")
    sample = np.arange(25, dtype=np.float32).reshape(1, 1, 5, 5)
    result = read_coreml(writer.save(tmp_path / "a.mlpackage")).run({"x": sample})["y"]
    assert result.reshape(3, 3).tolist() == [[6, 8, 9], [16, 18, 19], [21, 23, 24]]


def test_wrong_inputs_are_refused(tmp_path: Path, image: Array) -> None:
    """Another shape, another type and no input at all are named."""
    model = read_coreml(small_program(*small_weights()).save(tmp_path / "a.mlpackage"))
    with pytest.raises(ShapeError, match="needs the input 'image'"):
        model.run({})
    with pytest.raises(ShapeError, match="expected uint8"):
        model.run({"image": image.astype(np.float32)})
    with pytest.raises(ShapeError, match="has shape"):
        model.run({"image": image[:5]})


def test_unknown_operations_are_named(tmp_path: Path, image: Array) -> None:
    """An operation that the runner lacks is named with its type; so is a layer."""
    writer = small_program(*small_weights())
    writer.block.operations[4].type = "deform"
    with pytest.raises(NetFormatError, match=r"operation 'relu' \(deform\) is of no type"):
        read_coreml(writer.save(tmp_path / "a.mlpackage")).run({"image": image})
    network = small_network(*small_weights())
    network.neuralNetwork.layers[1].ClearField("activation")
    (tmp_path / "a.mlmodel").write_bytes(network.SerializeToString())
    with pytest.raises(NetFormatError, match="layer 'relu' is of no type"):
        read_coreml(tmp_path / "a.mlmodel").run({"image": image})


def test_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    """A missing file, an empty one, text, an empty folder and a path that leaves the package."""
    empty, text, folder = tmp_path / "empty.mlmodel", tmp_path / "text.mlmodel", tmp_path / "folder.mlpackage"
    empty.write_bytes(b"")
    text.write_text("a text\n")
    folder.mkdir()
    for path in (tmp_path / "missing.mlmodel", empty, text, folder):
        with pytest.raises(NetFormatError, match=path.name):
            read_coreml(path)
    escape = {"itemInfoEntries": {"A": {"path": "../../secret"}}, "rootModelIdentifier": "A"}
    (folder / "Manifest.json").write_text(json.dumps(escape))
    with pytest.raises(NetFormatError, match="outside the package"):
        read_coreml(folder)


@pytest.mark.parametrize("spoil", ["kernel", "padding", "constant", "offset"])
def test_hostile_sizes_take_no_memory(tmp_path: Path, image: Array, spoil: str) -> None:
    """A file that asks for a gigantic tensor, border or offset is refused within 64 MB."""
    writer = small_program(*small_weights())
    if spoil == "kernel":
        writer.block.operations[2].outputs[0].type.tensorType.dimensions[0].constant.size = 1 << 60
        writer.block.operations[2].attributes[0].value.type.tensorType.dimensions[0].constant.size = 1 << 60
    elif spoil == "padding":
        writer.operation("pad", "wide", (1, 7), {"x": "embedding", "pad": [np.array([0, 0, 1 << 30, 1 << 30])]})
    elif spoil == "constant":
        value = writer.block.operations[2].attributes[0].value
        for dimension in value.type.tensorType.dimensions:
            dimension.constant.size = 1 << 20
    else:
        writer.block.operations[2].attributes[0].value.blobFileValue.offset = (1 << 63) + 64
    path = writer.save(tmp_path / "a.mlpackage")
    tracemalloc.start()
    with pytest.raises(NetFormatError):
        read_coreml(path).run({"image": image})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20


def spoilt(contents: bytes, source: random.Random) -> bytes:
    """`contents` cut short, with flipped bits, or with a run of other bytes."""
    kind = source.randrange(3)
    if kind == 0:
        return contents[: source.randrange(len(contents))]
    changed = bytearray(contents)
    if kind == 1:
        for _ in range(source.randint(1, 8)):
            changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
    else:
        start = source.randrange(len(changed))
        length = source.randint(1, 16)
        changed[start : start + length] = bytes(source.choices((0, 0x7F, 0x80, 0xFF, 1), k=length))
    return bytes(changed)


def run_spoilt(path: Path, image: Array) -> str:
    """Read and run; what faceall's error says, or nothing."""
    try:
        model = read_coreml(path)
        feature = next(iter(model.inputs.values()))
        model.run({feature.name: image if feature.kind == "image" else np.zeros((1, 3, 6, 6), np.float32)})
    except FaceallError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("part", ["network", "program", "weights", "manifest"])
def test_damaged_files_end_in_one_line(tmp_path: Path, image: Array, part: str) -> None:
    """Seeded damage of every part gives a result or one clear line, never another exception."""
    kernel, matrix = small_weights()
    path = small_program(kernel, matrix).save(tmp_path / "a.mlpackage")
    data = path / "Data" / "com.apple.CoreML"
    places = {
        "network": tmp_path / "a.mlmodel",
        "program": data / "model.mlmodel",
        "weights": data / "weights" / "weight.bin",
        "manifest": path / "Manifest.json",
    }
    places["network"].write_bytes(small_network(kernel, matrix).SerializeToString())
    whole = places[part].read_bytes()
    said = []
    for seed in range(CASES):
        places[part].write_bytes(spoilt(whole, random.Random(seed)))
        said.append(run_spoilt(places["network"] if part == "network" else path, image))
    assert not any("\n" in text for text in said)
    assert sum(map(bool, said)) > CASES // 4


def test_an_empty_blob_file_is_noticed(tmp_path: Path, image: Array) -> None:
    """A program whose numbers are gone says so, with the place."""
    path = tmp_path / "a.mlpackage"
    writer = small_program(*small_weights())
    write_package(path, writer.model.SerializeToString(), b"")
    with pytest.raises(NetFormatError, match="has no record at 64"):
        read_coreml(path).run({"image": image})
