"""The OpenAPI 3.1 document of the app, written by hand and compared with the routes by a test."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, jsonify

from faceall.version import __version__
from faceall.web.openapi.operations import CHANGES, PAGE, PICTURES, in_path, in_query, operation
from faceall.web.openapi.schemas import FLAG, ID, SCHEMAS, TEXT, Schema, many, maybe, record, ref
from faceall.web.services import services

_PICTURE: Schema = {"type": "string", "contentMediaType": "image/*", "format": "binary"}
_LIMITS = {"type": "number", "minimum": 0, "maximum": 4}


def build(*, most_urls: int, most_matches: int) -> dict[str, Any]:
    """The document, with the bounds of a server in it."""
    paths = {
        **_general(),
        **_people(),
        **_faces(),
        **_photos(),
        **_registrations(most_urls),
        **_questions(most_matches),
        **_faceall(most_urls),
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
            "description": "Find, remember and recognise faces. Distances are squared L2 of unit vectors, 0 to 4.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "needed where the server has keys"}
            },
        },
        "security": [{}, {"key": []}],
    }


def document() -> Response:
    """The document as an answer."""
    options = services().options
    return jsonify(build(most_urls=options.most_urls, most_matches=options.most_matches))


def _general() -> Schema:
    return {
        "/api/v1/health": {
            "get": operation("Whether the server answers", record(status={"type": "string", "const": "ok"}))
        },
        "/api/v1/status": {"get": operation("What the gallery holds, and how it is", ref("Status"))},
        "/api/v1/openapi.json": {"get": operation("This document", {"type": "object"})},
    }


def _people() -> Schema:
    person = [in_path("person_id", 1)]
    unnamed = in_query("unnamed", {"type": "string", "enum": ["all", "only", "none"], "default": "all"})
    rename = operation("Rename a person", ref("Person"), parameters=person, body=record(name=_NAME), errors=CHANGES)
    merge = operation(
        "File all their faces under another", ref("Person"), parameters=person, body=record(into=ID), errors=CHANGES
    )
    split = operation(
        "Take faces out, to another person or a new cluster",
        ref("Person"),
        parameters=person,
        body=record({"to": maybe(_NAME)}, faces=many(ID, minItems=1)),
        errors=CHANGES,
    )
    return {
        "/api/v1/people": {
            "get": operation("People by name", ref("People"), parameters=[unnamed, in_query("q", TEXT), *PAGE])
        },
        "/api/v1/people/{person_id}": {
            "get": operation("One person", ref("Person"), parameters=person),
            "patch": rename,
            "delete": operation("Remove a person with all faces", ref("Removal"), parameters=person),
        },
        "/api/v1/people/{person_id}/merge": {"post": merge},
        "/api/v1/people/{person_id}/split": {"post": split},
    }


_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[^\s\x00-\x1f\x7f-\x9f]+$"}


def _faces() -> Schema:
    face = [in_path("face_id", 2)]
    chosen = [in_query("person", ID), in_query("photo", ID), in_query("nobody", FLAG)]
    assign = operation(
        "File a face under a person, or under nobody",
        ref("Face"),
        parameters=face,
        body=record(person=maybe(_NAME)),
        errors=CHANGES,
    )
    return {
        "/api/v1/faces": {"get": operation("Faces by their ids", ref("Faces"), parameters=[*chosen, *PAGE])},
        "/api/v1/faces/{face_id}": {
            "get": operation("One face", ref("Face"), parameters=face),
            "patch": assign,
            "delete": operation("Remove a face", ref("Removal"), parameters=face),
        },
        "/api/v1/faces/{face_id}/thumbnail": {
            "get": operation("A face as a small picture", "image/jpeg", parameters=face)
        },
    }


def _photos() -> Schema:
    photo = [in_path("photo_id", 3)]
    size = in_query("max", {"type": "integer", "minimum": 16, "maximum": 4096, "default": 1600})
    return {
        "/api/v1/photos": {
            "get": operation("Photos by their ids", ref("Photos"), parameters=[in_query("person", ID), *PAGE])
        },
        "/api/v1/photos/{photo_id}": {
            "get": operation("One photo", ref("Photo"), parameters=photo),
            "delete": operation("Remove a photo with its faces", ref("Removal"), parameters=photo),
        },
        "/api/v1/photos/{photo_id}/image": {
            "get": operation(
                "The photo, upright and scaled down, with a face marked",
                "image/jpeg",
                parameters=[*photo, size, in_query("face", ID)],
                errors=PICTURES,
            )
        },
    }


def _registrations(most_urls: int) -> Schema:
    urls = many({"type": "string"}, minItems=1, maxItems=most_urls)
    form = {
        "type": "object",
        "properties": {
            "files": {**many(_PICTURE, minItems=1), "description": "the pictures; there are files or urls, or both"},
            "person": {
                "type": "string",
                "pattern": r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{0,200}$",
                "description": "whose they are; where it is empty each is called after its file's name",
            },
            "unnamed": {**FLAG, "description": "file new faces under nobody"},
            "urls": {"description": f"the address of a picture; the field may come {most_urls} times"},
        },
    }
    register = operation(
        "Register pictures; answers before it is done, unless `wait` is true",
        ref("JobFinished"),
        parameters=[in_query("wait", {**FLAG, "default": False})],
        body=record({"person": maybe(_NAME)}, urls=urls),
        errors=PICTURES,
    )
    register["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    register["responses"]["202"] = {
        "description": "accepted",
        "content": {"application/json": {"schema": ref("JobStarted")}},
    }
    job = [in_path("job_id", "mR3dYw0hQk2LxT9a")]
    seen = {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
    }
    return {
        "/api/v1/register": {"post": register},
        "/api/v1/jobs/{job_id}": {"get": operation("How far a registration is", ref("Job"), parameters=job)},
        "/api/v1/jobs/{job_id}/events": {
            "get": operation(
                "Server-sent events: `result` for each picture, then `done`",
                "text/event-stream",
                parameters=[*job, seen],
            )
        },
    }


def _questions(most_matches: int) -> Schema:
    search = {
        "type": "object",
        "properties": {
            "file": _PICTURE,
            "k": {"type": "integer", "minimum": 1, "maximum": most_matches, "default": 5},
            "threshold": _LIMITS,
            "by": {"type": "string", "enum": ["face", "person"], "default": "face"},
            "people": {**many(ID), "description": "only faces of these count; the field may come several times"},
        },
        "required": ["file"],
    }
    compare = {
        "type": "object",
        "properties": {"first": _PICTURE, "second": _PICTURE},
        "required": ["first", "second"],
    }
    cluster = operation(
        "Group the faces of nobody",
        ref("Clustering"),
        body=record({"threshold": maybe({"type": "number", "exclusiveMinimum": 0, "maximum": 4}), "known": FLAG}),
        errors=CHANGES,
    )
    cluster["requestBody"]["required"] = False
    form = "multipart/form-data"
    return {
        "/api/v1/search": {
            "post": operation("Who is on a picture", ref("Found"), body=search, kind=form, errors=PICTURES)
        },
        "/api/v1/compare": {
            "post": operation(
                "Whether two pictures show one person",
                ref("Comparison"),
                body=compare,
                kind=form,
                errors=(*PICTURES, 422),
            )
        },
        "/api/v1/cluster": {"post": cluster},
    }


def _faceall(most_urls: int) -> Schema:
    """The routes of the FaceAll that was a web app only."""
    form = "multipart/form-data"
    names = {**TEXT, "description": "the file fields, each with a * behind it"}
    register = {
        "type": "object",
        "properties": {"names": names},
        "required": ["names"],
        "additionalProperties": _PICTURE,
    }
    retrieve = {
        "type": "object",
        "properties": {"name": {**TEXT, "description": "the file field"}},
        "required": ["name"],
        "additionalProperties": _PICTURE,
    }
    batch = record(urls=many(TEXT, minItems=1, maxItems=most_urls))
    failed = {"oneOf": [ref("Error"), ref("FaceAllFaces")]}
    paths = {
        "/faceRegister": {
            "post": operation(
                "Register the pictures of a form",
                ref("FaceAllFaces"),
                body=register,
                kind=form,
                errors=(*PICTURES, 422),
            )
        },
        "/faceRegisterBatch": {
            "post": operation("Register the pictures at URLs", ref("FaceAllFaces"), body=batch, errors=(*PICTURES, 422))
        },
        "/faceRetrieve": {
            "post": operation(
                "All faces by their distance to the one on a picture",
                ref("FaceAllDistances"),
                body=retrieve,
                kind=form,
                errors=(*PICTURES, 422),
            )
        },
    }
    for path in ("/faceRegister", "/faceRegisterBatch"):
        responses = paths[path]["post"]["responses"]
        for code in ("400", "413", "415", "422", "500", "503"):
            responses[code]["content"]["application/json"]["schema"] = failed
    return paths
