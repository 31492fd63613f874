"""One file on its way through a registration."""

from __future__ import annotations

from dataclasses import dataclass, field

from faceall.gallery.metadata.sources import NamesFound
from faceall.gallery.naming import Candidate
from faceall.gallery.records import Analysis, FileInfo, PhotoResult, PhotoState
from faceall.images.metadata import Metadata
from faceall.types import Image


@dataclass(eq=False)
class ScannedFile:
    """One file on its way through a registration.

    Attributes
    ----------
    candidate : Candidate
        Its path and person.
    result : PhotoResult or None
        Set as soon as nothing more is to be done.
    info : FileInfo or None
        Its size, time and hash, once it was read.
    known : bool
        Its content was in the gallery when it was read, so it was not decoded.
    state, message : PhotoState, str or None
        Whether it could be decoded, and if not, why.
    image : (H, W, 3) uint8 or None
        Its pixels, until they were analysed.
    content : bytes or None
        The file, if its pixels were reduced, until it was analysed.
    size : (width, height) or None
        Of the photo, upright; the pixels may be reduced.
    truncated : bool
        The end of the file is missing.
    analysis : Analysis or None
        The faces on it.
    metadata : Metadata
        What the metadata of the file say.
    names : NamesFound
        The named faces in them and in sidecars, if these are wanted.
    stale : tuple of int
        The ids of its stale faces, if the analysis is about these.
    pending : int
        How many faces of the analysis have no vector yet.
    """

    candidate: Candidate
    result: PhotoResult | None = None
    info: FileInfo | None = None
    known: bool = False
    state: PhotoState = "ok"
    message: str | None = None
    image: Image | None = None
    content: bytes | None = None
    size: tuple[int, int] | None = None
    truncated: bool = False
    analysis: Analysis | None = None
    metadata: Metadata = field(default_factory=Metadata)
    names: NamesFound = field(default_factory=NamesFound)
    stale: tuple[int, ...] = ()
    pending: int = 0
