"""Names of people: their form, and those that paths suggest."""

from faceall.gallery.naming.form import MAX_NAME_LENGTH, fitting_name, tidy_name
from faceall.gallery.naming.guessing import (
    can_be_name,
    looks_like_person,
    names_event,
    names_two_people,
    person_in_name,
    person_in_stem,
)
from faceall.gallery.naming.paths import (
    Candidate,
    KnownContent,
    NamesFrom,
    checked_names_from,
    find_candidates,
    refuse_urls,
)

__all__ = [
    "MAX_NAME_LENGTH",
    "Candidate",
    "KnownContent",
    "NamesFrom",
    "can_be_name",
    "checked_names_from",
    "find_candidates",
    "fitting_name",
    "looks_like_person",
    "names_event",
    "names_two_people",
    "person_in_name",
    "person_in_stem",
    "refuse_urls",
    "tidy_name",
]
