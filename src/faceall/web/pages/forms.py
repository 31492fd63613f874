"""The pages with forms for images, register and search, which also work without scripts."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from flask import Response, request
from werkzeug.datastructures import FileStorage

from faceall.errors import FaceallError
from faceall.gallery.people.names import validate_name
from faceall.web import api
from faceall.web.api.inputs import checked_urls, name_of
from faceall.web.errors import describe
from faceall.web.pages.context import render, texts
from faceall.web.pages.results import LEVELS, problem_text, registered, searched
from faceall.web.serializers import Json
from faceall.web.services import services
from faceall.web.work.jobs import Job

RESULTS = 12

_MAX_ECHOED = 8 << 20  # bytes of an image that is shown beside its results without scripts


def register() -> Response:
    """Show the page that registers photos."""
    return _register_page()


def register_answer() -> Response:
    """Register the photos of the form and show the results; used without scripts."""
    files = [file for file in request.files.getlist("files") if file.filename]
    urls = request.form.get("urls", "").split()
    if not files and not urls:
        return _register_page(problem=texts()("script.empty"), status=400)
    try:
        job = _submit(files, urls, request.form.get("person", "").strip() or None)
    except FaceallError as error:
        return _register_page(problem=_explain(error), status=_status_of(error))
    job.wait()
    return _register_page(results=[registered(texts(), result) for result in job.record()["results"]])


def _submit(files: list[FileStorage], urls: list[str], person: str | None) -> Job:
    shared = services()
    owner = validate_name(person) if person else None
    addresses = checked_urls(urls, shared.options.max_urls) if urls else []
    shared.jobs.check_capacity(len(files) + len(urls))
    sent = api.register.file_items([(name_of(file), file) for file in files], person=owner, names_from="folders")
    return api.register.submit([*sent, *api.register.url_items(addresses, person=owner)])


def search() -> Response:
    """Show the page that searches with an image."""
    return _search_page()


def search_answer() -> Response:
    """Search with the image of the form; returns the page, or for scripts (X-Piece) the results only."""
    piece = "X-Piece" in request.headers
    try:
        found = api.search.search()
    except FaceallError as error:
        if piece:
            raise  # scripts get JSON, as from the API
        return _search_page(problem=_explain(error), status=_status_of(error))
    values: Json = {
        "found": searched(texts(), found),
        "by": request.form.get("by"),
        "levels": LEVELS,
        "query_image": None if piece else _echo(),
    }
    return render("search_results.html", **values) if piece else _search_page(**values)


def _register_page(*, status: int = 200, problem: str = "", results: Sequence[Json] = ()) -> Response:
    person = request.form.get("person", "")
    values = {"wanted_person": person, "problem": problem, "results": results}
    return render("register.html", "register", status=status, **values)


def _search_page(*, status: int = 200, **values: Any) -> Response:
    k = request.form.get("k", "")
    shown: Json = {
        "gallery_faces": len(services().gallery),
        "since": request.form.get("since", ""),
        "until": request.form.get("until", ""),
        "by": "person",
        "k": int(k) if k.isdecimal() and len(k) < 5 else RESULTS,
        "problem": "",
        "found": None,
    }
    return render("search.html", "search", status=status, **{**shown, **values})


def _echo() -> str | None:
    """Return the image of the form as a data URL; None if it is too large."""
    file = request.files["file"]
    file.stream.seek(0)
    content = file.stream.read(_MAX_ECHOED + 1)
    if len(content) > _MAX_ECHOED or not file.mimetype.startswith("image/"):
        return None
    return f"data:{file.mimetype};base64,{base64.b64encode(content).decode('ascii')}"


def _explain(error: FaceallError) -> str:
    return problem_text(texts(), _described(error)[1])


def _status_of(error: FaceallError) -> int:
    return _described(error)[0]


def _described(error: FaceallError) -> tuple[int, Json]:
    return describe(error, services().gallery.place)
