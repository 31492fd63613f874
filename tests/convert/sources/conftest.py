"""Sources made by the real TensorFlow and Keras, unpacked; see make_tensorflow_files.py."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked files; not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    with zipfile.ZipFile(Path(__file__).with_name("tensorflow_files.zip")) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / "files"))
