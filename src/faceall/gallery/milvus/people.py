"""People and clusters in Milvus: a row each, which stays when they are renamed."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from faceall.gallery.milvus import rows, stale_faces
from faceall.gallery.milvus.connection import Row
from faceall.gallery.milvus.faces import count_by_person
from faceall.gallery.milvus.identity import condition_begins, ids_of_person, quoted, random_id, unquoted
from faceall.gallery.records import Page, Person, Removal, StoredFace

if TYPE_CHECKING:
    from faceall.gallery.milvus.store import MilvusStore

_REFUSAL = "refusal/"
_LEAST_NUMBERS = 1_000  # among which the number of a cluster is drawn
_SPARSE = 100  # times as many as there are people


class MilvusPeople:
    """`PersonRecords` on Milvus."""

    def __init__(self, store: MilvusStore) -> None:
        self._store = store

    # -- looked up --------------------------------------------------------------------------------------------------

    def named(self, name: str) -> int | None:
        """The row of somebody; the lowest one where two writers gave the same name at once."""
        text, people = quoted(name), self._store.view().people
        usual = ids_of_person(name)[0]
        row = people.one(usual)
        if row is not None and row["name"] == text:
            return usual
        found = people.where(f'name == "{text}"', lambda row: bool(row["name"] == text))
        return min((row["id"] for row in found), default=None)

    def names(self, rows: Iterable[int] | None = None) -> dict[int, str]:
        """What people are called, by their rows; None: everybody."""
        people = self._store.view().people
        found = self._everybody() if rows is None else list(people.get(rows).values())
        return {row["id"]: unquoted(row["name"]) for row in found}

    def listed(self) -> list[Person]:
        """Everybody, by name."""
        counted = count_by_person(self._store.faces.places())
        return [
            Person(unquoted(row["name"]), *counted.get(row["id"], (0, 0)), not row["cluster"], row["id"])
            for row in _by_name(self._everybody())
            if row["id"] in counted
        ]

    def page(self, *, text: str | None, named: bool | None, limit: int, offset: int) -> Page[Person]:
        """Some of them, with the face that shows each best."""
        found = [row for row in _by_name(self._everybody()) if named in (None, not row["cluster"])]
        if text:
            wanted = text.casefold()
            found = [row for row in found if wanted in unquoted(row["name"]).casefold()]
        return Page(tuple(self.stored([row["id"] for row in found[offset : offset + limit]])), len(found))

    def stored(self, rows: Sequence[int]) -> list[Person]:
        """The people of some rows, in that order, with the face that shows each best."""
        found = self._store.view().people.get(rows)
        return [self._person(found[row]) for row in rows if row in found]

    def _person(self, row: Row) -> Person:
        faces = self._store.faces.listed(person=row["id"])
        cover = max(faces, key=_fitness, default=None)
        return Person(
            unquoted(row["name"]),
            len(faces),
            len({face.photo_id for face in faces}),
            not row["cluster"],
            row["id"],
            None if cover is None else cover.face_id,
        )

    def assigned(self) -> tuple[int, int]:
        """Count the people with faces, and their faces."""
        counts = count_by_person(self._store.faces.places())
        known = [counts[row["id"]] for row in self._everybody() if row["id"] in counts]
        return len(known), sum(known)

    def with_faces(self, at_most: int | None = None) -> list[int]:
        """The rows of those who have a face, ascending; no more than asked for."""
        if at_most is not None:  # who has no face is forgotten, so there is no need to count
            found = self._store.view().people.where("id > 0", lambda _: True, limit=at_most)
            return sorted(row["id"] for row in found)
        there = {row["id"] for row in self._everybody()}
        return sorted(set(count_by_person(self._store.faces.places())) & there)

    def faces(self, row: int) -> list[int]:
        """The keys of somebody's faces, ascending."""
        return [key for key, _, _ in self._store.faces.places(row)]

    def clusters(self) -> frozenset[int]:
        """The rows of those who have no name of their own."""
        found = self._store.view().people.where("cluster == true", lambda row: bool(row["cluster"]))
        return frozenset(row["id"] for row in found)

    def refusals(self) -> dict[int, set[int]]:
        """Key of a face -> the rows of those whom it is known not to show."""
        found: dict[int, set[int]] = {}
        notes = self._store.view().notes
        for row in notes.where(condition_begins("key", _REFUSAL), lambda row: str(row["key"]).startswith(_REFUSAL)):
            _, face, person = row["key"].split("/")
            found.setdefault(int(face), set()).add(int(person))
        return found

    def _everybody(self) -> list[Row]:
        return self._store.view().people.where("id > 0", lambda _: True)

    # -- changed ----------------------------------------------------------------------------------------------------

    def make(self, name: str) -> int:
        """The row of somebody, made if it is not there."""
        with self._store.changing() as work:
            row = self.named(name)
            if row is None:
                ids = ids_of_person(name)
                taken = work.people.get(ids)
                row = next((id_ for id_ in ids if id_ not in taken), None) or random_id()
                work.people.put(rows.person_row(row, name))
            else:  # written again, so that who forgets them at this moment as having no face finds them back
                work.people.put(work.people.get([row])[row])
            work.left_alone.discard(row)
        return row

    def rename(self, row: int, name: str) -> None:
        """Give somebody a name that nobody else has; a cluster is one no more."""
        with self._store.changing() as work:
            before = work.people.get([row])[row]
            if unquoted(before["name"]) != name:
                work.people.put(rows.person_row(row, name))

    def merge(self, source: int, target: int) -> int:
        """File all faces of one under another; returns how many."""
        with self._store.changing() as work:
            keys = self.faces(source)
            self._store.faces.file(keys, target)
            stale_faces.merge_people(work, source, target)
            work.left_alone.add(source)
        return len(keys)

    def remove(self, row: int) -> Removal:
        """Remove somebody with all their faces for good."""
        with self._store.changing() as work:
            stale = stale_faces.forget_person(work, row)
            removal = self._store.faces.remove(self.faces(row))
            work.left_alone.add(row)
        return replace(removal, stale=stale)

    def open_cluster(self) -> int:
        """A new person without a name of their own; the number is drawn, as no writer can count for all."""
        with self._store.changing() as work:
            everybody = {row["name"] for row in self._everybody()}
            numbers = max(_LEAST_NUMBERS, _SPARSE * len(everybody))
            name = f"unnamed {secrets.randbelow(numbers) + 1}"
            while quoted(name) in everybody:
                name = f"unnamed {secrets.randbelow(numbers) + 1}"
            row = random_id()
            work.people.put(rows.person_row(row, name, cluster=True))
        return row

    def refuse(self, owners: Mapping[int, int | None]) -> None:
        """Note that faces do not show whom they were filed under."""
        with self._store.changing() as work:
            for face, owner in owners.items():
                if owner is not None:
                    work.notes.put({"key": f"{_REFUSAL}{face}/{owner}", "value": {}})


def _by_name(found: Iterable[Row]) -> list[Row]:
    named = ((unquoted(row["name"]), row) for row in found)
    return [row for _, row in sorted(named, key=lambda pair: (_lower(pair[0]), pair[0]))]


def _lower(name: str) -> str:
    """A name in small letters of ASCII, as SQLite's NOCASE compares."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def _fitness(face: StoredFace) -> tuple[bool, float, int]:
    x0, y0, x1, y1 = face.box
    return face.primary, (x1 - x0) * (y1 - y0), -face.face_id
