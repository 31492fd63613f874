"""Opening what TensorFlow, Keras and Caffe wrote: the right kind, the right numbers, or one clear line."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from source_checks import refusal, run_source

from faceall.caffe import write_net
from faceall.convert import facenet_net, translate
from faceall.convert.sources import SourceKind, open_source
from faceall.convert.sources.keras.files import read_keras
from faceall.errors import FaceallError, MissingDependencyError
from tensorflow_graphs import small_facenet

RELEASE = "release/model-20180402-1"


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("release", "checkpoint", "release"),
        (f"{RELEASE}.ckpt-275", "checkpoint", "release"),
        (f"{RELEASE}.ckpt-275.index", "checkpoint", "release"),
        (f"{RELEASE}.ckpt-275.data-00000-of-00001", "checkpoint", "release"),
        (f"{RELEASE}.meta", "checkpoint", "release"),
        ("saved_v1", "savedmodel", "saved_v1"),
        ("saved_v1/saved_model.pb", "savedmodel", "saved_v1"),
        ("exported", "savedmodel", "functional"),
        ("saved_v2", "savedmodel", "sequential"),
        ("functional.keras", "keras", "functional"),
        ("functional.h5", "keras", "functional"),
        ("sequential.keras", "keras", "sequential"),
        ("sequential.h5", "keras", "sequential"),
    ],
)
def test_source_computes_what_tensorflow_computed(made: Path, path: str, kind: SourceKind, expected: str) -> None:
    """Every format that the real TensorFlow and Keras wrote gives their numbers, without them."""
    if kind == "keras":
        pytest.importorskip("h5py", reason="needs h5py for Keras's files")
    source = open_source(made / path)
    wanted = np.load(made / f"{expected}.npy")
    actual = run_source(source, np.load(made / "pictures.npy"))
    assert source.kind == kind
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=2e-6 * max(1.0, float(np.abs(wanted).max())))


def test_newest_checkpoint_is_taken_and_said(made: Path) -> None:
    """Of two steps in one folder the later one counts, though 9 sorts after 2."""
    source = open_source(made / "release")
    assert source.remarks == ("2 checkpoints in the folder: using the newest, model-20180402-1.ckpt-275",)
    older = open_source(made / f"{RELEASE}.ckpt-90")
    images = np.load(made / "pictures.npy")
    np.testing.assert_allclose(run_source(older, images), -run_source(source, images), atol=1e-6)


def test_optimisers_variables_are_not_read(made: Path, tmp_path: Path) -> None:
    """Only what the result needs is read: damage elsewhere in the data does not matter."""
    folder = Path(shutil.copytree(made / "release", tmp_path / "release"))
    data = folder / "model-20180402-1.ckpt-275.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[1000] ^= 255  # in Adam's 4,000 bytes, the first in the file
    data.write_bytes(content)
    assert open_source(folder).graph is not None


def test_another_output_is_frozen_for(made: Path) -> None:
    """Asked for an inner tensor, its variables are read; asked for one that does not exist, candidates are told."""
    source = open_source(made / "release", output="Net/Relu")
    net = translate(source.bound(output="Net/Relu"), name="net").net
    assert [layer.type for layer in net.layers] == ["Input", "Convolution", "ReLU"]
    with pytest.raises(FaceallError, match="no node 'nothing' for its output; candidates: "):
        open_source(made / "release", output="nothing").bound(output="nothing")


def test_identity_covers_every_file(copied: Path) -> None:
    """The identity of a source of several files changes with each of them."""
    before = open_source(copied / "release")
    assert sorted(before.files_sha256) == [
        "model-20180402-1.ckpt-275.data-00000-of-00001",
        "model-20180402-1.ckpt-275.index",
        "model-20180402-1.meta",
    ]
    data = copied / f"{RELEASE}.ckpt-275.data-00000-of-00001"
    data.write_bytes(data.read_bytes() + b"\0")
    assert open_source(copied / "release").sha256 != before.sha256


def test_several_signatures_are_named_and_one_is_taken(made: Path) -> None:
    """An exported Keras model has two signatures; serving_default is taken, and any can be asked for."""
    assert "'serving_default' is used" in open_source(made / "exported").remarks[0]
    assert open_source(made / "exported", signature="serve").input != open_source(made / "exported").input
    with pytest.raises(FaceallError, match=r"no signature 'other'; its signatures: .*'serve'"):
        open_source(made / "exported", signature="other")


def test_frozen_graph_is_opened(tmp_path: Path) -> None:
    """A frozen graph gives the net that the converter makes of it, whatever its file is called."""
    path = small_facenet().write(tmp_path / "model.bin")
    source = open_source(path)
    assert source.kind == "frozen graph"
    images = np.random.default_rng(0).normal(size=(2, 19, 19, 3)).astype(np.float32)
    assert [layer.type for layer in translate(source.bound(), name="x").net.layers] == [
        layer.type for layer in facenet_net(path).layers
    ]
    assert run_source(source, images).shape == (2, 10)


@pytest.mark.parametrize("given", ["folder", "net.prototxt", "net.caffemodel"])
def test_caffe_files_are_opened(tmp_path: Path, given: str) -> None:
    """A folder with Caffe's two files, or either of them, is the net with its weights."""
    net = facenet_net(small_facenet().write(tmp_path / "model.pb"))
    folder = tmp_path / "folder"
    folder.mkdir()
    write_net(net, folder / "net.prototxt", folder / "net.caffemodel")
    source = open_source(folder if given == "folder" else folder / given)
    assert source.kind == "caffe"
    assert source.net is not None
    assert set(source.net.weights) == set(net.weights)
    assert len(source.files_sha256) == 2


