"""The pages: register, search, people, person, photo and status.

They show the data of the API. Registering and searching also work without scripts.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, request, url_for
from werkzeug.datastructures import FileStorage

from faceall.errors import FaceallError
from faceall.gallery import Page, StoredFace, StoredPhoto
from faceall.gallery.people.names import validate_name
from faceall.web import api
from faceall.web.api.inputs import checked_urls, choice, id_of, name_of, whole
from faceall.web.errors import describe, refused
from faceall.web.pages.context import add_filters, duration, keep_preferences, render, shown_name, texts, wants_page
from faceall.web.pages.results import LEVELS, change_text, problem_text, registered, searched
from faceall.web.serializers import Json
from faceall.web.services import services
from faceall.web.work.jobs import Job

PEOPLE_PER_PAGE = 60
FACES_PER_PAGE = 120
CHANGES_PER_PAGE = 100
RESULTS = 12

_MAX_NAMES = 2000  # that are offered for completion
_MAX_ECHOED = 8 << 20  # bytes of an image that is shown beside its results without scripts
_NAMED: dict[str, bool | None] = {"all": None, "only": False, "none": True, "hidden": None}

blueprint = Blueprint(
    "pages", "faceall.web", template_folder="templates", static_folder="static", static_url_path="/static"
)
add_filters(blueprint)
blueprint.post("/preferences", endpoint="preferences")(keep_preferences)


@blueprint.get("/")
def register() -> Response:
    """Show the page that registers photos."""
    return _register_page()


@blueprint.post("/")
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
    sent = api.register.file_items([(name_of(file), file) for file in files], person=owner, unnamed=False)
    return api.register.submit([*sent, *api.register.url_items(addresses, person=owner)])


@blueprint.get("/search")
def search() -> Response:
    """Show the page that searches with an image."""
    return _search_page()


@blueprint.post("/search")
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


@blueprint.get("/people")
def people() -> Response:
    """List people by name, then groups without a name and faces without a person, or those who are hidden."""
    query, which = request.args.get("q", "").strip(), choice(request.args, "unnamed", tuple(_NAMED))
    gallery = services().gallery
    number, offset = _page_number(PEOPLE_PER_PAGE)
    found = gallery.people.page(
        text=query or None,
        named=_NAMED[which],
        hidden=which == "hidden",
        limit=PEOPLE_PER_PAGE,
        offset=offset,
    )
    faces = which in ("only", "hidden") and number == 1 and not query
    return render(
        "people.html",
        "people",
        people=[services().serializer.person(person) for person in found.items],
        names=_names(),
        unassigned=gallery.faces.page(unassigned=True, limit=0).total,
        **(_loose_faces(hidden=which == "hidden") if faces else {"unassigned_faces": [], "more_faces": None}),
        query=query,
        unnamed=which,
        **_pages(number, found.total, PEOPLE_PER_PAGE),
    )


def _loose_faces(*, hidden: bool) -> Json:
    """Return faces without a person, or hidden ones, the largest first, and the address of the next page of them."""
    number = whole(request.args, "faces", 1, low=1, high=10_000_000) or 1
    found = services().gallery.faces.page(
        unassigned=not hidden,
        hidden=hidden,
        sort="size",
        limit=PEOPLE_PER_PAGE,
        offset=(number - 1) * PEOPLE_PER_PAGE,
    )
    which = "hidden" if hidden else "only"
    more = number * PEOPLE_PER_PAGE < found.total
    return {
        "unassigned_faces": [services().serializer.face(face) for face in found.items],
        "more_faces": url_for("pages.people", unnamed=which, faces=number + 1) if more else None,
    }


@blueprint.get("/people/<int:person_id>")
def person(person_id: int) -> Response:
    """Show a person with their faces, those that fit the others worst first on request, or with their photos."""
    shared = services()
    shown = shared.serializer.person(shared.gallery.people.get(person_id))
    show = choice(request.args, "show", ("faces", "photos", "fit"))
    number, offset = _page_number(FACES_PER_PAGE)
    if show == "fit":
        worst = shared.gallery.people.fit(person_id)
        chosen = [shared.gallery.faces.get(key) for key, _ in worst[offset : offset + FACES_PER_PAGE]]
        found: Page[StoredFace] | Page[StoredPhoto] = Page(tuple(chosen), len(worst))
    elif show == "photos":
        found = shared.gallery.photos.page(person=person_id, limit=FACES_PER_PAGE, offset=offset)
    else:
        found = shared.gallery.faces.page(person=person_id, limit=FACES_PER_PAGE, offset=offset)
    all_people = shared.gallery.people.page(named=True, limit=_MAX_NAMES).items
    return render(
        "person.html",
        "people",
        person=shown,
        details=shared.gallery.people.details(person_id),
        faces=[shared.serializer.face(one) for one in found.items if isinstance(one, StoredFace)],
        photos=[shared.serializer.photo(one) for one in found.items if isinstance(one, StoredPhoto)],
        show=show,
        by_photo=show == "photos",
        names=[other.name for other in all_people],
        **_pages(number, found.total, FACES_PER_PAGE),
    )


@blueprint.get("/photos/<int:photo_id>")
def photo(photo_id: int) -> Response:
    """Show a photo with its faces; `face` is marked."""
    shown = services().serializer.photo(services().gallery.photos.get(photo_id))
    face = whole(request.args, "face")
    marked = next((one for one in shown["faces"] if one["id"] == face), None)
    if face is not None and marked is None:
        raise refused(f"the photo {photo_id} has no face {face}", 404)
    person = whole(request.args, "person")
    for one in shown["faces"]:
        one.update(label=shown_name(texts(), one["person"]) if one["person"] else "?", strong=True)
    return render(
        "photo.html",
        "people",
        photo=shown,
        marked=marked,
        names=_names(),
        person=services().gallery.people.get(person) if person is not None else None,
        neighbours=_neighbours(photo_id, person),
    )


def _neighbours(photo_id: int, person: int | None) -> dict[str, str | None]:
    """Return the addresses of the photos before and after a photo, of all photos or of those of a person."""
    page = services().gallery.photos.page
    low, high = 0, page(person=person, limit=0).total
    while low < high:  # photos are ordered by id
        middle = (low + high) // 2
        found = page(person=person, limit=1, offset=middle).items
        if found and found[0].photo_id < photo_id:
            low = middle + 1
        else:
            high = middle
    around = page(person=person, limit=3, offset=max(0, low - 1)).items
    before = [one.photo_id for one in around if one.photo_id < photo_id]
    after = [one.photo_id for one in around if one.photo_id > photo_id]
    return {
        "previous": _photo_url(before[-1], person) if before else None,
        "next": _photo_url(after[0], person) if after else None,
    }


def _photo_url(photo_id: int, person: int | None) -> str:
    return url_for("pages.photo", photo_id=photo_id, person=person)


@blueprint.get("/photos")
def photos() -> Response:
    """List the photos that show all of some people (`with`), optionally of some days."""
    shared = services()
    people = [shared.gallery.people.get(id_of(text, "with")) for text in request.args.getlist("with")]
    since, until = request.args.get("since", ""), request.args.get("until", "")
    number, offset = _page_number(PEOPLE_PER_PAGE)
    found = shared.gallery.photos.search(
        people=[one.id for one in people],
        since=since or None,
        until=until or None,
        limit=PEOPLE_PER_PAGE,
        offset=offset,
    )
    return render(
        "photos.html",
        "people",
        photos=[shared.serializer.photo(one) for one in found.items],
        people=[{"id": one.id, "name": shown_name(texts(), shared.serializer.person(one))} for one in people],
        total=found.total,
        since=since,
        until=until,
        **_pages(number, found.total, PEOPLE_PER_PAGE),
    )


@blueprint.get("/review")
def review() -> Response:
    """Show the page that asks whether two faces are one person."""
    return render("review.html", "review")


@blueprint.get("/history")
def history() -> Response:
    """List the changes of people, with undo, and the people in the bin."""
    people = services().gallery.people
    number, offset = _page_number(CHANGES_PER_PAGE)
    found = people.history(limit=CHANGES_PER_PAGE, offset=offset)
    return render(
        "history.html",
        "review",
        changes=[{**api.history.change_record(one), "text": change_text(texts(), one)} for one in found.items],
        bin=people.bin(),
        days=people.bin_days,
        **_pages(number, found.total, CHANGES_PER_PAGE),
    )


@blueprint.get("/explorer")
def explorer() -> Response:
    """Show the page that tries the API out."""
    return render("explorer.html", "status")


@blueprint.get("/status")
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
        engine=found["engine"],
        threshold=found["threshold"],
        queue=found["queue"],
        uptime=duration(words, found["uptime_seconds"]),
        version=found["version"],
        missing_files=found["missing_files"],
        unnamed=found["unnamed_faces"],
    )


_NUMBERS = (
    ("people", "people"),
    ("faces", "faces"),
    ("photos", "photos"),
    ("unnamed", "unnamed_clusters"),
    ("unassigned", "unnamed_faces"),
)


@blueprint.after_app_request
def show_problem(response: Response) -> Response:
    """Show errors as a page if the client is a browser; the headers stay."""
    if response.status_code < 400 or response.mimetype != "application/json" or not wants_page():
        return response
    words, error = texts(), response.get_json()["error"]
    if response.status_code == 404:
        title, message = words("problem.not_found_title"), words("problem.not_found")
    else:
        title, message = words("problem.title"), problem_text(words, error)
    page = render("problem.html", title=title, message=message)
    response.set_data(page.get_data())
    response.mimetype = "text/html"
    return response


def _register_page(*, status: int = 200, problem: str = "", results: Sequence[Json] = ()) -> Response:
    person = request.form.get("person", "")
    values = {"names": _names(), "wanted_person": person, "problem": problem, "results": results}
    return render("register.html", "register", status=status, **values)


def _search_page(*, status: int = 200, **values: Any) -> Response:
    k = request.form.get("k", "")
    shown: Json = {
        "gallery_faces": len(services().gallery),
        "names": _names(),
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


def _names() -> list[str]:
    return [person.name for person in services().gallery.people.page(named=True, limit=_MAX_NAMES).items]


def _page_number(size: int) -> tuple[int, int]:
    """Return the requested page, from 1, and the number of entries before it."""
    number = whole(request.args, "page", 1, low=1, high=10_000_000) or 1
    return number, (number - 1) * size


def _pages(number: int, total: int, size: int) -> Json:
    """Return the values of the pagination template."""

    def page_url(page: int) -> str:
        kept: Json = {key: values for key, values in request.args.lists() if key != "page"}
        return url_for(request.endpoint or "", **{**kept, **(request.view_args or {}), "page": page})

    return {"page": number, "pages": max(1, -(-total // size)), "page_url": page_url}


def _explain(error: FaceallError) -> str:
    return problem_text(texts(), _described(error)[1])


def _status_of(error: FaceallError) -> int:
    return _described(error)[0]


def _described(error: FaceallError) -> tuple[int, Json]:
    return describe(error, services().gallery.place)
