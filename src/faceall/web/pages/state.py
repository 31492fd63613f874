"""The pages of the gallery's state: corrections to review, their history, counts, and the API's explorer."""

from __future__ import annotations

from flask import Response

from faceall.web import api
from faceall.web.pages import paging
from faceall.web.pages.context import duration, render, texts
from faceall.web.pages.results import change_text
from faceall.web.services import services

_NUMBERS = (
    ("people", "people"),
    ("faces", "faces"),
    ("photos", "photos"),
    ("unnamed", "unnamed_clusters"),
    ("unassigned", "unnamed_faces"),
)


def review() -> Response:
    """Show the page that asks whether two faces are one person."""
    return render("review.html", "review")


def history() -> Response:
    """List the changes of people, with undo, and the people in the bin."""
    people = services().gallery.people
    number, offset = paging.page_number(paging.CHANGES_PER_PAGE)
    found = people.history(limit=paging.CHANGES_PER_PAGE, offset=offset)
    return render(
        "history.html",
        "review",
        changes=[{**api.history.change_record(one), "text": change_text(texts(), one)} for one in found.items],
        bin=people.bin(),
        days=people.bin_days,
        **paging.page_values(number, found.total, paging.CHANGES_PER_PAGE),
    )


def explorer() -> Response:
    """Show the page that tries the API out."""
    return render("explorer.html", "status")


def status() -> Response:
    """Show the counts and the state of the gallery."""
    found = api.status.read_status(services())
    index, model, words = found["index"], found["model"] or {}, texts()
    return render(
        "status.html",
        "status",
        numbers=[(key, found[name]) for key, name in _NUMBERS],
        index=index,
        model_name=model.get("name"),
        model_size=model.get("size"),
        detector=found["detector"],
        engine=found["engine"],
        threshold=found["threshold"],
        queue=found["queue"],
        uptime=duration(words, found["uptime_seconds"]),
        version=found["version"],
        missing_files=found["missing_files"],
        unnamed=found["unnamed_faces"],
    )
