"""The OpenAPI 3.1 document of the app, written by hand and compared with the routes by a test."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from faceall.version import __version__
from faceall.web.inputs import LONGEST_PAGE
from faceall.web.openapi_schemas import FLAG, ID, SCHEMAS, TEXT, Schema, many, maybe, record, ref
from faceall.web.services import services

_PICTURE: Schema = {"type": "string", "contentMediaType": "image/*", "format": "binary"}
_LIMITS = {"type": "number", "minimum": 0, "maximum": 4}
_ERRORS = {
    400: "what is asked for cannot be understood; the message says why",
    401: "an API key is needed",
    403: "the request comes from another site",
    404: "there is no such thing",
    409: "it clashes with what is there",
    413: "too large",
    415: "no picture, or a body of another kind",
    422: "not the faces that are needed",
    429: "too many requests",
    500: "a fault of the server",
    503: "busy; ask again",
}
_ALWAYS = (400, 401, 403, 404, 429, 500, 503)
_CHANGES = (409, 413, 415)
_PICTURES = (409, 413, 415)


def build(*, most_urls: int, most_matches: int) -> dict[str, Any]:
    """The document, with the bounds of a server in it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "faceall",
            "version": __version__,
            "description": "Find, remember and recognise faces. Distances are squared L2 of unit vectors, 0 to 4.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": {
            **_general(),
            **_people(),
            **_faces(),
            **_photos(),
            **_registrations(most_urls),
            **_questions(most_matches),
            **_faceall(most_urls),
        },
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


