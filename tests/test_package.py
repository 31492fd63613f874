"""The package as a whole: its table of contents, its import, its version."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import faceall
from places import ROOT

HEAVY = ("hnswlib", "mtcnn", "onnxruntime", "openvino", "tensorflow", "torch")


def test_every_exported_name_exists_and_is_sorted() -> None:
    """`__all__` is sorted, and each of its names can be had."""
    assert faceall.__all__ == sorted(faceall.__all__)
    assert all(getattr(faceall, name) is not None for name in faceall.__all__)


def test_no_exported_name_hides_a_subpackage() -> None:
    """`faceall.detect` and its like stay modules after every exported name has been loaded."""
    for name in faceall.__all__:
        getattr(faceall, name)
    for room in ("caffe", "convert", "detect", "embed", "gallery", "images", "index", "models"):
        import_module(f"faceall.{room}")
        assert isinstance(getattr(faceall, room), ModuleType), room


def test_import_loads_nothing_heavy() -> None:
    """`import faceall` brings neither NumPy nor any engine."""
    code = "import faceall, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"cv2", "numpy", *HEAVY} & set(loaded)


def test_rooms_load_nothing_heavy() -> None:
    """Every room can be imported without an engine or a graph library being loaded."""
    rooms = ", ".join(f"faceall.{room}" for room in ("convert", "detect", "embed", "gallery", "index"))
    code = f"import sys, {rooms}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(HEAVY) & set(loaded)


def test_version_stands_on_top_of_the_changelog() -> None:
    """The version lives in one place and equals the newest entry of CHANGELOG.md."""
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == faceall.__version__


def test_the_engine_reports_to_nobody(tmp_path: Path) -> None:
    """Running a net neither loads OpenVINO's telemetry nor writes its id into the home folder."""
    code = (
        "import sys, numpy as np; from faceall.caffe import Layer, Net, get_engine, input_layer;"
        "layers = (input_layer('a', (1, 3, 4, 4)), Layer('b', 'ReLU', ('a',), ('b',)));"
        "get_engine('openvino').compile(Net('n', layers))({'a': np.zeros((1, 3, 4, 4), np.float32)});"
        "print(*sys.modules)"
    )
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "openvino" in done.stdout.split()
    assert not [name for name in done.stdout.split() if "telemetry" in name or name.startswith("openvino.tools.ovc")]
    assert not list(tmp_path.iterdir())
