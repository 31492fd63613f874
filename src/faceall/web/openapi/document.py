"""The OpenAPI 3.1 document; a test compares it with the routes."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, jsonify

from faceall.version import __version__
from faceall.web.openapi.operations import CHANGES, IMAGES, PAGE, in_path, in_query, operation
from faceall.web.openapi.schemas import COUNT, FLAG, ID, SCHEMAS, TEXT, Schema, many, maybe, record, ref
from faceall.web.services import services

_IMAGE: Schema = {"type": "string", "contentMediaType": "image/*", "format": "binary"}
_LIMITS = {"type": "number", "minimum": 0, "maximum": 4}


def build(*, max_urls: int, max_matches: int) -> dict[str, Any]:
    """Return the document with the limits of a server."""
    paths = {
        **_general(),
        **_people(),
        **_history(),
        **_faces(),
        **_photos(),
        **_registrations(max_urls),
        **_questions(max_matches),
        **_faceall(max_urls),
    }
    for path, methods in paths.items():
        for method, described in methods.items():
            words = re.findall(r"\w+", path.removeprefix("/api/v1"))
            described["operationId"] = "_".join([method, *words])
            described["tags"] = [words[0] if path.startswith("/api/v1") else "FaceAll"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "faceall",
            "version": __version__,
            "description": "Detect and recognise faces. Distances are squared L2 of unit vectors, 0 to 4.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "required if the server has keys"}
            },
        },
        "security": [{}, {"key": []}],
    }


def document() -> Response:
    """Return the document as a response."""
    options = services().options
    return jsonify(build(max_urls=options.max_urls, max_matches=options.max_matches))


def _general() -> Schema:
    return {
        "/api/v1/health": {
            "get": operation("Check that the server is running", record(status={"type": "string", "const": "ok"}))
        },
        "/api/v1/status": {"get": operation("Get the counts and the state of the gallery", ref("Status"))},
        "/api/v1/openapi.json": {"get": operation("Get this document", {"type": "object"})},
    }


def _people() -> Schema:
    person = [in_path("person_id", 1)]
    unnamed = in_query("unnamed", {"type": "string", "enum": ["all", "only", "none"], "default": "all"})
    rename = operation("Rename a person", ref("Person"), parameters=person, body=record(name=_NAME), errors=CHANGES)
    merge = operation(
        "Merge a person into another one", ref("Person"), parameters=person, body=record(into=ID), errors=CHANGES
    )
    split = operation(
        "Move faces to another person or a new cluster",
        ref("Person"),
        parameters=person,
        body=record({"to": maybe(_NAME)}, faces=many(ID, minItems=1)),
        errors=CHANGES,
    )
    some = record(people=many(ID, minItems=1))
    return {
        "/api/v1/people": {
            "get": operation(
                "List people by name",
                ref("People"),
                parameters=[unnamed, in_query("hidden", FLAG), in_query("q", TEXT), *PAGE],
            )
        },
        "/api/v1/people/{person_id}/details": _details(person),
        "/api/v1/people/{person_id}": {
            "get": operation("Get a person", ref("Person"), parameters=person),
            "patch": rename,
            "delete": operation("Remove a person and all their faces", ref("Removal"), parameters=person),
        },
        "/api/v1/people/{person_id}/similar": {
            "get": operation(
                "List the most similar people",
                ref("SimilarPeople"),
                parameters=[
                    *person,
                    in_query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 12}),
                ],
            )
        },
        "/api/v1/people/merge": {
            "post": operation(
                "Merge people into another one, as one change",
                ref("Person"),
                body=record(people=many(ID, minItems=1), into=ID),
                errors=CHANGES,
            )
        },
        "/api/v1/people/unname": {
            "post": operation("Remove the names of people", record(faces=COUNT), body=some, errors=CHANGES)
        },
        "/api/v1/people/hide": {"post": operation("Hide people", record(people=COUNT), body=some, errors=CHANGES)},
        "/api/v1/people/show": {
            "post": operation("Show hidden people again", record(people=COUNT), body=some, errors=CHANGES)
        },
        "/api/v1/people/{person_id}/merge": {"post": merge},
        "/api/v1/people/{person_id}/split": {"post": split},
        "/api/v1/people/{person_id}/unassign": {
            "post": operation("Remove the name from all faces of a person", record(faces=COUNT), parameters=person)
        },
    }


def _details(person: list[Schema]) -> Schema:
    note: Schema = {"type": "string", "pattern": r"^[^\x00]{0,2000}$"}
    return {
        "get": operation("Get the details of a person", ref("Details"), parameters=person),
        "patch": operation(
            "Set details of a person",
            ref("Details"),
            parameters=person,
            body=record({"note": maybe(note), "born": maybe(_DAY), "cover": maybe(ID)}),
            example={"note": "Ada's sister", "born": "1990-05-17"},
            errors=CHANGES,
        ),
    }


def _history() -> Schema:
    change = ref("Change")
    who = record(person=TEXT)
    suggestion: Schema = {"type": "string", "pattern": "^[fp][0-9]{1,18}-[fp][0-9]{1,18}$"}
    answer = record(id=suggestion, answer={"type": "string", "enum": ["yes", "no", "skip"]})
    most = in_query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20})
    return {
        "/api/v1/history": {"get": operation("List the changes of people", ref("Changes"), parameters=[*PAGE])},
        "/api/v1/history/undo": {
            "post": operation("Undo a change", change, body=record({"change": ID}), errors=CHANGES)
        },
        "/api/v1/people/{person_id}/discard": {
            "post": operation("Move a person to the bin", change, parameters=[in_path("person_id", 1)], errors=(409,))
        },
        "/api/v1/bin": {"get": operation("List the bin", ref("Bin"))},
        "/api/v1/bin/restore": {"post": operation("Restore a person", change, body=who, errors=CHANGES)},
        "/api/v1/bin/erase": {"post": operation("Erase a person for good", ref("Removal"), body=who, errors=CHANGES)},
        "/api/v1/suggestions": {
            "get": operation("List pairs that may be the same person", ref("Suggestions"), parameters=[most])
        },
        "/api/v1/suggestions/answer": {
            "post": operation("Answer a suggestion", record(change=maybe(change)), body=answer, errors=CHANGES)
        },
    }


_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[^\s\x00-\x1f\x7f-\x9f]+$"}


def _faces() -> Schema:
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
        body=record(person=maybe(_NAME)),
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


_DAY: Schema = {"type": "string", "format": "date"}
_PHOTO_QUERY = [
    in_query("with", {**many(ID), "description": "people who are all on the photo"}),
    in_query("without", {**many(ID), "description": "people who are not on the photo"}),
    in_query("since", _DAY),
    in_query("until", _DAY),
]


def _photos() -> Schema:
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
                "Get the image of a photo, upright and scaled down, with a face marked",
                "image/jpeg",
                parameters=[*photo, size, in_query("face", ID)],
                errors=IMAGES,
            )
        },
    }


def _register(max_urls: int) -> Schema:
    urls = many({"type": "string"}, minItems=1, maxItems=max_urls)
    form = {
        "type": "object",
        "properties": {
            "files": {**many(_IMAGE, minItems=1), "description": "the photos; files or urls or both are required"},
            "person": {
                "type": "string",
                "pattern": r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{0,200}$",
                "description": "name of the person; if empty it is taken from each file's name",
            },
            "unnamed": {**FLAG, "description": "leave new faces without a person"},
            "urls": {"description": f"the URL of a photo; the field may occur {max_urls} times"},
        },
    }
    register = operation(
        "Register photos; responds before they are registered, unless `wait` is true",
        ref("JobFinished"),
        parameters=[in_query("wait", {**FLAG, "default": False})],
        body=record({"person": maybe(_NAME)}, urls=urls),
        errors=IMAGES,
    )
    register["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    register["responses"]["202"] = {
        "description": "accepted",
        "content": {"application/json": {"schema": ref("JobStarted")}},
    }
    return register


def _registrations(max_urls: int) -> Schema:
    job = [in_path("job_id", "mR3dYw0hQk2LxT9a")]
    seen = {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
    }
    return {
        "/api/v1/register": {"post": _register(max_urls)},
        "/api/v1/names/proposals": {
            "post": operation(
                "Propose names for photos from their folders and files",
                record(proposals=many(ref("NameProposal"))),
                body=record(photos=many(ID, minItems=1)),
                errors=CHANGES,
            )
        },
        "/api/v1/names": {
            "post": operation(
                "Assign faces to people by name, as one change",
                record(faces=COUNT),
                body=record(names=many(record(name=_NAME, faces=many(ID, minItems=1)), minItems=1)),
                errors=CHANGES,
            )
        },
        "/api/v1/jobs": {"get": operation("Count running registrations", record(running=COUNT, waiting=COUNT))},
        "/api/v1/jobs/{job_id}": {"get": operation("Get the progress of a registration", ref("Job"), parameters=job)},
        "/api/v1/jobs/{job_id}/events": {
            "get": operation(
                "Server-sent events: `result` for each photo, then `done`",
                "text/event-stream",
                parameters=[*job, seen],
            )
        },
    }


def _questions(max_matches: int) -> Schema:
    search = {
        "type": "object",
        "properties": {
            "file": _IMAGE,
            "k": {"type": "integer", "minimum": 1, "maximum": max_matches, "default": 5},
            "threshold": _LIMITS,
            "by": {"type": "string", "enum": ["face", "person"], "default": "face"},
            "people": {**many(ID), "description": "search among these people only; the field may occur several times"},
        },
        "required": ["file"],
    }
    compare = {
        "type": "object",
        "properties": {"first": _IMAGE, "second": _IMAGE},
        "required": ["first", "second"],
    }
    cluster = operation(
        "Cluster the faces without a person",
        ref("Clustering"),
        body=record({"threshold": maybe({"type": "number", "exclusiveMinimum": 0, "maximum": 4}), "known": FLAG}),
        errors=CHANGES,
    )
    cluster["requestBody"]["required"] = False
    form = "multipart/form-data"
    return {
        "/api/v1/search": {
            "post": operation("Search with an image", ref("Found"), body=search, kind=form, errors=IMAGES)
        },
        "/api/v1/compare": {
            "post": operation(
                "Compare the primary faces of two images",
                ref("Comparison"),
                body=compare,
                kind=form,
                errors=(*IMAGES, 422),
            )
        },
        "/api/v1/cluster": {"post": cluster},
    }


def _faceall(max_urls: int) -> Schema:
    """Return the routes of the original FaceAll web app."""
    form = "multipart/form-data"
    names = {**TEXT, "description": "the file fields, each followed by *"}
    register = {
        "type": "object",
        "properties": {"names": names},
        "required": ["names"],
        "additionalProperties": _IMAGE,
    }
    retrieve = {
        "type": "object",
        "properties": {"name": {**TEXT, "description": "the file field"}},
        "required": ["name"],
        "additionalProperties": _IMAGE,
    }
    batch = record(urls=many(TEXT, minItems=1, maxItems=max_urls))
    failed = {"oneOf": [ref("Error"), ref("FaceAllFaces")]}
    paths = {
        "/faceRegister": {
            "post": operation(
                "Register the images of a form",
                ref("FaceAllFaces"),
                body=register,
                kind=form,
                errors=(*IMAGES, 422),
            )
        },
        "/faceRegisterBatch": {
            "post": operation("Register the images at URLs", ref("FaceAllFaces"), body=batch, errors=(*IMAGES, 422))
        },
        "/faceRetrieve": {
            "post": operation(
                "List all faces by their distance to the one on an image",
                ref("FaceAllDistances"),
                body=retrieve,
                kind=form,
                errors=(*IMAGES, 422),
            )
        },
    }
    for path in ("/faceRegister", "/faceRegisterBatch"):
        responses = paths[path]["post"]["responses"]
        for code in ("400", "413", "415", "422", "500", "503"):
            responses[code]["content"]["application/json"]["schema"] = failed
    return paths