def _operation(
    text: str,
    answer: Schema | str,
    *,
    errors: tuple[int, ...] = (),
    parameters: list[Schema] | None = None,
    body: Schema | None = None,
    kind: str = "application/json",
    status: int = 200,
) -> Schema:
    """One operation; `answer` is the shape of its JSON or another media type."""
    content = {answer: {}} if isinstance(answer, str) else {"application/json": {"schema": answer}}
    responses: Schema = {str(status): {"description": "done", "content": content}}
    for code in sorted({*_ALWAYS, *errors}):
        responses[str(code)] = {
            "description": _ERRORS[code],
            "content": {"application/json": {"schema": ref("Error")}},
        }
    operation: Schema = {"summary": text, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": body}}}
    return operation


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _path(name: str, example: int | str) -> Schema:
    schema = ID if isinstance(example, int) else {"type": "string", "pattern": "^[A-Za-z0-9_-]+$", "maxLength": 64}
    return {"name": name, "in": "path", "required": True, "schema": schema, "example": example}


_PAGE = [
    _query("limit", {"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE, "default": 100}),
    _query("offset", {**ID, "default": 0}),
]


def _general() -> Schema:
    return {
        "/api/v1/health": {
            "get": _operation("Whether the server answers", record(status={"type": "string", "const": "ok"}))
        },
        "/api/v1/status": {"get": _operation("What the gallery holds, and how it is", ref("Status"))},
        "/api/v1/openapi.json": {"get": _operation("This document", {"type": "object"})},
    }


def _people() -> Schema:
    person = [_path("person_id", 1)]
    unnamed = _query("unnamed", {"type": "string", "enum": ["all", "only", "none"], "default": "all"})
    rename = _operation("Rename a person", ref("Person"), parameters=person, body=record(name=_NAME), errors=_CHANGES)
    merge = _operation(
        "File all their faces under another", ref("Person"), parameters=person, body=record(into=ID), errors=_CHANGES
    )
    split = _operation(
        "Take faces out, to another person or a new cluster",
        ref("Person"),
        parameters=person,
        body=record({"to": maybe(_NAME)}, faces=many(ID, minItems=1)),
        errors=_CHANGES,
    )
    return {
        "/api/v1/people": {
            "get": _operation("People by name", ref("People"), parameters=[unnamed, _query("q", TEXT), *_PAGE])
        },
        "/api/v1/people/{person_id}": {
            "get": _operation("One person", ref("Person"), parameters=person),
            "patch": rename,
            "delete": _operation("Remove a person with all faces", ref("Removal"), parameters=person),
        },
        "/api/v1/people/{person_id}/merge": {"post": merge},
        "/api/v1/people/{person_id}/split": {"post": split},
    }


_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[^\s\x00-\x1f\x7f-\x9f]+$"}


def _faces() -> Schema:
    face = [_path("face_id", 2)]
    chosen = [_query("person", ID), _query("photo", ID), _query("nobody", FLAG)]
    assign = _operation(
        "File a face under a person, or under nobody",
        ref("Face"),
        parameters=face,
        body=record(person=maybe(_NAME)),
        errors=_CHANGES,
    )
    return {
        "/api/v1/faces": {"get": _operation("Faces by their ids", ref("Faces"), parameters=[*chosen, *_PAGE])},
        "/api/v1/faces/{face_id}": {
            "get": _operation("One face", ref("Face"), parameters=face),
            "patch": assign,
            "delete": _operation("Remove a face", ref("Removal"), parameters=face),
        },
        "/api/v1/faces/{face_id}/thumbnail": {
            "get": _operation("A face as a small picture", "image/jpeg", parameters=face)
        },
    }


def _photos() -> Schema:
    photo = [_path("photo_id", 3)]
    size = _query("max", {"type": "integer", "minimum": 16, "maximum": 4096, "default": 1600})
    return {
        "/api/v1/photos": {
            "get": _operation("Photos by their ids", ref("Photos"), parameters=[_query("person", ID), *_PAGE])
        },
        "/api/v1/photos/{photo_id}": {
            "get": _operation("One photo", ref("Photo"), parameters=photo),
            "delete": _operation("Remove a photo with its faces", ref("Removal"), parameters=photo),
        },
        "/api/v1/photos/{photo_id}/image": {
            "get": _operation(
                "The photo, upright and scaled down, with a face marked",
                "image/jpeg",
                parameters=[*photo, size, _query("face", ID)],
                errors=_PICTURES,
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
    register = _operation(
        "Register pictures; answers before it is done, unless `wait` is true",
        ref("JobFinished"),
        parameters=[_query("wait", {**FLAG, "default": False})],
        body=record({"person": maybe(_NAME)}, urls=urls),
        errors=_PICTURES,
    )
    register["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    register["responses"]["202"] = {
        "description": "accepted",
        "content": {"application/json": {"schema": ref("JobStarted")}},
    }
    job = [_path("job_id", "mR3dYw0hQk2LxT9a")]
    seen = {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
    }
    return {
        "/api/v1/register": {"post": register},
        "/api/v1/jobs/{job_id}": {"get": _operation("How far a registration is", ref("Job"), parameters=job)},
        "/api/v1/jobs/{job_id}/events": {
            "get": _operation(
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
        },
        "required": ["file"],
    }
    compare = {
        "type": "object",
        "properties": {"first": _PICTURE, "second": _PICTURE},
        "required": ["first", "second"],
    }
    cluster = _operation(
        "Group the faces of nobody",
        ref("Clustering"),
        body=record({"threshold": maybe({"type": "number", "exclusiveMinimum": 0, "maximum": 4}), "known": FLAG}),
        errors=_CHANGES,
    )
    cluster["requestBody"]["required"] = False
    form = "multipart/form-data"
    return {
        "/api/v1/search": {
            "post": _operation("Who is on a picture", ref("Found"), body=search, kind=form, errors=_PICTURES)
        },
        "/api/v1/compare": {
            "post": _operation(
                "Whether two pictures show one person",
                ref("Comparison"),
                body=compare,
                kind=form,
                errors=(*_PICTURES, 422),
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
            "post": _operation(
                "Register the pictures of a form",
                ref("FaceAllFaces"),
                body=register,
                kind=form,
                errors=(*_PICTURES, 422),
            )
        },
        "/faceRegisterBatch": {
            "post": _operation(
                "Register the pictures at URLs", ref("FaceAllFaces"), body=batch, errors=(*_PICTURES, 422)
            )
        },
        "/faceRetrieve": {
            "post": _operation(
                "All faces by their distance to the one on a picture",
                ref("FaceAllDistances"),
                body=retrieve,
                kind=form,
                errors=(*_PICTURES, 422),
            )
        },
    }
    for path in ("/faceRegister", "/faceRegisterBatch"):
        responses = paths[path]["post"]["responses"]
        for code in ("400", "413", "415", "422", "500", "503"):
            responses[code]["content"]["application/json"]["schema"] = failed
    return paths
