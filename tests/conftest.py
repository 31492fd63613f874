"""Fixtures that every room shares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from faceall.models import ModelFolder
from faceall.types import Image
from places import GRAPH, SHARED

settings.register_profile("ci", derandomize=True)  # a verdict that depends on the change alone; by hand it explores
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests out of the user's data, cache, gallery and settings, and the bundled model out of the tests."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("faceall.models.store.BUNDLED", folder / "bundled")
        patch.setenv("FACEALL_DATA", str(folder / "data"))
        patch.setenv("FACEALL_CACHE", str(folder / "cache"))
        for name in ("FACEALL_ENGINE", "FACEALL_GALLERY", "FACEALL_MODELS", "EMBEDDING_SIZE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the large models and the data sets, or a skip that says how to give it."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the data sets; {SHARED} is absent (set FACEALL_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def facenet(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """The real FaceNet as a model folder, converted once; or a skip where its graph is absent."""
    from faceall.convert import convert

    graph = shared / GRAPH
    if not graph.is_file():
        pytest.skip(f"needs FaceNet; {graph} is absent")
    return convert(graph, tmp_path_factory.mktemp("facenet") / "model").folder


@pytest.fixture(scope="session")
def astronaut() -> Image:
    """A portrait in the public domain (NASA), (512, 512, 3) RGB uint8."""
    data = pytest.importorskip("skimage.data", reason="needs scikit-image for its public-domain portrait")
    return np.asarray(data.astronaut())
