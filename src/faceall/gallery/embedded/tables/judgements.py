"""What users said: a face is or is not a person, two people are not the same.

Judgements refer to the ids that are the same on every device, so they stay valid after changes of the model, for
stale faces, for merged people (whose ids become aliases) and on other devices.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from faceall.gallery.embedded.tables.expressions import NOW

_FACES = "SELECT face AS row, id FROM face_ids UNION ALL SELECT face, id FROM face_aliases"
_PEOPLE = "SELECT person AS row, id FROM person_ids UNION ALL SELECT person, id FROM person_aliases"

REFUSALS = (
    f"SELECT f.row, p.row FROM judgements j JOIN ({_FACES}) f ON f.id = j.subject"
    f" JOIN ({_PEOPLE}) p ON p.id = j.person WHERE NOT j.same"
)
"""SQL: key of a face, row of a person that it does not show."""

CONFIRMATIONS = REFUSALS.replace("NOT j.same", "j.same")
"""SQL: key of a face, row of a person that it shows."""

DISTINCT = (
    f"SELECT a.row, b.row FROM judgements j JOIN ({_PEOPLE}) a ON a.id = j.subject"
    f" JOIN ({_PEOPLE}) b ON b.id = j.person WHERE NOT j.same AND a.row <> b.row"
)
"""SQL: rows of two people who are not the same."""


def of_faces(connection: sqlite3.Connection, faces: Iterable[int], *, same: bool) -> dict[int, set[int]]:
    """Return the rows of the people that some faces (keys) were said to show, or not to show."""
    found: dict[int, set[int]] = {}
    if connection.execute("SELECT 1 FROM judgements LIMIT 1").fetchone() is None:
        return found
    statement = (
        "SELECT p.row FROM (SELECT id FROM face_ids WHERE face = ?1 UNION ALL SELECT id FROM face_aliases"
        " WHERE face = ?1) f JOIN judgements j ON j.subject = f.id AND j.same = ?2"
        f" JOIN ({_PEOPLE}) p ON p.id = j.person"
    )
    for face in faces:
        people = {row[0] for row in connection.execute(statement, (face, same))}
        if people:
            found[face] = people
    return found


def judge_faces(connection: sqlite3.Connection, judged: Iterable[tuple[int, int]], *, same: bool) -> None:
    """Note whether faces show people, as pairs of a face's key and a person's row; the last word counts."""
    pairs = json.dumps(list(judged))
    faces = "json_each(?1) JOIN face_ids f ON f.face = json_extract(value, '$[0]')"
    connection.execute(
        "INSERT INTO judgements (pair, subject, person, same, made)"
        f" SELECT f.id || ' ' || p.id, f.id, p.id, ?2, {NOW} FROM {faces}"
        " JOIN person_ids p ON p.person = json_extract(value, '$[1]') WHERE true"
        " ON CONFLICT (pair) DO UPDATE SET same = ?2, made = excluded.made",
        (pairs, same),
    )
    if same:  # what was said of an id that the person had before a merge does not count any more
        connection.execute(
            f"DELETE FROM judgements WHERE NOT same AND (subject, person) IN (SELECT f.id, a.id FROM {faces}"
            " JOIN person_aliases a ON a.person = json_extract(value, '$[1]'))",
            (pairs,),
        )


def tell_apart(connection: sqlite3.Connection, first: int, second: int) -> None:
    """Note that two people are not the same."""
    one, other = sorted((_id_of_person(connection, first) or "", _id_of_person(connection, second) or ""))
    if one and other:
        connection.execute(
            f"INSERT INTO judgements (pair, subject, person, same, made) VALUES (?1 || ' ' || ?2, ?1, ?2, false, {NOW})"
            " ON CONFLICT (pair) DO UPDATE SET same = false, made = excluded.made",
            (one, other),
        )


def forget_pair(connection: sqlite3.Connection, person: int) -> None:
    """Forget that two people are not the same where both are one person now, by its id and aliases."""
    names = f"SELECT id FROM ({_PEOPLE}) WHERE row = ?1"
    connection.execute(f"DELETE FROM judgements WHERE subject IN ({names}) AND person IN ({names})", (person,))


def forget_face(connection: sqlite3.Connection, face: int, person: int, *, same: bool) -> None:
    """Forget that a face shows a person, or that it does not, by all ids of both."""
    connection.execute(
        f"DELETE FROM judgements WHERE same = ?3 AND subject IN (SELECT id FROM ({_FACES}) WHERE row = ?1)"
        f" AND person IN (SELECT id FROM ({_PEOPLE}) WHERE row = ?2)",
        (face, person, same),
    )


def forget_people(connection: sqlite3.Connection, first: int, second: int) -> None:
    """Forget that two people are not the same, by all ids of both."""
    names = [f"(SELECT id FROM ({_PEOPLE}) WHERE row = ?{number})" for number in (1, 2)]
    connection.execute(
        f"DELETE FROM judgements WHERE NOT same AND (subject IN {names[0]} AND person IN {names[1]}"
        f" OR subject IN {names[1]} AND person IN {names[0]})",
        (first, second),
    )


def exported(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Return all judgements as bundles hold them."""
    found = connection.execute("SELECT subject, person, same, made FROM judgements ORDER BY subject, person")
    return [{"subject": one, "person": who, "same": bool(same), "made": made} for one, who, same, made in found]


def put(connection: sqlite3.Connection, subject: str, person: str, *, same: bool, made: str) -> None:
    """Store a judgement of another device unless there is a later one."""
    connection.execute(
        "INSERT INTO judgements (pair, subject, person, same, made) VALUES (?1 || ' ' || ?2, ?1, ?2, ?3, ?4)"
        " ON CONFLICT (pair) DO UPDATE SET same = ?3, made = ?4 WHERE made < ?4",
        (subject, person, same, made),
    )


def _id_of_person(connection: sqlite3.Connection, person: int) -> str | None:
    found = connection.execute("SELECT id FROM person_ids WHERE person = ?", (person,)).fetchone()
    return None if found is None else str(found[0])
