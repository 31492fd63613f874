"""Whether processes analyse the photos of a registration by themselves."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stand_ins import ColourEmbedder, one_face, write_photo

import faceall
from faceall import processes
from faceall.analysis import FaceEmbedder
from faceall.embed import Embedder
from faceall.gallery import Gallery
from faceall.gallery.naming import find_candidates
from faceall.gallery.registration import automatic_workers
from faceall.gallery.registration.automatic_workers import workers_for
from faceall.gallery.registration.scan import Scanner

BUNDLED = Path(faceall.__file__).parent / "models" / "bundled"
ENOUGH = 20
GIBIBYTE = 1 << 30


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two cores, enough memory and the included model, where 20 photos are many."""
    monkeypatch.setattr("faceall.models.store.BUNDLED", BUNDLED)
    monkeypatch.setattr(automatic_workers, "ENOUGH", ENOUGH)
    monkeypatch.setattr(automatic_workers, "available_cores", lambda: 2)
    monkeypatch.setattr(automatic_workers, "free_memory", lambda: 8 * GIBIBYTE)


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    """A gallery with the default detector and embedder."""
    return Gallery.open(tmp_path / "gallery")


def are_used(gallery: Gallery, photos: Path) -> bool:
    """Whether processes analyse the photos of a folder."""
    scanner = Scanner(gallery._store, reassign=False)
    candidates = find_candidates([photos])
    return workers_for(candidates, scanner, gallery._context.analyser) is not None


def write_photos(folder: Path, count: int) -> None:
    """Write small photos."""
    for number in range(count):
        write_photo(folder / f"{number}.png", one_face(number))


def test_many_small_photos_are_analysed_by_processes(gallery: Gallery, photos: Path) -> None:
    """From so many photos on, with two cores and memory for two processes."""
    write_photos(photos, ENOUGH)
    assert are_used(gallery, photos)


def test_few_photos_are_analysed_here(gallery: Gallery, photos: Path) -> None:
    """Processes would take longer to start than they save."""
    write_photos(photos, ENOUGH - 1)
    assert not are_used(gallery, photos)


def test_large_photos_are_analysed_here(gallery: Gallery, photos: Path) -> None:
    """They gain nothing, and processes would take much memory."""
    write_photos(photos, ENOUGH)
    for path in sorted(photos.iterdir())[: ENOUGH // 2 + 1]:
        path.write_bytes(path.read_bytes() + bytes(300_000))
    assert not are_used(gallery, photos)


def test_photos_that_are_known_do_not_count(
    gallery: Gallery, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither unchanged ones, nor copies at another place, nor files that are no photos."""
    write_photos(photos, ENOUGH)
    monkeypatch.setattr("faceall.gallery.registration.registration.workers_for", lambda *_: None)
    gallery.register(photos)
    assert not are_used(gallery, photos)
    copies = shutil.copytree(photos, tmp_path / "copies")
    assert not are_used(gallery, copies)
    write_photos(photos / "more", ENOUGH)
    for path in (photos / "more").iterdir():
        path.write_bytes(b"no photo")
    assert not are_used(gallery, photos)


@pytest.mark.parametrize(
    ("cores", "memory", "used"),
    [(1, 8 * GIBIBYTE, False), (8, 2 * GIBIBYTE, True), (8, 2 * GIBIBYTE - 1, False), (8, None, True)],
)
def test_processes_need_cores_and_memory(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch, cores: int, memory: int | None, used: bool
) -> None:
    """One core has no use for two processes; where the system does not say how much is free, there is enough."""
    write_photos(photos, ENOUGH)
    monkeypatch.setattr(automatic_workers, "available_cores", lambda: cores)
    monkeypatch.setattr(automatic_workers, "free_memory", lambda: memory)
    assert are_used(gallery, photos) == used


@pytest.mark.parametrize("make", [ColourEmbedder, lambda: Embedder(precision="float32")])
def test_with_an_embedder_of_ones_own_photos_are_analysed_here(
    photos: Path, tmp_path: Path, make: Callable[[], FaceEmbedder]
) -> None:
    """Processes would embed with the model's default engine and precision."""
    write_photos(photos, ENOUGH)
    assert not are_used(Gallery.open(tmp_path / "own", embedder=make()), photos)


def test_photos_with_stale_faces_do_not_count(gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their faces are known and only embedded again."""
    write_photos(photos, ENOUGH)
    monkeypatch.setattr(type(gallery._store.photos), "pending", lambda *_: [object()])
    assert not are_used(gallery, photos)


def test_where_no_process_can_start_photos_are_analysed_here(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some containers have no semaphores; a frozen program would start itself again."""
    write_photos(photos, ENOUGH)

    def fail(*_: object) -> None:
        raise OSError("no /dev/shm, or too many processes")

    for name in ("__init__", "submit"):
        with monkeypatch.context() as without:
            without.setattr(processes.ProcessTeam, name, fail)
            assert not are_used(gallery, photos)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert not are_used(gallery, photos)
