"""The operations of faces and photos."""

from __future__ import annotations

from faceall.web.openapi.operations import CHANGES, IMAGES, PAGE, in_path, in_query, operation
from faceall.web.openapi.schemas import COUNT, DAY, FLAG, ID, NAME, Schema, many, maybe, record, ref

_PHOTO_QUERY = [
    in_query("with", {**many(ID), "description": "people who are all on the photo"}),
    in_query("without", {**many(ID), "description": "people who are not on the photo"}),
    in_query("since", DAY),
    in_query("until", DAY),
]


def face_paths() -> Schema:
    """Return the operations of faces."""
    face = [in_path("face_id", 2)]
    chosen = [
        in_query("person", ID),
        in_query("photo", ID),
        in_query("unassigned", FLAG),
        in_query("hidden", FLAG),
        in_query("sort", {"type": "string", "enum": ["id", "size"], "default": "id"}),
    ]
    some = record(faces=many(ID, minItems=1))
    assign = operation(
        "Assign a face to a person, or to none",
        ref("Face"),
        parameters=face,
        body=record(person=maybe(NAME)),
        errors=CHANGES,
    )
    return {
        "/api/v1/faces": {"get": operation("List faces by id", ref("Faces"), parameters=[*chosen, *PAGE])},
        "/api/v1/faces/hide": {"post": operation("Hide faces", record(faces=COUNT), body=some, errors=CHANGES)},
        "/api/v1/faces/show": {
            "post": operation("Show hidden faces again", record(faces=COUNT), body=some, errors=CHANGES)
        },
        "/api/v1/faces/unassign": {
            "post": operation("Remove faces from their people", record(faces=COUNT), body=some, errors=CHANGES)
        },
        "/api/v1/faces/{face_id}": {
            "get": operation("Get a face", ref("Face"), parameters=face),
            "patch": assign,
            "delete": operation("Remove a face", ref("Removal"), parameters=face),
        },
        "/api/v1/faces/{face_id}/thumbnail": {
            "get": operation("Get the thumbnail of a face", "image/jpeg", parameters=face)
        },
    }


def photo_paths() -> Schema:
    """Return the operations of photos."""
    photo = [in_path("photo_id", 3)]
    size = in_query("max", {"type": "integer", "minimum": 16, "maximum": 4096, "default": 1600})
    return {
        "/api/v1/photos": {
            "get": operation(
                "List photos by id", ref("Photos"), parameters=[in_query("person", ID), *_PHOTO_QUERY, *PAGE]
            )
        },
        "/api/v1/photos/{photo_id}": {
            "get": operation("Get a photo", ref("Photo"), parameters=photo),
            "delete": operation("Remove a photo and its faces", ref("Removal"), parameters=photo),
        },
        "/api/v1/photos/{photo_id}/find-faces": {
            "post": operation(
                "Detect the faces of a photo again", record(faces=many(ID)), parameters=photo, errors=(409,)
            )
        },
        "/api/v1/photos/{photo_id}/faces": {
            "post": operation(
                "Add a face that the detector missed",
                ref("Face"),
                parameters=photo,
                body=record(box=many({"type": "number", "minimum": -1e6, "maximum": 1e6}, minItems=4, maxItems=4)),
                errors=CHANGES,
            )
        },
        "/api/v1/photos/{photo_id}/image": {
            "get": operation(
                "Get the image of a photo or a frame of a video, upright and scaled down, with a face marked",
                "image/jpeg",
                parameters=[*photo, size, in_query("face", ID)],
                errors=IMAGES,
            )
        },
    }
