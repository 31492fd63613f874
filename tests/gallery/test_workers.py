"""Registrations with workers in other processes give the same results, also if processes die."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.errors import FaceallError, IndexMismatchError
from faceall.gallery import Gallery
from faceall.gallery.registration.local_workers import local_workers
from faceall.gallery.registration.worker_task import Make
from faceall.gallery.registration.workers import TeamWorkers
from faceall.types import Faces, Image
from local_ray import local_ray

MakeWorkers = Callable[[Make], TeamWorkers]
Open = Callable[..., Gallery]


def colours() -> tuple[ColourDetector, ColourEmbedder]:
    """Return the detector and embedder of the test galleries."""
    return ColourDetector(), ColourEmbedder()


class DyingDetector(ColourDetector):
    """Kills its process when it detects the colour (R, G, 200), at most `times` times, counted by files."""

    def __init__(self, folder: Path, red: int, times: int) -> None:
        super().__init__()
        self.folder, self.red, self.times = folder, red, times

    def detect_batch(self, images: Sequence[Image], /) -> list[Faces]:
        if any((image[45, 60] == (self.red, 1, 200)).all() for image in images):
            died = len(list(self.folder.iterdir()))
            if died < self.times:
                (self.folder / f"{died}-{os.getpid()}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().detect_batch(images)


def dying(folder: Path, red: int, times: int) -> tuple[ColourDetector, ColourEmbedder]:
    """Return a detector that kills the process, and an embedder."""
    return DyingDetector(folder, red, times), ColourEmbedder()


def other_colours() -> tuple[ColourDetector, ColourEmbedder]:
    """Return a detector and an embedder of another model."""
    return ColourDetector(), ColourEmbedder("shades")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Start a local Ray cluster with two CPUs."""
    places = [Path(__file__).parent, os.environ.get("PYTHONPATH", "")]
    with local_ray(*places, reason="workers on Ray need the package ray"):
        yield


@pytest.fixture(params=["local", "ray"])
def make_workers(request: pytest.FixtureRequest) -> MakeWorkers:
    """Two workers of each kind."""
    if request.param == "local":
        return lambda make: local_workers(2, make=make)
    request.getfixturevalue("cluster")
    from faceall.gallery.registration.ray_workers import ray_workers

    return lambda make: ray_workers(make=make)


def contents(gallery: Gallery) -> list[tuple[object, ...]]:
    """Return everything stored for the faces, including vectors and thumbnails."""
    return sorted(
        (
            str(face.path),
            face.person or "",
            face.box,
            gallery._store.faces.vectors([face.face_id]).tobytes(),
            gallery.faces.thumbnail(face.face_id),
        )
        for face in gallery.faces.find()
    )


def many(photos: Path, count: int = 40) -> Path:
    """Write photos of several people: some with two faces or none, one invalid, one twice."""
    for number in range(count):
        squares = one_face(number)
        if number % 7 == 3:
            squares = [*squares, (5, 5, 20, (9, number + 1, 30))]
        write_photo(photos / f"P{number % 5}" / f"{number}.png", [] if number % 11 == 5 else squares)
    (photos / "P1" / "broken.jpg").write_bytes(b"\xff\xd8 not an image")
    shutil.copy(photos / "P2" / "2.png", photos / "P3" / "again.png")
    return photos


@pytest.mark.embedded("compares notes with those of a folder; Milvus looks for duplicates among the nearest faces only")
def test_workers_give_the_results_of_one_process(
    make_workers: MakeWorkers, gallery: Gallery, photos: Path, tmp_path: Path
) -> None:
    """Results, their order, faces and vectors equal those of one process, also for changed files."""
    many(photos)
    statuses = set()
    with Gallery.open(tmp_path / "alone", detector=ColourDetector(), embedder=ColourEmbedder()) as alone:
        for _ in range(2):
            expected = list(alone.register(photos))
            assert list(gallery.register(photos, workers=make_workers(colours))) == expected
            statuses |= {result.status for result in expected}
            shutil.move(photos / "P0" / "0.png", photos / "P0" / "moved.png")
            write_photo(photos / "P0" / "10.png", one_face(200))
            shutil.copy(photos / "P0" / "moved.png", photos / "P0" / "0.png")
        assert statuses == {"added", "no-face", "unreadable", "duplicate", "unchanged", "changed"}
        assert len(gallery) == 40
        assert contents(gallery) == contents(alone)
        assert gallery.index.problems() == []


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read (Linux)")
def test_a_file_that_cannot_be_read_stops_no_worker(gallery: Gallery, photos: Path) -> None:
    """As from a damaged disk: it opens, reading it fails, and the others are registered."""
    for number in range(10):
        write_photo(photos / "Ada" / f"{number}.png", one_face(number))
    (photos / "Ada" / "3a.png").symlink_to("/proc/self/mem")
    results = {result.path.name: result for result in gallery.register(photos, workers=local_workers(2, make=colours))}
    assert results["3a.png"].status == "unreadable"
    assert [result.status for result in results.values()].count("added") == 10


