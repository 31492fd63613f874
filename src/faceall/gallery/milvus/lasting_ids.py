"""Ids of faces and people that are the same on every device, for bundles and for a move to a folder.

Those of a gallery that was moved to Milvus are kept in notes. All others follow from a secret of the gallery and the id
of the face or person, so that none has to be stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from faceall.gallery.identifiers import derived_id
from faceall.gallery.milvus.identity import made_at
from faceall.gallery.milvus.journal import MilvusJournal

Rows = list[dict[str, Any]]

TABLES = {"faces": ("face_ids", "face"), "people": ("person_ids", "person")}
"""Table in the journal -> name among the kept data, and the column of the face or person."""

_LONG_AGO = "1970-01-01T00:00:00Z"  # of a change that was not noted: every other one is later
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def all_ids(
    secret: str, kept: Mapping[str, Rows], keys: Mapping[str, Iterable[int]], journal: MilvusJournal
) -> dict[str, Rows]:
    """Return the ids of all faces and people, with the times of their first and last change.

    Parameters
    ----------
    secret : str
        What distinguishes this gallery from others.
    kept : mapping of str to list of dict
        The ids that are kept for a folder.
    keys : mapping of str to iterable of int
        All faces ("faces") and people ("people").
    journal : MilvusJournal
        The changes of people.

    Returns
    -------
    dict of str to list of dict
        As in `Transfer.kept`.
    """
    changes = journal.last_changes()
    found: dict[str, Rows] = {}
    for table, (name, column) in TABLES.items():
        stored = {row[column]: row for row in kept.get(name, ())}
        found[name] = []
        for key in keys[table]:
            created = made_at(key) if table == "faces" else None
            first = _LONG_AGO if created is None else time.strftime(_TIME, time.gmtime(created))
            row = stored.get(key) or {
                column: key, "id": derived_id(table, secret, str(key)), "created": first, "changed": first,
            }  # fmt: skip
            found[name].append({**row, "changed": max(row["changed"], changes.get((table, key), ""))})
    return found
