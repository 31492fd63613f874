"""The OpenAPI 3.1 document; a test compares it with the routes."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, jsonify

from faceall.version import __version__
from faceall.web.openapi.faceall_routes import faceall_paths
from faceall.web.openapi.operations import operation
from faceall.web.openapi.people import history_paths, people_paths
from faceall.web.openapi.photos import face_paths, photo_paths
from faceall.web.openapi.registration import registration_paths
from faceall.web.openapi.schemas import SCHEMAS, Schema, record, ref
from faceall.web.openapi.search import search_paths
from faceall.web.services import services


def build(*, max_urls: int, max_matches: int) -> dict[str, Any]:
    """Return the document with the limits of a server."""
    paths = {
        **_general(),
        **people_paths(),
        **history_paths(),
        **face_paths(),
        **photo_paths(),
        **registration_paths(max_urls),
        **search_paths(max_matches),
        **faceall_paths(max_urls),
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
