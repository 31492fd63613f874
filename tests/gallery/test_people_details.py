"""Hidden people, covers, notes, birth dates, sort orders of people, and filters of photos."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image
from stand_ins import BACKEND, one_face, paint, write_photo

from faceall.errors import ArgumentError, UnknownFaceError, UnknownPersonError
from faceall.gallery import Gallery

pytestmark = pytest.mark.skipif(BACKEND != "folder", reason="Milvus keeps no details of people")


@pytest.fixture
def filled(gallery: Gallery, photos: Path) -> Gallery:
    """Ada on three photos, one of which also shows Bob, and Bob on one of his own."""
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
    """Hidden people are left out of lists, pages and suggestions, and found by name; hiding can be undone."""
    assert filled.people.hide(["Ada"]) == 1
    assert names(filled) == ["Bob"]
    assert names(filled, hidden=True) == ["Ada"]
    assert [person.name for person in filled.people.page().items] == ["Bob"]
    assert filled.people.suggestions() == []
    assert filled.people.get("Ada").faces == 3
    filled.people.undo()
    assert names(filled) == ["Ada", "Bob"]


def test_details_are_stored_validated_and_undone(filled: Gallery) -> None:
    """Note, birth date and cover are stored separately; an invalid date or face is refused."""
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
    """People are sorted by name, photos, latest face, or the face with the worst fit."""
    assert names(filled, sort="name") == ["Ada", "Bob"]
    assert names(filled, sort="photos") == ["Ada", "Bob"]
    newest = max(filled.faces, key=lambda face: face.face_id).person
    assert names(filled, sort="newest")[0] == newest
    worst = {name: filled.people.fit(name)[0][1] for name in ("Ada", "Bob")}
    assert names(filled, sort="fit") == sorted(worst, key=lambda name: -worst[name])
    with pytest.raises(ArgumentError, match="expected one of name, photos, newest, fit"):
        names(filled, sort="age")


def test_fit_is_the_mean_distance_to_the_others(filled: Gallery) -> None:
    """The worst face is first; the distances equal those of a direct computation."""
    found = filled.people.fit("Ada")
    distances = [distance for _, distance in found]
    assert distances == sorted(distances, reverse=True)
    vectors = filled._store.faces.vectors([key for key, _ in found])
    for number, distance in enumerate(distances):
        others = [((vectors[number] - other) ** 2).sum() for i, other in enumerate(vectors) if i != number]
        assert distance == pytest.approx(sum(others) / len(others), abs=1e-5)


def test_photos_are_found_by_people_and_days(filled: Gallery, photos: Path) -> None:
    """Photos are filtered by included and excluded people, and by first and last day."""

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


def test_removed_faces_can_be_restored(filled: Gallery) -> None:
    """Faces removed from a photo are restored unassigned; deleted people's faces only with the person."""
    photo = filled.photos.search(people=["Ada", "Bob"]).items[0]
    (bob,) = [face.face_id for face in photo.faces if face.person == "Bob"]
    filled.faces.remove(bob)
    (found,) = filled.photos.find_faces(photo.photo_id)
    assert filled.faces.get(found).person is None
    assert filled.photos.find_faces(photo.photo_id) == ()
    filled.people.discard("Ada")
    assert filled.photos.find_faces(photo.photo_id) == ()


def test_a_drawn_face_is_added(filled: Gallery, photos: Path) -> None:
    """A face drawn by the user gets a vector and a thumbnail; a known face or an invalid box is refused."""
    photo = filled.photos.search(people=["Bob"], without=["Ada"]).items[0]
    face = filled.photos.add_face(photo.photo_id, (0, 0, 20, 20))
    assert filled.faces.get(face).box == (0, 0, 20, 20)
    assert filled.faces.thumbnail(face)[:2] == b"\xff\xd8"
    with pytest.raises(ArgumentError, match="known face"):
        filled.photos.add_face(photo.photo_id, (1, 1, 20, 20))
    with pytest.raises(ArgumentError, match="expected x0 y0 x1 y1"):
        filled.photos.add_face(photo.photo_id, (500, 500, 600, 600))


def test_exif_date_is_preferred_to_the_file_date(filled: Gallery, photos: Path) -> None:
    """A photo with an EXIF date is found by that date, not by the time of its file."""
    image = Image.fromarray(paint(one_face(77)))
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2011:06:15 10:00:00"
    image.save(photos / "dated.jpg", quality=98, exif=exif)
    list(filled.register(photos / "dated.jpg"))
    found = filled.photos.search(since="2011-06-15", until="2011-06-15").items
    assert [photo.paths[0].name for photo in found] == ["dated.jpg"]


