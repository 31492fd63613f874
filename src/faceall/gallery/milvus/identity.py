"""Ids that several writers assign without a lock, and texts in the conditions of Milvus.

Every id is below 2**53, so that JavaScript, whose numbers are doubles, reads it exactly.

The id of a photo is derived from its SHA-256 and the id of a new person from the name, so two writers that register
the same one at the same time write the same row. Face ids are assigned in blocks of 2**20: a writer claims the block
of the current moment after checking that no other writer has claimed it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote_to_bytes

from faceall.errors import IndexBusyError
from faceall.gallery.milvus.connection import Connection
from faceall.gallery.milvus.layout import NOTES, ZEROS
from faceall.types import Int64Array

BITS = 53
PROBES = 3
"""Number of ids that a content or a name may have; the second is used if the first is taken by another."""

_BLOCK_BITS = 20  # 2**20 ids per block
_SPREAD_BITS = 2  # blocks per second
_EPOCH = 1_735_689_600  # 2025-01-01 UTC; blocks last until 2093
_ATTEMPTS = 50
_SAFE = "/ !#$&()*+,-.:;<=>?@[]^_`{|}~"


def ids_of(content: bytes) -> tuple[int, ...]:
    """Return the ids that a content may have, the preferred one first."""
    digests = (hashlib.sha256(content + bytes([probe])).digest() for probe in range(PROBES))
    return tuple((int.from_bytes(digest[:8], "big") >> (64 - BITS)) or 1 for digest in digests)


def ids_of_photo(digest: bytes) -> tuple[int, ...]:
    """Return the ids that the photo with this SHA-256 may have."""
    return ids_of(b"photo\0" + digest)


def ids_of_person(name: str) -> tuple[int, ...]:
    """Return the ids that a new person with this name may get."""
    return ids_of(b"person\0" + name.encode())


def random_id() -> int:
    """Return a random id; a collision is practically impossible."""
    return secrets.randbelow((1 << BITS) - 1) + 1


def file_key(path: bytes) -> str:
    """Return the key of a path."""
    return hashlib.sha256(path).hexdigest()


def quoted(text: str | bytes) -> str:
    """Escape characters that a condition cannot contain (as %22); a prefix of a text stays a prefix."""
    return quote(text, safe=_SAFE)


def unquoted(text: str) -> str:
    """Return the text before `quoted`."""
    return unquote_to_bytes(text).decode()


def condition_in(column: str, values: Iterator[int] | list[int] | Int64Array) -> str:
    """Return the condition that a column has one of these values."""
    return f"{column} in [{', '.join(str(int(value)) for value in values)}]"


def condition_in_texts(column: str, texts: Iterable[str]) -> str:
    """Return the condition that a column has one of these texts, which are `quoted`."""
    listed = ", ".join(f'"{text}"' for text in texts)
    return f"{column} in [{listed}]"


def condition_begins(column: str, start: str) -> str:
    """Return the condition that a text begins with `start`, which ends in a separator."""
    return f'{column} >= "{start}" and {column} < "{start[:-1]}{chr(ord(start[-1]) + 1)}"'


def made_at(face: int) -> int | None:
    """Return when a face was made, approximately, in seconds since 1970; None for one that came from a folder."""
    seconds = face >> (_BLOCK_BITS + _SPREAD_BITS)
    return seconds + _EPOCH if seconds else None


class FaceIds:
    """Assigns ascending face ids from blocks that only this writer uses."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._next = self._end = 0

    def take(self, count: int) -> list[int]:
        """Return new ids.

        Raises
        ------
        IndexBusyError
            If no free block is found.
        """
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
        """Claim a block: write the claim, then read all; of two writers, at least one sees both claims and retries."""
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
        raise IndexBusyError(f"{self._connection.name}: too many writers started at the same time; try again")
