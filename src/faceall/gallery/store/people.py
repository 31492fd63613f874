"""The people of a gallery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from faceall.gallery.records import Person, PersonBrief, PersonDetails, Removal


class PersonRecords(Protocol):
    """People and unnamed clusters; the row of each stays the same when it is renamed."""

    def named(self, name: str) -> int | None:
        """Return the row of the person with this name."""

    def names(self, rows: Iterable[int] | None = None) -> dict[int, str]:
        """Return names by row; None: of all people."""

    def make(self, name: str) -> int:
        """Return the row of the person with this name, who is added if new."""

    def rename(self, row: int, name: str) -> None:
        """Rename a person; the name must be free. A cluster becomes a named person."""

    def merge(self, source: int, target: int) -> int:
        """Assign all faces of one person to another; return how many."""

    def remove(self, row: int) -> Removal:
        """Remove a person and all their faces permanently."""

    def listed(self) -> list[Person]:
        """Return all people who have faces, ordered by name."""

    def briefs(self, *, named: bool | None, hidden: bool, counted: bool) -> list[PersonBrief]:
        """Return what the order of a list of people depends on, in any order.

        The faces of clusters are always counted, those of people with a name if `counted`.
        """

    def stored(self, rows: Sequence[int]) -> list[Person]:
        """Return the people with these rows, in that order, with their covers."""

    def assigned(self) -> tuple[int, int]:
        """Count the people with faces, and their faces."""

    def with_faces(self, at_most: int | None = None) -> list[int]:
        """Return the rows of people who have a face, ascending, at most `at_most`."""

    def faces(self, row: int) -> list[int]:
        """Return the keys of a person's faces, ascending."""

    def faces_of(self, people: Sequence[int]) -> dict[int, list[int]]:
        """Return the keys of the faces of some people (rows), ascending."""

    def in_shared_order(self, people: Sequence[int]) -> list[int]:
        """Return rows of people in the order of the ids that they have on every device, if the backend has ids."""

    def clusters(self) -> frozenset[int]:
        """Return the rows of the unnamed clusters."""

    def open_cluster(self) -> int:
        """Add an unnamed cluster and return its row."""

    def reject(self, owners: Mapping[int, int | None]) -> None:
        """Record that faces do not show the people they were assigned to."""

    def rejections(self, faces: Sequence[int] | None = None) -> dict[int, set[int]]:
        """Return for each face key, of some faces or of all, the rows of people it is known not to show."""

    def confirmations(self, faces: Sequence[int]) -> dict[int, set[int]]:
        """Return for each of some face keys the rows of people that users said it shows."""

    def confirm(self, faces: Iterable[int], person: int) -> None:
        """Record that faces show a person."""

    def tell_apart(self, first: int, second: int) -> None:
        """Record that two people (rows) are not the same."""

    def distinct(self) -> set[tuple[int, int]]:
        """Return the pairs of rows, the smaller one first, that are known not to be the same person."""

    def details(self, row: int) -> PersonDetails:
        """Return what is noted of a person besides the name."""

    def put_details(self, row: int, details: PersonDetails) -> None:
        """Store what is noted of a person.

        Raises
        ------
        NotSupportedError
            The backend does not keep details.
        """

    def hidden(self) -> frozenset[int]:
        """Return the rows of the people who are hidden."""
