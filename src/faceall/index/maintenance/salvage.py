"""Copy the readable rows of a damaged faces.db into a new one; the damaged file is kept beside it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from faceall.errors import IndexDamagedError, IndexFileError
from faceall.files import draft_path, put_in_place, replacing, sync_file, sync_folder
from faceall.index.graph import graph_file
from faceall.index.maintenance.graft import graft, has_log
from faceall.index.maintenance.schema_text import SchemaRow, damaged_rows, rewrite
from faceall.index.storage import schema
from faceall.index.storage.connection import DATABASE, PAGE

_BATCH = 500
_ATTEMPTS = 2_000  # failed reads per table, after which the rest of it counts as lost
_HIGHEST = (1 << 62) - 1
_PAGE_SIZE = slice(16, 18)  # of the bytes of an SQLite file; 1 stands for 65,536


@dataclass(frozen=True)
class Salvage:
    """What was kept: rows by table; rows that lost what they belong to, by table; where the damaged file lies."""

    kept: dict[str, int]
    orphans: dict[str, int]
    damaged: Path


def keep_copy(folder: Path) -> Path:
    """Copy the last committed state of the database of `folder` beside it, before a repair changes it.

    Returns
    -------
    Path
        The copy, ``faces.db.damaged-...``.

    Raises
    ------
    IndexFileError
        The copy cannot be written.
    """
    kept = _free_name(folder)
    try:
        with replacing(kept, internal=True) as draft:
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with closing(sqlite3.connect(folder / DATABASE)) as source, closing(sqlite3.connect(draft)) as copy:
                source.backup(copy)
    except (OSError, sqlite3.OperationalError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise IndexFileError(
            f"{folder}: the damaged database cannot be copied, so nothing was changed ({reason})"
        ) from error
    return kept


Templates = Callable[[Path], Iterable[Path]]
"""Writes databases without rows into a folder, whose schema takes the place of one that is lost; yields their paths."""


def salvage(folder: Path, known: Collection[SchemaRow] = (), templates: Templates | None = None) -> Salvage:
    """Put a new database with every readable row in the place of the damaged one of `folder`.

    No other process may use the folder.

    Parameters
    ----------
    folder : Path
        The folder of the index.
    known : collection of SchemaRow
        The rows of `sqlite_master` that are correct; a damaged statement is replaced by the one that it was.
    templates : callable, optional
        Writes what replaces a schema of which nothing can be read.

    Returns
    -------
    Salvage
        What was kept.

    Raises
    ------
    IndexDamagedError
        Not even the tables can be identified.
    IndexFileError
        The disk cannot hold the new database.
    """
    draft = draft_path(folder / DATABASE)
    try:
        with (
            _readable(folder, known, templates) as source,
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(draft, isolation_level=None)) as new,
        ):
            old.execute("PRAGMA writable_schema = ON")  # else SQLite reads nothing of a file that has lost its end
            old.text_factory = lambda data: data.decode(errors="replace")  # a flipped bit in a name loses a letter
            kept, orphans = _rescue(old, new, folder)
        draft.chmod(0o600)
        return Salvage(kept, orphans, _put_in_place(draft, folder))
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise IndexDamagedError(
            f"{folder}/{DATABASE} is damaged beyond repair ({error}): restore it from a backup, or remove the folder"
            " and register again"
        ) from error
    except OSError as error:
        raise IndexFileError(f"{folder}: cannot be repaired ({error.strerror})") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _readable(folder: Path, known: Collection[SchemaRow], templates: Templates | None) -> Iterator[Path]:
    """Yield the database to read: itself, or a copy with a correct schema and without a torn page at its end."""
    path = folder / DATABASE
    torn = _torn_bytes(path)
    lost = templates is not None and not has_log(path) and not _has_tables(path)
    if not torn and not lost and not _has_damaged_schema(path, known):
        yield path
        return
    copy = draft_path(path)
    log = folder / f"{DATABASE}-wal"
    try:
        shutil.copyfile(path, copy)
        copy.chmod(0o600)
        os.truncate(copy, path.stat().st_size - torn)  # SQLite fills a torn page up with zeros
        if log.exists():
            shutil.copyfile(log, f"{copy}-wal")
        with contextlib.suppress(sqlite3.DatabaseError):  # more than the text is damaged
            rewrite(copy, known)
        if lost and templates is not None and not _has_tables(copy):
            with tempfile.TemporaryDirectory() as scratch:
                graft(copy, templates(Path(scratch)))
        yield copy
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{copy}{suffix}").unlink(missing_ok=True)


def _torn_bytes(path: Path) -> int:
    """Return how many bytes at the end of a database are no whole page."""
    with path.open("rb") as file:
        head = file.read(_PAGE_SIZE.stop)
    page = int.from_bytes(head[_PAGE_SIZE], "big")
    page = 65536 if page == 1 else page
    return path.stat().st_size % page if page else 0


def _has_tables(path: Path) -> bool:
    """Return whether the table of vectors is known and can be read."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("SELECT key FROM vectors LIMIT 1").fetchall()
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return False
    return True


