"""Detector, Embedder and Gallery in workers of Ray and of PyTorch's DataLoader."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from faceall import Detector, Embedder, Gallery
from faceall.types import Float32Array, Image
from local_ray import local_ray
from places import ROOT
from tiny_model import write_tiny_model

PHOTO = ROOT / "examples" / "someone.jpg"


class Analysed:
    """Data set that embeds one photo repeatedly with the worker's nets."""

    def __init__(self, detector: Detector, embedder: Embedder, image: Image, count: int) -> None:
        self.detector, self.embedder, self.image, self.count = detector, embedder, image, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> tuple[int, Float32Array]:
        return os.getpid(), self.embedder(self.image, self.detector(self.image))


@pytest.fixture
def embedder(tmp_path: Path) -> Embedder:
    """Return an embedder with random weights."""
    return Embedder(write_tiny_model(tmp_path / "models").path)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_of_a_data_loader_compute(embedder: Embedder, astronaut: Image, start: str) -> None:
    """Forked and spawned workers give the vectors of this process."""
    torch_data = pytest.importorskip("torch.utils.data", reason="needs torch")
    detector = Detector()
    wanted = embedder(astronaut, detector(astronaut))
    data = Analysed(detector, embedder, astronaut, 6)
    loader = torch_data.DataLoader(data, batch_size=None, num_workers=2, multiprocessing_context=start)
    found = list(loader)
    assert len(found) == 6
    assert os.getpid() not in {worker for worker, _ in found}
    for _, vectors in found:
        np.testing.assert_allclose(np.asarray(vectors), wanted, atol=1e-5)


@pytest.mark.slow
def test_tasks_of_ray_compute(embedder: Embedder, astronaut: Image, tmp_path: Path) -> None:
    """Detector and embedder can be sent to tasks; a gallery is opened there by its address."""
    places = [ROOT / "src", ROOT / "cli", ROOT / "tests"]
    with (
        local_ray(*places, reason="needs ray") as ray,
        Gallery.open(tmp_path / "gallery", embedder=embedder) as gallery,
    ):
        gallery.register(PHOTO)
        detector = Detector()
        wanted = embedder(astronaut, detector(astronaut))
        analyse = ray.remote(lambda find, embed, image: embed(image, find(image)))
        count = ray.remote(lambda opened: (os.getpid(), len(opened)))
        vectors = ray.get([analyse.remote(detector, embedder, astronaut) for _ in range(4)])
        worker, faces = ray.get(count.remote(gallery))
        assert (worker != os.getpid(), faces) == (True, len(gallery))
    for found in vectors:
        np.testing.assert_allclose(found, wanted, atol=1e-5)
