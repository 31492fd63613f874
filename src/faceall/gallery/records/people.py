"""People, what is noted of them, and the changes to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Said = Literal["yes", "no", "skip"]
"""An answer to a suggestion."""

MAX_NOTE = 2000
"""The longest note of a person, in characters."""


@dataclass(frozen=True)
class Person:
    """A person or a cluster.

    Attributes
    ----------
    name : str
        The name; of a cluster, for example "unnamed 12".
    faces, photos : int
        Number of their faces, and of photos that show them.
    named : bool
        False for a cluster without a name.
    id : int
        The row; it stays the same when the person is renamed.
    cover : int or None
        The face that represents them: a primary face if possible, and a large one.
    """

    name: str
    faces: int
    photos: int
    named: bool = True
    id: int = field(default=0, compare=False)
    cover: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class PersonBrief:
    """What the order of a list depends on.

    Attributes
    ----------
    id : int
        The row.
    name : str
        The name; of a cluster, for example "unnamed 12".
    named : bool
        False for a cluster.
    faces, photos : int
        Number of their faces, and of photos that show them; 0 where they were not counted.
    largest : float
        Area of the largest face in pixels; 0 where it was not measured.
    """

    id: int
    name: str
    named: bool
    faces: int = 0
    photos: int = 0
    largest: float = 0.0


@dataclass(frozen=True)
class PersonDetails:
    """What is noted of a person besides the name.

    Attributes
    ----------
    hidden : bool
        Not listed and not suggested.
    cover : int or None
        The face that represents them, None for the best one.
    note : str or None
        A text.
    born : str or None
        The date of birth, YYYY-MM-DD.
    """

    hidden: bool = False
    cover: int | None = None
    note: str | None = None
    born: str | None = None


@dataclass(frozen=True)
class Change:
    """A change of people in the journal.

    Attributes
    ----------
    id : int
        Its number.
    kind : str
        Such as "rename", "merge", "discard" or "undo".
    made : str
        When, in UTC: 2026-01-31T12:00:00Z.
    author : str
        Who made it.
    details : dict
        Names and numbers, depending on the kind.
    undone : int or None
        The change that undid it.
    undoable : bool
        False for a change that came with a bundle.
    """

    id: int
    kind: str
    made: str
    author: str
    details: dict[str, Any]
    undone: int | None = None
    undoable: bool = True


@dataclass(frozen=True)
class BinEntry:
    """A deleted person in the bin: the change that deleted them, their name, when, and how many faces."""

    change: int
    person: str
    deleted: str
    faces: int
