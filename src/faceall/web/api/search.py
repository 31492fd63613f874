"""Routes that search with an image, compare two images, and cluster unassigned faces."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from flask import Blueprint, request

from faceall.gallery import MatchThreshold, SearchResult
from faceall.gallery.people.judged import SAME_FACE
from faceall.web import serializers
from faceall.web.api.inputs import choice, day, form_only, json_object, number, number_in, only_file, whole
from faceall.web.errors import refused
from faceall.web.serializers import Json
from faceall.web.services import services

_MAX_DISTANCE = 4.0  # squared L2 of two unit vectors
_taking_two = threading.Lock()  # two requests that hold one image each would wait for each other


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes /search, /compare and /cluster."""
    blueprint.post("/search")(search)
    blueprint.post("/compare")(compare)
    blueprint.post("/cluster")(cluster)


def search() -> Json:
    """Return the nearest faces or people of the gallery, of all photos or of those of some days, for each face."""
    form_only()
    shared = services()
    k = whole(request.form, "k", 5, low=1, high=shared.options.max_matches)
    limit = number(request.form, "threshold", low=0, high=_MAX_DISTANCE)
    by = choice(request.form, "by", ("face", "person"))
    data = only_file("file", shared.options.max_file_bytes)
    among = _people()
    days: Json = {name: day(request.form, name) for name in ("since", "until")}
    assert k is not None
    with shared.decoding.open(data) as image:
        if by == "person":
            analysed = shared.gallery.analyse(image)
            results = shared.gallery.search_people(analysed, k=k, threshold=limit, people=among, **days)
            faces = [shared.serializer.person_result(result) for result in results]
            if among is None:
                _add_loose(faces, shared.gallery.search(analysed, k=1, threshold=limit, **days))
        else:
            results_by_face = shared.gallery.search(image, k=k, threshold=limit, people=among, **days)
            faces = [shared.serializer.search_result(result) for result in results_by_face]
        height, width = image.shape[:2]
    judged = MatchThreshold(limit, None, "given") if limit is not None else shared.gallery.match_threshold
    return {"width": width, "height": height, "threshold": serializers.threshold(judged), "faces": faces}


def _add_loose(faces: list[Json], results: Sequence[SearchResult]) -> None:
    """Put a registered face without a person before the people if it is nearer than their faces and matches."""
    for face, result in zip(faces, results, strict=True):
        best = next(iter(result.matches), None)
        nearest_person = face["matches"][0]["best"] if face["matches"] else float("inf")
        if best is None or best.person is not None or best.distance >= nearest_person:
            continue
        if best.decision == "match" or best.distance <= SAME_FACE:
            face["matches"].insert(0, services().serializer.loose_match(best))


def _people() -> list[str] | None:
    """Return the names of the people to search among, given by their ids; None for all."""
    ids = [whole({"people": text}, "people") for text in request.form.getlist("people")]
    return [services().gallery.people.get(found or 0).name for found in ids] or None


def compare() -> Json:
    """Compare the primary faces of two images."""
    form_only()
    shared = services()
    first, second = (only_file(name, shared.options.max_file_bytes) for name in ("first", "second"))
    with ExitStack() as stack:
        with _taking_two:
            one, other = (stack.enter_context(shared.decoding.open(data)) for data in (first, second))
        found = shared.gallery.compare(one, other)
    if found is None:
        raise refused("no face was found on one of the images", 422)
    judged = shared.gallery.pair_threshold
    return {
        "distance": round(found.distance, 6),
        "similarity": round(found.similarity, 6),
        "same": None if judged is None else found.distance <= judged.distance,
        "threshold": serializers.threshold(judged),
        "first": _face(found.first),
        "second": _face(found.second),
    }


def cluster() -> Json:
    """Cluster the faces without a person."""
    fields = json_object("threshold", "known") if request.get_data() else {}
    limit = number_in(fields, "threshold")
    if limit is not None and not 0 < limit <= _MAX_DISTANCE:
        raise refused(f"threshold is {limit:g}, expected a squared distance above 0, up to {_MAX_DISTANCE:g}")
    known = fields.get("known", False)
    if not isinstance(known, bool):
        raise refused("known must be true or false")
    found = services().gallery.people.cluster(threshold=limit, known=known)
    return {
        "threshold": found.limit,
        "clusters": len(found.clusters),
        "created": sum(one.opened for one in found.clusters),
        "joined": sum(len(one.joined) for one in found.clusters),
        "unmatched": len(found.alone),
    }


def _face(face: Any) -> Json:
    return serializers.geometry(face.box.tolist(), face.landmarks.tolist(), face.score)
