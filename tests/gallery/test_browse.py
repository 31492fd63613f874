"""A gallery is listed page by page and by ids, and items are removed by ids."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from stand_ins import BACKEND, one_face, write_photo

from faceall.errors import ArgumentError, FaceallError, NameTakenError, UnknownFaceError, UnknownPersonError
from faceall.gallery import Candidate, Gallery


@pytest.fixture
def filled(gallery: Gallery, photos: Path) -> Gallery:
    """Two photos of Ada, one of Eve with an unnamed face, one with only an unnamed face."""
    write_photo(photos / "Ada/1.png", one_face(1))
    write_photo(photos / "Ada/2.png", one_face(2))
    write_photo(photos / "Eve/1.png", [(30, 20, 50, (9, 9, 200)), (2, 2, 12, (200, 9, 9))])
    list(gallery.register(photos))
    write_photo(photos / "x.png", one_face(40))
    list(gallery.register(photos / "x.png", unnamed=True))
    return gallery


def test_people_are_listed_in_pages_by_name(filled: Gallery) -> None:
    """A page holds its part of the people; the total counts all of them."""
    page = filled.people.page(limit=1, offset=1)
    assert ([person.name for person in page.items], page.total) == (["Eve"], 2)
    assert filled.people.page(offset=9).items == ()


def test_text_is_found_in_names_in_any_case(filled: Gallery) -> None:
    """A search for names ignores case, also in other alphabets."""
    filled.people.rename("Eve", "ÉVE Ω")
    assert [person.name for person in filled.people.page(text="éve ω").items] == ["ÉVE Ω"]


def test_named_people_and_clusters_are_listed_separately(filled: Gallery, photos: Path) -> None:
    """A cluster is listed as a named person only after it is renamed."""
    write_photo(photos / "y.png", one_face(41))
    list(filled.register(photos / "y.png", unnamed=True))
    filled.people.cluster(threshold=0.05)
    (cluster,) = filled.people.page(named=False).items
    assert (cluster.named, cluster.faces) == (False, 2)
    assert {person.name for person in filled.people.page(named=True).items} == {"Ada", "Eve"}
    assert [face.named for face in filled.faces.page(person=cluster.id).items] == [False, False]
    filled.people.rename(cluster.id, "Joy")
    assert filled.people.page(named=False).total == 0
    assert all(face.named for face in filled.faces.page(person=cluster.id).items)


def test_the_cover_is_the_largest_primary_face(filled: Gallery) -> None:
    """A primary face is preferred as a person's cover to a larger face that is not primary."""
    (eve,) = filled.people.page(text="eve").items
    filled.faces.assign(filled.faces.page(unassigned=True).items[0].face_id, "Eve")
    primary = [face.face_id for face in filled.faces.page(person=eve.id).items if face.primary]
    assert filled.people.get(eve.id).cover == primary[0]


def test_a_face_has_its_photo_person_and_landmarks(filled: Gallery) -> None:
    """The photo and person in a face's record agree with their own records."""
    for face in filled.faces.page().items:
        assert face == filled.faces.get(face.face_id)
        assert face in filled.photos.get(face.photo_id).faces
        assert len(face.landmarks) == 5
        assert face.person is None or filled.people.get(face.person_id or 0).name == face.person


def test_faces_are_selected_by_person_photo_and_unassigned(filled: Gallery) -> None:
    """Each filter works alone, and two filters work together."""
    everyone = filled.faces.page().items
    for face in everyone:
        same_photo = {other.face_id for other in everyone if other.photo_id == face.photo_id}
        assert {other.face_id for other in filled.faces.page(photo=face.photo_id).items} == same_photo
    unassigned = {face.face_id for face in everyone if face.person is None}
    assert {face.face_id for face in filled.faces.page(unassigned=True).items} == unassigned
    (stranger,) = [face for face in everyone if face.person is None and not face.primary]
    assert filled.faces.page(photo=stranger.photo_id, unassigned=True).items == (stranger,)


