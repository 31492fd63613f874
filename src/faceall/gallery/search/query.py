"""From the image and the options of a search to a `Query`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faceall.analysis.analyser import AnalysedImage
from faceall.errors import FaceallError
from faceall.gallery.context import Context
from faceall.gallery.people.names import find_person
from faceall.gallery.people.photo_search import photos_between
from faceall.gallery.search.matching import Query
from faceall.gallery.thresholds import MatchThreshold
from faceall.images import ImageSource, as_image


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What a search returns; see `Gallery.search`.

    Attributes
    ----------
    k : int
        Number of faces or people per face of the image.
    threshold : float or None
        Only matches up to this distance (squared L2, 0..4).
    people : sequence of str or None
        Search only the faces of these people.
    since, until : str or None
        Search only photos from the first to the last day, YYYY-MM-DD.

    Raises
    ------
    FaceallError
        If `k` or `threshold` is out of range.
    """

    k: int = 5
    threshold: float | None = None
    people: Sequence[str] | None = None
    since: str | None = None
    until: str | None = None

    def __post_init__(self) -> None:
        if self.k < 1:
            raise FaceallError(f"k is {self.k}, expected a whole number from 1")
        if self.threshold is not None and not 0 <= self.threshold <= 4:
            raise FaceallError(f"threshold is {self.threshold:g}, expected a squared distance from 0 to 4")


def analyse_image(context: Context, source: ImageSource) -> AnalysedImage:
    """Detect and embed the faces of an image.

    Raises
    ------
    ImageError
        The image cannot be read.
    ModelError
        A model is missing or damaged.
    IndexMismatchError
        The gallery has vectors of another model.
    """
    image = as_image(source)
    context.require_same_model()
    faces, vectors = context.analyser.find(image)
    return AnalysedImage(image, faces, vectors)


def make_query(context: Context, source: ImageSource | AnalysedImage, options: SearchOptions) -> Query:
    """Look up the people and photos to search among, then analyse the image.

    Raises
    ------
    UnknownPersonError
        One of the people does not exist.
    ArgumentError
        A date is not one.
    ImageError, ModelError, IndexMismatchError
        As `analyse_image`.
    """
    store, people = context.store, options.people
    wanted = None if people is None else tuple(find_person(store, person) for person in people)
    photos = photos_between(store, options.since, options.until)
    found = source if isinstance(source, AnalysedImage) else analyse_image(context, source)
    given = options.threshold
    judged = context.match_threshold if given is None else MatchThreshold(given, None, "given")
    return Query(found.image, found.faces, found.vectors, judged, wanted, photos)
