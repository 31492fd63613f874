"""Results of a search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceall.analysis.open_set import Decision
from faceall.analysis.quality import Note
from faceall.gallery.thresholds import MatchThreshold
from faceall.types import Results


@dataclass(frozen=True)
class GalleryMatch:
    """A face of the gallery that was found for a query.

    Attributes
    ----------
    person : str or None
        The person's name; None if unassigned.
    path : Path
        A file with its photo, as last seen.
    distance : float
        Squared L2 distance of the vectors: 0 identical, 4 opposite.
    similarity : float
        Their cosine: 1 identical, -1 opposite.
    face_id : int
        Its id, for the methods of `gallery.faces`.
    matches : bool or None
        Whether the decision is "match"; None without a threshold.
    photo_id, person_id : int, int or None
        Ids of its photo and person.
    named : bool
        False if the person is a cluster without a name.
    decision : {"match", "possible", "unknown"} or None
        The decision on `judged_distance`; None without a threshold.
    judged_distance : float or None
        Mean of the distance and of that to the person's template, the mean vector of their faces.
    excluded : bool
        Whether users said of a face like the query that it is not this person; the decision is then "unknown".
    """

    person: str | None
    path: Path
    distance: float
    similarity: float
    face_id: int
    matches: bool | None = None
    photo_id: int = 0
    person_id: int | None = None
    named: bool = True
    decision: Decision | None = None
    judged_distance: float | None = None
    excluded: bool = False


@dataclass(frozen=True)
class SearchResult:
    """One face of a query image with the faces that were found.

    Attributes
    ----------
    box : tuple of float
        x0, y0, x1, y1 in pixels of the query image.
    score : float
        Confidence of the detector, 0 to 1.
    matches : tuple of GalleryMatch
        The nearest faces, nearest first.
    second : GalleryMatch or None
        The nearest face of the second-best person; None if the gallery has fewer than two people. The larger its
        distance compared with the best one, the more certain the match.
    threshold : MatchThreshold or None
        The threshold that was applied; None if neither the gallery nor the model has one.
    landmarks : tuple of (x, y)
        Left eye, right eye, nose, left and right corner of the mouth, in pixels of the query image.
    notes : tuple of Note
        What makes the face hard to recognise (small, blurred, ...); then it is at most a possible match.
    """

    box: tuple[float, float, float, float]
    score: float
    matches: tuple[GalleryMatch, ...]
    second: GalleryMatch | None = None
    threshold: MatchThreshold | None = None
    landmarks: tuple[tuple[float, float], ...] = ()
    notes: tuple[Note, ...] = ()

    def __repr__(self) -> str:
        best = f", best={self.matches[0].person!r} at {self.matches[0].distance:.3f}" if self.matches else ""
        return f"SearchResult({len(self.matches)} matches{best})"

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one row of plain values per match."""
        return [
            {
                "query_box": list(self.box),
                "person": match.person,
                "path": str(match.path),
                "distance": match.distance,
                "similarity": match.similarity,
                "face_id": match.face_id,
                "match": match.matches,
                "decision": match.decision,
            }
            for match in self.matches
        ]

    def _repr_html_(self) -> str:
        """Show the matches as a table in a notebook."""
        return Results([self])._repr_html_()


@dataclass(frozen=True)
class PersonMatch:
    """A person of the gallery who was found for a query.

    Attributes
    ----------
    person : str
        The name.
    distance : float
        Squared L2 distance to their nearest face: 0 identical, 4 opposite.
    similarity : float
        Cosine to that face: 1 identical, -1 opposite.
    mean_distance : float
        Mean of the squared distances to all their faces.
    faces : int
        Number of their faces.
    face_id, path : int, Path
        The nearest face, and a file with its photo.
    matches : bool or None
        Whether the decision is "match"; None without a threshold.
    person_id : int or None
        The id of the person.
    named : bool
        False for a cluster without a name.
    decision : {"match", "possible", "unknown"} or None
        The decision on `judged_distance`; None without a threshold.
    judged_distance : float or None
        Mean of the distance and of that to the person's template, the mean vector of their faces.
    """

    person: str
    distance: float
    similarity: float
    mean_distance: float
    faces: int
    face_id: int
    path: Path
    matches: bool | None = None
    person_id: int | None = None
    named: bool = True
    decision: Decision | None = None
    judged_distance: float | None = None


@dataclass(frozen=True)
class PersonResult:
    """One face of a query image with the people that were found.

    Attributes
    ----------
    box : tuple of float
        x0, y0, x1, y1 in pixels of the query image.
    score : float
        Confidence of the detector, 0 to 1.
    people : tuple of PersonMatch
        The nearest people, nearest first.
    threshold : MatchThreshold or None
        The threshold that was applied; None if neither the gallery nor the model has one.
    landmarks : tuple of (x, y)
        As in `SearchResult`.
    notes : tuple of Note
        As in `SearchResult`.
    """

    box: tuple[float, float, float, float]
    score: float
    people: tuple[PersonMatch, ...]
    threshold: MatchThreshold | None = None
    landmarks: tuple[tuple[float, float], ...] = ()
    notes: tuple[Note, ...] = ()


def _points(landmarks: list[list[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in landmarks)


def _corners(box: list[float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return x0, y0, x1, y1
