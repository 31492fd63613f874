"""People are renamed, merged and removed by the user."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from stand_ins import one_face, write_photo

from faceall.errors import FaceallError, UnknownFaceError, UnknownPersonError
from faceall.gallery import Gallery, Person

Opener = Callable[..., Gallery]


@pytest.fixture
def filled(gallery: Gallery, photos: Path) -> Gallery:
    """Ada with two photos, Eve with one that shows two faces."""
    write_photo(photos / "Ada" / "1.png", one_face(1))
    write_photo(photos / "Ada" / "2.png", one_face(2))
    write_photo(photos / "Eve" / "3.png", [*one_face(3), (0, 0, 15, (99, 0, 0))])
    list(gallery.register(photos))
    return gallery


def names(gallery: Gallery) -> list[str]:
    return [person.name for person in gallery.people]


def test_people_are_listed_by_name(filled: Gallery) -> None:
    """People are listed with the number of their faces and photos; unassigned faces have no person."""
    assert list(filled.people) == [Person("Ada", 2, 2), Person("Eve", 1, 1)]
    assert filled.status().unnamed == 1


def test_renaming(filled: Gallery) -> None:
    """A renamed person keeps their faces; a taken, empty or unknown name is refused with a hint."""
    filled.people.rename("Ada", "Ada Lovelace")
    assert names(filled) == ["Ada Lovelace", "Eve"]
    with pytest.raises(FaceallError, match="merge"):
        filled.people.rename("Eve", "Ada Lovelace")
    with pytest.raises(UnknownPersonError, match="did you mean 'Ada Lovelace'"):
        filled.people.rename("Ada Lovelac", "x")
    with pytest.raises(FaceallError, match="empty"):
        filled.people.rename("Eve", "  ")
    filled.people.rename("Eve", "Eve")
    assert names(filled) == ["Ada Lovelace", "Eve"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("A" * 201, "at most 200 characters, 'AAAAAAAAAAAAAAAAAAAA...' has 201"),
        ("Ada\nEve", "one line without control characters"),
        ("Ada\x1b[31m", "one line without control characters"),
        ("Ada\u2028", None),
        ("Ada \u2028 Eve", "one line without control characters"),
        ("Ada\u202eevE", r"no invisible characters \(U\+202E\)"),
        ("A\u200bda", r"no invisible characters \(U\+200B\)"),
        ("\u2066\u3164", "no invisible characters"),
    ],
)
def test_invalid_names_are_refused(filled: Gallery, photos: Path, name: str, reason: str | None) -> None:
    """A name is one line of at most 200 characters; other names are refused by every function."""
    (face, *_) = filled.faces.find(person="Ada")
    if reason is None:  # white space around it
        filled.people.rename("Eve", name.replace("Ada", "Zoe"))
        assert names(filled) == ["Ada", "Zoe"]
        return
    for attempt in (
        lambda: filled.people.rename("Ada", name),
        lambda: filled.faces.assign(face.face_id, name),
        lambda: filled.people.split("Ada", [face.face_id], to=name),
        lambda: filled.register(photos, person=name),
    ):
        with pytest.raises(FaceallError, match=reason) as caught:
            attempt()
        assert len(str(caught.value)) < 200
    assert names(filled) == ["Ada", "Eve"]


def test_joiners_of_scripts_that_need_them(filled: Gallery) -> None:
    """Joiners are allowed in Persian and Hindi names, and refused in Latin names."""
    for name in ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647", "\u0936\u094d\u200d\u0930\u0940"):
        filled.people.rename("Ada", name)
        filled.people.rename(name, "Ada")
    with pytest.raises(FaceallError, match="invisible"):
        filled.people.rename("Ada", "A\u200dda")


def test_folders_with_invisible_names(gallery: Gallery, photos: Path) -> None:
    """A folder name of spaces or invisible letters names no one; in other names these letters are removed."""
    for number, folder in enumerate(("   ", "\u200b\u2060", "Zo\u202e\u00eb")):
        write_photo(photos / folder / "1.png", one_face(30 + number))
    gallery.register(photos, names_from="folders")
    found = names(gallery)
    assert "Zo\u00eb" in found
    assert all(name.strip() and name.isprintable() for name in found)


def test_longest_name(filled: Gallery) -> None:
    """Two hundred characters of any script are a valid name."""
    filled.people.rename("Ada", "\u00e9" * 200)
    assert len([*filled.people][1].name) == 200


def test_folder_with_an_odd_name(filled: Gallery, photos: Path) -> None:
    """A folder's name is converted to a valid name of a person."""
    write_photo(photos / "Bo\nLee" / "1.png", one_face(7))
    write_photo(photos / ("x" * 240) / "1.png", one_face(8))
    list(filled.register(photos))
    assert names(filled) == ["Ada", "Bo Lee", "Eve", "x" * 200]


