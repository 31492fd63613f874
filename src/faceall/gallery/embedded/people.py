"""People in SQLite, and the tables that clustering makes when they are first needed."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from faceall.gallery.bundle.ids import pass_on_ids
from faceall.gallery.embedded import removal
from faceall.gallery.embedded import stale_faces as aside
from faceall.gallery.records import Page, Person, Removal
from faceall.index import FaceIndex

_TABLES = (
    "CREATE TABLE clusters (person INTEGER PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE)",
    "CREATE TRIGGER clusters_named AFTER UPDATE OF name ON people WHEN new.name <> old.name BEGIN"
    " DELETE FROM clusters WHERE person = new.id; END",
    # whom a face is known not to show: what was taken apart by hand stays apart
    "CREATE TABLE refusals (face INTEGER NOT NULL REFERENCES faces (key) ON DELETE CASCADE,"
    " person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE, PRIMARY KEY (face, person)) WITHOUT ROWID",
    "CREATE INDEX refusals_person ON refusals (person)",
)


class EmbeddedPeople:
    """`PersonRecords` in SQLite."""

    def __init__(self, index: FaceIndex) -> None:
        self._index = index

    def named(self, name: str) -> int | None:
        """The row of somebody."""
        with self._index.reading() as connection:
            return row_of(connection, name)

    def names(self, rows: Iterable[int] | None = None) -> dict[int, str]:
        """What people are called, by their rows; None: everybody."""
        with self._index.reading() as connection:
            if rows is None:
                return dict(connection.execute("SELECT id, name FROM people ORDER BY name").fetchall())
            wanted = [row for row in rows if -(1 << 63) <= row < 1 << 63]  # others SQLite cannot even be asked for
            found = (connection.execute("SELECT id, name FROM people WHERE id = ?", (row,)) for row in wanted)
            return dict(row for rows_ in found for row in rows_)

    def listed(self) -> list[Person]:
        """Everybody, by name."""
        with self._index.reading() as connection:
            unnamed = self.clusters()
            rows = connection.execute(
                "SELECT people.id, name, count(faces.key), count(DISTINCT photo) FROM people"
                " LEFT JOIN faces ON person = people.id GROUP BY people.id ORDER BY name COLLATE NOCASE, name"
            ).fetchall()
        return [Person(name, faces, photos, row not in unnamed, row) for row, name, faces, photos in rows]

    def page(self, *, text: str | None, named: bool | None, limit: int, offset: int) -> Page[Person]:
        """Some of them, with the face that shows each best; `text` stands in their names, in capitals or not."""
        with self._index.reading() as connection:
            unnamed = "id IN (SELECT person FROM clusters)" if has_clusters(connection) else "0"
            where = "" if named is None else f" WHERE NOT {unnamed}" if named else f" WHERE {unnamed}"
            statement = f"SELECT id, name FROM people{where} ORDER BY name COLLATE NOCASE, name"
            if text:
                wanted = text.casefold()  # SQLite folds the letters of English only
                found = [row[0] for row in connection.execute(statement) if wanted in row[1].casefold()]
                rows, total = found[offset : offset + limit], len(found)
            else:
                rows = [row[0] for row in connection.execute(f"{statement} LIMIT ? OFFSET ?", (limit, offset))]
                (total,) = connection.execute(f"SELECT count(*) FROM people{where}").fetchone()
            return Page(tuple(self.stored(rows)), total)

    def stored(self, rows: Sequence[int]) -> list[Person]:
        """The people of some rows, in that order, with the face that shows each best."""
        with self._index.reading() as connection:
            unnamed = "EXISTS (SELECT 1 FROM clusters WHERE person = people.id)" if has_clusters(connection) else "0"
            statement = (
                f"SELECT name, count(key), count(DISTINCT photo), NOT {unnamed}, people.id, (SELECT key FROM faces"
                " WHERE person = people.id ORDER BY chief DESC, (x1 - x0) * (y1 - y0) DESC, key LIMIT 1)"
                " FROM people LEFT JOIN faces ON person = people.id WHERE people.id = ? GROUP BY people.id"
            )
            found = [connection.execute(statement, (row,)).fetchone() for row in rows]
        people = (row for row in found if row is not None)
        return [
            Person(name, faces, photos, bool(named), row, cover) for name, faces, photos, named, row, cover in people
        ]

    def with_faces(self, at_most: int | None = None) -> list[int]:
        """The rows of those who have a face, ascending; no more than asked for."""
        limit = "" if at_most is None else f" LIMIT {at_most}"
        with self._index.reading() as connection:
            rows = connection.execute(f"SELECT DISTINCT person FROM faces WHERE person NOTNULL{limit}").fetchall()
        return sorted(row[0] for row in rows)

    def faces(self, row: int) -> list[int]:
        """The keys of somebody's faces, ascending."""
        with self._index.reading() as connection:
            return keys_of(connection, row)

    def clusters(self) -> frozenset[int]:
        """The rows of those who have no name of their own."""
        with self._index.reading() as connection:
            if not has_clusters(connection):
                return frozenset()
            return frozenset(row[0] for row in connection.execute("SELECT person FROM clusters"))

    def refusals(self) -> dict[int, set[int]]:
        """Key of a face -> the rows of those whom it is known not to show."""
        refused: dict[int, set[int]] = defaultdict(set)
        with self._index.reading() as connection:
            for face, person in connection.execute("SELECT * FROM refusals") if has_clusters(connection) else ():
                refused[face].add(person)
        return dict(refused)

    def make(self, name: str) -> int:
        """The row of somebody, made if it is not there."""
        with self._index.transaction() as connection:
            return person_id(connection, name)

    def rename(self, row: int, name: str) -> None:
        """Give somebody a name that nobody else has; a cluster is one no more."""
        with self._index.transaction() as connection:
            connection.execute("UPDATE people SET name = ? WHERE id = ?", (name, row))

    def merge(self, source: int, target: int) -> int:
        """File all faces of one under another; returns how many."""
        with self._index.transaction() as connection:
            moved = connection.execute("UPDATE faces SET person = ? WHERE person = ?", (target, source)).rowcount
            pass_on_ids(connection, source, target)
            aside.merge_people(connection, source, target)
            forget_nobodies(connection)
        return moved

    def remove(self, row: int) -> Removal:
        """Remove somebody with all their faces for good."""
        return removal.delete_person(self._index, row)

    def open_cluster(self) -> int:
        """A new person without a name of their own; returns the row."""
        with self._index.transaction() as connection:
            make_clusters(connection)
            draft = connection.execute("INSERT INTO people (name) VALUES (hex(randomblob(16)))").lastrowid
            assert draft is not None
            name = f"unnamed {draft}"
            while row_of(connection, name) is not None:
                name += "*"  # somebody has given that name by hand
            connection.execute("UPDATE people SET name = ? WHERE id = ?", (name, draft))
            connection.execute("INSERT INTO clusters (person) VALUES (?)", (draft,))
        return draft

    def refuse(self, owners: Mapping[int, int | None]) -> None:
        """Note that faces do not show whom they were filed under."""
        pairs = [(face, owner) for face, owner in owners.items() if owner is not None]
        with self._index.transaction() as connection:
            make_clusters(connection)
            connection.executemany("INSERT OR IGNORE INTO refusals (face, person) VALUES (?, ?)", pairs)


