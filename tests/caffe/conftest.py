"""Fixtures of the tests of `faceall.caffe`."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceall.caffe.files import read_net
from faceall.caffe.net import Net


@pytest.fixture(scope="session")
def mtcnn_folder(shared: Path) -> Path:
    """The folder with det1, det2 and det3, as their authors published them."""
    return shared / "models" / "mtcnn"


@pytest.fixture(scope="session", params=["det1", "det2", "det3"])
def mtcnn_net(request: pytest.FixtureRequest, mtcnn_folder: Path) -> Net:
    """One of the three nets of MTCNN."""
    return read_net(mtcnn_folder / f"{request.param}.prototxt", mtcnn_folder / f"{request.param}.caffemodel")
