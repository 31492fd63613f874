"""Details of people for bundles: with the ids that are the same on every device, and the time of the last change.

The time follows from the journal. Details that came with a bundle are not in it: their times are in a setting.
"""

from __future__ import annotations

import json
import sqlite3

from faceall.gallery.records.bundles import BundleDetails

_TIMES = "gallery.details_changed"
"""The setting, a row of `meta`, with the times of imported details by the id of the person."""

_DETAILS = (
    "SELECT p.id, p.created, d.hidden, d.note, d.born,"
    " (SELECT i.id FROM face_ids i JOIN faces f ON f.key = i.face WHERE f.key = d.cover AND f.person = d.person),"
    " (SELECT max(made) FROM changes c JOIN change_rows r ON r.change = c.id"
    " WHERE r.tbl = 'person_details' AND r.key = d.person)"
    " FROM person_details d JOIN person_ids p ON p.person = d.person"
)


def details_of_people(connection: sqlite3.Connection, person: int | None = None) -> dict[str, BundleDetails]:
    """Return the details of all people who have some, or of one person (row), by the id of the person."""
    where, values = ("", ()) if person is None else (" WHERE d.person = ?", (person,))
    times = _times(connection)
    found = {}
    for identity, created, hidden, note, born, cover, made in connection.execute(_DETAILS + where, values):
        changed = max(made or created, times.get(identity, created))
        found[identity] = BundleDetails(bool(hidden), note, born, cover, changed)
    return found


def put_details(connection: sqlite3.Connection, person: int, details: BundleDetails) -> None:
    """Store the details of a person as of a time; a cover that is not a face of the person is left out."""
    connection.execute(
        "INSERT INTO person_details (person, hidden, cover, note, born) VALUES (?1, ?2,"
        " (SELECT f.key FROM faces f LEFT JOIN face_ids i ON i.face = f.key LEFT JOIN face_aliases a ON a.face = f.key"
        " WHERE f.person = ?1 AND (i.id = ?3 OR a.id = ?3)), ?4, ?5)"
        " ON CONFLICT (person) DO UPDATE SET hidden = excluded.hidden, cover = excluded.cover, note = excluded.note,"
        " born = excluded.born",
        (person, details.hidden, details.cover, details.note, details.born),
    )
    (identity,) = connection.execute("SELECT id FROM person_ids WHERE person = ?", (person,)).fetchone()
    times = json.dumps({**_times(connection), identity: details.changed})
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_TIMES, times))


def _times(connection: sqlite3.Connection) -> dict[str, str]:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_TIMES,)).fetchone()
    return {} if row is None else dict(json.loads(row[0]))
