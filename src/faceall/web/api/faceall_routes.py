"""The three routes of the FaceAll that was a web app only, with their shapes, so that its clients keep working.

As there: whole numbers are cut off, not rounded, boxes end at the picture's edges, a picture is called by its file's
name, `path` leads to a picture on this server, and the body of a batch is JSON whatever its type says.

Its faults are not kept: a failure has a status, an answer is JSON, one bad picture leaves the others alone, and none is
lost because its field has a `*` in it, or its file is called like another.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, request, url_for
from werkzeug.datastructures import FileStorage

from faceall.gallery import GalleryMatch
from faceall.web.api.inputs import form_only, json_object, only_file, urls_in
from faceall.web.api.register import file_items, submit, url_items
from faceall.web.errors import refused
from faceall.web.pages.names import as_sent
from faceall.web.services import services
from faceall.web.work.jobs import Item, Result

_BETWEEN = "*"
_STATUSES = {"unsupported_media_type": 415, "too_large": 413, "unprocessable": 422, "busy": 503, "internal": 500}

Files = dict[str, deque[FileStorage]]


def make_blueprint() -> Blueprint:
    """The three routes."""
    blueprint = Blueprint("faceall", __name__)
    blueprint.post("/faceRegister")(face_register)
    blueprint.post("/faceRegisterBatch")(face_register_batch)
    blueprint.post("/faceRetrieve")(face_retrieve)
    blueprint.get("/faceRegister.html", endpoint="page_register")(lambda: redirect(url_for("pages.register")))
    blueprint.get("/faceRetrieve.html", endpoint="page_retrieve")(lambda: redirect(url_for("pages.retrieve")))
    return blueprint


def face_register() -> Response:
    """Register the pictures of a form: `names` lists their fields, each with a `*` behind it."""
    form_only()
    files = _files()
    names = request.form.get("names")
    if names is None:
        raise refused("the form has no field 'names', which lists the file fields, each with a * behind it")
    chosen = [_called(key, files[key].popleft()) for key in split_names(as_sent(names), files)]
    services().jobs.check_room(len(chosen))
    return _registered(file_items(chosen, person=None, unnamed=False))


def face_register_batch() -> Response:
    """Register the pictures at URLs: `{"urls": [...]}`, at most a hundred."""
    fields = json_object("urls", needed=("urls",), any_type=True)
    return _registered(url_items(urls_in(fields, services().options.most_urls), person=None))


def face_retrieve() -> Response:
    """All faces of the gallery, nearest first, for a picture with exactly one face; `name` is its field."""
    form_only()
    name = request.form.get("name")
    if name is None:
        raise refused("the form has no field 'name', which names the file field")
    key = next((field for field in request.files if as_sent(field) == as_sent(name)), name)
    data = only_file(key, services().options.most_file_bytes)
    gallery = services().gallery
    with services().pictures.open(data) as image:
        results = gallery.search(image, k=max(1, len(gallery)))
    if len(results) != 1:
        raise refused(f"the picture shows {len(results)} faces, expected exactly one", 422)
    paths = gallery.paths_of_photos(match.photo_id for match in results[0].matches)
    there = {photo: services().shapes.place_of(seen) is not None for photo, seen in paths.items()}
    found = [
        {"distance": match.distance, "path": _address(match, available=there[match.photo_id])}
        for match in results[0].matches
    ]
    return jsonify({"faces": found})


def _address(match: GalleryMatch, *, available: bool) -> str:
    """Where a client finds the photo of a match, or at least its face; relative to the server, as ever."""
    if available:
        return f"api/v1/photos/{match.photo_id}/image"
    return f"api/v1/faces/{match.face_id}/thumbnail"


def split_names(names: str, files: Files) -> list[str]:
    """The fields that `names` lists; a name may hold a `*` itself, so the fields that are there decide.

    names   every field with a `*` behind it
    files   what there is in each field; a field with two files is listed twice

    Raises RefusedError (400) where names and files do not agree.
    """
    in_order = [key for key, sent in files.items() for _ in sent]
    if in_order and names == "".join(key + _BETWEEN for key in in_order):
        return in_order
    left = {key: len(sent) for key, sent in files.items()}
    keys: list[str] = []
    rest = names
    while rest:
        fitting = [key for key, count in left.items() if count and rest.startswith(key + _BETWEEN)]
        if not fitting:
            missing = rest.partition(_BETWEEN)[0]
            raise refused(f"names lists {missing[:100]!r}, but the form has no file of that name left")
        keys.append(max(fitting, key=len))
        left[keys[-1]] -= 1
        rest = rest[len(keys[-1]) + 1 :]
    unused = next((key for key, count in left.items() if count), None)
    if unused is not None:
        raise refused(f"the form has a file {unused[:100]!r} that names does not list")
    if not keys:
        raise refused("names lists no file")
    return keys


def _called(key: str, file: FileStorage) -> tuple[str, FileStorage]:
    """A picture with its file's name, or where that is not told with its field's."""
    return as_sent(file.filename or "") or key, file


def _files() -> Files:
    """The files of the form by their fields, as they were called before a browser escaped them."""
    files: Files = {}
    for field, sent in request.files.lists():
        files.setdefault(as_sent(field), deque()).extend(sent)
    return files


def _registered(items: list[Item]) -> Response:
    """Wait for pictures to be registered, and answer as FaceAll did; with an error's status where none was."""
    job = submit(items)
    job.wait()
    response = jsonify({"faces": [_picture(result) for result in job.results]})
    errors = [result["error"] for result in job.results if "error" in result]
    if len(errors) == len(job.results):
        fields = response.get_json()
        response = jsonify({"error": errors[0], **fields})
        response.status_code = _STATUSES.get(errors[0]["code"], 400)
    return response


def _picture(result: Result) -> dict[str, Any]:
    """One picture: its faces in whole pixels, all x of the landmarks before all y."""
    width, height = result["width"] or 0, result["height"] or 0
    shown = []
    for face in result["faces"]:
        x0, y0, x1, y1 = map(int, face["box"])
        box = [max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)]
        shown.append({"box": box, "pt": [int(point[axis]) for axis in (0, 1) for point in face["landmarks"]]})
    error = {"error": result["error"]} if "error" in result else {}
    return {"BoxsPoints": shown, "name": result["name"], **error}
