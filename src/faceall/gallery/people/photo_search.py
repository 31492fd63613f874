"""Photos by who is on them and when they were made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from faceall.gallery.people.details import checked_date
from faceall.gallery.people.names import find_person
from faceall.gallery.records import Page, StoredPhoto
from faceall.gallery.store import Store


@dataclass(frozen=True)
class PhotoQuery:
    """Names or ids of people on a photo and not on it, and its first and last day as YYYY-MM-DD."""

    people: tuple[str | int, ...] = ()
    without: tuple[str | int, ...] = ()
    since: str | None = None
    until: str | None = None


def photos_between(store: Store, since: str | None, until: str | None) -> frozenset[int] | None:
    """Return the photos with a face that were made from one day to another (YYYY-MM-DD); None for all.

    Raises
    ------
    ArgumentError
        A date is not one.
    """
    first, last = _days(since, until)
    if first is None and last is None:
        return None
    with store.reading():
        taken = store.photos.taken()
        photos = {photo for _, photo, _ in store.faces.assignments()}
        return frozenset(photo for photo in photos if _is_between(_day_of(store, photo, taken), first, last))


def search_photos(store: Store, query: PhotoQuery, *, limit: int, offset: int) -> Page[StoredPhoto]:
    """Return the photos that fit a query, ordered by id."""
    first, last = _days(query.since, query.until)
    with store.reading():
        wanted = {find_person(store, person) for person in query.people}
        unwanted = {find_person(store, person) for person in query.without}
        shown: dict[int, set[int | None]] = defaultdict(set)
        for _, photo, person in store.faces.assignments():
            shown[photo].add(person)
        found = [photo for photo in sorted(shown) if wanted <= shown[photo] and unwanted.isdisjoint(shown[photo])]
        if first is not None or last is not None:
            taken = store.photos.taken()
            found = [photo for photo in found if _is_between(_day_of(store, photo, taken), first, last)]
        return Page(tuple(store.photos.stored(found[offset : offset + limit])), len(found))


def _days(since: str | None, until: str | None) -> tuple[date | None, date | None]:
    """Return two days, checked."""
    first, last = (
        None if text is None else date.fromisoformat(checked_date(text, name))
        for name, text in (("since", since), ("until", until))
    )
    return first, last


def _day_of(store: Store, photo: int, taken: Mapping[int, str]) -> date | None:
    """Return the day on which the camera took a photo, else that of the last change of its oldest file."""
    if photo in taken and (day := _parsed(taken[photo])):
        return day
    times = [file.mtime for file in store.photos.files(photo) if file.mtime > 0]
    return datetime.fromtimestamp(min(times) / 1e9).date() if times else None


def _parsed(taken: str) -> date | None:
    """Return the day in a stored time, None if an imported one is no time."""
    try:
        return date.fromisoformat(taken[:10])
    except ValueError:
        return None


def _is_between(day: date | None, first: date | None, last: date | None) -> bool:
    return day is not None and (first is None or day >= first) and (last is None or day <= last)
