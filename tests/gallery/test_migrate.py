"""A gallery changes its model atomically: all faces get new vectors or none, names are kept, nothing is lost.

FACEALL_KILLS sets how often a migration is killed (8), FACEALL_SEED the moments.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from migrations import NEW, SlowEmbedder
from stand_ins import ColourDetector, ColourEmbedder, one_face, paint, write_photo

from faceall.analysis.analyser import make_thumbnail
from faceall.errors import FaceallError, IndexMismatchError
from faceall.gallery import Gallery, MigratedPhoto
from faceall.gallery.maintenance.migration import in_thumbnail
from faceall.images import read_image

pytestmark = pytest.mark.embedded("a gallery in Milvus does not change its model")

Opener = Callable[..., Gallery]
KILLS = int(os.environ.get("FACEALL_KILLS", "8"))
PHOTOS = 60


@pytest.fixture
def server(gallery: Gallery, photos: Path) -> Gallery:
    """Sixty photos of six people, every tenth with an unnamed face on it."""
    for number in range(PHOTOS):
        stranger = [(5, 5, 9, (250, 3, 3 + number))] if number % 10 == 0 else []
        write_photo(photos / f"Pat {number % 6}" / f"{number}.png", [*one_face(number), *stranger])
    list(gallery.register(photos))
    return gallery


def migrate(gallery: Gallery, embedder: ColourEmbedder | None = None, **options: bool) -> list[MigratedPhoto]:
    """Run a migration to its end."""
    migration = gallery.index.migrate(embedder or SlowEmbedder(), **options)
    results = list(migration)
    assert migration.switched
    return results


def expected(gallery: Gallery, embedder: ColourEmbedder) -> dict[int, np.ndarray]:
    """Return the vector of every face, embedded one by one from its photo."""
    found = {}
    for face in gallery.faces.find():
        x0, y0, x1, y1 = map(int, face.box)
        colour = read_image(face.path)[y0:y1, x0:x1].reshape(-1, 3)[0]
        found[face.face_id] = embedder.embed_crops(np.tile(colour, (1, 4, 4, 1)).astype(np.uint8))[0]
    return found


def test_every_face_gets_the_new_vector(server: Gallery, photos: Path) -> None:
    """Each face has the new model's vector of its photo; ids, names, boxes and thumbnails stay."""
    before, thumbnails = server.faces.find(), [server.faces.thumbnail(face.face_id) for face in server.faces.find()]
    people, truth = list(server.people), expected(server, SlowEmbedder())
    results = migrate(server)
    assert [result.status for result in results] == ["embedded"] * PHOTOS
    assert sum(result.faces for result in results) == len(server) == PHOTOS + 6
    assert (server.faces.find(), list(server.people)) == (before, people)
    assert [server.faces.thumbnail(face.face_id) for face in server.faces.find()] == thumbnails
    assert {key: server._index[key].tobytes() for key in server._index} == {
        key: vector.tobytes() for key, vector in truth.items()
    }
    assert server.model is not None
    assert server.model.startswith("new (")
    assert server.index.problems() == []
    (found,) = server.search(photos / "Pat 3" / "3.png", k=1)
    assert (found.matches[0].path.name, round(found.matches[0].distance, 6)) == ("3.png", 0)
    assert migrate(server) == []


def test_other_model_is_refused_with_the_command(server: Gallery, open_gallery: Opener, photos: Path) -> None:
    """Registering and searching with another model fail with the names of both and the migrate command."""
    other = open_gallery(embedder=SlowEmbedder())
    hint = r"'colours .*\(8 dimensions\).*'new .* makes 24.*faceall index migrate"
    with pytest.raises(IndexMismatchError, match=hint):
        other.search(photos / "Pat 3" / "3.png")
    write_photo(photos / "more.png", one_face(99))
    with pytest.raises(IndexMismatchError, match=hint):
        list(other.register(photos))
    migrate(server)
    assert other.search(photos / "Pat 3" / "3.png", k=1)[0].matches[0].path.name == "3.png"
    with pytest.raises(IndexMismatchError):
        open_gallery().search(photos / "Pat 3" / "3.png")