def _has_damaged_schema(path: Path, known: Collection[SchemaRow]) -> bool:
    with (
        contextlib.suppress(sqlite3.DatabaseError),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        connection.execute("PRAGMA writable_schema = ON")
        return bool(damaged_rows(connection, known))
    return False


def _rescue(old: sqlite3.Connection, new: sqlite3.Connection, folder: Path) -> tuple[dict[str, int], dict[str, int]]:
    statements = old.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    tables = {name: sql for kind, name, sql in statements if kind == "table"}
    if "vectors" not in tables:
        raise IndexDamagedError(f"{folder}/{DATABASE} is damaged beyond repair: it has lost the table of vectors")
    for pragma in (f"page_size = {PAGE}", "journal_mode = MEMORY", "foreign_keys = OFF", "secure_delete = ON"):
        new.execute(f"PRAGMA {pragma}")
    new.execute("BEGIN")
    kept = {}
    for name, sql in list(tables.items()):
        try:
            new.execute(sql)
        except sqlite3.OperationalError:  # no known statement is similar, so its columns are unknown
            del tables[name]
            continue
        kept[name] = _copy_table(old, new, name, ordered="WITHOUT ROWID" not in sql.upper())
    for statement in (*schema.TABLES, *(sql for kind, _, sql in statements if kind == "index")):
        with contextlib.suppress(sqlite3.OperationalError):  # there already
            new.execute(statement)
    _settle(old, new)
    orphans = _drop_orphans(new, tables)
    for sql in (sql for kind, _, sql in statements if kind == "trigger"):  # not before: they must not fire for orphans
        with contextlib.suppress(sqlite3.OperationalError):  # unknown and damaged
            new.execute(sql)
    new.execute("COMMIT")
    new.execute("PRAGMA journal_mode = WAL")
    return kept, orphans


def _copy_table(old: sqlite3.Connection, new: sqlite3.Connection, name: str, *, ordered: bool) -> int:
    """Copy every row that can be read; returns how many."""
    copied = 0
    for row in _by_number(old, name) if ordered else _as_far_as_it_goes(old.execute(f'SELECT * FROM "{name}"')):
        marks = ",".join("?" * len(row))
        with contextlib.suppress(sqlite3.IntegrityError):  # damage can show one row twice
            copied += new.execute(f'INSERT INTO "{name}" VALUES ({marks})', row).rowcount
    return copied


def _as_far_as_it_goes(rows: sqlite3.Cursor) -> Iterator[tuple[object, ...]]:
    with contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError):
        yield from rows


