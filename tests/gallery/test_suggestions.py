"""Pairs that may be the same person, and doubtful faces, are suggested; answers are stored and change the order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from stand_ins import write_photo

from faceall.errors import ArgumentError, UnknownPersonError
from faceall.gallery import Candidate, Gallery, Suggestion
from faceall.gallery.people.questions.certainty import features, fitted

Opener = Callable[..., Gallery]


@pytest.fixture
def filled(gallery: Gallery, photos: Path) -> Gallery:
    """Ada with two photos under two names, Bob, and an unassigned face of Bob."""
    colours = {"Ada": (200, 10, 10), "Adele": (198, 12, 10), "Bob": (10, 10, 200)}
    for name, colour in colours.items():
        for number in range(2):
            shade = (colour[0] + number, colour[1], colour[2])
            write_photo(photos / name / f"{number}.png", [(40, 25, 40, shade)])
    list(gallery.register(photos))
    write_photo(photos / "more" / "x.png", [(40, 25, 40, (12, 11, 199))])
    list(gallery.register(photos / "more", unnamed=True))
    return gallery


def pairs(gallery: Gallery) -> list[tuple[str | None, str | None]]:
    return [one.names for one in gallery.people.suggestions()]


def test_people_and_their_faces_are_counted(filled: Gallery) -> None:
    """Search thresholds depend on both counts; unassigned faces are not counted."""
    assert filled._store.people.assigned() == (3, 6)
    assert len(filled) == 7


def test_the_most_effective_pairs_come_first(filled: Gallery) -> None:
    """Effects decrease, an unassigned face is the subject, and unlike people are not suggested."""
    found = filled.people.suggestions()
    assert {one.names for one in found[:2]} == {("Adele", "Ada"), (None, "Bob")} or {
        one.names for one in found[:2]
    } == {("Ada", "Adele"), (None, "Bob")}
    effects = [one.effect for one in found]
    assert effects == sorted(effects, reverse=True)
    assert all(0 <= one.certainty <= 1 and one.effect >= 0 for one in found)


def test_yes_joins_and_is_undone(filled: Gallery) -> None:
    """Yes assigns the face or merges the people, and undo separates them again."""
    for one in filled.people.suggestions()[:2]:
        filled.people.answer(one.id, "yes")
    assert sorted(person.faces for person in filled.people) == [3, 4]
    filled.people.undo()
    filled.people.undo()
    assert sorted(person.faces for person in filled.people) == [2, 2, 2]


def test_no_is_remembered(filled: Gallery, open_gallery: Opener) -> None:
    """A declined pair is not suggested again, also after reopening, and clustering keeps it separate."""
    for _ in range(20):
        found = filled.people.suggestions()
        if not found:
            break
        filled.people.answer(found[0].id, "no")
    assert pairs(filled) == []
    filled.people.cluster(threshold=3.9, known=True)
    assert filled.people.get("Bob").faces == 2
    filled.close()
    assert pairs(open_gallery()) == []


def test_skip_moves_to_the_end(filled: Gallery) -> None:
    """A skipped suggestion becomes the last one, and nothing else changes."""
    first = filled.people.suggestions()[0]
    filled.people.answer(first.id, "skip")
    after = filled.people.suggestions()
    assert after[-1].id == first.id
    assert after[0].id != first.id


def test_bad_answers_are_refused(filled: Gallery) -> None:
    """An unknown id, an unknown answer and removed people are one-line errors that change nothing."""
    with pytest.raises(ArgumentError, match="id of a suggestion"):
        filled.people.answer("x", "yes")
    with pytest.raises(ArgumentError, match="one of yes, no, skip"):
        filled.people.answer("p1-p2", "perhaps")  # type: ignore[arg-type]
    with pytest.raises(UnknownPersonError, match="id 77"):
        filled.people.answer(f"p77-p{next(iter(filled.people)).id}", "yes")


def test_answers_move_the_weights() -> None:
    """Declined pairs lower the certainty at their distance; accepted pairs raise it."""
    row = features(0.9, [3, 4], 1.0)

    def certainty(said: int) -> float:
        return float(fitted({"said": [[*row, said]] * 20}) @ row)

    assert certainty(0) < float(fitted({}) @ row) < certainty(1)


@pytest.mark.embedded("Milvus keeps no birth dates")
def test_no_one_is_suggested_on_photos_from_before_their_birth(filled: Gallery, photos: Path) -> None:
    """A person is not suggested for a photo taken before their birth date."""
    write_photo(photos / "old.png", [(40, 25, 40, (13, 12, 198))])
    list(filled.register(photos / "old.png", unnamed=True))
    old = filled.photos.at(photos / "old.png")
    assert old is not None
    with filled._store.photos._index.transaction() as connection:  # type: ignore[attr-defined]  # as if from EXIF
        connection.execute("INSERT INTO shots (photo, taken) VALUES (?, '2001-06-15T10:00:00')", (old.photo_id,))
    subject = ("f", old.faces[0].face_id)

    def asked() -> bool:
        bob = ("p", filled.people.get("Bob").id)
        return any((one.subject, one.target) == (subject, bob) for one in filled.people.suggestions(limit=50))

    assert asked()
    filled.people.set_details("Bob", born="1999-01-01")
    assert asked()
    filled.people.set_details("Bob", born="2002-01-01")
    assert not asked()


@pytest.fixture
def mixed(gallery: Gallery, photos: Path) -> Gallery:
    """Ada with four red faces and two blue ones, and Eve with three green ones."""
    colours = {"Ada": [(200, 10, 10 + n) for n in range(4)] + [(10, 10, 200 + n) for n in range(2)]}
    colours["Eve"] = [(10, 200, 10 + n) for n in range(3)]
    for name, shades in colours.items():
        for number, shade in enumerate(shades):
            write_photo(photos / f"{name} {number}" / f"{number}.png", [(40, 25, 40, shade)])
    folders = [(photos / f"{name} {number}" / f"{number}.png", name) for name in colours for number in range(9)]
    list(gallery.register_candidates([Candidate(path, name) for path, name in folders if path.exists()]))
    return gallery


def doubt_of(gallery: Gallery) -> Suggestion:
    """Return the first question about a part of a person."""
    return next(one for one in gallery.people.suggestions(limit=50) if one.within)


def test_faces_that_do_not_fit_are_asked_about_first(mixed: Gallery) -> None:
    """The part of a person that fits the rest worst is asked about as a whole, before anything else."""
    first = mixed.people.suggestions()[0]
    assert first == doubt_of(mixed)
    assert (first.names, first.counts, first.target) == ((None, "Ada"), (2, 4), ("p", mixed.people.get("Ada").id))
    assert first.certainty < 0.05


def test_no_moves_the_part_out_and_is_undone(mixed: Gallery) -> None:
    """The two faces become a group that is never suggested as Ada again; undo brings them back."""
    mixed.people.answer(doubt_of(mixed).id, "no")
    assert sorted((one.named, one.faces) for one in mixed.people) == [(False, 2), (True, 3), (True, 4)]
    group = next(one for one in mixed.people if not one.named)
    ada = mixed.people.get("Ada")
    asked = [{one.subject, one.target} for one in mixed.people.suggestions(limit=50)]
    assert {("p", group.id), ("p", ada.id)} not in asked
    mixed.people.undo()
    assert mixed.people.get("Ada").faces == 6
    assert doubt_of(mixed).counts == (2, 4)


def test_yes_keeps_the_part_and_is_not_asked_again(mixed: Gallery) -> None:
    """Faces that a user confirmed are not doubted."""
    asked = doubt_of(mixed)
    mixed.people.answer(asked.id, "yes")
    assert mixed.people.get("Ada").faces == 6
    assert asked.id not in [one.id for one in mixed.people.suggestions(limit=50)]


def test_one_face_that_does_not_fit_is_left_without_a_person(mixed: Gallery) -> None:
    """A single face gets no group of its own, and clustering does not assign it to that person again."""
    eve = mixed.people.get("Eve").id
    face = mixed.faces.page(person=eve).items[0].face_id
    mixed.people.answer(f"f{face}-p{eve}", "no")
    assert mixed.faces.get(face).person is None
    mixed.people.cluster(threshold=3.9, known=True)
    assert mixed.faces.get(face).person_id != eve
