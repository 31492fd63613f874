"""People and clusters in Milvus; the row of each stays the same when it is renamed."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from faceall.gallery.milvus import judgements, rows, stale_faces
from faceall.gallery.milvus.connection import Row
from faceall.gallery.milvus.faces import count_by_person
from faceall.gallery.milvus.identity import ids_of_person, quoted, random_id, unquoted
from faceall.gallery.milvus.judgements import CONFIRMED, DISTINCT, REFUSED
from faceall.gallery.records import Person, PersonBrief, PersonDetails, Removal, StoredFace

if TYPE_CHECKING:
    from faceall.gallery.milvus.store import MilvusStore

_LEAST_NUMBERS = 1_000  # the number of a cluster is drawn from at least as many
_SPARSE = 100  # ... and from this many per person, so that collisions are rare


class MilvusPeople:
    """`PersonRecords` on Milvus."""

    def __init__(self, store: MilvusStore) -> None:
        self._store = store

    # -- reads ------------------------------------------------------------------------------------------------------

    def named(self, name: str) -> int | None:
        """Return the row of the person with this name; the lowest if two writers have added the name at once."""
        text, people = quoted(name), self._store.view().people
        usual = ids_of_person(name)[0]
        row = people.one(usual)
        if row is not None and row["name"] == text:
            return usual
        found = people.where(f'name == "{text}"', lambda row: bool(row["name"] == text))
        return min((row["id"] for row in found), default=None)

    def names(self, rows: Iterable[int] | None = None) -> dict[int, str]:
        """Return names by row; None: of all people."""
        people = self._store.view().people
        found = self._all() if rows is None else list(people.get(rows).values())
        return {row["id"]: unquoted(row["name"]) for row in found}

    def listed(self) -> list[Person]:
        """Return all people who have faces, ordered by name."""
        counted = count_by_person(self._store.faces.assignments())
        return [
            Person(unquoted(row["name"]), *counted.get(row["id"], (0, 0)), not row["cluster"], row["id"])
            for row in _by_name(self._all())
            if row["id"] in counted
        ]

    def briefs(self, *, named: bool | None, hidden: bool, counted: bool) -> list[PersonBrief]:
        """Return what the order of a list of people depends on; no one is hidden here."""
        found = [] if hidden else [row for row in self._all() if named in (None, not row["cluster"])]
        wanted = counted or any(row["cluster"] for row in found)
        counts = count_by_person(self._store.faces.assignments()) if wanted else {}
        return [
            PersonBrief(row["id"], unquoted(row["name"]), not row["cluster"], *counts.get(row["id"], (0, 0)))
            for row in found
        ]

    def stored(self, rows: Sequence[int]) -> list[Person]:
        """Return the people with these rows, in that order, with their covers."""
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
        counts = count_by_person(self._store.faces.assignments())
        known = [counts[row["id"]] for row in self._all() if row["id"] in counts]
        return len(known), sum(faces for faces, _ in known)

    def with_faces(self, at_most: int | None = None) -> list[int]:
        """Return the rows of people who have a face, ascending, at most `at_most`."""
        if at_most is not None:  # people without a face are removed, so there is no need to count
            found = self._store.view().people.where("id > 0", lambda _: True, limit=at_most)
            return sorted(row["id"] for row in found)
        there = {row["id"] for row in self._all()}
        return sorted(set(count_by_person(self._store.faces.assignments())) & there)

    def faces(self, row: int) -> list[int]:
        """Return the keys of a person's faces, ascending."""
        return [key for key, _, _ in self._store.faces.assignments(row)]

    def faces_of(self, people: Sequence[int]) -> dict[int, list[int]]:
        """Return the keys of the faces of some people (rows), ascending."""
        return self._store.faces.of_people(people)

    def in_shared_order(self, people: Sequence[int]) -> list[int]:
        """Return rows of people ascending: Milvus has no ids that are the same on every device."""
        return sorted(people)

    def clusters(self) -> frozenset[int]:
        """Return the rows of the unnamed clusters."""
        found = self._store.view().people.where("cluster == true", lambda row: bool(row["cluster"]))
        return frozenset(row["id"] for row in found)

    def rejections(self, faces: Sequence[int] | None = None) -> dict[int, set[int]]:
        """Return for each face key, of some faces or of all, the rows of people it is known not to show."""
        return self._said(REFUSED, faces)

    def confirmations(self, faces: Sequence[int]) -> dict[int, set[int]]:
        """Return for each of some face keys the rows of people that users said it shows."""
        return self._said(CONFIRMED, faces)

    def _said(self, prefix: str, faces: Sequence[int] | None) -> dict[int, set[int]]:
        """Return the people that notes name by face key, of some faces or of all."""
        work = self._store.view()
        if faces is not None and work.only_reads:
            judgements.read_said(work, faces)
            return {face: work.said[face][prefix] for face in faces if work.said[face][prefix]}
        found: dict[int, set[int]] = {}
        for face, person in judgements.pairs(self._store.view(), prefix):
            found.setdefault(face, set()).add(person)
        return found if faces is None else {face: found[face] for face in faces if face in found}

    def _all(self) -> list[Row]:
        return self._store.view().people.where("id > 0", lambda _: True)

    # -- changes ----------------------------------------------------------------------------------------------------

    def make(self, name: str) -> int:
        """Return the row of the person with this name, who is added if new."""
        with self._store.changing() as work:
            row = self.named(name)
            if row is None:
                ids = ids_of_person(name)
                taken = work.people.get(ids)
                row = next((id_ for id_ in ids if id_ not in taken), None) or random_id()
                work.people.put(rows.person_row(row, name))
            else:  # written again, so that a writer that is removing this person for lack of a face restores them
                work.people.put(work.people.get([row])[row])
            work.maybe_empty.discard(row)
        return row

    def rename(self, row: int, name: str) -> None:
        """Rename a person; the name must be free. A cluster becomes a named person."""
        with self._store.changing() as work:
            before = work.people.get([row])[row]
            if unquoted(before["name"]) != name:
                work.people.put(rows.person_row(row, name))

    def merge(self, source: int, target: int) -> int:
        """Assign all faces of one person to another; return how many."""
        with self._store.changing() as work:
            keys = self.faces(source)
            self._store.faces.assign(keys, target)
            stale_faces.merge_people(work, source, target)
            judgements.merge_people(work, source, target)
            work.maybe_empty.add(source)
        return len(keys)

    def remove(self, row: int) -> Removal:
        """Remove a person and all their faces permanently."""
        with self._store.changing() as work:
            stale = stale_faces.forget_person(work, row)
            removal = self._store.faces.remove(self.faces(row))
            work.maybe_empty.add(row)
        return replace(removal, stale=stale)

    def open_cluster(self) -> int:
        """Add an unnamed cluster and return its row; its number is random, because writers cannot count together."""
        with self._store.changing() as work:
            taken = {row["name"] for row in self._all()}
            numbers = max(_LEAST_NUMBERS, _SPARSE * len(taken))
            name = f"unnamed {secrets.randbelow(numbers) + 1}"
            while quoted(name) in taken:
                name = f"unnamed {secrets.randbelow(numbers) + 1}"
            row = random_id()
            work.people.put(rows.person_row(row, name, cluster=True))
        return row

    def reject(self, owners: Mapping[int, int | None]) -> None:
        """Record that faces do not show the people they were assigned to."""
        self._say(REFUSED, CONFIRMED, [(face, owner) for face, owner in owners.items() if owner is not None])

    def confirm(self, faces: Iterable[int], person: int) -> None:
        """Record that faces show a person."""
        self._say(CONFIRMED, REFUSED, [(face, person) for face in faces])

    def _say(self, prefix: str, opposite: str, pairs: Iterable[tuple[int, int]]) -> None:
        """Note what users said of faces and people, and forget the opposite."""
        with self._store.changing() as work:
            for face, person in pairs:
                judgements.say(work, prefix, face, person)
                work.notes.drop(f"{opposite}{face}/{person}")

    def tell_apart(self, first: int, second: int) -> None:
        """Note that two people are not the same."""
        with self._store.changing() as work:
            judgements.say(work, DISTINCT, *sorted((first, second)))

    def distinct(self) -> set[tuple[int, int]]:
        """Return the pairs of rows, the smaller one first, that are known not to be the same person."""
        return set(judgements.pairs(self._store.view(), DISTINCT))

    def details(self, row: int) -> PersonDetails:
        """Return no details: Milvus keeps none."""
        return PersonDetails()

    def put_details(self, row: int, details: PersonDetails) -> None:
        """Raise NotSupportedError."""
        raise self._store.not_supported("Milvus keeps no notes, covers, birth dates and hidden people")

    def hidden(self) -> frozenset[int]:
        """Return no rows: people cannot be hidden."""
        return frozenset()


def _by_name(found: Iterable[Row]) -> list[Row]:
    named = ((unquoted(row["name"]), row) for row in found)
    return [row for _, row in sorted(named, key=lambda pair: (_lower(pair[0]), pair[0]))]


def _lower(name: str) -> str:
    """Return a name with ASCII letters in lower case, as SQLite's NOCASE compares."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def _fitness(face: StoredFace) -> tuple[bool, float, int]:
    x0, y0, x1, y1 = face.box
    return face.primary, (x1 - x0) * (y1 - y0), -face.face_id
