"""A gallery is verified, counted and repaired; damage is named, readable data is kept, losses are reported."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stand_ins import one_face, write_photo

from faceall.errors import FaceallError, IndexDamagedError, IndexFileError
from faceall.gallery import Gallery
from faceall.gallery.embedded.maintenance.repair import gallery_statistics, repair_gallery, verify_gallery
from faceall.index import FaceIndex

pytestmark = pytest.mark.embedded("repairs SQLite and the graph")

Opener = Callable[..., Gallery]
PHOTOS = 120
PHOTOS_OF_LARGE = 600
FUZZ = int(os.environ.get("FACEALL_FUZZ", "60"))


@pytest.fixture
def server(gallery: Gallery, photos: Path) -> Gallery:
    """A hundred and twenty photos of six people."""
    for number in range(PHOTOS):
        write_photo(photos / f"Pat {number % 6}" / f"{number}.png", one_face(number))
    list(gallery.register(photos))
    return gallery


def facts(gallery: Gallery) -> dict[int, tuple[object, ...]]:
    """Return everything that is stored for each face."""
    return {
        face.face_id: (face, gallery._index[face.face_id].tobytes(), gallery.faces.thumbnail(face.face_id))
        for face in gallery.faces.find()
    }


def tamper(folder: Path, *statements: str) -> None:
    """Change the database of a closed gallery directly."""
    connection = sqlite3.connect(folder / "faces.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_intact_gallery(server: Gallery) -> None:
    """An intact gallery has no problems, and a repair changes nothing."""
    found = verify_gallery(server._index)
    assert (found.problems, found.vectors, found.recall) == ((), PHOTOS, 1.0)
    before = facts(server)
    server.close()
    assert repair_gallery(server.folder) == repair_gallery(server.folder)
    assert repair_gallery(server.folder).done == repair_gallery(server.folder).lost == ()
    with Gallery.open(server.folder) as again:
        assert facts(again) == before


def test_statistics(server: Gallery) -> None:
    """Counts and sizes are equal to those of the tables."""
    found = gallery_statistics(server._index)
    assert (found.faces, found.people, found.photos, found.stale) == (PHOTOS, 6, PHOTOS, 0)
    assert found.thumbnails == sum(len(server.faces.thumbnail(face.face_id)) for face in server.faces.find())
    assert (found.index.vectors, found.index.payload) == (PHOTOS, PHOTOS * 8 * 4)


@pytest.mark.parametrize(
    ("statement", "problem", "report"),
    [
        ("DELETE FROM thumbnails WHERE face < 4", "3 faces without a thumbnail", "3 thumbnails were created again"),
        ("UPDATE thumbnails SET jpeg = x'FFD8FF00' WHERE face = 9", "1 thumbnails that are", "1 thumbnails"),
        ("DELETE FROM files WHERE photo = 5", "1 photos without a file", "the path of the photo"),
        ("INSERT INTO people (name) VALUES ('Nemo')", "1 people without a face", "1 people without a face"),
        ("UPDATE faces SET photo = 1 WHERE key = 2", "photos with two primary faces", "1 photos had two primary faces"),
        ("UPDATE vectors SET vector = x'00' WHERE key = 3", "do not have 8 dimensions", "the vectors of 1 faces"),
        ("INSERT INTO vectors SELECT 999, added, vector FROM vectors LIMIT 1", "1 vectors without", "1 vectors"),
        ("DELETE FROM vectors WHERE key = 3", "refers to a missing row", "1 rows of faces"),
    ],
)
def test_fault_is_named_and_repaired(server: Gallery, statement: str, problem: str, report: str) -> None:
    """Every inconsistency between the tables is found, repaired and reported; other rows stay."""
    before, folder = facts(server), server.folder
    server.close()
    tamper(folder, statement)
    with FaceIndex(folder) as index:
        assert any(problem in line for line in verify_gallery(index).problems)
    done = repair_gallery(folder)
    assert any(report in line for line in (*done.done, *done.lost))
    with Gallery.open(folder) as again:
        assert verify_gallery(again._index).problems == ()
        after = facts(again)
        assert len(after) >= PHOTOS - 1
        assert sum(after[key] != before[key] for key in after) <= PHOTOS // 6


def test_broken_sql_index_is_rebuilt(server: Gallery) -> None:
    """If only an index of SQLite is damaged, it is rebuilt and no row is lost."""
    before, folder = facts(server), server.folder
    server.close()
    tamper(
        folder,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = 'CREATE INDEX faces_photo ON faces (person)' WHERE name = 'faces_photo'",
    )
    done = repair_gallery(folder)
    assert done.lost == ()
    assert "indexes of the database" in done.done[0]
    with Gallery.open(folder) as again:
        assert facts(again) == before


def pages(folder: Path) -> list[int]:
    """Return the pages of the database that contain vectors."""
    connection = sqlite3.connect(folder / "faces.db")
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    assert size == 8192
    return list(range(1, (folder / "faces.db").stat().st_size // size))


def test_damaged_page_costs_only_its_rows(server: Gallery, photos: Path, open_gallery: Opener) -> None:
    """An overwritten page loses only its own rows; registering restores them."""
    before, folder = facts(server), server.folder
    server.close()
    whole = (folder / "faces.db").read_bytes()
    worst = PHOTOS
    for page in pages(folder)[::3]:
        data = bytearray(whole)
        data[page * 8192 : (page + 1) * 8192] = os.urandom(8192)
        (folder / "faces.db").write_bytes(data)
        try:
            done = repair_gallery(folder)
        except IndexDamagedError:
            assert (folder / "faces.db").read_bytes() == data
        else:
            assert done.done
            assert any(path.read_bytes() == data for path in folder.glob("faces.db.damaged-*"))
            with open_gallery() as again:
                after = facts(again)
                worst = min(worst, len(after))
                assert verify_gallery(again._index).problems == ()
                assert all(after[key][1] == before[key][1] for key in after)
                results = list(again.register(photos))
                assert len(results) == PHOTOS
                assert len(again) >= PHOTOS * 0.99
        for left in folder.iterdir():
            left.unlink()
    assert worst < PHOTOS


def test_graph_is_rebuilt(tmp_path: Path) -> None:
    """A missing or damaged graph is rebuilt without loss."""
    with FaceIndex(tmp_path, exact_limit=50) as index:
        index.add(np.random.default_rng(0).normal(size=(200, 8)))
        index.save()
    (tmp_path / "faces.hnsw").write_bytes(b"nonsense")
    assert repair_gallery(tmp_path).done == ("the graph was rebuilt from the vectors",)


def test_missing_and_foreign_databases_are_not_galleries(tmp_path: Path) -> None:
    """A missing database and another program's database get different errors."""
    with pytest.raises(IndexFileError, match="there is no gallery"):
        repair_gallery(tmp_path)
    (tmp_path / "faces.db").write_bytes(b"not a database at all" * 500)
    with pytest.raises(IndexDamagedError, match="beyond repair"):
        repair_gallery(tmp_path)
    assert (tmp_path / "faces.db").read_bytes().startswith(b"not a database")