def test_photos_are_listed_with_their_size_and_files(filled: Gallery, photos: Path) -> None:
    """A filter by person finds that person's photos, each with its file."""
    ada = filled.people.page(text="Ada").items[0]
    page = filled.photos.page(person=ada.id)
    assert [photo.photo_id for photo in page.items] == sorted(photo.photo_id for photo in page.items)
    first, second = sorted(page.items, key=lambda photo: photo.paths)
    assert (first.paths, second.paths) == ((photos / "Ada/1.png",), (photos / "Ada/2.png",))
    assert {(photo.width, photo.height) for photo in page.items} == {(120, 90)}
    assert filled.photos.page(limit=2).total == 4
    assert filled.photos.at(photos / "Ada/1.png") == first
    assert filled.photos.at(photos / "Ada/7.png") is None
    ids = [photo.photo_id for photo in page.items]
    assert filled.photos.paths([*ids, 999]) == {ids[0]: page.items[0].paths, ids[1]: page.items[1].paths, 999: ()}


def test_a_photo_is_found_by_its_content(filled: Gallery, photos: Path) -> None:
    """A photo is found by the SHA-256 of its file, independent of the path."""
    digest = hashlib.sha256((photos / "Ada/1.png").read_bytes()).digest()
    assert filled.photos.with_digest(digest) == filled.photos.at(photos / "Ada/1.png")
    assert filled.photos.with_digest(b"\0" * 32) is None


@pytest.mark.parametrize("number", [-1, 0, 99, 1 << 63, 1 << 80])
def test_unknown_ids_are_errors(filled: Gallery, number: int) -> None:
    """An unknown id is an error, also a number that the database cannot hold."""
    with pytest.raises(UnknownPersonError):
        filled.people.get(number)
    for call in (filled.faces.get, filled.photos.get, filled.photos.remove):
        with pytest.raises(UnknownFaceError):
            call(number)
    with pytest.raises(UnknownFaceError):
        filled.faces.remove([number])
    with pytest.raises(UnknownPersonError):
        filled.people.remove(number)


@pytest.mark.parametrize("page", [{"limit": -1}, {"offset": -1}, {"limit": 1 << 70}])
def test_invalid_pages_are_refused(filled: Gallery, page: dict[str, int]) -> None:
    """An invalid limit or offset is an error; SQLite would treat a negative limit as no limit."""
    for call in (filled.people.page, filled.faces.page, filled.photos.page):
        with pytest.raises(FaceallError, match="expected a whole number from 0"):
            call(**page)


def test_people_are_changed_by_their_ids(filled: Gallery) -> None:
    """People are renamed, split and merged by id as they are by name."""
    ada, eve = filled.people.page().items
    filled.people.rename(ada.id, "Augusta")
    with pytest.raises(NameTakenError, match="already"):
        filled.people.rename(ada.id, "Eve")
    first = filled.faces.find(person=ada.id)[0]
    filled.people.split(ada.id, [first.face_id], to="Byron")
    assert filled.faces.get(first.face_id).person == "Byron"
    assert filled.people.merge(ada.id, eve.id) == 1
    with pytest.raises(UnknownPersonError):
        filled.people.get(ada.id)


def test_renaming_to_the_same_name_changes_nothing(filled: Gallery) -> None:
    """A rename to the same name with other white space changes nothing and is not a conflict."""
    filled.people.rename("Ada", "  Ada ")
    assert filled.people.page(text="Ada").items[0].name == "Ada"


def test_a_removed_person_leaves_nothing(filled: Gallery, photos: Path) -> None:
    """A removal lists the faces, photos and files, and no row of them is left."""
    ada = filled.people.page(text="Ada").items[0]
    faces = tuple(face.face_id for face in filled.faces.page(person=ada.id).items)
    removal = filled.people.remove(ada.id)
    assert removal.faces == faces
    assert set(removal.paths) == {photos / "Ada/1.png", photos / "Ada/2.png"}
    assert filled.index.remaining(removal) == 0
    assert filled.index.problems() == []
    for photo in removal.photos:
        with pytest.raises(UnknownFaceError):
            filled.photos.get(photo)


def test_a_photo_is_removed_with_its_last_face(filled: Gallery) -> None:
    """A photo is removed together with its last face, not before."""
    (photo,) = [photo for photo in filled.photos.page().items if len(photo.faces) == 2]
    first, second = (face.face_id for face in photo.faces)
    assert filled.faces.remove([first]).photos == ()
    assert filled.faces.remove([second]).photos == (photo.photo_id,)


