"""SQL statements on the tables `vectors` and `removals`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from faceall.errors import IndexDamagedError, VectorError
from faceall.index.checks import checked_vectors
from faceall.index.storage.connection import DATABASE
from faceall.types import Array, Float32Array, Int64Array

BLOCK_BYTES = 16 << 20  # of vectors per block
_GROUP = 500  # keys per statement, below SQLite's smallest limit on parameters


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows: keys (n,) int64 and vectors (n, dimension) float32."""

    keys: Int64Array
    vectors: Float32Array

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def empty(cls, dimension: int) -> Block:
        """Return a block without rows."""
        return cls(np.zeros(0, np.int64), np.zeros((0, dimension), np.float32))

    @classmethod
    def joined(cls, blocks: Sequence[Block]) -> Block:
        """Concatenate one or more blocks."""
        return cls(
            np.concatenate([block.keys for block in blocks]), np.concatenate([block.vectors for block in blocks])
        )

    def among(self, keys: Int64Array) -> Block:
        """Return the rows with these keys."""
        stay = np.isin(self.keys, keys)
        return Block(self.keys[stay], self.vectors[stay])

    def without(self, keys: Int64Array) -> Block:
        """Return the rows with other keys; the block itself if that is all."""
        stay = ~np.isin(self.keys, keys)
        return self if stay.all() else Block(self.keys[stay], self.vectors[stay])

    def split(self, count: int) -> tuple[Block, Block]:
        """Return the first `count` rows, and the rest."""
        return Block(self.keys[:count], self.vectors[:count]), Block(self.keys[count:], self.vectors[count:])

    @cached_property
    def squares(self) -> Float32Array:
        """The squared length of every vector, (n,) float32."""
        return np.asarray(np.einsum("ij,ij->i", self.vectors, self.vectors))

    @cached_property
    def largest_square(self) -> float:
        """The squared length of the longest of one or more vectors."""
        return float(self.squares.max())


def count(connection: sqlite3.Connection) -> int:
    """Return the number of vectors."""
    return int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])


def keys(connection: sqlite3.Connection) -> Int64Array:
    """Return all keys (n,) int64, ascending."""
    rows = connection.execute("SELECT key FROM vectors ORDER BY key").fetchall()
    return np.fromiter((row[0] for row in rows), np.int64, len(rows))


def next_key(connection: sqlite3.Connection) -> int:
    """Return the first automatic key, which is above every key that was ever used."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'vectors'").fetchone()
    return int(row[0]) + 1 if row else 1


def present(connection: sqlite3.Connection, wanted: Int64Array) -> set[int]:
    """Return the keys of `wanted` that exist."""
    found: set[int] = set()
    for group in _groups(wanted):
        marks = ",".join("?" * len(group))
        found.update(row[0] for row in connection.execute(f"SELECT key FROM vectors WHERE key IN ({marks})", group))
    return found


def insert(connection: sqlite3.Connection, block: Block, generation: int) -> None:
    """Add rows inside the caller's transaction."""
    stored = block.vectors.astype("<f4", copy=False)
    rows = ((key, generation, vector.tobytes()) for key, vector in zip(block.keys.tolist(), stored, strict=True))
    connection.executemany("INSERT INTO vectors (key, added, vector) VALUES (?, ?, ?)", rows)


def delete(connection: sqlite3.Connection, gone: Int64Array, generation: int) -> None:
    """Remove rows and log the removals inside the caller's transaction.

    One statement removes all of them: in a nested transaction, each statement takes SQLite time that grows with what
    the transaction has changed.
    """
    keys = json.dumps(gone.tolist())
    connection.execute(
        "INSERT INTO removals (generation, key, added) SELECT ?1, key, added FROM vectors"
        " WHERE key IN (SELECT value FROM json_each(?2)) AND added < ?1",  # others have not seen those added since
        (generation, keys),
    )
    connection.execute("DELETE FROM vectors WHERE key IN (SELECT value FROM json_each(?))", (keys,))


def vector(connection: sqlite3.Connection, key: int) -> Float32Array | None:
    """Return a vector (dimension,) float32, None if there is no such key."""
    row = connection.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
    return None if row is None else np.frombuffer(row[0], "<f4").astype(np.float32)