def row_of(connection: sqlite3.Connection, name: str) -> int | None:
    """The row of somebody, by their name as it is stored."""
    row = connection.execute("SELECT id FROM people WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def keys_of(connection: sqlite3.Connection, person: int) -> list[int]:
    """The keys of somebody's faces, ascending."""
    return [row[0] for row in connection.execute("SELECT key FROM faces WHERE person = ? ORDER BY key", (person,))]


def person_id(connection: sqlite3.Connection, name: str) -> int:
    """The row of a person, made if it is not there."""
    connection.execute("INSERT OR IGNORE INTO people (name) VALUES (?)", (name,))
    return int(connection.execute("SELECT id FROM people WHERE name = ?", (name,)).fetchone()[0])


def forget_nobodies(connection: sqlite3.Connection) -> None:
    """Drop the people who have no face left."""
    connection.execute("DELETE FROM people WHERE id NOT IN (SELECT person FROM faces WHERE person IS NOT NULL)")


def has_clusters(connection: sqlite3.Connection) -> bool:
    """Whether the gallery has the tables of clustering."""
    statement = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'clusters'"
    return connection.execute(statement).fetchone() is not None


def make_clusters(connection: sqlite3.Connection) -> None:
    """Make these tables if they are missing, inside the caller's transaction."""
    if not has_clusters(connection):
        for statement in _TABLES:
            connection.execute(statement)
