"""Merge the details of people (hidden, note, birth date, cover) of a bundle: the later change wins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from faceall.gallery.records.bundles import BundleDetails
from faceall.gallery.store import Store


def merge_details(
    store: Store, given: Iterable[tuple[int, BundleDetails]], *, is_future: Callable[[str], bool]
) -> list[str]:
    """Store the details that people have in a bundle, where they were changed later than those of the gallery.

    Parameters
    ----------
    store : Store
        The gallery, which has the people and their faces already.
    given : iterable of (int, BundleDetails)
        The rows of people with what the bundle says.
    is_future : callable
        Returns whether a time cannot be trusted.

    Returns
    -------
    list of str
        The differences that were not applied, one line each.
    """
    conflicts = []
    for row, there in given:
        here = store.bundles.details(row)
        if here is not None and replace(here, changed=there.changed) == there:
            continue
        if is_future(there.changed):
            reason = f"the bundle's change is dated {there.changed}, in the future"
        elif here is None or there.changed > here.changed:
            store.bundles.put_details(row, there)
            continue
        else:
            reason = "the bundle's change is not later"
        name = store.people.names([row])[row]
        conflicts.append(
            f"note, birth date, cover or hiding of {name!r} differ; those of the gallery are kept: {reason}"
        )
    return conflicts
