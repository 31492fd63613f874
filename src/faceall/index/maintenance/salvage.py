"""Reads what can still be read of a damaged faces.db into a new one; the damaged file is kept beside it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from faceall.errors import IndexDamagedError, IndexFileError
from faceall.files import replacing, sync_file, sync_folder
from faceall.index.graph import graph_file
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


def salvage(folder: Path) -> Salvage:
    """Put a new database with every readable row in the place of the damaged one of `folder`.

    No other process may use the folder. Raises IndexDamagedError where not even the tables can be made out, and
    IndexFileError where the disk does not take it.
    """
    draft = folder / f".{DATABASE}.{secrets.token_hex(4)}.part"
    try:
        with (
            _whole_pages(folder) as source,
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(draft, isolation_level=None)) as new,
        ):
            old.execute("PRAGMA writable_schema = ON")  # else SQLite reads nothing of a file that has lost its end
            kept, orphans = _rescue(old, new, folder)
        return Salvage(kept, orphans, _put_in_place(draft, folder))
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
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
def _whole_pages(folder: Path) -> Iterator[Path]:
    """The database to read: itself, or a copy without the torn page at its end, which SQLite fills up with zeros."""
    path = folder / DATABASE
    with path.open("rb") as file:
        head = file.read(_PAGE_SIZE.stop)
    page = int.from_bytes(head[_PAGE_SIZE], "big")
    page = 65536 if page == 1 else page
    torn = path.stat().st_size % page if page else 0
    if not torn:
        yield path
        return
    copy = folder / f".{DATABASE}.{secrets.token_hex(4)}.part"
    log = folder / f"{DATABASE}-wal"
    try:
        shutil.copyfile(path, copy)
        os.truncate(copy, path.stat().st_size - torn)
        if log.exists():
            shutil.copyfile(log, f"{copy}-wal")
        yield copy
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{copy}{suffix}").unlink(missing_ok=True)


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
    for name, sql in tables.items():
        new.execute(sql)
        kept[name] = _copy_table(old, new, name, ordered="WITHOUT ROWID" not in sql.upper())
    for statement in (*schema.TABLES, *(sql for kind, _, sql in statements if kind == "index")):
        with contextlib.suppress(sqlite3.OperationalError):  # there already
            new.execute(statement)
    _settle(old, new)
    orphans = _drop_orphans(new, tables)
    for sql in (sql for kind, _, sql in statements if kind == "trigger"):  # not before: they must not fire for orphans
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
    """The rows of a table: from the front, from the back, and by halving what lies between two damaged places."""
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
    """The next rows of a range, whether they were the last, and whether reading failed."""
    found: list[tuple[int, ...]] = []
    statement = f'SELECT rowid, * FROM "{name}" WHERE rowid BETWEEN ? AND ? ORDER BY rowid {order} LIMIT {_BATCH}'
    try:
        for row in old.execute(statement, (low, high)):
            found.append(row)  # noqa: PERF402 - what came before the damage counts
    except (sqlite3.DatabaseError, UnicodeDecodeError, MemoryError, OverflowError):
        return found, False, True
    return found, len(found) < _BATCH, False


def _settle(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """The settings that an index cannot be without; there is no graph file any more."""
    rows = new.execute("SELECT substr(key, 7), value FROM meta WHERE substr(key, 1, 6) = 'index.'").fetchall()
    found = {key: value for key, value in rows if schema.makes_sense(key, value)}
    new.executemany("DELETE FROM meta WHERE key = ?", [(f"index.{key}",) for key, _ in rows if key not in found])
    row = new.execute("SELECT length(vector) / 4 FROM vectors GROUP BY 1 ORDER BY count(*) DESC LIMIT 1").fetchone()
    settings: dict[str, object] = {"graph": None, "graph_generation": 0}
    if "metric" not in found:
        settings["metric"] = "l2"
    if row is not None and row[0] and found.get("dimension") is None:
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


def _put_in_place(draft: Path, folder: Path) -> Path:
    """Keep the damaged file under another name and let the new one take its place."""
    kept = folder / f"{DATABASE}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    log = folder / f"{DATABASE}-wal"
    for source in (folder / DATABASE, *([log] if log.exists() else [])):
        with replacing(Path(f"{kept}{source.name.removeprefix(DATABASE)}"), internal=True) as copy:
            shutil.copyfile(source, copy)
    sync_file(draft)
    for name in (f"{DATABASE}-wal", f"{DATABASE}-shm"):  # the old log must not be played into the new file
        with contextlib.suppress(FileNotFoundError):
            (folder / name).unlink()
    sync_folder(folder)
    os.replace(draft, folder / DATABASE)
    sync_folder(folder)
    graph_file.discard(folder)
    return kept
