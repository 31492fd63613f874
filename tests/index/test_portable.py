"""Vectors of other programs, read without running or trusting anything. 500 damaged pickles, seeds as numbers."""

from __future__ import annotations

import collections
import os
import pickle
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np
import pytest

from faceall.errors import FaceallError, IndexDamagedError, IndexFileError
from faceall.index.portable.pickles import load_plain
from faceall.index.portable.vectors import read_foreign
from faceall.types import Float32Array

Faces = Callable[..., Float32Array]
FUZZ = int(os.environ.get("FACEALL_FUZZ", "500"))


class Hostile:
    """Runs a command when it is unpickled by an ordinary unpickler."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i8", "|u1", "<U5", "|S4", "<f2"])
def test_arrays_are_what_was_pickled(protocol: int, dtype: str) -> None:
    """Arrays of numbers and texts, in both orders, scalars and containers come back as they were."""
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    fortran = np.asfortranarray(array)
    value = {"a": [array, fortran, (1, 2.5, None, "Ä", b"b", True)], 3: array[0, 0, 1], "set": {7}}
    value["ordered"] = collections.OrderedDict(x=1)
    found = load_plain(pickle.dumps(value, protocol), "test")
    for one in found["a"][:2]:
        np.testing.assert_array_equal(one, array)
        assert one.dtype == array.dtype
    assert found["a"][2] == (1, 2.5, None, "Ä", b"b", True)
    assert (found[3], found["set"], found["ordered"]) == (array[0, 0, 1], [7], {"x": 1})


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_is_run(tmp_path: Path, protocol: int) -> None:
    """A pickle that would run a command is refused by the name of what it wants to call, and nothing has run."""
    mark = tmp_path / "mark"
    for value in (Hostile(mark), [Hostile(mark)], {"encodings": [Hostile(mark)], "names": ["a"]}):
        with pytest.raises(IndexDamagedError, match=r"calls (posix|nt|os)\.system"):
            load_plain(pickle.dumps(value, protocol), "test")
    assert not mark.exists()
    pickle.loads(pickle.dumps(Hostile(mark), protocol))
    assert mark.exists()  # the pickle was a working one


@pytest.mark.parametrize(
    "program",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"c__builtin__\ngetattr\n(S'a'\nS'b'\ntR.",
        b"cnumpy\nload\n(S'/etc/passwd'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x0cset.__reduce__\x93.",
        b"ibuiltins\nexec\n(S'1'\n.",
        b"Pabc\n.",
        b"c_codecs\nencode\n(S'a'\nS'bz2'\ntR.",
        b"ccopyreg\n_reconstructor\n(cbuiltins\nobject\ncbuiltins\nobject\nNtR.",
    ],
)
def test_other_ways_out_are_closed(program: bytes) -> None:
    """Only the few stand-ins can be called, by whatever way a pickle asks."""
    with pytest.raises(IndexDamagedError):
        load_plain(program, "test")


def test_large_counts_need_little_memory() -> None:
    """Pickles that claim huge sizes, memo places and shapes are refused without reserving them."""
    shape = pickle.dumps(np.zeros(3, np.float32), 2).replace(b"K\x03\x85", b"\x8a\x05\xff\xff\xff\xff\x10\x85")
    programs = [
        b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"a.",  # bytearray
        b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"a.",  # bytes
        b"]r\xff\xff\xff\xff0N.",  # a place in the memo
        shape,
    ]
    tracemalloc.start()
    assert b"\xff\xff\xff\xff\x10" in shape
    for program in programs[:2] + programs[3:]:
        with pytest.raises(IndexDamagedError):
            load_plain(program, "test")
    assert load_plain(programs[2], "test") is None
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_damaged_pickles() -> None:
    """Whatever is done to a pickle: plain data or one error of ours."""
    random_ = np.random.default_rng(0)
    value = {"encodings": [random_.normal(size=8) for _ in range(5)], "names": ["Ann", "Bo", "Ann", "Cleo", "Bo"]}
    refused = 0
    for seed in range(FUZZ):
        moments = random.Random(seed)
        data = bytearray(pickle.dumps(value, moments.randrange(pickle.HIGHEST_PROTOCOL + 1)))
        for _ in range(moments.choice((1, 2, 6))):
            data[moments.randrange(len(data))] = moments.randrange(256)
        if moments.random() < 0.2:
            del data[moments.randrange(len(data)) :]
        try:
            load_plain(bytes(data), "test")
        except IndexDamagedError as error:
            refused += 1
            message = str(error)
        else:
            message = "test"
        assert message.startswith("test")
        assert "\n" not in message
        assert len(message) < 400
    assert FUZZ * 0.2 < refused < FUZZ


def test_faceall(tmp_path: Path, faces: Faces) -> None:
    """hnswlib's file with the pickle beside it: every vector with the photo of its label; removed ones stay out."""
    graph = hnswlib.Index(space="l2", dim=16)
    graph.init_index(max_elements=100, ef_construction=200, M=16)
    vectors = faces(30)
    graph.add_items(vectors, np.arange(30))
    graph.mark_deleted(4)
    graph.save_index(str(tmp_path / "faceSearchData"))
    labels = {number: f"static/uploadImages/{number // 2}.jpg" for number in range(30)}
    for mapping in ((30, labels), labels, list(labels.values())):
        (tmp_path / "faceSearchData.pkl").write_bytes(pickle.dumps(mapping, 3))
        found = read_foreign(tmp_path / "faceSearchData")
        assert found.program == "FaceAll"
        rows = sorted(zip(found.photos, found.vectors.tolist(), strict=True))
        kept = [number for number in range(30) if number != 4]
        assert rows == sorted((labels[number], vectors[number].tolist()) for number in kept)
        assert set(found.names) == {None}
    (tmp_path / "faceSearchData.pkl").write_bytes(pickle.dumps((30, {1: "a"})))
    with pytest.raises(IndexDamagedError, match="does not name the photo of 28 faces"):
        read_foreign(tmp_path / "faceSearchData")
    (tmp_path / "faceSearchData").write_bytes(b"x" * 500)
    with pytest.raises(IndexDamagedError, match="is not an index of hnswlib"):
        read_foreign(tmp_path / "faceSearchData")