def test_hidden_faces_are_not_listed_grouped_or_suggested(filled: Gallery, photos: Path) -> None:
    """Hidden faces are left out of lists, clusters and suggestions, and found by id and by search."""
    for number in (1, 2):
        write_photo(photos / "x" / f"{number}.png", [(40, 25, 40, (0, 200 + number, 0))])
    list(filled.register(photos / "x", unnamed=True))
    loose = [face.face_id for face in filled.faces.page(unassigned=True).items]
    assert len(loose) == 2
    assert filled.faces.hide(loose[0]) == 1
    assert [face.face_id for face in filled.faces.page(unassigned=True).items] == loose[1:]
    assert [face.face_id for face in filled.faces.page(hidden=True).items] == loose[:1]
    assert filled.faces.get(loose[0]).hidden
    assert filled.people.cluster(threshold=0.5).clusters == ()
    assert all(("f", loose[0]) not in (one.subject, one.target) for one in filled.people.suggestions())
    assert loose[0] in {match.face_id for match in filled.search(photos / "x" / "1.png", k=3)[0].matches}
    with pytest.raises(UnknownFaceError):
        filled.faces.hide([loose[1], 999])
    assert not filled.faces.get(loose[1]).hidden
    filled.people.undo()
    assert len(filled.faces.page(unassigned=True).items) == 2


def test_unassigned_faces_are_listed_by_size(filled: Gallery, photos: Path) -> None:
    """With sort="size" the largest face is first; an unknown order is refused."""
    for side in (20, 60, 30):
        write_photo(photos / "sizes" / f"{side}.png", [(10, 10, side, (0, 0, 100 + side))])
    list(filled.register(photos / "sizes", unnamed=True))
    sides = [face.box[2] - face.box[0] for face in filled.faces.page(unassigned=True, sort="size").items]
    assert sides == [60, 30, 20]
    with pytest.raises(ArgumentError, match="expected one of id, size"):
        filled.faces.page(sort="age")  # type: ignore[arg-type]


def test_clusters_follow_people_largest_first(filled: Gallery, photos: Path) -> None:
    """Pages list people by name, then clusters by their number of faces; cluster numbers stay."""
    for number in range(5):
        colour = (0, 0, 240 + number) if number < 3 else (240 + number, 0, 240)
        write_photo(photos / "groups" / f"{number}.png", [(40, 25, 40, colour)])
    list(filled.register(photos / "groups", unnamed=True))
    filled.people.cluster(threshold=0.05)
    listed = filled.people.page().items
    assert [(one.named, one.faces) for one in listed] == [(True, 3), (True, 2), (False, 3), (False, 2)]
    clusters = filled.people.page(named=False).items
    assert [one.faces for one in clusters] == [3, 2]
    filled.people.rename(clusters[0].id, "Zoe")
    assert [one.name for one in filled.people.page(named=False).items] == [clusters[1].name]


def test_names_that_differ_in_form_are_found(filled: Gallery) -> None:
    """Names are compared without case, width, hyphens and underscores; equal and unrelated names are not listed."""
    assert filled.people.similar_name("ADA") == "Ada"
    assert filled.people.similar_name("Ａｄａ") == "Ada"
    assert filled.people.similar_name("Ada") is None
    assert filled.people.similar_name("Adam") is None
    face = filled.faces.find(person="Bob")[0].face_id
    filled.faces.assign(face, "bob")
    assert filled.people.similar_names() == [("Bob", "bob")]


def test_many_people_are_merged_as_one_change(filled: Gallery) -> None:
    """All or no people are merged, and one undo separates them."""
    face = filled.faces.find(person="Ada")[0].face_id
    filled.faces.assign(face, "Adele")
    before = {person.name: person.faces for person in filled.people}
    with pytest.raises(UnknownPersonError):
        filled.people.merge(["Adele", "Zoe"], "Ada")
    assert filled.people.merge(["Adele", "Bob"], "Ada") == before["Adele"] + before["Bob"]
    assert [person.name for person in filled.people] == ["Ada"]
    filled.people.undo()
    assert {person.name: person.faces for person in filled.people} == before
