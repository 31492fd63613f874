"""People who resemble a person: those whose faces are nearest to the person's."""

from __future__ import annotations

from faceall.gallery.people.names import find_person
from faceall.gallery.records import Person
from faceall.gallery.store import Store

_FACES = 32  # of the person, evenly spread, that are searched for
_NEIGHBOURS = 64  # of each of them


def similar_people(store: Store, person: str | int, limit: int) -> list[tuple[Person, float]]:
    """Return the people with the nearest faces and the squared distance of each, the nearest first."""
    with store.reading():
        row = find_person(store, person)
        own = store.people.faces(row)
        keys = own[:: max(1, -(-len(own) // _FACES))]
        if not keys:
            return []
        left_out = {row, *store.people.hidden()}
        left_out |= {other for pair in store.people.distinct() if row in pair for other in pair}
        found = store.faces.nearest(store.faces.vectors(keys), _NEIGHBOURS + len(own))
        hits = list(zip(found.keys.reshape(-1).tolist(), found.distances.reshape(-1).tolist(), strict=True))
        owners = store.faces.owners(list(dict.fromkeys(key for key, _ in hits)))
        nearest: dict[int, float] = {}
        for key, distance in hits:
            owner = owners.get(key)
            if owner is not None and owner not in left_out:
                nearest[owner] = min(distance, nearest.get(owner, distance))
        chosen = sorted(nearest, key=lambda one: (nearest[one], one))[:limit]
        return [(one, nearest[one.id]) for one in store.people.stored(chosen)]