def test_facenet(tmp_path: Path, faces: Faces) -> None:
    """embeddings.npy with labels as numbers, as texts, with their own file of texts, or without any."""
    np.save(tmp_path / "embeddings.npy", faces(4).astype(np.float64))
    assert read_foreign(tmp_path).names == (None,) * 4
    np.save(tmp_path / "labels.npy", np.array([0, 0, 1, 2]))
    assert read_foreign(tmp_path).names == ("0", "0", "1", "2")
    np.save(tmp_path / "label_strings.npy", np.array(["Ann", "Ann", "Bo", "Cleo"]))
    found = read_foreign(tmp_path)
    assert (found.program, found.names) == ("facenet", ("Ann", "Ann", "Bo", "Cleo"))
    np.testing.assert_array_equal(found.vectors, faces(4))
    np.save(tmp_path / "label_strings.npy", np.array(["Ann"]))
    with pytest.raises(IndexDamagedError, match=r"has shape \(1,\), expected \(4,\)"):
        read_foreign(tmp_path)


@pytest.mark.parametrize("shape", ["dict", "by name", "one each", "pair", "turned pair"])
def test_face_recognition(tmp_path: Path, faces: Faces, shape: str) -> None:
    """The pickles that its users write: lists with names, by name, pairs."""
    vectors = list(faces(3, dimension=128).astype(np.float64))
    names = ["Ann", "Bo", "Ann"]
    value: Any = {
        "dict": {"encodings": vectors, "names": names},
        "by name": {"Ann": [vectors[0], vectors[2]], "Bo": vectors[1]},
        "one each": {"Ann": vectors[0], "Bo": vectors[1], "Cleo": vectors[2]},
        "pair": (vectors, names),
        "turned pair": (names, vectors),
    }[shape]
    (tmp_path / "encodings.pickle").write_bytes(pickle.dumps(value))
    found = read_foreign(tmp_path / "encodings.pickle")
    expected = {"Cleo"} if shape == "one each" else set()
    assert set(found.names) == {"Ann", "Bo"} | expected
    assert found.vectors.shape == (3, 128)
    bo = found.vectors[found.names.index("Bo")]
    np.testing.assert_array_equal(bo, vectors[1].astype(np.float32))


