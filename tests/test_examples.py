"""Every example runs as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from places import GRAPH, ROOT, SHARED
from tiny_model import write_tiny_model

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A folder with an embedder: the real FaceNet where its file is present, else a tiny one."""
    if (SHARED / GRAPH).is_file():
        return Path(request.getfixturevalue("facenet").path)
    return write_tiny_model(tmp_path_factory.mktemp("models")).path


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example: Path, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends without an error and says something."""
    monkeypatch.setenv("FACEALL_MODELS", str(models))
    done = subprocess.run([sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_there_are_five() -> None:
    """A new example has to be listed in the examples' README."""
    text = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert len(EXAMPLES) == 5
    assert all(f"`{example.name}`" in text for example in EXAMPLES)
