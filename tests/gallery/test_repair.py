"""A repair corrects inconsistent rows, keeps all readable data, and keeps the damaged database."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.errors import IndexDamagedError
from faceall.gallery import Gallery
from faceall.gallery.embedded.maintenance.repair import repair_gallery
from faceall.index.maintenance.graft import _schema_pages
from faceall_cli.main import main

pytestmark = pytest.mark.embedded("repairs SQLite")

PEOPLE = ["Pat 0x", "Pat 1x", "Pat 2x"]


def opened(folder: Path) -> Gallery:
    """Open a gallery of vectors with 128 dimensions, which SQLite stores in two bytes."""
    return Gallery.open(folder, detector=ColourDetector(), embedder=ColourEmbedder(size=128))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine photos of three people."""
    folder: Path = tmp_path_factory.mktemp("photos")
    for number in range(9):
        write_photo(folder / f"Pat {number % 3}x" / f"{number}.png", one_face(number))
    return folder


@pytest.fixture(scope="module")
def sound(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The database of a gallery with these photos."""
    folder = tmp_path_factory.mktemp("sound")
    with opened(folder) as gallery:
        gallery.register(photos)
    return (folder / "faces.db").read_bytes()


def flip(data: bytes, place: int, bit: int) -> bytes:
    """Flip one bit."""
    changed = bytearray(data)
    changed[place] ^= 1 << bit
    return bytes(changed)


def assert_complete(folder: Path) -> None:
    """Assert that every face and name is stored."""
    with opened(folder) as gallery:
        assert len(gallery) == 9
        assert [person.name for person in gallery.people] == PEOPLE
        assert gallery.index.verify().problems == ()


@pytest.mark.parametrize("bit", range(16))
def test_a_flipped_bit_in_the_dimension_loses_nothing(sound: bytes, tmp_path: Path, bit: int) -> None:
    """The setting is corrected from the vectors' common dimension, and the damaged file is kept."""
    place = sound.index(b"index.dimension") + len(b"index.dimension") + bit // 8
    (tmp_path / "faces.db").write_bytes(flip(sound, place, bit % 8))
    found = repair_gallery(tmp_path)
    assert found.lost == ()
    assert any("faces.db.damaged-" in line for line in found.done)
    assert list(tmp_path.glob("faces.db.damaged-*"))
    assert_complete(tmp_path)
    assert repair_gallery(tmp_path).done == ()


def places_of_statements(sound: bytes, folder: Path) -> list[re.Match[bytes]]:
    """Return the CREATE statements of the schema; free space may contain remains of others."""
    file = folder / "sound.db"
    file.write_bytes(sound)
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql NOTNULL").fetchall()
    statements = tuple(text.encode() for (text,) in rows)
    found = re.finditer(rb"CREATE (TABLE|INDEX|TRIGGER)", sound)
    places = [one for one in found if sound.startswith(statements, one.start())]
    assert len(places) >= 40
    return places


@pytest.mark.parametrize("offset", [1, 9, 15, 25, 34])
def test_a_flipped_bit_in_the_text_of_the_schema_loses_nothing(sound: bytes, tmp_path: Path, offset: int) -> None:
    """A damaged CREATE statement is rewritten, and its table is read."""
    for number, found in enumerate(places_of_statements(sound, tmp_path)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "faces.db").write_bytes(flip(sound, found.start() + offset, (number + offset) % 8))
        repaired = repair_gallery(folder)
        assert repaired.lost == (), (found, repaired)
        assert list(folder.glob("faces.db.damaged-*")), found
        assert_complete(folder)


def test_an_intact_gallery_is_not_copied(sound: bytes, tmp_path: Path) -> None:
    """Repairing an intact gallery writes nothing."""
    (tmp_path / "faces.db").write_bytes(sound)
    assert repair_gallery(tmp_path).done == ()
    assert not list(tmp_path.glob("faces.db.damaged-*"))


def test_faces_with_a_damaged_vector_keep_their_people(photos: Path, sound: bytes, tmp_path: Path) -> None:
    """Registering the photo again computes the vector again, and a name given by the user is kept."""
    (tmp_path / "faces.db").write_bytes(sound)
    with opened(tmp_path) as gallery:
        face = gallery.faces.find()[0].face_id
        gallery.faces.assign(face, "Ada")
    with closing(sqlite3.connect(tmp_path / "faces.db")) as connection, connection:
        connection.execute("UPDATE vectors SET vector = x'00' WHERE key = ?", (face,))
    found = repair_gallery(tmp_path)
    assert any("1 faces" in line for line in found.lost)
    with opened(tmp_path) as gallery:
        assert len(gallery) == 8
        gallery.register(photos)
        assert "Ada" in [person.name for person in gallery.people]
        assert len(gallery) == 9
        assert gallery.index.verify().problems == ()


def test_a_newer_format_number_alone_is_damage(sound: bytes, tmp_path: Path) -> None:
    """An unknown format number on tables of this format is corrected, not reported as newer."""
    (tmp_path / "faces.db").write_bytes(sound)
    with closing(sqlite3.connect(tmp_path / "faces.db")) as connection, connection:
        connection.execute("UPDATE meta SET value = value + 64 WHERE key = 'gallery.schema'")
    assert repair_gallery(tmp_path).lost == ()
    assert_complete(tmp_path)


def test_the_command_fails_when_something_is_lost(sound: bytes, tmp_path: Path) -> None:
    """The exit code is 1 if data was lost, and 0 otherwise."""
    (tmp_path / "faces.db").write_bytes(sound)
    runner = CliRunner()
    with closing(sqlite3.connect(tmp_path / "faces.db")) as connection, connection:
        connection.execute("UPDATE vectors SET vector = x'00' WHERE key = 3")
    assert runner.invoke(main, ["index", "repair", "--gallery", str(tmp_path)]).exit_code == 1
    assert runner.invoke(main, ["index", "repair", "--gallery", str(tmp_path)]).exit_code == 0


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("kind", ["first page", "whole schema"])
def test_a_lost_schema_is_created_again(sound: bytes, tmp_path: Path, kind: str, compacted: bool) -> None:
    """A schema that cannot be read is replaced by that of a new gallery, and no row is lost."""
    (tmp_path / "faces.db").write_bytes(sound)
    if compacted:
        with opened(tmp_path) as gallery:
            gallery.index.compact()
    data = bytearray((tmp_path / "faces.db").read_bytes())
    size = int.from_bytes(data[16:18], "big")
    pages = _schema_pages(bytes(data), size) if kind == "whole schema" else [1]
    for number in pages:
        start = (number - 1) * size + (100 if number == 1 else 0)
        data[start : number * size] = bytes(number * size - start)
    (tmp_path / "faces.db").write_bytes(data)
    repaired = repair_gallery(tmp_path)
    assert repaired.lost == ()
    assert any("new database: 9 vectors, 9 faces, 9 photos, 3 people" in line for line in repaired.done)
    assert_complete(tmp_path)


def test_a_schema_that_does_not_fit_is_not_used(sound: bytes, tmp_path: Path) -> None:
    """A file without its first pages and tables cannot be repaired, and is not changed."""
    data = bytearray(sound)
    data[100 : 60 * 8192] = bytes(60 * 8192 - 100)
    (tmp_path / "faces.db").write_bytes(data)
    with pytest.raises(IndexDamagedError, match=r"beyond repair|cannot be repaired"):
        repair_gallery(tmp_path)
    assert (tmp_path / "faces.db").read_bytes() == bytes(data)
