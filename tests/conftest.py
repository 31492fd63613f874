"""Fixtures that every room shares."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from faceall.types import Image

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the large models and the data sets, or a skip that says how to give it."""
    folder = Path(os.environ.get("FACEALL_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"needs the data sets; {folder} is absent (set FACEALL_SHARED)")
    return folder.resolve()


@pytest.fixture(scope="session")
def astronaut() -> Image:
    """A portrait in the public domain (NASA), (512, 512, 3) RGB uint8."""
    data = pytest.importorskip("skimage.data", reason="needs scikit-image for its public-domain portrait")
    return np.asarray(data.astronaut())