def test_random_damage(server: Gallery) -> None:
    """After random damage a repair makes the gallery intact, or fails with one line and keeps the file."""
    folder = server.folder
    server.close()
    whole = (folder / "faces.db").read_bytes()
    kept = []
    for seed in range(FUZZ):
        moments = random.Random(seed)
        data = bytearray(whole)
        for _ in range(moments.choice((1, 3, 30))):
            place = moments.randrange(len(data))
            data[place : place + 8] = moments.randbytes(8)
        if moments.random() < 0.2:
            del data[moments.randrange(len(data)) :]
        for left in folder.iterdir():
            left.unlink()
        (folder / "faces.db").write_bytes(data)
        try:
            repair_gallery(folder)
        except FaceallError as found:
            message = str(found)
        else:
            message = ""
        if not message:
            with FaceIndex(folder) as index:
                assert verify_gallery(index).problems == (), seed
                kept.append(len(index))
        assert "\n" not in message
        assert not message or len((folder / "faces.db").read_bytes()) == len(data)
    assert len(kept) > FUZZ / 2
    assert np.mean(kept) > PHOTOS * 0.5


@pytest.mark.parametrize("share", [0.95, 0.5, 0.3])
def test_database_that_lost_its_end(folder: Path, photos: Path, open_gallery: Opener, share: float) -> None:
    """Rows before the cut and the cut file are kept; registering again restores the rest.

    The schema is in the first 400 kB, and without it nothing can be read.
    """
    for number in range(PHOTOS_OF_LARGE):
        write_photo(photos / f"Pat {number % 10}x" / f"{number}.png", one_face(number))
    with open_gallery() as gallery:
        list(gallery.register(photos))
    whole = (folder / "faces.db").read_bytes()
    (folder / "faces.db").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(IndexDamagedError, match="repair"), open_gallery() as gallery:
        gallery.index.problems()
    found = repair_gallery(folder)
    assert any("the damaged one is" in line for line in found.done)
    (kept,) = (path for path in folder.glob("faces.db.damaged-*") if not path.name.endswith("-wal"))
    assert kept.stat().st_size == int(share * len(whole))
    with open_gallery() as gallery:
        assert gallery.index.problems() == []
        list(gallery.register(photos))
        assert (len(gallery), gallery.index.problems()) == (PHOTOS_OF_LARGE, [])
