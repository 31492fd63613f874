"""Questions about pictures that stay outside the gallery: who is this, is this the same person; and clustering."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import Any

from flask import Blueprint, request

from faceall.gallery import MatchThreshold
from faceall.web.api import serializers as shapes
from faceall.web.api.inputs import choice, form_only, json_object, number, number_in, only_file, whole
from faceall.web.api.serializers import Json
from faceall.web.errors import refused
from faceall.web.services import services

_FARTHEST = 4.0  # of two unit vectors, squared L2
_taking_two = threading.Lock()  # two that hold one picture each would wait for each other


def add_routes(blueprint: Blueprint) -> None:
    """/search, /compare, /cluster."""
    blueprint.post("/search")(search)
    blueprint.post("/compare")(compare)
    blueprint.post("/cluster")(cluster)


def search() -> Json:
    """Who is on a picture: for each of its faces the nearest faces or people of the gallery."""
    form_only()
    shared = services()
    k = whole(request.form, "k", 5, low=1, high=shared.options.most_matches)
    limit = number(request.form, "threshold", low=0, high=_FARTHEST)
    by = choice(request.form, "by", ("face", "person"))
    data = only_file("file", shared.options.most_file_bytes)
    among = _people()
    assert k is not None
    with shared.pictures.open(data) as image:
        if by == "person":
            results = shared.gallery.search_people(image, k=k, threshold=limit, people=among)
            faces = [shared.shapes.person_result(result) for result in results]
        else:
            results_by_face = shared.gallery.search(image, k=k, threshold=limit, people=among)
            faces = [shared.shapes.search_result(result) for result in results_by_face]
        height, width = image.shape[:2]
    judged = MatchThreshold(limit, None, "given") if limit is not None else shared.gallery.match_threshold
    return {"width": width, "height": height, "threshold": shapes.threshold(judged), "faces": faces}


def _people() -> list[str] | None:
    """The names of the people among whom is searched, given by their ids; None for everybody."""
    ids = [whole({"people": text}, "people") for text in request.form.getlist("people")]
    return [services().gallery.person(found or 0).name for found in ids] or None


def compare() -> Json:
    """The chief faces of two pictures beside each other."""
    form_only()
    shared = services()
    first, second = (only_file(name, shared.options.most_file_bytes) for name in ("first", "second"))
    with ExitStack() as stack:
        with _taking_two:
            one, other = (stack.enter_context(shared.pictures.open(data)) for data in (first, second))
        found = shared.gallery.compare(one, other)
    if found is None:
        raise refused("on one of the pictures no face was found", 422)
    judged = shared.gallery.match_threshold
    return {
        "distance": round(found.distance, 6),
        "similarity": round(found.similarity, 6),
        "same": None if judged is None else found.distance <= judged.distance,
        "threshold": shapes.threshold(judged),
        "first": _face(found.first),
        "second": _face(found.second),
    }


def cluster() -> Json:
    """Group the faces that are filed under nobody by who they seem to be."""
    fields = json_object("threshold", "known") if request.get_data() else {}
    limit = number_in(fields, "threshold")
    if limit is not None and not 0 < limit <= _FARTHEST:
        raise refused(f"threshold is {limit:g}, expected a squared distance above 0, up to {_FARTHEST:g}")
    known = fields.get("known", False)
    if not isinstance(known, bool):
        raise refused("known has to be true or false")
    found = services().gallery.cluster(threshold=limit, known=known)
    return {
        "threshold": found.limit,
        "clusters": len(found.clusters),
        "opened": sum(one.opened for one in found.clusters),
        "joined": sum(len(one.joined) for one in found.clusters),
        "alone": len(found.alone),
    }


def _face(face: Any) -> Json:
    return shapes.place(face.box.tolist(), face.landmarks.tolist(), face.score)
