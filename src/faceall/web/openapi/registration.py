"""The operations of registration: photos, names and jobs."""

from __future__ import annotations

from faceall.web.openapi.operations import CHANGES, IMAGES, in_path, in_query, operation
from faceall.web.openapi.schemas import COUNT, FLAG, ID, IMAGE, NAME, Schema, many, maybe, record, ref


def _register(max_urls: int) -> Schema:
    urls = many({"type": "string"}, minItems=1, maxItems=max_urls)
    form = {
        "type": "object",
        "properties": {
            "files": {**many(IMAGE, minItems=1), "description": "the photos; files or urls or both are required"},
            "person": {
                "type": "string",
                "pattern": r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{0,200}$",
                "description": "name of the person; if empty it comes from `names_from`",
            },
            "names_from": {
                "type": "string",
                "enum": ["folders", "files"],
                "default": "folders",
                "description": "the folder in a file's name, as in Ada/1.jpg, or else the file's name too: ada_2.jpg",
            },
            "unnamed": {**FLAG, "description": "leave new faces without a person"},
            "urls": {"description": f"the URL of a photo; the field may occur {max_urls} times"},
        },
    }
    register = operation(
        "Register photos; responds before they are registered, unless `wait` is true",
        ref("JobFinished"),
        parameters=[in_query("wait", {**FLAG, "default": False})],
        body=record({"person": maybe(NAME)}, urls=urls),
        errors=IMAGES,
    )
    register["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    register["responses"]["202"] = {
        "description": "accepted",
        "content": {"application/json": {"schema": ref("JobStarted")}},
    }
    return register


def registration_paths(max_urls: int) -> Schema:
    """Return the operations of registrations."""
    job = [in_path("job_id", "mR3dYw0hQk2LxT9a")]
    seen = {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
    }
    return {
        "/api/v1/register": {"post": _register(max_urls)},
        "/api/v1/names/proposals": {
            "post": operation(
                "Propose names for photos from their folders and files",
                record(proposals=many(ref("NameProposal"))),
                body=record(photos=many(ID, minItems=1)),
                errors=CHANGES,
            )
        },
        "/api/v1/names": {
            "post": operation(
                "Assign faces to people by name, as one change",
                record(faces=COUNT),
                body=record(names=many(record(name=NAME, faces=many(ID, minItems=1)), minItems=1)),
                errors=CHANGES,
            )
        },
        "/api/v1/jobs": {"get": operation("Count running registrations", record(running=COUNT, waiting=COUNT))},
        "/api/v1/jobs/{job_id}": {"get": operation("Get the progress of a registration", ref("Job"), parameters=job)},
        "/api/v1/jobs/{job_id}/events": {
            "get": operation(
                "Server-sent events: `result` for each photo, then `done`",
                "text/event-stream",
                parameters=[*job, seen],
            )
        },
    }
