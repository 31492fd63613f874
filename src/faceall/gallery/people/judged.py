"""What users said about faces, applied to searches: "not this person" excludes, "this person" confirms.

A judgement is about a registered face. It holds for a query that is the same photo, and an exclusion also for a query
that is nearer to the excluded face than to every face of the person: the query then rather shows the one on
the excluded face.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from faceall.gallery.store import Store

SAME_FACE = 0.02
"""Squared L2 distance up to which a query is taken for a registered face itself: copies and re-encoded files."""


@dataclass(frozen=True)
class Judged:
    """People (rows) that a query is known not to show, and to show."""

    excluded: frozenset[int] = frozenset()
    confirmed: frozenset[int] = frozenset()


def judge(store: Store, near: Sequence[tuple[int, int | None, float]], limit: float | None) -> Judged:
    """Return what judgements on the nearest faces say about a query.

    Parameters
    ----------
    store : Store
        The gallery.
    near : sequence of (int, int or None, float)
        Key, person (row) and squared distance of faces, the nearest first.
    limit : float or None
        Distance up to which a face is likely the same person as the query.
    """
    reach = SAME_FACE if limit is None else max(limit, SAME_FACE)
    keys = [key for key, _, distance in near if distance <= reach]
    if not keys:
        return Judged()
    same = [key for key, _, distance in near if distance <= SAME_FACE]
    refusals = store.people.rejections(keys)
    confirmed = frozenset[int]().union(*store.people.confirmations(same).values())
    excluded = _excluded(near, refusals, reach) - confirmed
    return Judged(excluded, confirmed)


def _excluded(
    near: Sequence[tuple[int, int | None, float]], refusals: Mapping[int, set[int]], reach: float
) -> frozenset[int]:
    """Return the people that a face that is nearer than all of theirs is known not to show."""
    excluded: set[int] = set()
    seen: set[int | None] = set()
    for key, person, distance in near:
        if distance > reach:
            break
        refused = refusals.get(key, set())
        excluded |= refused if distance <= SAME_FACE else refused - seen
        seen.add(person)
    return frozenset(excluded)
