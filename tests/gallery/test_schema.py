"""The tables of a gallery are created, upgraded from older formats, and read without an upgrade."""

from __future__ import annotations

import hashlib
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from faceall.errors import IndexDamagedError, IndexNewerError
from faceall.gallery.embedded import EmbeddedStore
from faceall.gallery.embedded.tables import schema
from faceall.gallery.embedded.tables.migrations import MIGRATIONS, Migration

LATE = ("clusters", "refusals", "prints", "migration", "aside", "person_ids", "face_ids", "person_aliases",
        "face_aliases", "removed_faces")  # fmt: skip


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A gallery of format 1 with all of its tables."""
    with zipfile.ZipFile(Path(__file__).parent / "golden_gallery_full_1.zip") as archive:
        archive.extractall(tmp_path / "old")
    return tmp_path / "old"


def tables(folder: Path) -> dict[str, str]:
    """Return the statements of a gallery's schema by name, without clauses that depend on their creation."""
    with closing(sqlite3.connect(folder / "faces.db")) as database:
        rows = database.execute("SELECT name, sql FROM sqlite_master WHERE sql NOTNULL AND name NOT LIKE 'sqlite_%'")
        return {name: sql.replace('"', "") for name, sql in rows}


def drop(folder: Path, *names: str) -> None:
    """Remove tables and their triggers from a gallery of format 1."""
    with closing(sqlite3.connect(folder / "faces.db", isolation_level=None)) as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        for name in names:
            database.execute(f"DROP TABLE {name}")
        if "aside" in names:
            database.execute("PRAGMA foreign_keys = ON")
            database.execute("DELETE FROM people WHERE id NOT IN (SELECT person FROM faces WHERE person NOTNULL)")


@pytest.fixture(params=["all", "none", "odd", "even"])
def older(request: pytest.FixtureRequest, old: Path) -> Iterator[Path]:
    """Galleries of format 1 that lack some of the tables that were added later."""
    kept = {"all": LATE, "none": (), "odd": LATE[::2], "even": LATE[1::2]}[request.param]
    drop(old, *(name for name in LATE if name not in kept))
    return old


def test_an_upgraded_gallery_has_the_tables_of_a_new_one(older: Path, tmp_path: Path) -> None:
    """An upgrade gives the same tables, indexes and triggers as a new gallery."""
    EmbeddedStore.open(tmp_path / "new").close()
    EmbeddedStore.open(older).close()
    assert tables(older) == tables(tmp_path / "new")


def test_an_old_gallery_is_read_without_a_change(older: Path) -> None:
    """A read-only gallery shows the same as after the upgrade, and its file is not changed."""
    before = hashlib.sha256((older / "faces.db").read_bytes()).digest()
    found = []
    for read_only in (True, False):
        store = EmbeddedStore.open(older, read_only=read_only)
        faces = [(face.face_id, face.person, face.primary, face.box) for face in store.faces.listed()]
        found.append((faces, store.people.listed(), store.people.rejections(), store.statistics().stale))
        assert store.problems() == []
        store.close()
        if read_only:
            assert hashlib.sha256((older / "faces.db").read_bytes()).digest() == before
    assert found[0] == found[1]


def test_a_reader_follows_an_upgrade(old: Path) -> None:
    """A process that reads an old gallery sees what another process writes after upgrading it."""
    reader = EmbeddedStore.open(old, read_only=True)
    assert len(reader.people.clusters()) == 1
    writer = EmbeddedStore.open(old)
    row = writer.people.open_cluster()
    assert row in reader.people.clusters()
    writer.close()
    reader.close()


def test_stale_faces_without_keys_are_kept(old: Path) -> None:
    """Stale faces of early galleries, which have no keys, are kept."""
    with closing(sqlite3.connect(old / "faces.db", isolation_level=None)) as database:
        database.execute("ALTER TABLE aside DROP COLUMN face")
    store = EmbeddedStore.open(old)
    assert store.statistics().stale == 3
    assert store.problems() == []
    store.close()


def test_an_interrupted_upgrade_changes_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the last step leaves the old format, and the next opening completes the upgrade."""
    before = tables(old)
    broken = Migration((*MIGRATIONS[1].steps, "CREATE nonsense"))
    monkeypatch.setattr(schema, "MIGRATIONS", (MIGRATIONS[0], broken))
    with pytest.raises(sqlite3.OperationalError, match="nonsense"):
        EmbeddedStore.open(old)
    assert tables(old) == before
    monkeypatch.undo()
    EmbeddedStore.open(old).close()
    assert "stale_faces" in tables(old)


@pytest.mark.parametrize(("value", "error"), [("x", IndexDamagedError), (-1, IndexDamagedError), (99, IndexNewerError)])
def test_other_formats_are_refused(old: Path, value: object, error: type[Exception]) -> None:
    """An invalid format number and one of a newer faceall are refused."""
    with closing(sqlite3.connect(old / "faces.db", isolation_level=None)) as database:
        database.execute("UPDATE meta SET value = ? WHERE key = 'gallery.schema'", (value,))
    with pytest.raises(error):
        EmbeddedStore.open(old)
