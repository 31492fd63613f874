"""Hidden people and faces, notes, birth dates and covers travel in bundles; the later change wins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from bundles import LATER, changed_json, open_whole, read_parts, write_parts
from stand_ins import one_face, write_photo

from faceall.errors import IndexDamagedError
from faceall.gallery import Gallery
from faceall.gallery.thresholds import read_named_vectors, spread

pytestmark = pytest.mark.embedded("bundles are written from a folder")


@pytest.fixture
def server(tmp_path: Path, photos: Path) -> Iterator[Gallery]:
    """Ann with three photos and details, Bo with two and none, and a hidden face without a name."""
    for number in range(3):
        write_photo(photos / "Ann" / f"{number}.png", one_face(number))
    write_photo(photos / "Bo" / "0.png", one_face(10))
    write_photo(photos / "Bo" / "1.png", [*one_face(11), (5, 5, 9, (250, 3, 3))])
    with open_whole(tmp_path / "server") as gallery:
        list(gallery.iter_register(photos))
        gallery.people.set_details("Ann", note="aunt", born="1961-03-05", cover=cover_of(gallery))
        gallery.people.hide("Ann")
        gallery.faces.hide([face.face_id for face in gallery.faces if face.person is None])
        yield gallery


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Gallery]:
    """An empty gallery elsewhere."""
    with ExitStack() as stack:
        yield stack.enter_context(open_whole(tmp_path / "other"))


def cover_of(gallery: Gallery) -> int:
    return sorted(face.face_id for face in gallery.faces if face.person == "Ann")[1]


def exported(gallery: Gallery, path: Path) -> Path:
    gallery.index.export_bundle(path, replace=True)
    return path


def changed_details(bundle: Path, **values: Any) -> Path:
    """Change the details of Ann in a bundle."""

    def change(people: Any) -> None:
        (ann,) = (person for person in people if person["name"] == "Ann")
        ann["details"] |= values

    return write_parts(bundle, changed_json(read_parts(bundle), "people.json", change))


def test_details_and_hidden_faces_survive_a_round_trip(server: Gallery, other: Gallery, tmp_path: Path) -> None:
    """The copy has them all; its own export has the same details and times; people without details have no field."""
    bundle = exported(server, tmp_path / "a.faceall")
    other.index.import_bundle(bundle)
    found = other.people.details("Ann")
    assert (found.hidden, found.note, found.born) == (True, "aunt", "1961-03-05")
    assert other.people.get("Ann").cover == found.cover
    assert [face.hidden for face in other.faces if face.person is None] == [True]
    first, second = (read_parts(path)["people.json"] for path in (bundle, exported(other, tmp_path / "b.faceall")))
    assert first == second
    assert ["details" in person for person in sorted(json.loads(first), key=lambda one: one["name"])] == [True, False]


def test_the_later_details_win(server: Gallery, tmp_path: Path) -> None:
    """A later change replaces all four; one that is not later is a conflict and changes nothing."""
    bundle = exported(server, tmp_path / "a.faceall")
    done = server.index.import_bundle(changed_details(bundle, note="mine", changed="2001-01-01T00:00:00Z"))
    assert "those of the gallery are kept: the bundle's change is not later" in done.conflicts[0]
    assert server.people.details("Ann").note == "aunt"
    later = changed_details(bundle, note=None, hidden=False, cover=None, changed=LATER)
    assert server.index.import_bundle(later).conflicts == []
    found = server.people.details("Ann")
    assert (found.hidden, found.note, found.born, found.cover) == (False, None, "1961-03-05", None)
    again = changed_details(bundle, note="between", changed="2026-01-01T00:00:00Z")
    assert "not later" in server.index.import_bundle(again).conflicts[0]
    future = changed_details(bundle, note="future", changed="2999-01-01T00:00:00Z")
    assert "in the future" in server.index.import_bundle(future).conflicts[0]


def test_a_cover_that_is_no_face_of_the_person_is_left_out(server: Gallery, tmp_path: Path) -> None:
    """The id may be of a face that was removed here."""
    strange = "00000000-0000-4000-8000-000000000000"
    bundle = changed_details(exported(server, tmp_path / "a.faceall"), cover=strange, changed=LATER)
    server.index.import_bundle(bundle)
    assert server.people.details("Ann").cover is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"hidden": "yes"}, "hidden is 'yes', expected true or false"),
        ({"note": "x" * 2001}, "expected a text of 1 to 2000 characters"),
        ({"note": " "}, "note is ' '"),
        ({"born": "2019-02-30"}, "expected a date such as 2019-05-31"),
        ({"born": "20190228"}, "expected a date such as 2019-05-31"),
        ({"cover": "face"}, "cover is 'face'"),
        ({"changed": "yesterday"}, "changed is 'yesterday'"),
    ],
)
def test_invalid_details_are_refused(server: Gallery, tmp_path: Path, values: dict[str, Any], words: str) -> None:
    """Every field is checked before anything is stored."""
    bundle = changed_details(exported(server, tmp_path / "a.faceall"), **values)
    with pytest.raises(IndexDamagedError, match=words):
        server.index.import_bundle(bundle)


def test_a_sample_is_the_same_on_every_device(server: Gallery, other: Gallery, tmp_path: Path) -> None:
    """People and faces are chosen in the order of their ids, not of their rows, and evenly."""
    parts = read_parts(exported(server, tmp_path / "a.faceall"))
    other.index.import_bundle(tmp_path / "a.faceall")
    people = [person["name"] for person in json.loads(parts["people.json"])]  # by id
    for gallery in (server, other):
        assert list(read_named_vectors(gallery._store, most_people=2, most_faces=2).names) == people
        assert list(read_named_vectors(gallery._store, most_people=1, most_faces=2).names) == people[:1]
    first, second = (
        read_named_vectors(gallery._store, most_people=9, most_faces=2).vectors for gallery in (server, other)
    )
    assert (first == second).all()
    assert spread(range(10), 4) == [0, 2, 5, 7]
