"""What a gallery in Milvus has in the place of a journal: changes are made, but not recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from faceall.errors import NotSupportedError
from faceall.gallery.records import BinEntry, Change, Page, Removal


class MilvusJournal:
    """`JournalRecords` without a journal: Milvus has no transaction that could keep changes and records together.

    Parameters
    ----------
    changing : callable
        Groups changes.
    not_supported : callable
        Makes the error for what only a journal can do.
    """

    def __init__(
        self,
        changing: Callable[[], AbstractContextManager[object]],
        not_supported: Callable[[str], NotSupportedError],
    ) -> None:
        self._changing, self._error = changing, not_supported

    @contextmanager
    def recording(self, kind: str, author: str, details: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Group the changes; nothing is recorded."""
        with self._changing():
            yield details

    def page(self, *, limit: int, offset: int) -> Page[Change]:
        """Return no change."""
        return Page((), 0)

    def get(self, change: int) -> Change:
        """Raise NotSupportedError."""
        raise self._refused()

    def last(self) -> Change | None:
        """Raise NotSupportedError."""
        raise self._refused()

    def undo(self, change: int, author: str) -> Change:
        """Raise NotSupportedError."""
        raise self._refused()

    def put_aliases(self, before: Mapping[str, str | None], after: Mapping[str, str | None]) -> None:
        """Record nothing."""

    def discard(self, person: int) -> int:
        """Raise NotSupportedError."""
        raise self._refused()

    def bin(self) -> list[BinEntry]:
        """Return nothing: there is no bin."""
        return []

    def expired(self, days: int) -> list[int]:
        """Return nothing."""
        return []

    def erase(self, changes: Iterable[int]) -> Removal:
        """Raise NotSupportedError."""
        raise self._refused()

    def exported(self) -> list[dict[str, Any]]:
        """Return nothing."""
        return []

    def add_imported(self, changes: Iterable[Mapping[str, Any]]) -> None:
        """Raise NotSupportedError."""
        raise self._refused()

    def _refused(self) -> NotSupportedError:
        return self._error("Milvus keeps no journal of changes, so there is no undo and no bin")
