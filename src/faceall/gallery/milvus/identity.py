"""Ids that several writers hand out without a lock, and texts as they stand in Milvus' conditions.

Every id is below 2**53, so that programs whose numbers are doubles (JavaScript) read it exactly.

A photo's id follows from its SHA-256 and a new person's from the name: two writers that file the same at once write
the same row, and end as one. Face ids come in blocks of a million: a writer takes the block of this moment, after it
has seen that nobody else claims it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

from faceall.errors import IndexBusyError
from faceall.gallery.milvus.connection import Connection
from faceall.gallery.milvus.layout import NOTES, ZEROS
from faceall.types import Int64Array

BITS = 53
PROBES = 3
"""How many ids a content or a name may have: the second one counts where something else has the first."""

_BLOCK_BITS = 20  # a million ids
_SPREAD_BITS = 2  # blocks per second
_EPOCH = 1_735_689_600  # 2025-01-01 UTC; blocks last until 2093
_ATTEMPTS = 50
_SAFE = "/ !#$&()*+,-.:;<=>?@[]^_`{|}~"


def ids_of(content: bytes) -> tuple[int, ...]:
    """The ids that a content may have, the usual one first."""
    digests = (hashlib.sha256(content + bytes([probe])).digest() for probe in range(PROBES))
    return tuple((int.from_bytes(digest[:8], "big") >> (64 - BITS)) or 1 for digest in digests)


def ids_of_photo(digest: bytes) -> tuple[int, ...]:
    """The ids that the photo with this SHA-256 may have."""
    return ids_of(b"photo\0" + digest)


def ids_of_person(name: str) -> tuple[int, ...]:
    """The ids that somebody may get who is filed under this name for the first time."""
    return ids_of(b"person\0" + name.encode())


def random_id() -> int:
    """An id that nobody else will draw."""
    return secrets.randbelow((1 << BITS) - 1) + 1


def file_key(path: bytes) -> str:
    """The key of a path."""
    return hashlib.sha256(path).hexdigest()


def quoted(text: str | bytes) -> str:
    """A text as it is stored: what cannot stand in a condition is escaped (%22), the beginning of a path stays one."""
    return quote(text, safe=_SAFE)


def unquoted(text: str) -> str:
    """A name as it was before `quoted`."""
    return unquote_to_bytes(text).decode()


def condition_in(column: str, values: Iterator[int] | list[int] | Int64Array) -> str:
    """The condition that a column has one of some numbers."""
    return f"{column} in [{', '.join(str(int(value)) for value in values)}]"


def condition_begins(column: str, start: str) -> str:
    """The condition that a text begins with `start`, whose last character is a separator."""
    return f'{column} >= "{start}" and {column} < "{start[:-1]}{chr(ord(start[-1]) + 1)}"'


class FaceIds:
    """Hands out face ids, ascending, from blocks that are this writer's alone."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._next = self._end = 0

    def take(self, count: int) -> list[int]:
        """New ids. Raises IndexBusyError where no block is to be had."""
        ids: list[int] = []
        while len(ids) < count:
            if self._next == self._end:
                self._next = self._claim() << _BLOCK_BITS
                self._end = self._next + (1 << _BLOCK_BITS)
            step = min(count - len(ids), self._end - self._next)
            ids += range(self._next, self._next + step)
            self._next += step
        return ids

    def _claim(self) -> int:
        """A block that nobody else has: who claims it writes first and looks then, so of two one at least sees both."""
        token = secrets.token_hex(8)
        seconds = int(time.time()) - _EPOCH
        for attempt in range(_ATTEMPTS):
            block = (max(seconds, 1) << _SPREAD_BITS) + attempt + secrets.randbelow((1 << _SPREAD_BITS) + attempt)
            key = f"ids/{block}/{token}"
            claims = condition_begins("key", f"ids/{block}/")
            if self._connection.where(NOTES.name, claims, ["key"]):
                continue
            self._connection.put(NOTES.name, [{"key": key, "value": {}, NOTES.vector: ZEROS}])
            if len(self._connection.where(NOTES.name, claims, ["key"])) == 1:
                return block
            self._connection.delete(NOTES.name, [key])
        raise IndexBusyError(f"{self._connection.name}: too many writers began at this moment; try again")
