"""Routes for the progress of registrations."""

from __future__ import annotations

from flask import Blueprint, Response, request

from faceall.web.errors import refused
from faceall.web.serializers import Json
from faceall.web.services import services


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes under /jobs."""
    blueprint.get("/jobs")(list_jobs)
    blueprint.get("/jobs/<job_id>")(show_job)
    blueprint.get("/jobs/<job_id>/events")(events)


def list_jobs() -> Json:
    """Count the registrations that are running and their photos that are not done; ids stay with their clients."""
    return {"running": services().jobs.running, "waiting": services().jobs.waiting}


def show_job(job_id: str) -> Json:
    """Return a job with its results so far."""
    return services().jobs.find(job_id).record()


def events(job_id: str) -> Response:
    """Return server-sent events: a `result` per photo, then `done`; continues after the id in Last-Event-ID.

    A stream uses a thread of the server, so it ends after some seconds; browsers reconnect by themselves.
    """
    jobs = services().jobs
    job = jobs.find(job_id)
    seen = request.headers.get("Last-Event-ID", "0")
    if not (seen.isascii() and seen.isdecimal() and len(seen) < 10):
        raise refused(f"Last-Event-ID is {seen[:40]!r}, expected the id of an event")
    stream = jobs.stream(job, after=int(seen))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(stream, mimetype="text/event-stream", headers=headers)
