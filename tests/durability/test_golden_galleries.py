"""A gallery of every format that faceall has written is kept, opened, searched, changed and migrated."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pytest
from migrations import SlowEmbedder
from stand_ins import ColourDetector, one_face, write_photo

from faceall.embed import Embedder
from faceall.gallery import Gallery
from faceall.gallery.embedded.tables import schema
from tiny_model import write_tiny_model

ROOM = Path(__file__).parent.parent / "gallery"
GOLDEN = sorted(ROOM.glob("golden_gallery_*.zip"))


@pytest.fixture(params=GOLDEN, ids=lambda path: path.stem)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a kept gallery."""
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path / "golden")
    return tmp_path / "golden"


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """The model that made the vectors of the kept galleries."""
    return Embedder(write_tiny_model(tmp_path_factory.mktemp("models")).path)


def test_every_format_has_its_gallery() -> None:
    """Who changes the tables keeps a gallery of the format before."""
    versions = {int(match[1]) for path in GOLDEN if (match := re.search(r"_(\d+)$", path.stem))}
    assert versions >= set(range(1, schema.SCHEMA))


def test_opens_and_answers(golden: Path, embedder: Embedder) -> None:
    """It is sound, and every face is found as its own nearest."""
    before = hashlib.sha256((golden / "faces.db").read_bytes()).digest()
    with Gallery.open(golden, detector=ColourDetector(), embedder=embedder, read_only=True) as gallery:
        assert gallery.index.problems() == []
        assert gallery.index.verify().problems == ()
        faces, people = gallery.faces.find(), list(gallery.people)
        assert len(faces) == len(gallery) >= 2
        assert people
        assert all(gallery.faces.thumbnail(face.face_id)[:2] == b"\xff\xd8" for face in faces)
        keys = gallery._index.keys()
        stored = np.stack([gallery._index[key] for key in keys.tolist()])
        assert gallery._index.search(stored, 1).distances.max() < 1e-6
    assert hashlib.sha256((golden / "faces.db").read_bytes()).digest() == before


def test_keeps_everything_that_was_stored(tmp_path: Path, embedder: Embedder) -> None:
    """Names, unnamed groups, rejected matches, stale faces and the ids of bundles are still there."""
    with zipfile.ZipFile(ROOM / "golden_gallery_full_1.zip") as archive:
        archive.extractall(tmp_path / "golden")
    with Gallery.open(tmp_path / "golden", detector=ColourDetector(), embedder=embedder) as gallery:
        people = {person.name: (person.faces, person.named) for person in list(gallery.people)}
        assert people == {
            "Ada Lovelace": (1, True),
            "Alan Turing": (1, True),
            "gone": (0, True),
            "Grace_Hopper": (1, True),
            "New Name": (2, True),
            "unnamed 10": (4, False),
        }
        assert gallery.index.statistics().stale == 3
        assert gallery._store.people.rejections() == {3: {1}}
        gallery.index.export_bundle(tmp_path / "again.faceall")
        found = gallery.index.import_bundle(tmp_path / "again.faceall")
        assert (found.added, found.known, found.conflicts) == (0, 11, [])
    with sqlite3.connect(tmp_path / "golden" / "faces.db") as database:
        ids = dict(database.execute("SELECT name, i.id FROM people p JOIN person_ids i ON i.person = p.id").fetchall())
        assert ids["Ada Lovelace"] == "c29f4e77-1e01-424f-9ccb-a0e93cf75200"
        assert database.execute("SELECT count(*) FROM person_aliases").fetchone() == (1,)
        assert database.execute("SELECT count(*) FROM removed_faces").fetchone() == (1,)


def test_can_be_changed(golden: Path, embedder: Embedder, tmp_path: Path) -> None:
    """Photos go in, people are renamed and removed, and it stays sound."""
    with Gallery.open(golden, detector=ColourDetector(), embedder=embedder) as gallery:
        count, (first, *_) = len(gallery), list(gallery.people)
        photo = write_photo(tmp_path / "photos" / "Newcomer" / "1.png", one_face(60_000))
        assert [result.status for result in gallery.register(photo.parent.parent)] == ["added"]
        gallery.people.rename(first.name, "Somebody else")
        removal = gallery.people.remove("Somebody else")
        assert removal.receipt is not None
        assert removal.receipt.complete
        assert len(gallery) == count + 1 - len(removal.faces)
        assert gallery.index.problems() == []


def test_migrates(golden: Path, embedder: Embedder) -> None:
    """Its faces get another model's vectors, from thumbnails; stale faces of that model come back."""
    with Gallery.open(golden, detector=ColourDetector(), embedder=embedder) as gallery:
        faces, stale = gallery.faces.find(), gallery.index.statistics().stale
        migration = gallery.index.migrate(SlowEmbedder(), thumbnails=True)
        statuses = {result.status for result in migration}
        assert statuses == ({"thumbnail", "back"} if stale else {"thumbnail"})
        assert migration.switched
        assert len(gallery) == len(faces) + stale
        assert set(faces) <= set(gallery.faces.find())
        assert gallery._index.dimension == SlowEmbedder().size
        assert gallery.index.problems() == []
