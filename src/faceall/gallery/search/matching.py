"""Find the nearest faces and people of the gallery for every face of a query image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from faceall.analysis.quality import Note, notes_on
from faceall.gallery.people.judged import judge
from faceall.gallery.records import StoredFace
from faceall.gallery.search.results import GalleryMatch, PersonMatch, PersonResult, SearchResult, _corners, _points
from faceall.gallery.store import Store
from faceall.gallery.thresholds import MatchThreshold
from faceall.types import Faces, Float32Array, Image, Results, similarity

_TWO = 2  # people

_MIN_FACES = 16  # faces to search for at least: usually of two people

_GROWTH = 8  # times as many, if all of them show one person

_TEMPLATES = 3  # people whose template is compared

_TEMPLATE_FACES = 32  # faces of a template, evenly spread over those of the person


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
    photos : frozenset of int or None
        Search only faces on these photos; None for all.
    """

    image: Image
    faces: Faces
    vectors: Float32Array
    threshold: MatchThreshold | None
    people: tuple[int, ...] | None = None
    photos: frozenset[int] | None = None

    @cached_property
    def notes(self) -> tuple[tuple[Note, ...], ...]:
        """What makes each face hard to recognise; empty for a good one."""
        return tuple(notes_on(self.image, face) for face in self.faces)


def match_people(store: Store, query: Query, k: int, limit: float | None) -> list[PersonResult]:
    """Find the k nearest people of the gallery for every face, at a distance of at most `limit`.

    People that users excluded for a face are left out.
    """
    with store.reading():
        return _nearest_people(store, query, k, limit)


def _nearest_people(store: Store, query: Query, k: int, limit: float | None) -> list[PersonResult]:
    results = []
    near = _neighbours(store, query, k, people=k, some=True)
    for face, notes, vector, matches in zip(query.faces, query.notes, query.vectors, near, strict=True):
        best: dict[str, GalleryMatch] = {}
        for match in matches:
            if match.person is not None and not match.excluded and (limit is None or match.distance <= limit):
                best.setdefault(match.person, match)
        nearest = sorted(list(best.values())[:k], key=lambda match: match.judged_distance or match.distance)
        distances = store.faces.distances(vector, [match.person_id for match in nearest if match.person_id is not None])
        people = (_person_match(match, distances) for match in nearest)
        shown = tuple(person for person in people if person is not None)
        corners, points = _corners(face.box.tolist()), _points(face.landmarks.tolist())
        results.append(PersonResult(corners, face.score, shown, query.threshold, points, notes))
    return results


def _person_match(best: GalleryMatch, found: Mapping[int, Float32Array]) -> PersonMatch | None:
    """Return the person of a match with the distances to all their faces; None if just removed."""
    assert best.person_id is not None
    distances = found[best.person_id]
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
    with store.reading():
        found = _neighbours(store, query, k, people=_TWO)
    for face, notes, near in zip(query.faces, query.notes, found, strict=True):
        shown = tuple(match for match in near[:k] if limit is None or match.distance <= limit)
        corners, points = _corners(face.box.tolist()), _points(face.landmarks.tolist())
        results.append(SearchResult(corners, face.score, shown, _second(near), query.threshold, points, notes))
    return results


def _neighbours(store: Store, query: Query, k: int, *, people: int, some: bool = False) -> list[list[GalleryMatch]]:
    """Find at least k faces for every vector, of at least `people` people, if there are as many, or with `some` of all.

    A face that is removed during the search is left out.
    """
    near: list[list[GalleryMatch]] = [[] for _ in query.vectors]
    open_ones, wanted, counted = list(range(len(near))), max(k, _MIN_FACES), False
    while open_ones:
        found, complete = store.faces.near(query.vectors[open_ones], wanted, people=query.people)
        for place, faces in zip(open_ones, found, strict=True):
            near[place] = [
                _match(face, distance)
                for face, distance in faces
                if query.photos is None or face.photo_id in query.photos
            ]
        if complete:
            break
        if not counted and any(_people_among(near[place]) < people for place in open_ones):
            there, counted = len(store.people.with_faces(people)), True
            people = there if there == people or some else 0
        open_ones = [place for place in open_ones if len(near[place]) < k or _people_among(near[place]) < people]
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
    assigned = store.people.faces_of(list(people)[:_TEMPLATES])
    chosen = {person: _spread(store, keys) for person, keys in assigned.items() if len(keys) >= _TWO}
    vectors = store.faces.vectors([key for keys in chosen.values() for key in keys])
    distances: dict[int | None, float] = {}
    start = 0
    for person, keys in chosen.items():
        total = vectors[start : start + len(keys)].sum(axis=0)
        start += len(keys)
        length = float(np.linalg.norm(total))
        if length > 0:
            distances[person] = 2 - 2 * float(vector @ total) / length
    return distances


def _spread(store: Store, keys: list[int]) -> list[int]:
    """Return the faces of a template, evenly spread over those of a person."""
    if len(keys) > _TEMPLATE_FACES:
        keys = store.faces.in_shared_order(keys)  # the same faces on every device
    return keys[:: -(-len(keys) // _TEMPLATE_FACES)]


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
