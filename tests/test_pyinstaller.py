"""A program that PyInstaller packs with faceall's hooks finds the models and the engine, without Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from faceall.__pyinstaller import get_hook_dirs
from faceall.convert.interpreter import module_command
from faceall.errors import ConvertError
from places import ROOT, SHARED

PROGRAM = """
import json
import multiprocessing
import sys

import faceall
from faceall.gallery.registration.local_workers import local_workers

if __name__ == "__main__":
    multiprocessing.freeze_support()
    photos, image, folder, workers = sys.argv[1:]
    with faceall.Gallery.open(folder) as gallery:
        results = gallery.register(photos, workers=local_workers(2) if workers == "2" else None)
        found = gallery.search(image, k=3)
    (face,) = faceall.represent(image)
    print(json.dumps({
        "faceall": faceall.__version__,
        "detected": len(faceall.detect_faces(image)),
        "numbers": len(face.embedding),
        "registered": [[photo.status, photo.person] for photo in results],
        "nearest": [[match.person, match.distance] for match in found[0].matches],
    }))
"""
LARGEST_MB = 500
"""The program has 381 MB on Linux, most of it OpenCV, OpenVINO, NumPy and Python."""


def test_hooks_are_found_by_the_entry_point() -> None:
    """PyInstaller reads the group `pyinstaller40`."""
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pyinstaller40"] == {"hook-dirs": "faceall.__pyinstaller:get_hook_dirs"}
    (folder,) = get_hook_dirs()
    assert (Path(folder) / "hook-faceall.py").is_file()


def test_packed_program_starts_no_copy_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sys.executable` is the program there: a module of faceall is not run with it, and the error says so."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(ConvertError, match="needs a Python interpreter"):
        module_command("faceall.convert.sources.openvino.worker", "net.xml")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The executable, built without options: PyInstaller finds the hooks by itself where faceall is installed."""
    pytest.importorskip("PyInstaller", reason="needs PyInstaller: scripts/test-pyinstaller")
    folder = tmp_path_factory.mktemp("packed")
    (folder / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN", "program.py"]
    subprocess.run(command, cwd=folder, check=True, timeout=900)
    return folder / "dist" / "program" / ("program.exe" if os.name == "nt" else "program")


def run(program: Path, home: Path, photos: Path, image: Path, workers: int = 1) -> Any:
    """Run the program without the environment of this Python."""
    command = [str(program), str(photos), str(image), str(home / "gallery"), str(workers)]
    environment = {"HOME": str(home), "PATH": os.defpath}
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_packed_program_detects_represents_registers_and_searches(program: Path, tmp_path: Path) -> None:
    """The photo of the examples is registered, and another photo of the same person finds it."""
    examples = ROOT / "examples"
    said = run(program, tmp_path, examples / "photos", examples / "someone.jpg")
    assert (said["detected"], said["numbers"]) == (1, 128)
    assert said["registered"] == [["added", "Eileen_Collins"]]
    ((person, distance),) = said["nearest"]
    assert person == "Eileen_Collins"
    assert distance < 1


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "data" / "gallery").is_dir(), reason="needs the shared photos")
@pytest.mark.parametrize("workers", [1, 2])
def test_packed_program_names_people(program: Path, tmp_path: Path, workers: int) -> None:
    """In this process and with worker processes, which are copies of the program: everyone is found by a photo."""
    photos = SHARED / "data" / "gallery"
    image = min((photos / "BillGates").iterdir())
    said = run(program, tmp_path, photos, image, workers)
    assert len(said["registered"]) == sum(1 for path in photos.rglob("*") if path.is_file())
    assert {status for status, _ in said["registered"]} == {"added"}
    assert said["nearest"][0] == ["BillGates", pytest.approx(0, abs=1e-3)]
    assert [person for person, _ in said["nearest"]] == ["BillGates"] * 3


@pytest.mark.slow
def test_packed_program_has_only_what_it_uses(program: Path) -> None:
    """No plugins for GPUs, no frameworks, no optional packages; its size is limited."""
    files = {path.name for path in program.parent.rglob("*")}
    assert not [name for name in files if "gpu_plugin" in name or "npu_plugin" in name]
    assert not {path.name for path in (program.parent / "_internal").iterdir()} & {
        "tensorflow",
        "torch",
        "sklearn",
        "onnxruntime",
        "pandas",
        "coremltools",
        "h5py",
    }
    size = sum(path.stat().st_size for path in program.parent.rglob("*") if path.is_file() and not path.is_symlink())
    assert size < LARGEST_MB * 1e6, f"{size / 1e6:.0f} MB"
