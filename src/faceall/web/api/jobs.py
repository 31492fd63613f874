"""Registrations that go on: how far they are, and events as they come."""

from __future__ import annotations

from flask import Blueprint, Response, request

from faceall.web.api.serializers import Json
from faceall.web.errors import refused
from faceall.web.services import services


def add_routes(blueprint: Blueprint) -> None:
    """Jobs under /jobs."""
    blueprint.get("/jobs/<job_id>")(show_job)
    blueprint.get("/jobs/<job_id>/events")(events)


def show_job(job_id: str) -> Json:
    """A job with the results so far."""
    return services().jobs.find(job_id).record()


def events(job_id: str) -> Response:
    """Server-sent events: a `result` per picture, then `done`; goes on after the id in Last-Event-ID.

    A stream holds a thread of the server, so it ends after some seconds; browsers ask for the rest by themselves.
    """
    jobs = services().jobs
    job = jobs.find(job_id)
    seen = request.headers.get("Last-Event-ID", "0")
    if not (seen.isascii() and seen.isdecimal() and len(seen) < 10):
        raise refused(f"Last-Event-ID is {seen[:40]!r}, expected the id of an event")
    stream = jobs.stream(job, after=int(seen))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(stream, mimetype="text/event-stream", headers=headers)
