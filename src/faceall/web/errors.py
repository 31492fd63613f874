"""Error responses: `{"error": {"code", "message"}}` with a matching HTTP status."""

from __future__ import annotations

import logging
import math
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from faceall.errors import (
    ApiKeyError,
    FaceallError,
    ImageError,
    ImageTooLargeError,
    IndexBusyError,
    IndexFileError,
    IndexMismatchError,
    ModelError,
    NameTakenError,
    NetError,
    NotSupportedError,
    UndoError,
    UnknownChangeError,
    UnknownFaceError,
    UnknownPersonError,
)
from faceall.web.refusal import RefusedError

_log = logging.getLogger(__name__)

# the first matching row is used; messages of status 500 go to the log only
_KINDS: tuple[tuple[type[FaceallError], int, str], ...] = (
    (UnknownPersonError, 404, "not_found"),
    (UnknownFaceError, 404, "not_found"),
    (UnknownChangeError, 404, "not_found"),
    (NameTakenError, 409, "conflict"),
    (UndoError, 409, "conflict"),
    (NotSupportedError, 409, "conflict"),
    (ImageTooLargeError, 413, "too_large"),
    (ImageError, 415, "unsupported_media_type"),
    (IndexBusyError, 503, "busy"),
    (IndexMismatchError, 409, "conflict"),
    (IndexFileError, 500, "internal"),
    (ApiKeyError, 500, "internal"),
    (ModelError, 500, "internal"),
    (NetError, 500, "internal"),
    (FaceallError, 400, "bad_request"),
)
_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "unprocessable",
    429: "too_many_requests",
    503: "busy",
}
ERROR_CODES = sorted({*_CODES.values(), "internal"})
"""All values of an error's `code`."""

_TEXTS = {
    404: "this address does not exist",
    405: "this address does not support the method",
    415: "this address does not support the content type of the body",
}
_INTERNAL = "internal error; see the server's log"
_RETRY_AFTER = 1  # seconds, if the gallery is busy


def refused(text: str, status: int = 400) -> RefusedError:
    """Make an error with the code of an HTTP status."""
    return RefusedError(text, status=status, code=_CODES[status])


def describe(error: FaceallError, folder: str) -> tuple[int, dict[str, Any]]:
    """Return the status and the `{"code", "message"}` of an error, without paths of the server.

    Parameters
    ----------
    error : FaceallError
        The error.
    folder : str
        Path of the gallery, which is removed from the message.
    """
    if isinstance(error, RefusedError):
        return error.status, {"code": error.code, "message": str(error)}
    status, code = next((status, code) for kind, status, code in _KINDS if isinstance(error, kind))
    if status == 500:
        _log.error("%s: %s", type(error).__name__, error)
        return status, {"code": code, "message": _INTERNAL}
    text = error.reason if isinstance(error, ImageError) else str(error)
    return status, {"code": code, "message": text.replace(f"the gallery {folder}", "the gallery").replace(folder, "it")}


def install(app: Flask, folder: str) -> None:
    """Register the error handlers of an app."""

    def on_faceall_error(error: FaceallError) -> Response:
        status, fields = describe(error, folder)
        retry_after = error.retry_after if isinstance(error, RefusedError) else None
        if isinstance(error, IndexBusyError):
            retry_after = _RETRY_AFTER
        return error_response(status, fields, retry_after)

    def on_http_error(error: HTTPException) -> Response:
        if error.code is None or error.code < 400:  # a redirect
            return Response(error.get_body(), error.code, error.get_headers())
        text = _TEXTS.get(error.code) or " ".join((error.description or error.name).split())
        if isinstance(error, RequestEntityTooLarge):
            limit = app.config["MAX_CONTENT_LENGTH"]
            text = f"the request is larger than the limit of {limit:,} bytes"
            if (request.content_length or 0) <= limit:
                text = "the form has too many parts, or too much text in its fields"
        response = error_response(error.code, {"code": _CODES.get(error.code, "bad_request"), "message": text})
        valid = getattr(error, "valid_methods", None)
        if valid:
            response.headers["Allow"] = ", ".join(sorted(valid))
        return response

    def on_bug(error: Exception) -> Response:
        _log.error("%s %s failed", request.method, request.path, exc_info=error)
        return error_response(500, {"code": "internal", "message": _INTERNAL})

    app.register_error_handler(FaceallError, on_faceall_error)
    app.register_error_handler(HTTPException, on_http_error)
    app.register_error_handler(Exception, on_bug)


def error_response(status: int, fields: dict[str, Any], retry_after: float | None = None) -> Response:
    """Make an error response."""
    response = jsonify({"error": fields})
    response.status_code = status
    if retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(retry_after))
    return response
