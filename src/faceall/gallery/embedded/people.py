"""People in SQLite, named ones and clusters."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from faceall.gallery.embedded import removal
from faceall.gallery.embedded.tables import ids, judgements, rows, stale_faces
from faceall.gallery.records import Person, PersonBrief, PersonDetails, Removal
from faceall.index import FaceIndex


class EmbeddedPeople:
    """`PersonRecords` in SQLite."""

    def __init__(self, index: FaceIndex) -> None:
        self._index = index

    def named(self, name: str) -> int | None:
        """Return the row of the person with a name."""
        with self._index.reading() as connection:
            return rows.person_named(connection, name)

    def names(self, people: Iterable[int] | None = None) -> dict[int, str]:
        """Return the names of some people, or of all, by their rows."""
        with self._index.reading() as connection:
            if people is None:
                return dict(connection.execute("SELECT id, name FROM people ORDER BY name").fetchall())
            wanted = [row for row in people if -(1 << 63) <= row < 1 << 63]  # SQLite cannot hold others
            found = (connection.execute("SELECT id, name FROM people WHERE id = ?", (row,)) for row in wanted)
            return dict(row for rows_ in found for row in rows_)

    def listed(self) -> list[Person]:
        """Return all people, ordered by name."""
        with self._index.reading() as connection:
            unnamed = self.clusters()
            found = connection.execute(
                "SELECT people.id, name, count(faces.key), count(DISTINCT photo) FROM people"
                " LEFT JOIN faces ON person = people.id GROUP BY people.id ORDER BY name COLLATE NOCASE, name"
            ).fetchall()
        return [Person(name, faces, photos, row not in unnamed, row) for row, name, faces, photos in found]

    def briefs(self, *, named: bool | None, hidden: bool, counted: bool) -> list[PersonBrief]:
        """Return what the order of a list of people depends on."""
        with self._index.reading() as connection:
            unnamed = "id IN (SELECT person FROM clusters)"
            where = f" WHERE id {'' if hidden else 'NOT '}IN (SELECT person FROM person_details WHERE hidden)"
            where += "" if named is None else f" AND NOT {unnamed}" if named else f" AND {unnamed}"
            people = connection.execute(f"SELECT id, name, NOT {unnamed} FROM people{where}").fetchall()
            counted_faces = "person NOTNULL" if counted else "person IN (SELECT person FROM clusters)"
            counts = connection.execute(
                "SELECT person, count(*), count(DISTINCT photo), max((x1 - x0) * (y1 - y0)) FROM faces"
                f" WHERE {counted_faces} GROUP BY person"
            )
            numbers = {person: found for person, *found in (counts if counted or named is not True else ())}
        return [
            PersonBrief(row, name, bool(is_named), *numbers.get(row, (0, 0, 0.0))) for row, name, is_named in people
        ]

    def stored(self, people: Sequence[int]) -> list[Person]:
        """Return the people with some rows, in that order, each with their best face."""
        with self._index.reading() as connection:
            unnamed = "EXISTS (SELECT 1 FROM clusters WHERE person = people.id)"
            statement = (
                f"SELECT name, count(key), count(DISTINCT photo), NOT {unnamed}, people.id,"
                " coalesce((SELECT cover FROM person_details d JOIN faces c ON c.key = d.cover AND c.person = d.person"
                " WHERE d.person = people.id), (SELECT key FROM faces"
                " WHERE person = people.id ORDER BY (SELECT id FROM face_ids WHERE face = faces.key)"
                " IN (SELECT face FROM hidden_faces), is_primary DESC, (x1 - x0) * (y1 - y0) DESC, key LIMIT 1))"
                " FROM people LEFT JOIN faces ON person = people.id WHERE people.id = ? GROUP BY people.id"
            )
            found = [connection.execute(statement, (row,)).fetchone() for row in people]
        there = (row for row in found if row is not None)
        return [Person(name, faces, photos, bool(named), row, key) for name, faces, photos, named, row, key in there]

    def assigned(self) -> tuple[int, int]:
        """Count the people with faces, and their faces."""
        with self._index.reading() as connection:
            people, faces = connection.execute("SELECT count(DISTINCT person), count(person) FROM faces").fetchone()
        return int(people), int(faces)

    def with_faces(self, at_most: int | None = None) -> list[int]:
        """Return the rows of at most `at_most` people who have a face, ascending."""
        limit = "" if at_most is None else f" LIMIT {at_most}"
        with self._index.reading() as connection:
            found = connection.execute(f"SELECT DISTINCT person FROM faces WHERE person NOTNULL{limit}").fetchall()
        return sorted(row[0] for row in found)

    def faces(self, row: int) -> list[int]:
        """Return the keys of a person's faces, ascending."""
        with self._index.reading() as connection:
            return rows.keys_of_person(connection, row)

    def faces_of(self, people: Sequence[int]) -> dict[int, list[int]]:
        """Return the keys of the faces of some people (rows), ascending."""
        found: dict[int, list[int]] = {row: [] for row in people}
        statement = "SELECT person, key FROM faces WHERE person IN (SELECT value FROM json_each(?)) ORDER BY key"
        with self._index.reading() as connection:
            for row, key in connection.execute(statement, (json.dumps(list(found)),)):
                found[row].append(key)
        return found

    def in_shared_order(self, people: Sequence[int]) -> list[int]:
        """Return rows of people in the order of their ids."""
        with self._index.reading() as connection:
            return ids.sorted_by_id(connection, "person_ids", people)

    def clusters(self) -> frozenset[int]:
        """Return the rows of the clusters."""
        with self._index.reading() as connection:
            return frozenset(row[0] for row in connection.execute("SELECT person FROM clusters"))

    def rejections(self, faces: Sequence[int] | None = None) -> dict[int, set[int]]:
        """Return, by the key of a face, of some or of all, the rows of people that it is known not to show."""
        refused: dict[int, set[int]] = defaultdict(set)
        with self._index.reading() as connection:
            if faces is not None:
                return judgements.of_faces(connection, faces, same=False)
            for face, person in connection.execute(judgements.REFUSALS):
                refused[face].add(person)
        return dict(refused)

    def confirmations(self, faces: Sequence[int]) -> dict[int, set[int]]:
        """Return, by the key of each of some faces, the rows of people that users said it shows."""
        with self._index.reading() as connection:
            return judgements.of_faces(connection, faces, same=True)

    def make(self, name: str) -> int:
        """Return the row of the person with a name; add the person if there is none."""
        with self._index.transaction() as connection:
            return rows.find_or_add_person(connection, name)

    def rename(self, row: int, name: str) -> None:
        """Give a person a name that no one else has; a cluster becomes a named person."""
        with self._index.transaction() as connection:
            connection.execute("UPDATE people SET name = ? WHERE id = ?", (name, row))

    def merge(self, source: int, target: int) -> int:
        """Assign all faces of one person to another; return how many."""
        with self._index.transaction() as connection:
            moved = connection.execute("UPDATE faces SET person = ? WHERE person = ?", (target, source)).rowcount
            ids.pass_on_ids(connection, source, target)
            stale_faces.merge_people(connection, source, target)
            judgements.forget_pair(connection, target)
            rows.remove_empty_people(connection, [source])
        return moved

    def remove(self, row: int) -> Removal:
        """Remove a person with all of their faces permanently."""
        return removal.delete_person(self._index, row)

    def open_cluster(self) -> int:
        """Add an empty cluster; return the row."""
        with self._index.transaction() as connection:
            return rows.insert_group(connection)

    def reject(self, owners: Mapping[int, int | None]) -> None:
        """Note that faces do not show the people that they were assigned to."""
        with self._index.transaction() as connection:
            known = ((face, owner) for face, owner in owners.items() if owner is not None)
            judgements.judge_faces(connection, known, same=False)

    def confirm(self, faces: Iterable[int], person: int) -> None:
        """Note that faces show a person."""
        with self._index.transaction() as connection:
            judgements.judge_faces(connection, ((face, person) for face in faces), same=True)

    def tell_apart(self, first: int, second: int) -> None:
        """Note that two people are not the same."""
        with self._index.transaction() as connection:
            judgements.tell_apart(connection, first, second)

    def distinct(self) -> set[tuple[int, int]]:
        """Return the pairs of people (rows, the smaller one first) that are known not to be the same."""
        with self._index.reading() as connection:
            return {(min(pair), max(pair)) for pair in connection.execute(judgements.DISTINCT)}

    def details(self, row: int) -> PersonDetails:
        """Return what is noted of a person besides the name."""
        with self._index.reading() as connection:
            found = connection.execute(
                "SELECT hidden, cover, note, born FROM person_details WHERE person = ?", (row,)
            ).fetchone()
        return PersonDetails() if found is None else PersonDetails(bool(found[0]), *found[1:])

    def put_details(self, row: int, details: PersonDetails) -> None:
        """Store what is noted of a person."""
        with self._index.transaction() as connection:
            connection.execute(
                "INSERT INTO person_details (person, hidden, cover, note, born) VALUES (?1, ?2, ?3, ?4, ?5)"
                " ON CONFLICT (person) DO UPDATE SET hidden = ?2, cover = ?3, note = ?4, born = ?5",
                (row, details.hidden, details.cover, details.note, details.born),
            )

    def hidden(self) -> frozenset[int]:
        """Return the rows of the people who are hidden."""
        with self._index.reading() as connection:
            return frozenset(row[0] for row in connection.execute("SELECT person FROM person_details WHERE hidden"))
