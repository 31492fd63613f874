"""Operations of the OpenAPI document: what all of them have in common."""

from __future__ import annotations

from faceall.web.api.inputs import LONGEST_PAGE
from faceall.web.openapi.schemas import ID, Schema, ref

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
CHANGES = (409, 413, 415)
"""Errors of what takes a JSON body."""

PICTURES = (409, 413, 415)
"""Errors of what takes a picture, beside those of every operation."""


def operation(
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
    described: Schema = {"summary": text, "responses": responses}
    if parameters:
        described["parameters"] = parameters
    if body is not None:
        described["requestBody"] = {"required": True, "content": {kind: {"schema": body}}}
    return described


def in_query(name: str, schema: Schema) -> Schema:
    """A parameter behind the question mark."""
    return {"name": name, "in": "query", "schema": schema}


def in_path(name: str, example: int | str) -> Schema:
    """A parameter in the path: an id, or for a textual example a word."""
    schema = ID if isinstance(example, int) else {"type": "string", "pattern": "^[A-Za-z0-9_-]+$", "maxLength": 64}
    return {"name": name, "in": "path", "required": True, "schema": schema, "example": example}


PAGE = [
    in_query("limit", {"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE, "default": 100}),
    in_query("offset", {**ID, "default": 0}),
]
