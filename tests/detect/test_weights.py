"""Weights: both sources give the same nets, and bad files are refused in one clear line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from faceall.caffe.engines import get_engine
from faceall.caffe.files import read_net
from faceall.detect import weights
from faceall.detect.weights import MEAN, OUTPUT, SCALE, net_sources, read_nets, to_bfloat16
from faceall.errors import ModelDamagedError, ModelNotFoundError


def test_both_sources_give_the_same_weights(shared: Path) -> None:
    """Keras files of the package and the original Caffe files are the same numbers, bit for bit, once upright."""
    for ours, theirs in zip(read_nets(), read_nets(shared / "models/mtcnn"), strict=True):
        assert ours.weights.keys() == theirs.weights.keys()
        for key, array in ours.weights.items():
            np.testing.assert_array_equal(array, theirs.weights[key], err_msg=f"{ours.name} {key}")


def test_bfloat16_is_the_nearest_number_of_eight_bits() -> None:
    """Ties go to the even one; what has eight bits or fewer stays as it is."""
    given = np.array([1, 255, -0.15625, 1 + 2**-8, 1 + 3 * 2**-8, 1.0041, 257], np.float32)
    expected = np.array([1, 255, -0.15625, 1, 1 + 2**-6, 1.0078125, 256], np.float32)
    np.testing.assert_array_equal(to_bfloat16(given), expected)


def test_rounding_the_first_layer_leaves_mid_gray_as_it_is() -> None:
    """The kernels of a rounded net are bfloat16, and its terms are those for which mid-gray gives the same values."""
    for source, rounded in zip(net_sources(), net_sources(rounded=True), strict=True):
        assert source.fingerprint != rounded.fingerprint
        before, after = source.read().weights, rounded.read().weights
        kernel = after["conv1/0"]
        np.testing.assert_array_equal(kernel, to_bfloat16(before["conv1/0"]))
        gray = [weights["conv1/1"] + MEAN * weights["conv1/0"].sum(axis=(1, 2, 3)) for weights in (before, after)]
        np.testing.assert_allclose(gray[1], gray[0], atol=1e-4)


def test_nets_compute_what_the_original_nets_compute(shared: Path) -> None:
    """Upright, unstandardised and with one head, each net gives what its original gives for a transposed image."""
    engine, rng = get_engine("reference"), np.random.default_rng(8)
    heads = {"det1": ("prob1", "conv4-2"), "det2": ("prob1", "conv5-2"), "det3": ("prob1", "conv6-2", "conv6-3")}
    for net, (name, outputs), size in zip(read_nets(), heads.items(), (30, 24, 48), strict=True):
        folder = shared / "models/mtcnn"
        original = engine.compile(read_net(folder / f"{name}.prototxt", folder / f"{name}.caffemodel"), outputs)
        pixels = rng.uniform(0, 255, (2, 3, size, size)).astype(np.float32)
        turned = np.ascontiguousarray((pixels.swapaxes(2, 3) - MEAN) * SCALE, np.float32)
        expected = original({"data": turned})
        found = engine.compile(net, [OUTPUT])({"data": pixels})[OUTPUT]
        if name == "det1":
            expected = {key: value.swapaxes(2, 3) for key, value in expected.items()}
        np.testing.assert_allclose(1 / (1 + np.exp(-found[:, 0])), expected["prob1"][:, 1], atol=2e-5)
        rest = np.concatenate([expected[key] for key in outputs[1:]], axis=1)
        np.testing.assert_allclose(found[:, 1:], rest, atol=2e-4)


def test_tensorflow_is_not_imported() -> None:
    """Making a detector imports neither the package mtcnn nor TensorFlow."""
    code = (
        "import sys; from faceall.detect import Detector; Detector(); "
        "print([name for name in ('mtcnn', 'tensorflow', 'torch', 'keras') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_an_absent_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package mtcnn the error names it and the other way."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelNotFoundError, match=r"pip install mtcnn==1\.0\.0, or give a folder"):
        read_nets()


def test_a_damaged_package_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that differs in one byte is never unpickled."""
    for plan in weights.PLANS:
        shutil.copy(weights._keras_folder() / plan.keras_name, tmp_path)
    content = bytearray((tmp_path / "rnet.lz4").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "rnet.lz4").write_bytes(content)
    monkeypatch.setattr(weights, "_keras_folder", lambda: tmp_path)
    with pytest.raises(ModelDamagedError, match=r"rnet\.lz4: is not from mtcnn 1\.0\.0"):
        read_nets()


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """A folder without the nets is refused with the name of the first missing file."""
    with pytest.raises(ModelNotFoundError, match=r"det1\.prototxt: no such file"):
        read_nets(tmp_path)


@pytest.fixture
def caffe_folder(shared: Path, tmp_path: Path) -> Path:
    """A writable copy of the Caffe files."""
    for path in (shared / "models/mtcnn").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_a_truncated_caffemodel_is_refused(caffe_folder: Path) -> None:
    """Half a caffemodel is damaged, and the message names it."""
    path = caffe_folder / "det2.caffemodel"
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(ModelDamagedError, match="det2"):
        read_nets(caffe_folder)


def test_another_net_is_refused(caffe_folder: Path) -> None:
    """A net with other shapes than the cascade needs is refused with the weight, its shape and the expected one."""
    for suffix in ("prototxt", "caffemodel"):
        shutil.copy(caffe_folder / f"det2.{suffix}", caffe_folder / f"det3.{suffix}")
    with pytest.raises(ModelDamagedError, match=r"output net: weight 'conv1/0' has shape \(28, 3, 3, 3\), expected"):
        read_nets(caffe_folder)
