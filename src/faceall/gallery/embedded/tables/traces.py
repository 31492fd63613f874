"""What erased faces and people leave in the journal, in judgements and in the list of hidden faces: removed, too."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable


def forget_erased(connection: sqlite3.Connection, faces: Iterable[int], people: Iterable[int | None]) -> None:
    """Remove the changes that touched erased faces or people, and what was said about them."""
    for table, keys in (("faces", faces), ("people", people)):
        column = {"faces": "key", "people": "id"}[table]
        for key in keys:
            exists = f"SELECT 1 FROM {table} WHERE {column} = ?"
            if key is None or connection.execute(exists, (key,)).fetchone():
                continue
            person = " OR json_extract(before, '$.person') = ?1 OR json_extract(after, '$.person') = ?1"
            connection.execute(
                "DELETE FROM changes WHERE id IN (SELECT change FROM change_rows WHERE (tbl = ?2 AND key = ?1)"
                f"{person if table == 'people' else ''}) AND id NOT IN (SELECT change FROM bin_faces)",
                (key, table),
            )
    connection.execute(
        "DELETE FROM judgements WHERE EXISTS (SELECT 1 FROM removed_faces WHERE id = judgements.subject)"
        " AND NOT EXISTS (SELECT 1 FROM bin_faces WHERE uuid = judgements.subject)"
        " OR NOT EXISTS (SELECT 1 FROM person_ids WHERE id = judgements.person)"
        " AND NOT EXISTS (SELECT 1 FROM person_aliases WHERE id = judgements.person)"
        " AND NOT EXISTS (SELECT 1 FROM change_rows WHERE tbl = 'person_ids'"
        " AND json_extract(before, '$.id') = judgements.person)"
    )
    connection.execute(
        "DELETE FROM hidden_faces WHERE face IN (SELECT id FROM removed_faces)"
        " AND face NOT IN (SELECT uuid FROM bin_faces WHERE uuid NOTNULL)"
    )
