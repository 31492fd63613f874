"""Assignments and refusals by users affect searches."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_ins import write_photo

from faceall.gallery import Gallery
from faceall.gallery.search import Query, match_faces, match_people
from faceall.gallery.thresholds import MatchThreshold

THRESHOLD = MatchThreshold(0.5, None, "given", margin=0.1)


@pytest.fixture
def siblings(gallery: Gallery, photos: Path) -> Gallery:
    """Ada, and a sister with similar photos, one of which was assigned to Ada."""
    for name, colours in {"Ada": ((200, 10, 10), (199, 12, 12)), "Bob": ((10, 10, 200),)}.items():
        for number, colour in enumerate(colours):
            write_photo(photos / name / f"{number}.png", [(40, 25, 40, colour)])
    list(gallery.register(photos, names_from="folders"))
    write_photo(photos / "sister.png", [(40, 25, 40, (190, 40, 10))])
    list(gallery.register(photos / "sister.png", person="Ada"))
    return gallery


def query(gallery: Gallery, path: Path) -> Query:
    found = gallery.analyse(path)
    return Query(found.image, found.faces, found.vectors, THRESHOLD)


def sister(gallery: Gallery, photos: Path) -> int:
    found = gallery.photos.at(photos / "sister.png")
    assert found is not None
    return found.faces[0].face_id


def test_not_this_person_excludes_for_the_same_photo(siblings: Gallery, photos: Path) -> None:
    """After "not this person" for a photo, a search with it does not match that person."""
    asked = query(siblings, photos / "sister.png")
    assert match_people(siblings._store, asked, 3, None)[0].people[0].person == "Ada"
    siblings.faces.unassign([sister(siblings, photos)])
    (result,) = match_people(siblings._store, asked, 3, None)
    assert "Ada" not in [match.person for match in result.people]
    (faces,) = match_faces(siblings._store, asked, 9, None)
    assert {match.decision for match in faces.matches if match.person == "Ada"} == {"unknown"}
    assert all(match.excluded for match in faces.matches if match.person == "Ada")
    assert faces.second is None or faces.second.person != "Ada"


def test_not_this_person_excludes_for_other_photos_of_the_excluded_face(siblings: Gallery, photos: Path) -> None:
    """Photos nearer to the excluded face than to Ada do not match Ada; Ada's own photos do."""
    siblings.faces.unassign([sister(siblings, photos)])
    write_photo(photos / "again.png", [(40, 25, 40, (188, 44, 12))])
    (result,) = match_people(siblings._store, query(siblings, photos / "again.png"), 3, None)
    assert "Ada" not in [match.person for match in result.people]
    (own,) = match_people(siblings._store, query(siblings, photos / "Ada" / "0.png"), 3, None)
    assert (own.people[0].person, own.people[0].decision) == ("Ada", "match")


def test_the_excluded_person_makes_no_match_ambiguous(siblings: Gallery, photos: Path) -> None:
    """After the face is assigned to Eve, Ada does not make Eve ambiguous, also without a threshold."""
    siblings.people.split("Ada", [sister(siblings, photos)], to="Eve")
    (result,) = match_people(siblings._store, query(siblings, photos / "sister.png"), 3, None)
    assert (result.people[0].person, result.people[0].decision) == ("Eve", "match")
    assert "Ada" not in [match.person for match in result.people]


def test_this_person_confirms(siblings: Gallery, photos: Path) -> None:
    """A face assigned by a user matches in a search with its photo, also between ambiguous people."""
    write_photo(photos / "twin.png", [(40, 25, 40, (200, 11, 11))])
    list(siblings.register(photos / "twin.png", unnamed=True))
    twin = siblings.photos.at(photos / "twin.png")
    assert twin is not None
    siblings.people.split("Ada", [sister(siblings, photos)], to="Eve")
    with siblings._store.changing():
        siblings._store.faces.assign([twin.faces[0].face_id], siblings._store.people.make("Twin"))
    (before,) = match_people(siblings._store, query(siblings, photos / "twin.png"), 3, None)
    assert before.people[0].decision == "possible"
    siblings.faces.assign(twin.faces[0].face_id, "Twin")
    (result,) = match_people(siblings._store, query(siblings, photos / "twin.png"), 3, None)
    decisions = {match.person: match.decision for match in result.people}
    assert decisions["Twin"] == "match"
