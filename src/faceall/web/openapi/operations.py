"""What the operations of the OpenAPI document have in common."""

from __future__ import annotations

from faceall.web.api.inputs import MAX_PAGE_SIZE
from faceall.web.openapi.schemas import ID, Schema, ref

_ERRORS = {
    400: "invalid request; the message says why",
    401: "an API key is required",
    403: "a cross-site request, or an unknown host name",
    404: "not found",
    409: "conflict with the present state",
    413: "too large",
    415: "not an image, or the wrong content type",
    422: "the image does not show the required faces, or a URL cannot be downloaded",
    429: "too many requests",
    500: "internal error",
    503: "busy; try again",
}
_ALWAYS = (400, 401, 403, 404, 429, 500, 503)
CHANGES = (409, 413, 415)
"""Additional errors of operations with a JSON body."""

IMAGES = (409, 413, 415)
"""Additional errors of operations with an image."""


def operation(
    text: str,
    answer: Schema | str,
    *,
    errors: tuple[int, ...] = (),
    parameters: list[Schema] | None = None,
    body: Schema | None = None,
    example: Schema | None = None,
    kind: str = "application/json",
) -> Schema:
    """Return an operation; `answer` is the schema of its JSON, or another media type; `example` is one body."""
    content = {answer: {}} if isinstance(answer, str) else {"application/json": {"schema": answer}}
    responses: Schema = {"200": {"description": "success", "content": content}}
    for code in sorted({*_ALWAYS, *errors}):
        responses[str(code)] = {
            "description": _ERRORS[code],
            "content": {"application/json": {"schema": ref("Error")}},
        }
    described: Schema = {"summary": text, "responses": responses}
    if parameters:
        described["parameters"] = parameters
    if body is not None:
        shown = {} if example is None else {"example": example}
        described["requestBody"] = {"required": True, "content": {kind: {"schema": body, **shown}}}
    return described


def in_query(name: str, schema: Schema) -> Schema:
    """Return a query parameter."""
    return {"name": name, "in": "query", "schema": schema}


def in_path(name: str, example: int | str) -> Schema:
    """Return a path parameter: an id, or for a string example a word."""
    schema = ID if isinstance(example, int) else {"type": "string", "pattern": "^[A-Za-z0-9_-]+$", "maxLength": 64}
    return {"name": name, "in": "path", "required": True, "schema": schema, "example": example}


PAGE = [
    in_query("limit", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": 100}),
    in_query("offset", {**ID, "default": 0}),
]
