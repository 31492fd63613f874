"""Names that folders and files suggest are proposed, and given as one change."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_ins import one_face, write_photo

from faceall.errors import ArgumentError, FaceallError, UnknownFaceError
from faceall.gallery import Gallery


@pytest.fixture
def unnamed(gallery: Gallery, photos: Path) -> Gallery:
    """Photos in a person's folder, in an event's, with names in the file names, and with none; all unnamed."""
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
    """The nearest folder that looks like a person, else the file name; an event is no person, a counter no name."""
    assert proposed(unnamed, photos) == {
        "Ada": ("Ada", True, 2),
        "bob": ("bob", True, 2),
        "Trip 2019/Eve": ("Eve", True, 1),
        "Jo/Summer party 2019": ("Summer party 2019", False, 1),
    }


def test_faces_with_a_name_are_not_asked_about(unnamed: Gallery, photos: Path) -> None:
    """After the names were given only the rest is proposed, and existing names are recognised in any form."""
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
    """An unknown face or a wrong name changes nothing; no name at all is an error."""
    face = next(iter(unnamed.faces)).face_id
    with pytest.raises(UnknownFaceError):
        unnamed.faces.assign_many([("Ada", [face]), ("Bob", [face, 99999])])
    with pytest.raises(FaceallError, match="cannot be empty"):
        unnamed.faces.assign_many([("Ada", [face]), (" ", [face])])
    with pytest.raises(ArgumentError):
        unnamed.faces.assign_many([])
    assert len(unnamed.people) == 0


@pytest.mark.embedded("Milvus keeps no journal")
def test_given_names_are_one_change(unnamed: Gallery) -> None:
    """One undo takes all of them back."""
    first, second, *_ = (face.face_id for face in unnamed.faces)
    unnamed.faces.assign_many([("Ada", [first]), ("Bob", [second])])
    assert [person.name for person in unnamed.people] == ["Ada", "Bob"]
    unnamed.people.undo()
    assert len(unnamed.people) == 0
