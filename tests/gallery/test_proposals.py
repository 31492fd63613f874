"""Names from folders and files are proposed, and assigned as one change."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_ins import one_face, write_photo

from faceall.errors import ArgumentError, FaceallError, UnknownFaceError
from faceall.gallery import Gallery


@pytest.fixture
def unnamed(gallery: Gallery, photos: Path) -> Gallery:
    """Unnamed photos in folders of a person and an event, with and without names in file names."""
    places = ("Ada/1", "Ada/2", "Trip 2019/Eve/1", "Jo/Summer party 2019/7", "bob_1", "bob_2", "IMG_0042")
    for number, place in enumerate(places):
        write_photo(photos / f"{place}.png", one_face(number))
    list(gallery.register(photos, unnamed=True))
    return gallery


def proposed(gallery: Gallery, photos: Path) -> dict[str, tuple[str, bool, int]]:
    ids = [photo.photo_id for photo in gallery.photos.page().items]
    found = gallery.photos.propose_names(ids, named=lambda path: path.relative_to(photos).as_posix())
    return {one.source: (one.name, one.person, len(one.faces)) for one in found}


def test_folders_and_files_propose_names(unnamed: Gallery, photos: Path) -> None:
    """The nearest folder of a person is proposed, or else the file name; events and counters are not."""
    assert proposed(unnamed, photos) == {
        "Ada": ("Ada", True, 2),
        "bob": ("bob", True, 2),
        "Trip 2019/Eve": ("Eve", True, 1),
        "Jo/Summer party 2019": ("Summer party 2019", False, 1),
    }


def test_named_faces_get_no_proposal(unnamed: Gallery, photos: Path) -> None:
    """After names were assigned only other faces get proposals; existing names are found in any form."""
    ids = [photo.photo_id for photo in unnamed.photos.page().items]
    found = unnamed.photos.propose_names(ids, named=lambda path: path.relative_to(photos).as_posix())
    (ada,) = [one for one in found if one.name == "Ada"]
    assert unnamed.faces.assign_many([("BOB", ada.faces)]) == 2
    again = {
        one.name: one.known
        for one in unnamed.photos.propose_names(ids, named=lambda path: path.relative_to(photos).as_posix())
    }
    assert again == {"bob": "BOB", "Eve": None, "Summer party 2019": None}


def test_names_are_given_all_or_none(unnamed: Gallery) -> None:
    """An unknown face or an invalid name changes nothing; an empty set of names is an error."""
    face = next(iter(unnamed.faces)).face_id
    with pytest.raises(UnknownFaceError):
        unnamed.faces.assign_many([("Ada", [face]), ("Bob", [face, 99999])])
    with pytest.raises(FaceallError, match="cannot be empty"):
        unnamed.faces.assign_many([("Ada", [face]), (" ", [face])])
    with pytest.raises(ArgumentError):
        unnamed.faces.assign_many([])
    assert len(unnamed.people) == 0


def test_given_names_are_one_change(unnamed: Gallery) -> None:
    """One undo removes all names that were assigned together."""
    first, second, *_ = (face.face_id for face in unnamed.faces)
    unnamed.faces.assign_many([("Ada", [first]), ("Bob", [second])])
    assert [person.name for person in unnamed.people] == ["Ada", "Bob"]
    unnamed.people.undo()
    assert len(unnamed.people) == 0
