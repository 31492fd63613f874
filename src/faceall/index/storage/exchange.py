"""Replace every vector of an index by one of another model."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from faceall.errors import VectorError
from faceall.index.checks import checked_keys, checked_vectors
from faceall.index.storage import rows
from faceall.index.storage.rows import Block


def exchange(
    connection: sqlite3.Connection, blocks: Iterable[Block], dimension: int, name: str, generation: int
) -> None:
    """Overwrite every vector inside the caller's transaction, which has to be rolled back on VectorError.

    blocks  every key once, in any order; vectors (n, dimension)

    Raises
    ------
    VectorError
        If a key is missing or repeated, or a vector has another dimension.
    """
    given = 0
    for block in blocks:
        vectors, keys = checked_vectors(block.vectors), checked_keys(block.keys)
        if vectors.shape != (len(keys), dimension):
            raise VectorError(f"vectors have shape {vectors.shape}, expected ({len(keys)}, {dimension})")
        stored = vectors.astype("<f4", copy=False)
        values = ((generation, vector.tobytes(), key) for key, vector in zip(keys.tolist(), stored, strict=True))
        # one that is there twice, or not at all, shows in the count: a row is exchanged once per generation
        given += len(keys)
        changed = connection.executemany(
            "UPDATE vectors SET added = ?1, vector = ?2 WHERE key = ?3 AND added <> ?1", values
        ).rowcount
        if changed != len(keys):
            raise VectorError(f"{name} lacks {len(keys) - changed} of the keys, or they are given twice")
    if given != rows.count(connection):
        raise VectorError(f"{name} has {rows.count(connection)} vectors, {given} were given")