def test_merging(filled: Gallery) -> None:
    """All faces of the merged person belong to the other one, and the merged person is removed."""
    assert filled.people.merge("Ada", "Eve") == 2
    assert list(filled.people) == [Person("Eve", 3, 3)]
    with pytest.raises(FaceallError, match="itself"):
        filled.people.merge("Eve", "Eve")


def test_naming_a_face(filled: Gallery) -> None:
    """An unassigned face gets a name; an unknown face is an error and creates no person."""
    (nobodys,) = [face for face in filled.faces.find() if face.person is None]
    filled.faces.assign(nobodys.face_id, "Bob")
    assert names(filled) == ["Ada", "Bob", "Eve"]
    with pytest.raises(UnknownFaceError):
        filled.faces.assign(99, "Carl")
    assert names(filled) == ["Ada", "Bob", "Eve"]


@pytest.mark.embedded("reads the bytes of its files")
def test_removed_person_is_gone_from_the_files(filled: Gallery, folder: Path, photos: Path) -> None:
    """No file has rows, vectors or thumbnails of a removed person; other people stay."""
    face = filled.faces.find(person="Ada")[0]
    thumbnail = filled.faces.thumbnail(face.face_id)[20:]
    vector = filled._index[face.face_id].tobytes()
    assert filled.people.remove("Ada").count == 2
    assert names(filled) == ["Eve"]
    assert filled.status().photos == 1
    content = b"".join(file.read_bytes() for file in folder.iterdir())
    assert thumbnail not in content
    assert vector not in content
    assert b"Ada" not in content
    assert filled.index.problems() == []
    assert {result.status for result in filled.register(photos / "Ada")} == {"added"}


def test_removing_a_face(filled: Gallery) -> None:
    """Removing a face keeps the photo's other face; removing the last face removes the photo."""
    first, second = filled.faces.find(path=filled.faces.find(person="Eve")[0].path)
    filled.faces.remove(first.face_id)
    assert filled.status().photos == 3
    with pytest.raises(UnknownFaceError, match=f"no face {first.face_id}"):
        filled.faces.thumbnail(first.face_id)
    filled.faces.remove(second.face_id)
    assert filled.status().photos == 2
    assert filled.index.problems() == []
    with pytest.raises(UnknownFaceError):
        filled.faces.remove(second.face_id)


def test_removing_photos(filled: Gallery, photos: Path) -> None:
    """Photos are removed by file or folder, not by a common prefix; an unknown path is an error."""
    write_photo(photos / "Adam" / "1.png", one_face(7))
    list(filled.register(photos))
    assert len(filled.photos.remove(photos / "Ada").photos) == 2
    assert names(filled) == ["Adam", "Eve"]
    assert len(filled.photos.remove(photos / "Eve" / "3.png").photos) == 1
    with pytest.raises(UnknownFaceError, match="no photo"):
        filled.photos.remove(photos / "Eve" / "3.png")
    assert (len(filled), filled.index.problems()) == (1, [])


@pytest.mark.embedded("damages tables of SQLite")
def test_problems_are_found(filled: Gallery) -> None:
    """A vector without its face, and a face without its thumbnail, are reported."""
    filled._index.add([[1.0] * 8])
    with filled._index.transaction() as connection:
        connection.execute("DELETE FROM thumbnails WHERE face = 1")
    assert filled.index.problems() == ["1 vectors without a face", "1 faces without a thumbnail"]
