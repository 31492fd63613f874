"""Read vectors from the database for comparisons: unchanged (l2) or at unit length (cosine)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from faceall.index.checks import measured
from faceall.index.storage import rows, schema
from faceall.index.storage.connection import connect, translated
from faceall.index.storage.database import Storage
from faceall.index.storage.rows import Block
from faceall.types import Int64Array


def as_measured(blocks: Iterable[Block], settings: schema.Settings) -> Iterator[Block]:
    """Yield the rows ready for comparisons."""
    return (Block(block.keys, measured(block.vectors, settings.metric)) for block in blocks)


def everything(storage: Storage, settings: schema.Settings) -> Iterator[Block]:
    """Yield all rows of one snapshot, which stays open until the last block."""
    if settings.dimension is None:
        return
    with storage.reading() as connection:
        yield from as_measured(rows.added_since(connection, -1, settings.dimension, storage.name), settings)


def in_passing(storage: Storage, settings: schema.Settings) -> Iterator[Block]:
    """Yield all rows without a common snapshot; other threads read between the blocks."""
    last: int | None = -1
    while last is not None and settings.dimension is not None:
        with storage.reading() as connection:
            block = rows.following(connection, last, settings.dimension, storage.name)
        last = int(block.keys[-1]) if len(block) else None
        yield from as_measured([block], settings)


@contextmanager
def apart(storage: Storage) -> Iterator[tuple[schema.Settings, int, Iterator[Block]]]:
    """Read the settings, the number of rows and all rows of one snapshot on a separate connection.

    Other threads can read and write in the meantime.
    """
    assert storage.folder is not None
    with translated(storage.name), closing(connect(storage.folder, read_only=True)) as connection:
        connection.execute("BEGIN")
        settings = schema.read(connection, storage.name)
        assert settings.dimension is not None
        found = rows.added_since(connection, -1, settings.dimension, storage.name)
        yield settings, rows.count(connection), as_measured(found, settings)


def chosen(storage: Storage, settings: schema.Settings, keys: Int64Array) -> Iterator[Block]:
    """Yield the existing rows of `keys`, of one snapshot."""
    if settings.dimension is None:
        return
    with storage.reading() as connection:
        yield from as_measured(rows.chosen(connection, keys, settings.dimension, storage.name), settings)
