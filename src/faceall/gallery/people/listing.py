"""Lists of people: filtered by name, in the chosen order, with the initials of the names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from faceall.errors import ArgumentError
from faceall.gallery.naming.order import folded_name, initial, name_order
from faceall.gallery.records import PersonBrief
from faceall.gallery.store import Store

PageSort: TypeAlias = Literal["name", "photos", "newest"]


@dataclass(frozen=True)
class PeopleQuery:
    """Which people are listed, and in which order.

    Attributes
    ----------
    text : str or None
        A part of the name; case and accents do not count.
    named : bool or None
        True for people with a name, False for clusters, None for both.
    hidden : bool
        Those who are hidden instead of the others.
    sort : {"name", "photos", "newest"}
        By name, with the clusters at the end, the largest first; most photos first; or the last one first.
    """

    text: str | None = None
    named: bool | None = None
    hidden: bool = False
    sort: PageSort = "name"


def list_people(store: Store, query: PeopleQuery) -> list[PersonBrief]:
    """Return the people that fit a query, in its order.

    Raises
    ------
    ArgumentError
        The order is unknown.
    """
    if query.sort not in get_args(PageSort):
        raise ArgumentError(f"sort is {query.sort!r}, expected one of {', '.join(get_args(PageSort))}")
    found = store.people.briefs(named=query.named, hidden=query.hidden, counted=query.sort == "photos")
    if query.text:
        wanted = folded_name(query.text)
        found = [person for person in found if wanted in folded_name(person.name)]
    if query.sort == "newest":
        return sorted(found, key=lambda person: -person.id)
    if query.sort == "photos":
        return sorted(found, key=lambda person: (-person.photos, name_order(person.name)))
    return sorted((person for person in found if person.named), key=lambda person: name_order(person.name)) + sorted(
        (person for person in found if not person.named), key=lambda person: (-person.faces, -person.largest, person.id)
    )


def list_initials(people: Sequence[PersonBrief]) -> list[tuple[str, int]]:
    """Return the initials of people in alphabetical order, and the place of the first person of each."""
    found: dict[str, int] = {}
    for place, person in enumerate(people):
        if person.named:
            found.setdefault(initial(person.name), place)
    return list(found.items())
