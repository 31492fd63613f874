"""Every example runs as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import faceall
from places import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture
def bundled_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedder of the package is installed."""
    monkeypatch.setattr("faceall.models.store.BUNDLED", Path(faceall.__file__).parent / "models" / "bundled")
    monkeypatch.setattr("faceall.quick._analysers", {})


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    """It ends without an error and prints something, with the model of the package."""
    done = subprocess.run([sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_examples_are_listed() -> None:
    """A new example has to be listed in the examples' README."""
    text = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{example.name}`" in text for example in [*EXAMPLES, ROOT / "examples" / "notebook.ipynb"])


def test_counted_lines_are_those_of_the_programs() -> None:
    """The table of the documentation is what its script prints."""
    folder = ROOT / "benchmarks" / "programs"
    page = ROOT / "docs" / "explanation" / "programs.md"
    if not folder.is_dir() or not page.is_file():
        pytest.skip("needs the source tree: benchmarks or docs are absent")
    done = subprocess.run([sys.executable, str(folder / "count.py")], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in page.read_text(encoding="utf-8")


def test_notebook_runs(monkeypatch: pytest.MonkeyPatch, bundled_model: None) -> None:
    """The code of the notebook runs, cell by cell, and its results show themselves."""
    monkeypatch.chdir(ROOT / "examples")
    names: dict[str, object] = {}
    for cell in json.loads(Path("notebook.ipynb").read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert names["face"]._repr_png_()  # type: ignore[attr-defined]
