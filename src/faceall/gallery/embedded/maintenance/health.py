"""Check the consistency of a gallery's tables."""

from __future__ import annotations

from faceall.index import FaceIndex

_NUMBERS = "('real', 'integer')"
UNPLACED = "typeof(landmarks) <> 'blob' OR length(landmarks) <> 40 OR " + " OR ".join(
    f"typeof({column}) NOT IN {_NUMBERS}" for column in ("x0", "y0", "x1", "y1", "score")
)
"""SQL: whether a row of faces lacks a valid position in its photo."""

_RULES = (
    ("vectors without a face", "SELECT count(*) FROM vectors WHERE key NOT IN (SELECT key FROM faces)"),
    ("faces without a vector", "SELECT count(*) FROM faces WHERE key NOT IN (SELECT key FROM vectors)"),
    ("faces without a thumbnail", "SELECT count(*) FROM faces WHERE key NOT IN (SELECT face FROM thumbnails)"),
    ("faces without a place in their photo", f"SELECT count(*) FROM faces WHERE {UNPLACED}"),
    ("photos without a file", "SELECT count(*) FROM photos WHERE id NOT IN (SELECT photo FROM files)"),
    ("people without a face", "SELECT count(*) FROM people WHERE id NOT IN (SELECT person FROM faces"
     " WHERE person IS NOT NULL UNION SELECT person FROM stale_faces WHERE person IS NOT NULL)"),
    ("photos with two primary faces", "SELECT count(*) FROM (SELECT 1 FROM faces WHERE is_primary GROUP BY photo"
     " HAVING count(*) > 1)"),
)  # fmt: skip


def find_problems(index: FaceIndex) -> list[str]:
    """Return the problems of a gallery, one line each; empty for a sound one. This reads the whole database."""
    with index.reading() as connection:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check").fetchall() if row[0] != "ok"]
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        problems += [f"table {row[0]}: row {row[1]} refers to a missing row of {row[2]}" for row in broken]
        for what, statement in _RULES:
            number = connection.execute(statement).fetchone()[0]
            if number:
                problems.append(f"{number} {what}")
        if index.dimension is not None:
            wrong = "SELECT count(*) FROM vectors WHERE length(vector) <> ?"
            number = connection.execute(wrong, (4 * index.dimension,)).fetchone()[0]
            if number:
                problems.append(f"{number} vectors that do not have {index.dimension} dimensions")
    return problems
