"""A program that PyInstaller packs with faceall's hooks finds the models and the engine, without Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from faceall.__pyinstaller import get_hook_dirs
from places import ROOT

PROGRAM = """
import sys
import faceall
faces = faceall.represent(sys.argv[1])
print(len(faces), len(faces[0].embedding))
"""


def test_hooks_are_found_by_the_entry_point() -> None:
    """PyInstaller reads the group `pyinstaller40`."""
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pyinstaller40"] == {"hook-dirs": "faceall.__pyinstaller:get_hook_dirs"}
    (folder,) = get_hook_dirs()
    assert (Path(folder) / "hook-faceall.py").is_file()


@pytest.mark.slow
def test_packed_program_runs(tmp_path: Path) -> None:
    """Built and run without the environment of this Python: it finds the faces of a photo."""
    pytest.importorskip("PyInstaller", reason="needs PyInstaller")
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"]
    hooks = ["--additional-hooks-dir", *get_hook_dirs()]
    subprocess.run([*command, *hooks, "program.py"], cwd=tmp_path, check=True, timeout=1800)
    program = tmp_path / "dist" / "program" / ("program.exe" if os.name == "nt" else "program")
    environment = {"HOME": str(tmp_path), "PATH": os.defpath}
    photo = str(ROOT / "examples" / "someone.jpg")
    done = subprocess.run([str(program), photo], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "128"]
