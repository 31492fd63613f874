"""Faces: listed, shown, filed under people, removed."""

from __future__ import annotations

import hashlib

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as BaseResponse

from faceall.web.api.inputs import flag, json_object, page, text_in, whole
from faceall.web.api.receipts import receipt_of
from faceall.web.api.serializers import Json
from faceall.web.services import services


def add_routes(blueprint: Blueprint) -> None:
    """Faces under /faces."""
    blueprint.get("/faces")(list_faces)
    blueprint.get("/faces/<int:face_id>")(show_face)
    blueprint.patch("/faces/<int:face_id>")(file_face)
    blueprint.delete("/faces/<int:face_id>")(remove_face)
    blueprint.get("/faces/<int:face_id>/thumbnail")(thumbnail)


def list_faces() -> Json:
    """A page of faces by their ids: of a person, on a photo, of nobody."""
    limit, offset = page()
    person, photo = whole(request.args, "person"), whole(request.args, "photo")
    gallery = services().gallery
    if person is not None:
        gallery.person(person)  # says so where there is none
    if photo is not None:
        gallery.photo(photo)
    nobody = flag(request.args, "nobody")
    found = gallery.page_of_faces(person=person, photo=photo, nobody=nobody, limit=limit, offset=offset)
    return {"faces": [services().shapes.face(face) for face in found.items], "total": found.total}


def show_face(face_id: int) -> Json:
    """One face."""
    return services().shapes.face(services().gallery.face(face_id))


def file_face(face_id: int) -> Json:
    """File a face under a person of a name, new or known, or (null) under nobody."""
    name = text_in(json_object("person", needed=("person",)), "person", optional=True)
    if name is None:
        services().gallery.unassign([face_id])
    else:
        services().gallery.name_face(face_id, name)
    return show_face(face_id)


def remove_face(face_id: int) -> Json:
    """Remove a face for good; the answer is a receipt."""
    removal = services().gallery.delete_faces([face_id])
    return receipt_of({"kind": "face", "id": face_id, "name": None}, removal)


def thumbnail(face_id: int) -> BaseResponse:
    """A face as a small JPEG."""
    return picture(services().gallery.thumbnail(face_id))


def picture(jpeg: bytes) -> BaseResponse:
    """A JPEG as an answer; a browser asks each time whether it has changed, so that a removed one is not shown."""
    response = Response(jpeg, mimetype="image/jpeg")
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(hashlib.sha256(jpeg).hexdigest()[:32])
    return response.make_conditional(request)