def _by_number(old: sqlite3.Connection, name: str) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a table: from the start, from the end, and by bisecting the parts between damage."""
    ranges, failures = [(-_HIGHEST, _HIGHEST)], 0
    while ranges and failures < _ATTEMPTS:
        low, high = ranges.pop()
        for order, compare in (("ASC", 1), ("DESC", -1)):
            whole = False
            while not whole:
                found, whole, failed = _some(old, name, low, high, order)
                before = (low, high)
                for number, *row in found:
                    if low <= number <= high:  # damage can lead back to what was read already
                        low, high = (number + 1, high) if compare > 0 else (low, number - 1)
                        yield tuple(row)
                if failed or (not whole and (low, high) == before):
                    failures += 1
                    break
            if whole:
                break
        if not whole and low < high:
            middle = (low + high) // 2
            ranges += [(low, middle), (middle + 1, high)]


def _some(
    old: sqlite3.Connection, name: str, low: int, high: int, order: str
) -> tuple[list[tuple[int, ...]], bool, bool]:
    """Return the next rows of a range, whether they were the last ones, and whether reading failed."""
    found: list[tuple[int, ...]] = []
    statement = f'SELECT rowid, * FROM "{name}" WHERE rowid BETWEEN ? AND ? ORDER BY rowid {order} LIMIT {_BATCH}'
    try:
        for row in old.execute(statement, (low, high)):
            found.append(row)  # noqa: PERF402 - what came before the damage counts
    except (sqlite3.DatabaseError, UnicodeDecodeError, MemoryError, OverflowError):
        return found, False, True
    return found, len(found) < _BATCH, False


def _settle(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """Restore the settings that an index needs; there is no graph file any more."""
    rows = new.execute("SELECT substr(key, 7), value FROM meta WHERE substr(key, 1, 6) = 'index.'").fetchall()
    found = {key: value for key, value in rows if schema.makes_sense(key, value)}
    new.executemany("DELETE FROM meta WHERE key = ?", [(f"index.{key}",) for key, _ in rows if key not in found])
    row = new.execute("SELECT length(vector) / 4 FROM vectors GROUP BY 1 ORDER BY count(*) DESC LIMIT 1").fetchone()
    settings: dict[str, object] = {"graph": None, "graph_generation": 0}
    if "metric" not in found:
        settings["metric"] = "l2"
    if row is not None and row[0]:
        settings["dimension"] = row[0]
    odd = "typeof(added) <> 'integer' OR added NOT BETWEEN 0 AND ?"
    new.execute(f"UPDATE vectors SET added = 0 WHERE {odd}", (schema.HIGHEST,))
    generation = new.execute("SELECT coalesce(max(added), 0) FROM vectors").fetchone()[0]
    settings["generation"] = settings["log_floor"] = max(generation, found.get("generation") or 0) + 1
    schema.write(new, **settings)
    for pragma, value in (("application_id", schema.APPLICATION), ("user_version", schema.SCHEMA)):
        new.execute(f"PRAGMA {pragma} = {value}")
    highest = new.execute("SELECT coalesce(max(key), 0) FROM vectors").fetchone()[0]
    with contextlib.suppress(sqlite3.DatabaseError):
        noted = old.execute("SELECT seq FROM sqlite_sequence WHERE name = 'vectors'").fetchall()
        highest = max(highest, *(row[0] for row in noted if isinstance(row[0], int) and row[0] <= _HIGHEST), 0)
    new.execute("DELETE FROM sqlite_sequence WHERE name = 'vectors'")
    new.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('vectors', ?)", (highest,))


def _drop_orphans(new: sqlite3.Connection, tables: Iterable[str]) -> dict[str, int]:
    """Do to rows that point to lost ones what their foreign keys ask for, until none is left; how many went."""
    dropped: dict[str, int] = {}
    changed = True
    while changed:
        changed = False
        for table in tables:
            for key in new.execute(f'PRAGMA foreign_key_list("{table}")').fetchall():
                parent, column, target, action = key[2], key[3], key[4] or "rowid", key[6]
                where = f'"{column}" IS NOT NULL AND "{column}" NOT IN (SELECT "{target}" FROM "{parent}")'
                keeps = action == "SET NULL"
                statement = f'UPDATE "{table}" SET "{column}" = NULL' if keeps else f'DELETE FROM "{table}"'
                count = new.execute(f"{statement} WHERE {where}").rowcount
                changed = changed or count > 0
                if count and not keeps:
                    dropped[table] = dropped.get(table, 0) + count
    return dropped


def _free_name(folder: Path) -> Path:
    return folder / f"{DATABASE}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def _put_in_place(draft: Path, folder: Path) -> Path:
    """Keep the damaged file under another name and let the new one take its place."""
    kept = _free_name(folder)
    log = folder / f"{DATABASE}-wal"
    for source in (folder / DATABASE, *([log] if log.exists() else [])):
        with replacing(Path(f"{kept}{source.name.removeprefix(DATABASE)}"), internal=True) as copy:
            shutil.copyfile(source, copy)
    sync_file(draft)
    for name in (f"{DATABASE}-wal", f"{DATABASE}-shm"):  # the old log must not be played into the new file
        with contextlib.suppress(FileNotFoundError):
            (folder / name).unlink()
    sync_folder(folder)
    put_in_place(draft, folder / DATABASE, internal=True)
    graph_file.discard(folder)
    return kept
