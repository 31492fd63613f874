"""Details of people between server and phone; FaceAllCore's own test wrote `phone-details.faceall`, on Linux."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import golden_people
import pytest
from test_bundles import VECTORS, read_stored
from test_vectors import assert_same

from faceall.gallery import Gallery

SERVER, PHONE = VECTORS / "server-details.faceall", Path(__file__).with_name("phone-details.faceall")


@pytest.mark.parametrize("name", ["sampling.json", "details.json"])
def test_shipped_vectors_are_what_python_gives(name: str) -> None:
    """The people that are chosen, the threshold that follows from them, and which texts are dates."""
    made = json.loads(json.dumps(golden_people.people_vectors()[name]))
    shipped = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    for values in (made, shipped):
        values.pop("manifest", None)  # other versions write other fields
    assert_same(made, shipped, 0, name)


def details_of(path: Path) -> dict[str, Any]:
    """Name -> the details of a person in a bundle."""
    return {person["name"]: person.get("details") for person in json.loads(read_stored(path)["people.json"])}


def test_the_phone_writes_the_form_of_the_server() -> None:
    """The same five fields; people without details have none; the hidden face is still hidden."""
    before, after = details_of(SERVER), details_of(PHONE)
    assert before["Bo"] is None
    assert before["Ann"].keys() == after["Ann"].keys() == after["Bo"].keys()
    assert (after["Ann"]["note"], after["Ann"]["hidden"], after["Ann"]["cover"]) == ("from the phone", False, None)
    hidden = [[face.get("hidden") for face in json.loads(read_stored(path)["faces.json"])] for path in (SERVER, PHONE)]
    assert hidden[0] == hidden[1]
    assert hidden[0].count(True) == 1


def test_the_server_takes_what_the_phone_changed_later(tmp_path: Path) -> None:
    """Ann is shown again with another note and the best cover, Bo is hidden; the history says who did it."""
    with Gallery.open(tmp_path / "gallery") as gallery:
        gallery.index.import_bundle(SERVER)
        ann = gallery.people.details("Ann")
        assert (ann.hidden, ann.note, ann.born) == (True, "aunt", "1961-03-05")
        assert gallery.index.import_bundle(PHONE).conflicts == []
        ann, bo = (gallery.people.details(name) for name in ("Ann", "Bo"))
        assert (ann.hidden, ann.note, ann.born, ann.cover) == (False, "from the phone", "1961-03-05", None)
        assert (bo.hidden, bo.born) == (True, "2019-05-31")
        assert [person.name for person in gallery.people.list()] == ["Ann"]
        made = [change.kind for change in gallery.people.history().items if change.author == "phone"]
        assert sorted(made) == ["details", "details", "details", "hide", "show"]
        assert gallery.index.import_bundle(SERVER).conflicts != []
        assert gallery.people.details("Ann").note == "from the phone"
        assert gallery.index.problems() == []
