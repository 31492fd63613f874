"""Correct the settings of an index that contradict its rows."""

from __future__ import annotations

import sqlite3

from faceall.index.storage import schema


def contradictions(connection: sqlite3.Connection) -> dict[str, object]:
    """Return the settings that the rows of `vectors` show to be wrong, with the values that agree with the rows.

    Parameters
    ----------
    connection : sqlite3.Connection
        The database of an index.

    Returns
    -------
    dict of str to object
        By the names of the fields of `Settings`: the dimension, if most vectors have another one, and the generation,
        if a row is newer.
    """
    stored = connection.execute("SELECT substr(key, 7), value FROM meta WHERE substr(key, 1, 6) = 'index.'").fetchall()
    settings = dict(stored)
    right: dict[str, object] = {}
    lengths = connection.execute(
        "SELECT length(vector) / 4, count(*) FROM vectors WHERE typeof(vector) = 'blob' AND length(vector) % 4 = 0"
        " AND length(vector) > 0 GROUP BY 1"
    ).fetchall()
    counted = dict(lengths)
    most = max(counted, key=lambda length: counted[length], default=None)
    if most is not None and counted[most] > counted.get(settings.get("dimension"), 0):
        right["dimension"] = most
    (newest,) = connection.execute(
        "SELECT coalesce(max(added), 0) FROM vectors WHERE typeof(added) = 'integer' AND added <= ?", (schema.HIGHEST,)
    ).fetchone()
    generation = settings.get("generation", 0)
    if not isinstance(generation, int) or newest > generation:
        right["generation"] = newest
    return right
