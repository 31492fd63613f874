"""Find people whose faces seem to show several people."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from faceall.errors import ModelNotFoundError
from faceall.gallery.context import Context
from faceall.gallery.people.clustering.agreement import MIN_FACES, Agreement, agreement_of, sample


@dataclass(frozen=True)
class MixedPerson:
    """A person whose faces seem to show several people.

    Attributes
    ----------
    person : str
        The name.
    agreement : Agreement
        How many of the faces agree.
    """

    person: str
    agreement: Agreement

    def __str__(self) -> str:
        return f"{self.person} looks like several people: {self.agreement}"


def find_mixed_people(context: Context, most: int | None, among: Collection[str] | None = None) -> list[MixedPerson]:
    """Check the `most` named people with the most faces; None checks all. `among` limits them to some names."""
    store = context.store
    try:
        threshold = context.pair_threshold if store.model in (None, context.analyser.model_label) else None
    except ModelNotFoundError:
        return []
    if threshold is None:
        return []
    found = []
    with store.reading():
        people = [person for person in store.people.listed() if person.named and person.faces >= MIN_FACES]
        people = [person for person in people if among is None or person.name in among]
        people.sort(key=lambda person: -person.faces)
        for person in people[:most]:
            vectors = store.faces.vectors(sample(store.people.faces(person.id)))
            agreement = agreement_of(vectors, threshold.distance)
            if agreement.several_people:
                found.append(MixedPerson(person.name, agreement))
    return sorted(found, key=lambda one: one.person)
