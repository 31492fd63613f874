"""Hidden people, covers, notes and birth dates, orders of people, and photos by who is on them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from stand_ins import BACKEND, one_face, write_photo

from faceall.errors import ArgumentError, UnknownFaceError, UnknownPersonError
from faceall.gallery import Gallery

pytestmark = pytest.mark.skipif(BACKEND != "folder", reason="Milvus keeps no details of people")


@pytest.fixture
def filled(gallery: Gallery, photos: Path) -> Gallery:
    """Ada on three photos, one of which shows Bob as well; Bob on one of his own."""
    for number in range(2):
        write_photo(photos / "Ada" / f"{number}.png", one_face(number))
    write_photo(photos / "Ada" / "both.png", [*one_face(3), (0, 0, 15, (0, 99, 0))])
    write_photo(photos / "Bob" / "9.png", [(40, 25, 40, (0, 98, 0))])
    list(gallery.register(photos))
    (other,) = [face.face_id for face in gallery.faces if face.person is None]
    gallery.faces.assign(other, "Bob")
    return gallery


def names(gallery: Gallery, **options: object) -> list[str]:
    return [person.name for person in gallery.people.list(**options)]  # type: ignore[arg-type]


def test_hidden_people_are_not_listed_but_found(filled: Gallery) -> None:
    """They leave lists, pages and suggestions; by name they are found; hiding is undone."""
    assert filled.people.hide(["Ada"]) == 1
    assert names(filled) == ["Bob"]
    assert names(filled, hidden=True) == ["Ada"]
    assert [person.name for person in filled.people.page().items] == ["Bob"]
    assert filled.people.suggestions() == []
    assert filled.people.get("Ada").faces == 3
    filled.people.undo()
    assert names(filled) == ["Ada", "Bob"]


def test_details_are_kept_checked_and_undone(filled: Gallery) -> None:
    """Note, birth date and cover are stored one by one; a wrong date or face is refused."""
    face = filled.people.fit("Ada")[0][0]
    filled.people.set_details("Ada", note=" met in 1833 ", born="1815-12-10")
    filled.people.set_details("Ada", cover=face)
    found = filled.people.details("Ada")
    assert (found.note, found.born, found.cover, found.hidden) == ("met in 1833", "1815-12-10", face, False)
    assert filled.people.get("Ada").cover == face
    with pytest.raises(ArgumentError, match=r"born is '10\.12\.1815', expected a date"):
        filled.people.set_details("Ada", born="10.12.1815")
    with pytest.raises(UnknownFaceError, match="is not a face of 'Bob'"):
        filled.people.set_details("Bob", cover=face)
    filled.people.undo()
    assert filled.people.details("Ada").cover is None


def test_people_are_sorted(filled: Gallery) -> None:
    """By name, by photos, by the last face, and by the face that fits worst."""
    assert names(filled, sort="name") == ["Ada", "Bob"]
    assert names(filled, sort="photos") == ["Ada", "Bob"]
    newest = max(filled.faces, key=lambda face: face.face_id).person
    assert names(filled, sort="newest")[0] == newest
    worst = {name: filled.people.fit(name)[0][1] for name in ("Ada", "Bob")}
    assert names(filled, sort="fit") == sorted(worst, key=lambda name: -worst[name])
    with pytest.raises(ArgumentError, match="expected one of name, photos, newest, fit"):
        names(filled, sort="age")


def test_fit_is_the_mean_distance_to_the_others(filled: Gallery) -> None:
    """The worst face comes first; the distances are those of a direct computation."""
    found = filled.people.fit("Ada")
    distances = [distance for _, distance in found]
    assert distances == sorted(distances, reverse=True)
    vectors = filled._store.faces.vectors([key for key, _ in found])
    for number, distance in enumerate(distances):
        others = [((vectors[number] - other) ** 2).sum() for i, other in enumerate(vectors) if i != number]
        assert distance == pytest.approx(sum(others) / len(others), abs=1e-5)


def test_photos_are_found_by_people_and_days(filled: Gallery, photos: Path) -> None:
    """With all of some people, without others, since and until a day."""

    def found(**query: object) -> set[str]:
        return {photo.paths[0].name for photo in filled.photos.search(**query).items}  # type: ignore[arg-type]

    assert found(people=["Ada", "Bob"]) == {"both.png"}
    assert found(people=["Ada"], without=["Bob"]) == {"0.png", "1.png"}
    assert found(people=["Bob"]) == {"both.png", "9.png"}
    os.utime(photos / "Bob" / "9.png", (86400 * 365 * 30, 86400 * 365 * 30))  # 1999
    list(filled.register(photos))
    assert found(until="2000-01-01") == {"9.png"}
    assert found(people=["Bob"], since="2000-01-01") == {"both.png"}
    page = filled.photos.search(people=["Ada"], limit=1, offset=1)
    assert (len(page.items), page.total) == (1, 3)
    with pytest.raises(UnknownPersonError):
        filled.photos.search(people=["Zoe"])
    with pytest.raises(ArgumentError, match="since is 'May'"):
        filled.photos.search(since="May")


def test_removed_faces_are_found_again(filled: Gallery) -> None:
    """Faces that were removed from a photo come back unassigned; those in the bin do not, until they are restored."""
    photo = filled.photos.search(people=["Ada", "Bob"]).items[0]
    (bob,) = [face.face_id for face in photo.faces if face.person == "Bob"]
    filled.faces.remove(bob)
    (found,) = filled.photos.find_faces(photo.photo_id)
    assert filled.faces.get(found).person is None
    assert filled.photos.find_faces(photo.photo_id) == ()
    filled.people.discard("Ada")
    assert filled.photos.find_faces(photo.photo_id) == ()


def test_a_drawn_face_is_added(filled: Gallery, photos: Path) -> None:
    """What the detector missed is added with a vector and a thumbnail; a known face or a wrong box is refused."""
    photo = filled.photos.search(people=["Bob"], without=["Ada"]).items[0]
    face = filled.photos.add_face(photo.photo_id, (0, 0, 20, 20))
    assert filled.faces.get(face).box == (0, 0, 20, 20)
    assert filled.faces.thumbnail(face)[:2] == b"\xff\xd8"
    with pytest.raises(ArgumentError, match="known face"):
        filled.photos.add_face(photo.photo_id, (1, 1, 20, 20))
    with pytest.raises(ArgumentError, match="expected x0 y0 x1 y1"):
        filled.photos.add_face(photo.photo_id, (500, 500, 600, 600))