def test_missing_photos_become_stale_and_are_restored(server: Gallery, photos: Path) -> None:
    """Faces of missing or changed photos become stale, and are restored with their photo and name."""
    server.people.rename("Pat 5", "Eve")
    people, eve = list(server.people), {face.face_id for face in server.faces.find(person="Eve")}
    (photos / "Pat 5").rename(photos.parent / "away")
    write_photo(photos / "Pat 1" / "1.png", one_face(77))
    results = {result.path.name: result for result in migrate(server) if result.status == "stale"}
    gone = {f"{number}.png" for number in range(5, PHOTOS, 6)}
    assert set(results) == gone | {"1.png"}
    assert results["5.png"].message == "the file is gone"
    assert results["1.png"].message == "the file holds another photo now"
    assert (next(iter(server.people)).name, next(iter(server.people)).faces) == ("Eve", 0)
    assert len(server) == PHOTOS + 6 - 11
    assert server.index.problems() == []
    (photos.parent / "away").rename(photos / "Pat 5")
    back = migrate(server)
    assert {(result.path.name, result.status) for result in back} == {(name, "back") for name in gone}
    assert [person for person in server.people if person.name == "Eve"] == [people[0]]
    assert server.index.problems() == []
    truth = expected(server, SlowEmbedder())
    assert {face.face_id for face in server.faces.find(person="Eve")} == eve
    assert all(server._index[key].tobytes() == truth[key].tobytes() for key in eve)


def test_returning_to_the_old_model_restores_all_faces(server: Gallery, photos: Path) -> None:
    """Stale faces keep their old vectors, which are used again after a return to that model."""
    before = {server._index[key].tobytes() for key in server._index}
    (photos / "Pat 5").rename(photos.parent / "away")
    migrate(server)
    results = migrate(server, ColourEmbedder())
    assert [result.status for result in results].count("back") == 10
    assert {server._index[key].tobytes() for key in server._index} == before
    assert server.index.problems() == []


def test_registering_restores_a_photo(server: Gallery, photos: Path) -> None:
    """A photo found in another person's folder is assigned to that person, and no stale face is left."""
    (photos / "Pat 5").rename(photos.parent / "away")
    migrate(server)
    (photos.parent / "away").rename(photos / "Pat 7")
    assert {result.status for result in server.register(photos / "Pat 7")} == {"back"}
    assert len(server) == PHOTOS + 6
    assert migrate(server) == []
    assert [person.name for person in server.people][-1] == "Pat 7"
    assert server.index.problems() == []


def test_removed_people_leave_no_stale_faces(server: Gallery, photos: Path) -> None:
    """Removing a person removes their stale faces; merging moves them to the other person."""
    (photos / "Pat 5").rename(photos.parent / "away")
    migrate(server)
    server.people.merge("Pat 5", "Pat 4")
    assert server.people.remove("Pat 4").count == 20
    assert server._index.connection.execute("SELECT count(*) FROM stale_faces").fetchone() == (0,)
    assert [person.name for person in server.people] == [f"Pat {number}" for number in range(4)]
    assert server.index.problems() == []


def test_thumbnails_replace_missing_photos_on_request(server: Gallery, photos: Path) -> None:
    """With `thumbnails` faces without a photo are embedded from their thumbnails and reported as such."""
    truth = expected(server, SlowEmbedder())
    (photos / "Pat 5").rename(photos.parent / "away")
    results = migrate(server, thumbnails=True)
    assert [result.status for result in results].count("thumbnail") == 10
    assert len(server) == PHOTOS + 6
    for key, vector in truth.items():
        assert float(np.sum((server._index[key] - vector) ** 2)) < 0.01


def test_box_in_the_thumbnail() -> None:
    """The box in a thumbnail contains the same pixels as the box in the image."""
    image = paint([(30, 20, 40, (200, 10, 10)), (34, 30, 6, (10, 200, 10)), (60, 50, 5, (10, 10, 200))], 200, 150)
    (faces,) = ColourDetector().detect_batch([paint([(30, 20, 40, (200, 10, 10))], 200, 150)])
    thumbnail = read_image(make_thumbnail(image, faces[0]))
    box = in_thumbnail(faces).boxes[0]
    x0, y0, x1, y1 = np.round(box).astype(int)
    from faceall.images import resize

    direct = resize(image[20:60, 30:70], (40, 40)).astype(int)
    again = resize(np.ascontiguousarray(thumbnail[y0:y1, x0:x1]), (40, 40)).astype(int)
    assert np.abs(direct - again).mean() < 12
    assert np.abs(direct[:, ::-1] - again).mean() > 12


