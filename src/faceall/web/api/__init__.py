"""The API under /api/v1: JSON for programs and for the pages."""

from __future__ import annotations

from flask import Blueprint

from faceall.web.api import faces, jobs, people, photos, register, search, status

PREFIX = "/api/v1"


def make_blueprint() -> Blueprint:
    """All routes of the API."""
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
    for module in (status, people, faces, photos, register, jobs, search):
        module.add_routes(blueprint)
    return blueprint
