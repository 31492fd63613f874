"""The JSON API under /api/v1, used by programs and by the pages; and the three legacy routes of FaceAll.

====================  ==========================================================
`history`             changes of people, undo, the bin, suggestions
`people`              list, rename, merge, split and remove people
`faces`               list, assign and remove faces; thumbnails
`names`               propose and give names after a registration
`photos`              list and remove photos; their images
`register`            register photos from forms and URLs
`jobs`                progress of registrations, as JSON or events
`search`              search, compare, cluster
`status`              health and status
`receipts`            receipts of removals
`inputs`, `forms`     checked input of requests
`faceall_routes`      `/faceRegister`, `/faceRegisterBatch`, `/faceRetrieve`
====================  ==========================================================
"""

from __future__ import annotations

from flask import Blueprint

from faceall.web.api import faces, history, jobs, names, people, photos, register, search, status

PREFIX = "/api/v1"


def make_blueprint() -> Blueprint:
    """Make the blueprint with all routes of the API."""
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
    for module in (status, people, history, faces, photos, names, register, jobs, search):
        module.add_routes(blueprint)
    return blueprint
