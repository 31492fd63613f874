"""The options of a registration."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from faceall.analysis import Analyser
    from faceall.gallery.registration.scanned_file import ScannedFile

Reassign: TypeAlias = Literal["none", "unassigned", "all"]
"""Which known photos get the person of their candidate: none, those whose primary face has no name, or all."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of files that are done and the number of all files."""


class Workers(Protocol):
    """Analyses photos."""

    def analyse(self, files: Iterable[ScannedFile], analyser: Analyser) -> Generator[ScannedFile, None, None]:
        """Yield each file in order: files without a result are read and analysed, others are passed through.

        The faces are embedded with the model of `analyser`.
        """


@dataclass(frozen=True)
class RegistrationOptions:
    """How photos are registered.

    Attributes
    ----------
    reassign : {"none", "unassigned", "all"}
        Which known photos have their primary face assigned to their candidate's person. With "all" and no person it
        loses a name that came with its registration.
    strict : bool
        Refuse photos whose primary face is poor.
    min_face : float or None
        Side in pixels of the smallest face to search for; None: it follows the photo.
    workers : Workers, "auto" or None
        Processes that analyse the photos; None for this process, "auto" for processes of this machine if they are
        faster.
    progress : callable or None
        Called now and then.
    stop : threading.Event or None
        Stops the registration early when it is set.
    """

    reassign: Reassign = "none"
    strict: bool = False
    min_face: float | None = None
    workers: Workers | Literal["auto"] | None = None
    progress: Progress | None = None
    stop: Event | None = None
