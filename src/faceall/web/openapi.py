"""The OpenAPI 3.1 document of the app, written by hand and compared with the routes by a test."""

from __future__ import annotations

from flask import Response, jsonify

from faceall.version import __version__


def build() -> dict[str, object]:
    """The document."""
    return {"openapi": "3.1.0", "info": {"title": "faceall", "version": __version__}, "paths": {}}


def document() -> Response:
    """The document as an answer."""
    return jsonify(build())