def test_caffemodel_of_another_net_is_refused(tmp_path: Path) -> None:
    """Layers without their weights are named."""
    net = facenet_net(small_facenet().write(tmp_path / "model.pb"))
    write_net(net, tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    text = (tmp_path / "net.prototxt").read_text().replace("Net_Conv2d_1a_3x3", "other")
    (tmp_path / "net.prototxt").write_text(text)
    assert "no weights for 1 layers, as 'other'" in refusal(tmp_path / "net.prototxt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\xff\xd8\xff\xe0 and more", "this is a JPEG image"),
        (b"\x80\x04\x95 and more", "this is a pickle"),
        (b"Dear reader", "this is a text that is no prototxt"),
        (b"\x08\x08\x12\x01a\x3a\x02\x12\x00\x42\x02\x10\x0d", "the file holds no net"),
        (bytes(range(256)), "no net, or a damaged one"),
    ],
)
def test_other_files_are_called_by_name(tmp_path: Path, content: bytes, said: str) -> None:
    """Whatever else a file is, the line says so, or what would be accepted."""
    (tmp_path / "model.net").write_bytes(content)
    assert said in refusal(tmp_path / "model.net")


def test_missing_things_are_said(tmp_path: Path, copied: Path) -> None:
    """A path to nothing, an empty folder, a graph without variables, variables without data."""
    assert "no such file or folder" in refusal(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "holds no net; expected a frozen TensorFlow graph" in refusal(tmp_path / "empty")
    for file in (copied / "release").glob("*.data*"):
        file.unlink()
    assert ".data-00000-of-00001 cannot be read" in refusal(copied / "release")
    for file in (copied / "release").glob("*.index"):
        file.unlink()
    assert "the variables are absent" in refusal(copied / f"{RELEASE}.meta")


def test_variable_that_is_not_there_is_named(copied: Path) -> None:
    """A graph with the variables of another one."""
    for part in ("index", "data-00000-of-00001"):
        shutil.copy(copied / "saved_v2/variables" / f"variables.{part}", copied / f"{RELEASE}.ckpt-275.{part}")
    text = refusal(copied / "release")
    assert "the graph reads the variable 'Net/" in text
    assert "which the checkpoint does not hold" in text


@pytest.mark.parametrize("seed", range(120))
def test_damaged_files_are_read_or_refused(made: Path, tmp_path: Path, seed: int) -> None:
    """Cut, flipped, overwritten: every source gives a net or one clear line."""
    choice = random.Random(seed)
    name = ("release", "saved_v1", "exported", "saved_v2")[seed % 4]
    folder = Path(shutil.copytree(made / name, tmp_path / name))
    assert_read_or_refused(folder, choice.choice(sorted(file for file in folder.rglob("*") if file.is_file())), choice)


@pytest.mark.parametrize("seed", range(16))
def test_damaged_keras_files_are_read_or_refused(made: Path, tmp_path: Path, seed: int) -> None:
    """The same for Keras's files; their library may hang or end its process, which must not end ours."""
    pytest.importorskip("h5py", reason="needs h5py for Keras's files")
    name = ("functional.keras", "sequential.h5")[seed % 2]
    path = Path(shutil.copy(made / name, tmp_path / name))
    assert_read_or_refused(path, path, random.Random(seed))


def assert_read_or_refused(source: Path, file: Path, choice: random.Random) -> None:
    """Damage `file`, then open the source."""
    data = bytearray(file.read_bytes())
    place = choice.randrange(len(data))
    kind = choice.choice(("cut", "bit", "bytes", "zeros"))
    if kind == "cut":
        del data[place:]
    elif kind == "bit":
        data[place] ^= 1 << choice.randrange(8)
    else:
        count = len(data[place : place + 40])
        data[place : place + 40] = choice.randbytes(count) if kind == "bytes" else bytes(count)
    file.write_bytes(data)
    try:
        translate(open_source(source).bound(), name="net")
    except FaceallError as error:
        message = str(error)
    else:
        return
    assert "\n" not in message
    assert message


def test_keras_file_that_hangs_its_library_is_refused(made: Path, tmp_path: Path) -> None:
    """Some damage sends HDF5's library into endless loops; the file is refused after seconds."""
    pytest.importorskip("h5py", reason="needs h5py for Keras's files")
    pytest.importorskip("resource", reason="needs a limit of the time that a process works")
    path = Path(shutil.copy(made / "sequential.h5", tmp_path / "net.h5"))
    data = bytearray(path.read_bytes())
    for place in range(len(data)):
        if data[place : place + 4] == b"GCOL":  # a heap whose parts are said to be empty
            data[place + 16 : place + 64] = bytes(48)
    path.write_bytes(data)
    assert "the Keras file is damaged" in refusal(path)


def test_keras_file_is_read_under_stricter_limits(made: Path) -> None:
    """The reader takes less time and memory than it may, and never more than its own process was left."""
    pytest.importorskip("resource", reason="needs limits of a process's time and memory")
    pytest.importorskip("h5py", reason="needs h5py for Keras's files")
    code = (
        "import resource, sys; from pathlib import Path; "
        "resource.setrlimit(resource.RLIMIT_CPU, (3, 3)); "
        "sys.platform == 'darwin' or resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)); "
        "from faceall.convert.sources.keras.files import read_keras; "
        "print(len(read_keras(Path(sys.argv[1])).weights))"
    )
    whole = len(read_keras(made / "functional.h5").weights)
    assert whole
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(made / "functional.h5")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{whole}\n", "")


def test_absent_h5py_is_named(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without h5py a Keras file is refused with what brings it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r'pip install "faceall\[convert\]"'):
        open_source(made / "sequential.h5")