def added_since(connection: sqlite3.Connection, generation: int, dimension: int, name: str) -> Iterator[Block]:
    """Yield the rows added after `generation` (-1: all), in blocks of bounded size."""
    if generation < 0:
        rows = connection.execute("SELECT key, vector FROM vectors ORDER BY key")
    else:
        added = "SELECT key FROM vectors WHERE added > ?"  # by itself, so that SQLite uses its index for a few rows
        rows = connection.execute(f"SELECT key, vector FROM vectors WHERE key IN ({added}) ORDER BY key", (generation,))
    while found := rows.fetchmany(_block_size(dimension)):
        yield _block(found, dimension, name)


def following(connection: sqlite3.Connection, key: int, dimension: int, name: str) -> Block:
    """Return the rows after `key`, as many as fit into a block."""
    query = "SELECT key, vector FROM vectors WHERE key > ? ORDER BY key LIMIT ?"
    return _block(connection.execute(query, (key, _block_size(dimension))).fetchall(), dimension, name)


def chosen(connection: sqlite3.Connection, wanted: Int64Array, dimension: int, name: str) -> Iterator[Block]:
    """Yield the existing rows of `wanted` in blocks, ascending if `wanted` is."""
    for group in _groups(wanted):
        marks = ",".join("?" * len(group))
        query = f"SELECT key, vector FROM vectors WHERE key IN ({marks}) ORDER BY key"
        yield _block(connection.execute(query, group).fetchall(), dimension, name)


def removed_since(connection: sqlite3.Connection, generation: int) -> Int64Array:
    """Return the keys (n,) int64 of rows that existed at `generation` and were removed later."""
    rows = connection.execute(
        "SELECT key FROM removals WHERE generation > ? AND added <= ?", (generation, generation)
    ).fetchall()
    return np.fromiter((row[0] for row in rows), np.int64, len(rows))


def changes_since(connection: sqlite3.Connection, generation: int) -> tuple[int, int]:
    """Count the rows added and removed after `generation`."""
    came = connection.execute("SELECT count(*) FROM vectors WHERE added > ?", (generation,)).fetchone()[0]
    went = connection.execute("SELECT count(*) FROM removals WHERE generation > ?", (generation,)).fetchone()[0]
    return int(came), int(went)


def forget_removals(connection: sqlite3.Connection, generation: int) -> None:
    """Delete the log of removals up to `generation` inside the caller's transaction."""
    connection.execute("DELETE FROM removals WHERE generation <= ?", (generation,))


def problems(connection: sqlite3.Connection, dimension: int | None) -> list[str]:
    """Check the database; return one line per problem."""
    found = [f"{DATABASE}: {row[0]}" for row in connection.execute("PRAGMA quick_check") if row[0] != "ok"]
    query = "SELECT count(*) FROM vectors WHERE typeof(vector) <> 'blob' OR length(vector) IS NOT ?"
    wrong = connection.execute(query, (4 * dimension if dimension else None,)).fetchone()[0]
    return [*found, f"{DATABASE}: {wrong} vectors do not have {dimension} dimensions"] if wrong else found


def _block(found: list[tuple[int, bytes]], dimension: int, name: str) -> Block:
    for key, blob in found:
        if not isinstance(blob, bytes) or len(blob) != 4 * dimension:
            raise IndexDamagedError(f"{name}/{DATABASE} is damaged: vector {key} does not have {dimension} dimensions")
    numbers = np.frombuffer(b"".join(blob for _, blob in found), "<f4").astype(np.float32, copy=False)
    try:
        vectors = checked_vectors(numbers.reshape(len(found), dimension))
    except VectorError as error:
        raise IndexDamagedError(f"{name}/{DATABASE} is damaged: {error}; faceall index repair removes it") from error
    return Block(np.array([key for key, _ in found], np.int64), vectors)


def _block_size(dimension: int) -> int:
    return max(1, BLOCK_BYTES // (4 * dimension))


def _groups(array: Array) -> Iterable[list[int]]:
    values = array.tolist()
    return (values[start : start + _GROUP] for start in range(0, len(values), _GROUP))