def test_faces_are_removed_all_or_none(filled: Gallery) -> None:
    """If one id is unknown, no face is removed."""
    face = filled.faces.page().items[0].face_id
    with pytest.raises(UnknownFaceError):
        filled.faces.remove([face, 999])
    assert filled.faces.get(face).face_id == face


def test_rows_that_were_not_removed_count_as_remaining(filled: Gallery) -> None:
    """A removal that did not delete its rows reports them as remaining."""
    from faceall.gallery import Removal

    photo = filled.photos.page().items[0]
    claimed = Removal((photo.faces[0].face_id,), (photo.photo_id,), photo.paths)
    vector, face, thumbnail, row = 1, 1, 1, 1
    apart = vector if BACKEND == "folder" else 0  # in Milvus the vector is in the row of its face
    assert filled.index.remaining(claimed) == apart + face + thumbnail + row


def test_each_candidate_is_registered_under_its_own_person(open_gallery: Callable[..., Gallery], photos: Path) -> None:
    """Faces get the given names; without a name they stay unassigned; `reassign` moves known ones."""
    gallery = open_gallery()
    first, second = (write_photo(photos / f"{number}.png", one_face(number)) for number in (1, 2))
    results = list(gallery.register_candidates([Candidate(first, " Ada "), Candidate(second, None)]))
    assert [result.person for result in results] == ["Ada", None]
    assert [result.status for result in gallery.register_candidates([Candidate(first, "Eve")])] == ["unchanged"]
    assert [result.status for result in gallery.register_candidates([Candidate(first, "Eve")], reassign=True)] == [
        "reassigned"
    ]
    assert [person.name for person in gallery.people] == ["Eve"]


def test_search_returns_ids_and_landmarks(filled: Gallery, photos: Path) -> None:
    """A match has the ids of its face, photo and person; a result has the landmarks of the query."""
    (result,) = filled.search(photos / "Ada/1.png")
    best = filled.faces.get(result.matches[0].face_id)
    match = result.matches[0]
    assert (match.photo_id, match.person_id, match.named) == (best.photo_id, best.person_id, True)
    assert result.landmarks == best.landmarks
    (by_person,) = filled.search_people(photos / "Ada/1.png")
    assert (by_person.people[0].person_id, by_person.landmarks) == (best.person_id, best.landmarks)


@pytest.fixture
def alphabet(gallery: Gallery, photos: Path) -> Gallery:
    """People with names in several forms; Zoe has two photos."""
    names = ["Zoe", "émile", "Eve 10", "Eve 9", "7 of 9", "李雷"]
    for number in range(len(names)):
        write_photo(photos / f"{number}.png", one_face(number))
    write_photo(photos / "more.png", one_face(6))
    candidates = [Candidate(photos / f"{number}.png", name) for number, name in enumerate(names)]
    list(gallery.register_candidates([*candidates, Candidate(photos / "more.png", "Zoe")]))
    return gallery


def test_names_are_ordered_without_accents_and_by_numbers(alphabet: Gallery) -> None:
    """Case and accents do not count, numbers are compared by value, and text finds names without their accents."""
    assert [one.name for one in alphabet.people.page().items] == ["7 of 9", "émile", "Eve 9", "Eve 10", "Zoe", "李雷"]
    assert [one.name for one in alphabet.people.page(text="EMI").items] == ["émile"]


def test_people_are_ordered_by_photos_and_the_last_one_first(alphabet: Gallery) -> None:
    """The order applies to all people, not only to those of the page; an unknown order is refused."""
    assert alphabet.people.page(sort="photos", limit=1).items[0].name == "Zoe"
    newest = alphabet.people.page(sort="newest").items
    assert [one.id for one in newest] == sorted((one.id for one in newest), reverse=True)
    with pytest.raises(ArgumentError, match="expected one of name, photos, newest"):
        alphabet.people.page(sort="age")  # type: ignore[arg-type]


def test_initials_have_the_place_of_their_first_person(alphabet: Gallery) -> None:
    """Names without a letter, and of scripts without upper case, have initials of their own."""
    assert alphabet.people.initials() == [("#", 0), ("E", 1), ("Z", 4), ("…", 5)]
    assert alphabet.people.ids(text="eve") == [one.id for one in alphabet.people.page(text="eve").items]
