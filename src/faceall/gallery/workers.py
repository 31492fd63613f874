"""Who looks at photos in a registration's place: other processes, here or on other machines.

The work is split by photo. The process that owns the gallery asks its database what there is to look at, has that
looked at, and commits the results once each, in order; a worker knows no gallery. So a worker can die at any time: what
it had in hand is done again by another.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Protocol, TypeAlias

from faceall.gallery.analysis import Analyser
from faceall.gallery.naming import Candidate
from faceall.gallery.photos import Findings
from faceall.gallery.reading import Arrival

Looks: TypeAlias = Generator[tuple[Arrival, Findings | None], None, None]
"""Files in order, without their pixels; the findings are None where there was nothing to look at."""


class Workers(Protocol):
    """What looks at photos."""

    def look(self, files: Iterable[Candidate | Arrival], analyser: Analyser) -> Looks:
        """Each of `files`, in order: candidates are read and looked at, arrivals handed through.

        analyser  says which model the faces are to be embedded with
        """