def test_a_killed_worker_loses_nothing(
    make_workers: MakeWorkers, gallery: Gallery, photos: Path, tmp_path: Path
) -> None:
    """After SIGKILL another worker analyses the killed worker's photos, and each photo is stored once."""
    for number in range(60):
        write_photo(photos / f"P{number % 3}" / f"{number}.png", one_face(number))
    (tmp_path / "deaths").mkdir()
    make = functools.partial(dying, tmp_path / "deaths", 1 + 33, 1)
    results = list(gallery.register(photos, workers=make_workers(make)))
    assert len(list((tmp_path / "deaths").iterdir())) == 1
    assert [result.status for result in results] == ["added"] * 60
    assert len(gallery) == 60
    assert gallery.index.problems() == []


@pytest.mark.slow
def test_a_photo_that_kills_every_worker_is_skipped(
    make_workers: MakeWorkers, gallery: Gallery, photos: Path, tmp_path: Path
) -> None:
    """The photo is reported, not stored and retried in the next run; all others are registered."""
    for number in range(20):
        write_photo(photos / "Ada" / f"{number:02}.png", one_face(number))
    (tmp_path / "deaths").mkdir()
    make = functools.partial(dying, tmp_path / "deaths", 1 + 13, 1000)
    results = {result.path.name: result for result in gallery.iter_register(photos, workers=make_workers(make))}
    assert results.pop("13.png").message == "3 workers died while they analysed it"
    assert {result.status for result in results.values()} == {"added"}
    assert len(gallery) == 19
    again = [
        result
        for result in gallery.iter_register(photos, workers=make_workers(colours))
        if result.status != "unchanged"
    ]
    assert [(result.path.name, result.status) for result in again] == [("13.png", "added")]


def test_workers_with_another_model_are_refused(make_workers: MakeWorkers, gallery: Gallery, photos: Path) -> None:
    """Nothing is stored; the error names both models."""
    write_photo(photos / "Ada" / "1.png", one_face(1))
    with pytest.raises(FaceallError, match=r"a worker on .*: would embed with shades .*, the gallery with colours"):
        list(gallery.register(photos, workers=make_workers(other_colours)))
    assert len(gallery) == 0


def test_a_gallery_of_another_model_is_refused_before_any_worker_starts(gallery: Gallery, photos: Path) -> None:
    """A gallery of another model is refused before a worker starts, as it is without workers."""

    def never() -> tuple[ColourDetector, ColourEmbedder]:
        raise AssertionError("a worker started")

    write_photo(photos / "Ada" / "1.png", one_face(1))
    list(gallery.register(photos))
    write_photo(photos / "Ada" / "2.png", one_face(2))
    with (
        Gallery.open(gallery.place, detector=ColourDetector(), embedder=ColourEmbedder("shades")) as other,
        pytest.raises(IndexMismatchError, match="colours"),
    ):
        list(other.register(photos, workers=local_workers(1, make=never)))


def test_unchanged_files_start_no_worker(gallery: Gallery, photos: Path) -> None:
    """If no file has changed, no worker is started."""
    many(photos, 12)
    first = list(gallery.register(photos))

    def never() -> tuple[ColourDetector, ColourEmbedder]:
        raise AssertionError("a worker started")

    broken = [result for result in first if result.status == "unreadable"]
    again = list(gallery.register(photos, workers=local_workers(1, make=never)))
    assert [result.path for result in again] == [result.path for result in first]
    assert [result for result in again if result.status == "unreadable"] == broken


def test_closing_a_registration_keeps_reported_photos(gallery: Gallery, photos: Path) -> None:
    """Reported photos are kept; the next run registers the rest."""
    many(photos)
    registration = gallery.iter_register(photos, workers=local_workers(2, make=colours))
    reported = [next(registration) for _ in range(3)]
    registration.close()
    assert all(gallery.faces.find(path=result.path) for result in reported if result.status == "added")
    rest = list(gallery.register(photos, workers=local_workers(1, make=colours)))
    assert len(rest) == 42
    assert [result.status for result in rest[:3]] == [
        "unchanged" if result.status == "added" else result.status for result in reported
    ]


def test_invalid_worker_options_are_refused_before_a_start(gallery: Gallery, photos: Path) -> None:
    """Zero processes and a detector that exists only in this process are refused."""
    write_photo(photos / "Ada" / "1.png", one_face(1))
    with pytest.raises(FaceallError, match="0 worker processes, expected at least 1"):
        local_workers(0)
    with pytest.raises(FaceallError, match="workers use the default detector"):
        list(gallery.register(photos, workers=local_workers(1)))


def test_ray_that_does_not_start_is_one_line(open_gallery: Open, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any exception of Ray at its start, also a plain one, becomes one line that says what to do."""

    def init(*_: object, **__: object) -> None:
        raise Exception("The current node timed out\nduring startup.")

    ray = types.SimpleNamespace(is_initialized=lambda: False, init=init)
    monkeypatch.setitem(sys.modules, "ray", ray)
    from faceall.gallery.registration.ray_workers import ray_workers

    wanted = r"no Ray cluster at this machine .*timed out during startup.*ray start --head"
    with open_gallery() as gallery, pytest.raises(FaceallError, match=wanted):
        gallery.register(write_photo(photos / "one.png", one_face(1)), workers=ray_workers(make=colours))
