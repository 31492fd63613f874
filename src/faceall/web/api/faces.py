"""Routes that list, assign and remove faces, and return their thumbnails."""

from __future__ import annotations

import hashlib

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as BaseResponse

from faceall.web.api.inputs import choice, flag, ids_in, json_object, page, text_in, whole
from faceall.web.api.receipts import receipt_of
from faceall.web.serializers import Json
from faceall.web.services import services


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes under /faces."""
    blueprint.get("/faces")(list_faces)
    blueprint.post("/faces/hide")(hide_faces)
    blueprint.post("/faces/show")(show_faces)
    blueprint.post("/faces/unassign")(unassign_faces)
    blueprint.get("/faces/<int:face_id>")(show_face)
    blueprint.patch("/faces/<int:face_id>")(assign_face)
    blueprint.delete("/faces/<int:face_id>")(remove_face)
    blueprint.get("/faces/<int:face_id>/thumbnail")(thumbnail)


def list_faces() -> Json:
    """List faces: all, those of a person or photo, those without a person, or hidden ones; by id or largest first."""
    limit, offset = page()
    person, photo = whole(request.args, "person"), whole(request.args, "photo")
    gallery = services().gallery
    if person is not None:
        gallery.people.get(person)  # raises an error for an unknown id
    if photo is not None:
        gallery.photos.get(photo)
    found = gallery.faces.page(
        person=person,
        photo=photo,
        unassigned=flag(request.args, "unassigned"),
        hidden=flag(request.args, "hidden"),
        sort="size" if choice(request.args, "sort", ("id", "size")) == "size" else "id",
        limit=limit,
        offset=offset,
    )
    return {"faces": [services().serializer.face(face) for face in found.items], "total": found.total}


def hide_faces() -> Json:
    """Hide faces: they are not listed, grouped or suggested, but still found."""
    return {"faces": services().gallery.faces.hide(_chosen())}


def show_faces() -> Json:
    """Show hidden faces again."""
    return {"faces": services().gallery.faces.show(_chosen())}


def unassign_faces() -> Json:
    """Remove faces from their people, as one change; they are never assigned to them again by themselves."""
    return {"faces": services().gallery.faces.unassign(_chosen())}


def _chosen() -> list[int]:
    return ids_in(json_object("faces", needed=("faces",)), "faces")


def show_face(face_id: int) -> Json:
    """Return a face."""
    return services().serializer.face(services().gallery.faces.get(face_id))


def assign_face(face_id: int) -> Json:
    """Assign a face to the person with a name, who is created if needed; null removes the face from its person."""
    name = text_in(json_object("person", needed=("person",)), "person", optional=True)
    if name is None:
        services().gallery.faces.unassign([face_id])
    else:
        services().gallery.faces.assign(face_id, name)
    return show_face(face_id)


def remove_face(face_id: int) -> Json:
    """Remove a face permanently; returns a receipt."""
    removal = services().gallery.faces.remove([face_id])
    return receipt_of({"kind": "face", "id": face_id, "name": None}, removal)


def thumbnail(face_id: int) -> BaseResponse:
    """Return a face as a small JPEG."""
    return jpeg_response(services().gallery.faces.thumbnail(face_id))


def jpeg_response(jpeg: bytes) -> BaseResponse:
    """Make a response with a JPEG; a browser revalidates it each time, so that a removed one is not shown."""
    response = Response(jpeg, mimetype="image/jpeg")
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(hashlib.sha256(jpeg).hexdigest()[:32])
    return response.make_conditional(request)