def test_without_any_photo_nothing_is_changed(server: Gallery, photos: Path) -> None:
    """If no photo is available nothing is changed, and the error names --thumbnails."""
    photos.rename(photos.parent / "away")
    with pytest.raises(FaceallError, match=r"nothing was changed.*--thumbnails"):
        migrate(server)
    assert (server.model or "").startswith("colours")
    assert len(server) == PHOTOS + 6
    migrate(server, thumbnails=True)
    assert (server.model or "").startswith("new")


def test_stopped_migration_is_continued(server: Gallery) -> None:
    """A stopped migration keeps the old vectors in use; the next run embeds only the remaining faces."""
    stop, embedder = threading.Event(), SlowEmbedder()
    migration = server.index.migrate(embedder, stop=stop)
    for _ in migration:
        stop.set()
    assert not migration.switched
    assert (server.model or "").startswith("colours")
    done = sum(embedder.batches)
    rest = SlowEmbedder()
    migrate(server, rest)
    assert sum(rest.batches) <= PHOTOS + 6 - min(done, 16)
    assert server.index.problems() == []


def test_migration_to_a_third_model(server: Gallery) -> None:
    """A migration to a third model does not use vectors made for the second."""
    stop = threading.Event()
    for _ in server.index.migrate(SlowEmbedder(), stop=stop):
        stop.set()
    third = ColourEmbedder("third", NEW)
    migrate(server, third)
    truth = expected(server, third)
    assert all(server._index[key].tobytes() == vector.tobytes() for key, vector in truth.items())


def test_photos_registered_during_a_migration_are_embedded(server: Gallery, open_gallery: Opener, photos: Path) -> None:
    """Photos that another process registers with the old model during a migration are embedded too."""
    migration = server.index.migrate(SlowEmbedder())
    next(migration)
    other = open_gallery()
    late = write_photo(photos / "late.png", one_face(111))
    assert [result.status for result in other.register(late)] == ["added"]
    removed = server.faces.find(person="Pat 2")
    other.people.remove("Pat 2")
    list(migration)
    assert len(server) == PHOTOS + 6 + 1 - len(removed)
    assert server.search(late, k=1)[0].matches[0].path == late
    assert server.index.problems() == []


def test_registration_across_a_migration_is_refused(server: Gallery, open_gallery: Opener, photos: Path) -> None:
    """A registration that started with the old model cannot store its vectors after the migration."""
    for number in range(300):
        write_photo(photos / "new" / f"{number}.png", one_face(100 + number))
    other = open_gallery(detector=ColourDetector(0.001))
    registration = other.iter_register(photos / "new")
    next(registration)
    migrate(server)
    with pytest.raises(IndexMismatchError, match="'new"):
        list(registration)
    assert server.index.problems() == []


@pytest.mark.skipif(os.name != "posix", reason="kill -9 needs POSIX signals")
def test_killed_at_any_moment(server: Gallery, folder: Path, open_gallery: Opener, tmp_path: Path) -> None:
    """After kill -9 all vectors are of the old or all of the new model, and the next run continues."""
    server.close()
    old, output = ColourEmbedder(), tmp_path / "output"
    moments, switched = random.Random(os.environ.get("FACEALL_SEED", "1")), 0
    for _ in range(KILLS):
        with output.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("migrations.py")), str(folder), "0.2"],
                stdout=file,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
            )
        while not output.stat().st_size and process.poll() is None and moments.random() < 0.98:
            time.sleep(0.01)
        time.sleep(moments.random() * 0.4)
        process.send_signal(signal.SIGKILL)
        assert process.communicate()[1] == b""
        with open_gallery() as gallery:
            assert gallery.index.problems() == []
            model = (gallery.model or "").split()[0]
            embedder = SlowEmbedder() if model == "new" else old
            truth = expected(gallery, embedder)
            assert all(gallery._index[key].tobytes() == vector.tobytes() for key, vector in truth.items())
            assert len(truth) == PHOTOS + 6
            if model == "new":
                switched += 1
                list(gallery.index.migrate(old))  # return to the old model for the next kill
    with open_gallery() as gallery:
        migrate(gallery)
        assert gallery.index.problems() == []
