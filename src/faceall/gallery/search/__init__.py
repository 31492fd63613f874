"""Search: the nearest faces and people of the gallery for every face of a query image."""

from faceall.gallery.search.matching import Query, match_faces, match_people
from faceall.gallery.search.results import GalleryMatch, PersonMatch, PersonResult, SearchResult

__all__ = [
    "GalleryMatch",
    "PersonMatch",
    "PersonResult",
    "Query",
    "SearchResult",
    "match_faces",
    "match_people",
]
