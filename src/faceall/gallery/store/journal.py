"""The journal of changes and the bin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from faceall.gallery.records import BinEntry, Change, Page, Removal


class JournalRecords(Protocol):
    """The journal of changes of people, and the bin.

    Attributes
    ----------
    keeps_bin : bool
        Whether deleted people are kept for a while.
    """

    keeps_bin: bool

    def recording(self, kind: str, author: str, details: dict[str, Any]) -> AbstractContextManager[dict[str, Any]]:
        """Group changes like `Store.changing` and record them as one; the details may be completed inside."""

    def page(self, *, limit: int, offset: int) -> Page[Change]:
        """Return changes, the last one first."""

    def get(self, change: int) -> Change:
        """Return a change; raise UnknownChangeError if there is none."""

    def last(self) -> Change | None:
        """Return the last change that can be undone and is not itself an undoing."""

    def undo(self, change: int, author: str) -> Change:
        """Undo a change, all or nothing; return the change that did it.

        Raises
        ------
        UnknownChangeError
            There is no such change.
        UndoError
            What it changed was changed again or erased.
        """

    def put_aliases(self, before: Mapping[str, str | None], after: Mapping[str, str | None]) -> None:
        """Record a change of the names of folders as part of the present change."""

    def discard(self, person: int) -> int:
        """Move a person (row) with all faces to the bin, inside a recording; return how many faces."""

    def bin(self) -> list[BinEntry]:
        """Return what the bin holds, the last deletion first."""

    def expired(self, days: int) -> list[int]:
        """Return the changes that moved people to the bin more than `days` days ago."""

    def erase(self, changes: Iterable[int]) -> Removal:
        """Erase what changes moved to the bin."""

    def exported(self) -> list[dict[str, Any]]:
        """Return the history as bundles hold it."""

    def add_imported(self, changes: Iterable[Mapping[str, Any]]) -> None:
        """Add the history of a bundle; its changes cannot be undone here."""
