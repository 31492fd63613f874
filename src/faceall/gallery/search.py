"""Search: the nearest faces and people of the gallery for every face of a query image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from faceall.analysis.open_set import Decision
from faceall.analysis.quality import Note, notes_on
from faceall.gallery.people.judged import judge
from faceall.gallery.records import StoredFace
from faceall.gallery.store import Store
from faceall.gallery.thresholds import MatchThreshold
from faceall.types import Faces, Float32Array, Image, Results, similarity

_TWO = 2  # people
_MIN_FACES = 16  # faces to search for at least: usually of two people
_GROWTH = 8  # times as many, if all of them show one person
_TEMPLATES = 3  # people whose template is compared
_TEMPLATE_FACES = 32  # faces of a template, evenly spread over those of the person


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


@dataclass(frozen=True, eq=False)
class Query:
    """An analysed query image.

    Attributes
    ----------
    image : (H, W, 3) uint8
        RGB.
    faces : Faces
        Its faces.
    vectors : (n, D) float32
        Their vectors.
    threshold : MatchThreshold or None
        The threshold for matches.
    people : tuple of int or None
        Search only faces of these people (rows); None for all.
    """

    image: Image
    faces: Faces
    vectors: Float32Array
    threshold: MatchThreshold | None
    people: tuple[int, ...] | None = None

    @cached_property
    def notes(self) -> tuple[tuple[Note, ...], ...]:
        """What makes each face hard to recognise; empty for a good one."""
        return tuple(notes_on(self.image, face) for face in self.faces)


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


def match_people(store: Store, query: Query, k: int, limit: float | None) -> list[PersonResult]:
    """Find the k nearest people of the gallery for every face, at a distance of at most `limit`.

    People that users excluded for a face are left out.
    """
    results = []
    near = _neighbours(store, query, k, people=len(store.people.with_faces(k)))
    for face, notes, vector, matches in zip(query.faces, query.notes, query.vectors, near, strict=True):
        best: dict[str, GalleryMatch] = {}
        for match in matches:
            if match.person is not None and not match.excluded and (limit is None or match.distance <= limit):
                best.setdefault(match.person, match)
        nearest = sorted(list(best.values())[:k], key=lambda match: match.judged_distance or match.distance)
        people = (_person_match(store, vector, match) for match in nearest)
        shown = tuple(person for person in people if person is not None)
        corners, points = _corners(face.box.tolist()), _points(face.landmarks.tolist())
        results.append(PersonResult(corners, face.score, shown, query.threshold, points, notes))
    return results


def _person_match(store: Store, vector: Float32Array, best: GalleryMatch) -> PersonMatch | None:
    """Return the person of a match with the distances to all their faces; None if just removed."""
    assert best.person_id is not None
    distances = store.faces.distances(vector, best.person_id)
    if not distances.size:
        return None
    return PersonMatch(
        str(best.person),
        best.distance,
        best.similarity,
        float(distances.mean()),
        int(distances.size),
        best.face_id,
        best.path,
        best.matches,
        best.person_id,
        best.named,
        best.decision,
        best.judged_distance,
    )


def match_faces(store: Store, query: Query, k: int, limit: float | None) -> Results[SearchResult]:
    """Find the k nearest faces of the gallery for every face, at a distance of at most `limit`."""
    results: Results[SearchResult] = Results()
    people = len(store.people.with_faces(_TWO))
    people = people if people == _TWO else 0  # with fewer than two people there is no second-best
    found = _neighbours(store, query, k, people=people)
    for face, notes, near in zip(query.faces, query.notes, found, strict=True):
        shown = tuple(match for match in near[:k] if limit is None or match.distance <= limit)
        corners, points = _corners(face.box.tolist()), _points(face.landmarks.tolist())
        results.append(SearchResult(corners, face.score, shown, _second(near), query.threshold, points, notes))
    return results


def _neighbours(store: Store, query: Query, k: int, *, people: int) -> list[list[GalleryMatch]]:
    """Find at least k faces for every vector (if there are as many), and enough to include `people` people.

    A face that is removed during the search is left out.
    """
    near: list[list[GalleryMatch]] = [[] for _ in query.vectors]
    open_ones, wanted = list(range(len(near))), max(k, _MIN_FACES)
    while open_ones:
        found, complete = store.faces.near(query.vectors[open_ones], wanted, people=query.people)
        for place, faces in zip(open_ones, found, strict=True):
            near[place] = [_match(face, distance) for face, distance in faces]
        if complete:
            break
        open_ones = [place for place in open_ones if _people_among(near[place]) < people]
        wanted *= _GROWTH
    return [
        _decided(store, vector, found, query.threshold, poor=bool(notes))
        for vector, found, notes in zip(query.vectors, near, query.notes, strict=True)
    ]


def _decided(
    store: Store, vector: Float32Array, near: list[GalleryMatch], threshold: MatchThreshold | None, *, poor: bool
) -> list[GalleryMatch]:
    """Add the decisions; the one on the nearest person depends on the second-best person too.

    What users said about the nearest faces has priority.
    """
    said = judge(
        store,
        [(match.face_id, match.person_id, match.distance) for match in near],
        None if threshold is None else threshold.distance,
    )
    near = [replace(match, excluded=match.person_id in said.excluded) for match in near] if said.excluded else near
    if threshold is None:
        return near
    templates = {} if threshold.fpir is None else _template_distances(store, vector, near)
    judged = [
        match.distance if (whole := templates.get(match.person_id)) is None else (match.distance + whole) / 2
        for match in near
    ]
    people: dict[str, float] = {}
    for match, distance in zip(near, judged, strict=True):
        if match.person is not None and not match.excluded:
            people.setdefault(match.person, distance)
    ranked = sorted(people, key=people.__getitem__)
    second = people[ranked[1]] if len(ranked) > 1 else None
    decided = []
    for match, distance in zip(near, judged, strict=True):
        rival = second if ranked and match.person == ranked[0] else None
        decision = threshold.decide(distance, rival)
        if poor and decision == "match" and threshold.fpir is not None:
            decision = "possible"
        if match.excluded:
            decision = "unknown"
        elif match.person_id in said.confirmed and match.distance <= threshold.distance:
            decision = "match"
        decided.append(replace(match, matches=decision == "match", decision=decision, judged_distance=distance))
    return decided


def _template_distances(store: Store, vector: Float32Array, near: list[GalleryMatch]) -> dict[int | None, float]:
    """Return the distances to the templates of the nearest people: the unit mean of the faces of each."""
    people = dict.fromkeys(match.person_id for match in near if match.person is not None and match.person_id)
    distances: dict[int | None, float] = {}
    for person in list(people)[:_TEMPLATES]:
        keys = store.people.faces(person)
        if len(keys) < _TWO:
            continue
        chosen = keys[:: -(-len(keys) // _TEMPLATE_FACES)]
        total = store.faces.vectors(chosen).sum(axis=0)
        length = float(np.linalg.norm(total))
        if length > 0:
            distances[person] = 2 - 2 * float(vector @ total) / length
    return distances


def _match(face: StoredFace, distance: float) -> GalleryMatch:
    """Describe a stored face at a distance."""
    return GalleryMatch(
        face.person,
        face.path,
        distance,
        similarity(distance),
        face.face_id,
        None,
        face.photo_id,
        face.person_id,
        face.named,
    )


def _people_among(near: list[GalleryMatch]) -> int:
    return len({match.person for match in near} - {None})


def _second(near: list[GalleryMatch]) -> GalleryMatch | None:
    """Return the nearest face of a person other than that of the nearest assigned face."""
    named = [match for match in near if match.person is not None and not match.excluded]
    return next((match for match in named if match.person != named[0].person), None)


def _points(landmarks: list[list[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in landmarks)


def _corners(box: list[float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return x0, y0, x1, y1
