"""A gallery whose models are loaded once and shared by the threads of the server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stand_ins import ColourEmbedder

from detector_files import yunet_file
from faceall.detect import Detector, install_detector
from faceall.gallery import Gallery
from faceall.web.work.sharing import open_shared


def test_the_server_uses_the_detector_of_the_gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos that the server receives are searched with the detector that the gallery was given, not with MTCNN."""
    monkeypatch.setenv("FACEALL_DATA", str(tmp_path / "data"))
    (tmp_path / "net.onnx").write_bytes(yunet_file(4))
    install_detector(tmp_path / "net.onnx")
    image = np.random.default_rng(1).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    expected = Detector("net")(image)
    assert len(expected)
    with Gallery.open(tmp_path / "gallery") as gallery:
        gallery.choose_detector("net")
    with open_shared(tmp_path / "gallery", embedder=ColourEmbedder()) as (gallery, worker):
        assert gallery.detector == "net"
        (found,) = worker.detector.detect_batch([image])
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
