"""What README.md and the first page of the documentation promise is so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
START = (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README + START, re.DOTALL)
SESSIONS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `photos/` and `someone.jpg`, without a gallery or installed models."""
    shutil.copytree(ROOT / "examples" / "photos", tmp_path / "photos")
    shutil.copy(ROOT / "examples" / "someone.jpg", tmp_path)
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("FACEALL_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("FACEALL_GALLERY", str(tmp_path / "gallery"))
    return tmp_path


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python_block_runs(block: str, place: Path) -> None:
    """Every Python block runs as it is and prints something."""
    done = subprocess.run([sys.executable, "-c", block], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_console_sessions_run(place: Path) -> None:
    """The commands of every console session run, one after the other, and the search finds the person."""
    commands = [line[2:] for session in SESSIONS for line in session.splitlines() if line.startswith("$ ")]
    faceall = f'"{sys.executable}" -m faceall_cli.main'
    output = ""
    for command in commands:
        line = re.sub(r"^faceall\b", faceall, command)
        done = subprocess.run(
            line, shell=True, cwd=place, capture_output=True, text=True, check=False, env=os.environ.copy()
        )
        assert done.returncode == 0, (command, done.stderr)
        output += done.stdout
    assert "Eileen_Collins" in output


def test_readme_is_short() -> None:
    """The first block has at most ten lines, and the README at most 900 words, without the table of measurements."""
    text = re.sub(r"<!-- speeds -->.*<!-- end of speeds -->", "", README, flags=re.DOTALL)
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 10
    assert len(text.split()) <= 900


def test_links_lead_somewhere() -> None:
    """Files and images that README.md links to exist."""
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README):
        assert (ROOT / target).exists(), target
