"""Registrations whose photos other processes look at: the same results, whoever dies."""

from __future__ import annotations

import functools
import os
import shutil
import signal
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

Hire = Callable[[Make], TeamWorkers]
Open = Callable[..., Gallery]


def colours() -> tuple[ColourDetector, ColourEmbedder]:
    """What the gallery of the tests looks with."""
    return ColourDetector(), ColourEmbedder()


class DyingDetector(ColourDetector):
    """Kills its process at the sight of a colour (R, G, 200): as often as `times` says, counted by files."""

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
    """A worker's equipment that is its end."""
    return DyingDetector(folder, red, times), ColourEmbedder()


def other_colours() -> tuple[ColourDetector, ColourEmbedder]:
    """With another model than the gallery's."""
    return ColourDetector(), ColourEmbedder("shades")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray of two processes on this machine."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = pytest.importorskip("ray", reason="workers on Ray need the package ray")
    places = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    variables = {"PYTHONPATH": os.pathsep.join(filter(None, places))}
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": variables})
    yield
    ray.shutdown()


@pytest.fixture(params=["local", "ray"])
def hire(request: pytest.FixtureRequest) -> Hire:
    """Two workers, of either kind."""
    if request.param == "local":
        return lambda make: local_workers(2, make=make)
    request.getfixturevalue("cluster")
    from faceall.gallery.registration.ray_workers import ray_workers

    return lambda make: ray_workers(make=make)


def contents(gallery: Gallery) -> list[tuple[object, ...]]:
    """All that a gallery holds of its faces, their vectors and thumbnails included."""
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
    """Photos of several people; some with two faces, some with none, one that is no picture, one twice."""
    for number in range(count):
        squares = one_face(number)
        if number % 7 == 3:
            squares = [*squares, (5, 5, 20, (9, number + 1, 30))]
        write_photo(photos / f"P{number % 5}" / f"{number}.png", [] if number % 11 == 5 else squares)
    (photos / "P1" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    shutil.copy(photos / "P2" / "2.png", photos / "P3" / "again.png")
    return photos


@pytest.mark.embedded("compares its notes with a folder's; Milvus seeks look-alikes among the nearest faces only")
def test_workers_see_what_one_process_sees(hire: Hire, gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    """Photo by photo: the same results in the same order, the same faces and vectors; also when files have changed."""
    many(photos)
    told = set()
    with Gallery.open(tmp_path / "alone", detector=ColourDetector(), embedder=ColourEmbedder()) as alone:
        for _ in range(2):
            expected = list(alone.register(photos))
            assert list(gallery.register(photos, workers=hire(colours))) == expected
            told |= {result.status for result in expected}
            shutil.move(photos / "P0" / "0.png", photos / "P0" / "moved.png")
            write_photo(photos / "P0" / "10.png", one_face(200))
            shutil.copy(photos / "P0" / "moved.png", photos / "P0" / "0.png")
        assert told == {"added", "no-face", "unreadable", "duplicate", "unchanged", "changed"}
        assert len(gallery) == 40
        assert contents(gallery) == contents(alone)
        assert gallery.index.problems() == []


def test_a_killed_worker_loses_nothing(hire: Hire, gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of a photo: what it had in hand is done by another, each photo is filed once."""
    for number in range(60):
        write_photo(photos / f"P{number % 3}" / f"{number}.png", one_face(number))
    (tmp_path / "deaths").mkdir()
    make = functools.partial(dying, tmp_path / "deaths", 1 + 33, 1)
    results = list(gallery.register(photos, workers=hire(make)))
    assert len(list((tmp_path / "deaths").iterdir())) == 1
    assert [result.status for result in results] == ["added"] * 60
    assert len(gallery) == 60
    assert gallery.index.problems() == []


@pytest.mark.slow
def test_a_photo_that_kills_every_worker_is_given_up_alone(
    hire: Hire, gallery: Gallery, photos: Path, tmp_path: Path
) -> None:
    """It is told of, not stored, and tried again the next time; all others are registered."""
    for number in range(20):
        write_photo(photos / "Ada" / f"{number:02}.png", one_face(number))
    (tmp_path / "deaths").mkdir()
    make = functools.partial(dying, tmp_path / "deaths", 1 + 13, 1000)
    results = {result.path.name: result for result in gallery.iter_register(photos, workers=hire(make))}
    assert results.pop("13.png").message == "3 workers died while they analysed it"
    assert {result.status for result in results.values()} == {"added"}
    assert len(gallery) == 19
    again = [result for result in gallery.iter_register(photos, workers=hire(colours)) if result.status != "unchanged"]
    assert [(result.path.name, result.status) for result in again] == [("13.png", "added")]


def test_workers_with_another_model_are_refused(hire: Hire, gallery: Gallery, photos: Path) -> None:
    """Nothing is stored; the line says which model each has."""
    write_photo(photos / "Ada" / "1.png", one_face(1))
    with pytest.raises(FaceallError, match=r"a worker on .*: would embed with shades .*, the gallery with colours"):
        list(gallery.register(photos, workers=hire(other_colours)))
    assert len(gallery) == 0


def test_a_gallery_of_another_model_is_refused_before_any_worker_starts(gallery: Gallery, photos: Path) -> None:
    """As without workers."""

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


def test_nothing_to_look_at_starts_no_worker(gallery: Gallery, photos: Path) -> None:
    """Files that have not changed are known to the database alone."""
    many(photos, 12)
    first = list(gallery.register(photos))

    def never() -> tuple[ColourDetector, ColourEmbedder]:
        raise AssertionError("a worker started")

    broken = [result for result in first if result.status == "unreadable"]
    again = list(gallery.register(photos, workers=local_workers(1, make=never)))
    assert [result.path for result in again] == [result.path for result in first]
    assert [result for result in again if result.status == "unreadable"] == broken


def test_closing_a_registration_keeps_what_is_finished(gallery: Gallery, photos: Path) -> None:
    """The rest is done the next time; the workers are gone."""
    many(photos)
    registration = gallery.iter_register(photos, workers=local_workers(2, make=colours))
    told = [next(registration) for _ in range(3)]
    registration.close()
    assert all(gallery.faces.find(path=result.path) for result in told if result.status == "added")
    rest = list(gallery.register(photos, workers=local_workers(1, make=colours)))
    assert len(rest) == 42
    assert [result.status for result in rest[:3]] == [
        "unchanged" if result.status == "added" else result.status for result in told
    ]


def test_what_workers_cannot_do_is_said_before_they_start(gallery: Gallery, photos: Path) -> None:
    """No process at all; a detector that only this process has."""
    write_photo(photos / "Ada" / "1.png", one_face(1))
    with pytest.raises(FaceallError, match="0 worker processes, expected at least 1"):
        local_workers(0)
    with pytest.raises(FaceallError, match="workers use the default detector"):
        list(gallery.register(photos, workers=local_workers(1)))