def test_bare_arrays(tmp_path: Path, faces: Faces) -> None:
    """A list of encodings, or an array, is faces of nobody."""
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(list(faces(3))))
    np.save(tmp_path / "a.npy", faces(3))
    for name in ("a.pkl", "a.npy"):
        found = read_foreign(tmp_path / name)
        np.testing.assert_array_equal(found.vectors, faces(3))
        assert found.names == (None,) * 3


@pytest.mark.parametrize(
    "value",
    [
        {"encodings": [[1.0, 2.0], [1.0]], "names": ["a", "b"]},
        {"encodings": [[1.0, 2.0]], "names": ["a", "b"]},
        {"encodings": [[float("nan"), 2.0]], "names": ["a"]},
        {"encodings": "text", "names": ["a"]},
        {"encodings": [{}], "names": ["a"]},
        {"a": {}},
        7,
        ([], []),
        [["a"]],
        np.array([[1.0, "x"]], object),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, value: Any) -> None:
    """What is no list of vectors is refused in one line, or is empty."""
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(value))
    try:
        found = read_foreign(path)
    except FaceallError as error:
        message = str(error)
    else:
        message = f"{path}"
        assert len(found.vectors) == 0
    assert message.startswith(str(path))
    assert "\n" not in message


def test_hostile_arrays(tmp_path: Path) -> None:
    """Arrays of objects, with absurd shapes, cut short or missing: one line."""
    path = tmp_path / "a.npy"
    np.save(path, np.array([{}, {}], object), allow_pickle=True)
    head = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 512), }"
    bad = b"\x93NUMPY\x01\x00\x05\x00(((((" * 9
    for data in (path.read_bytes(), head.ljust(127) + b"\n" + bytes(100), b"", b"\x93NUMPY", bad):
        path.write_bytes(data)
        with pytest.raises(IndexDamagedError, match="is not an array of numbers"):
            read_foreign(path)


def test_what_is_nothing_known(tmp_path: Path) -> None:
    """Other files, empty folders and missing ones say what is expected."""
    (tmp_path / "photo.jpg").write_bytes(b"x")
    for path in (tmp_path / "photo.jpg", tmp_path, tmp_path / "absent.pkl"):
        with pytest.raises(IndexFileError, match="expected a folder that faceall exported"):
            read_foreign(path)


def test_shared_lists_are_not_unfolded_without_end() -> None:
    """A few bytes that refer to one list again and again are refused, and so is one array that comes 100,000 times."""
    nested: list[Any] = [1.0]
    for _ in range(18):
        nested = [nested] * 10
    for value in (nested, [np.ones(1 << 16)] * 100_000):
        with pytest.raises(IndexDamagedError, match="repeats its parts"):
            load_plain(pickle.dumps(value), "test")


def test_shared_parts_within_the_size_are_read() -> None:
    """A name that many faces have is stored once in a pickle; that is no attack."""
    name = "Ada Lovelace" * 10
    found = load_plain(pickle.dumps({"names": [name] * 5_000, "encodings": [[0.5]] * 5_000}), "test")
    assert found["names"] == [name] * 5_000


def test_the_number_of_instructions_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops after a number of instructions, so a large pickle cannot take minutes."""
    monkeypatch.setattr("faceall.index.portable.pickles._MOST_READS", 1_000)
    with pytest.raises(IndexDamagedError, match="instructions"):
        load_plain(pickle.dumps(list(range(10_000))), "test")


@pytest.mark.parametrize(("shape", "kind"), [((10**11,), "<U0"), ((10**11, 1), "|S0"), ((10**12, 1), "|V0")])
def test_arrays_of_elements_without_bytes_cost_no_memory(tmp_path: Path, shape: tuple[int, ...], kind: str) -> None:
    """A header of 128 bytes declares any number of elements that take no room, until they are made numbers."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0")
    with pytest.raises(IndexDamagedError, match="no bytes"):
        read_foreign(path)
