"""The three routes of the original FaceAll web app, so that its clients keep working.

Kept: coordinates are truncated to integers, boxes are clipped to the image, `path` is an address on this server, and
the body of a batch is JSON whatever its content type is.

Changed: a failure has an HTTP status, a response has the content type JSON, a bad image does not affect the others, and
names may contain `*` or occur twice.
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
from faceall.web.services import services
from faceall.web.work.file_names import as_sent
from faceall.web.work.jobs import Item, Result

_SEPARATOR = "*"
_STATUSES = {"unsupported_media_type": 415, "too_large": 413, "unprocessable": 422, "busy": 503, "internal": 500}

Files = dict[str, deque[FileStorage]]


def make_blueprint() -> Blueprint:
    """Make the blueprint with the three routes."""
    blueprint = Blueprint("faceall", __name__)
    blueprint.post("/faceRegister")(face_register)
    blueprint.post("/faceRegisterBatch")(face_register_batch)
    blueprint.post("/faceRetrieve")(face_retrieve)
    blueprint.get("/faceRegister.html", endpoint="page_register")(lambda: redirect(url_for("pages.register")))
    blueprint.get("/faceRetrieve.html", endpoint="page_retrieve")(lambda: redirect(url_for("pages.search")))
    return blueprint


def face_register() -> Response:
    """Register the images of a form; `names` lists their fields, each followed by `*`."""
    form_only()
    files = _files()
    names = request.form.get("names")
    if names is None:
        raise refused("the form has no field 'names', which lists the file fields, each followed by *")
    chosen = [_named(key, files[key].popleft()) for key in split_names(as_sent(names), files)]
    services().jobs.check_capacity(len(chosen))
    return _registered(file_items(chosen, person=None, names_from="files"))


def face_register_batch() -> Response:
    """Register the images at URLs: `{"urls": [...]}`."""
    fields = json_object("urls", needed=("urls",), any_type=True)
    return _registered(url_items(urls_in(fields, services().options.max_urls), person=None))


def face_retrieve() -> Response:
    """Return the nearest faces of the gallery for an image with exactly one face; `name` is its field.

    At most `ServerOptions.max_matches` faces are returned, 1,000 by default.
    """
    form_only()
    name = request.form.get("name")
    if name is None:
        raise refused("the form has no field 'name', which names the file field")
    key = next((field for field in request.files if as_sent(field) == as_sent(name)), name)
    data = only_file(key, services().options.max_file_bytes)
    gallery = services().gallery
    with services().decoding.open(data) as image:
        results = gallery.search(image, k=services().options.max_matches)
    if len(results) != 1:
        raise refused(f"the image shows {len(results)} faces, expected exactly one", 422)
    paths = gallery.photos.paths(match.photo_id for match in results[0].matches)
    available = {photo: services().serializer.existing_path(seen) is not None for photo, seen in paths.items()}
    found = [
        {"distance": match.distance, "path": _address(match, available=available[match.photo_id])}
        for match in results[0].matches
    ]
    return jsonify({"faces": found})


def _address(match: GalleryMatch, *, available: bool) -> str:
    """Return the relative address of a match's photo, or of its thumbnail if the file is gone."""
    if available:
        return f"api/v1/photos/{match.photo_id}/image"
    return f"api/v1/faces/{match.face_id}/thumbnail"


def split_names(names: str, files: Files) -> list[str]:
    """Split `names` into field names; these may contain `*` themselves, so they are compared with the form's fields.

    Parameters
    ----------
    names : str
        Each field name followed by `*`; a field with two files is listed twice.
    files : dict
        The files of each field.

    Raises
    ------
    RefusedError
        400 if names and files do not match.
    """
    in_order = [key for key, sent in files.items() for _ in sent]
    if in_order and names == "".join(key + _SEPARATOR for key in in_order):
        return in_order
    left = {key: len(sent) for key, sent in files.items()}
    keys: list[str] = []
    rest = names
    while rest:
        possible = [key for key, count in left.items() if count and rest.startswith(key + _SEPARATOR)]
        if not possible:
            missing = rest.partition(_SEPARATOR)[0]
            raise refused(f"names lists {missing[:100]!r}, but the form has no further file in this field")
        keys.append(max(possible, key=len))
        left[keys[-1]] -= 1
        rest = rest[len(keys[-1]) + 1 :]
    unused = next((key for key, count in left.items() if count), None)
    if unused is not None:
        raise refused(f"the form has a file in the field {unused[:100]!r}, which names does not list")
    if not keys:
        raise refused("names lists no file")
    return keys


def _named(key: str, file: FileStorage) -> tuple[str, FileStorage]:
    """Return an image with its file name, or with its field name if it has none."""
    return as_sent(file.filename or "") or key, file


def _files() -> Files:
    """Return the files of the form by their fields, without the escaping of browsers."""
    files: Files = {}
    for field, sent in request.files.lists():
        files.setdefault(as_sent(field), deque()).extend(sent)
    return files


def _registered(items: list[Item]) -> Response:
    """Wait for a registration and return its results as FaceAll did; with an error status if all failed."""
    job = submit(items)
    job.wait()
    response = jsonify({"faces": [_legacy_result(result) for result in job.results]})
    errors = [result["error"] for result in job.results if "error" in result]
    if len(errors) == len(job.results):
        fields = response.get_json()
        response = jsonify({"error": errors[0], **fields})
        response.status_code = _STATUSES.get(errors[0]["code"], 400)
    return response


def _legacy_result(result: Result) -> dict[str, Any]:
    """Return one result: faces in integer pixels, all x of the landmarks before all y."""
    width, height = result["width"] or 0, result["height"] or 0
    shown = []
    for face in result["faces"]:
        x0, y0, x1, y1 = map(int, face["box"])
        box = [max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)]
        shown.append({"box": box, "pt": [int(point[axis]) for axis in (0, 1) for point in face["landmarks"]]})
    error = {"error": result["error"]} if "error" in result else {}
    return {"BoxsPoints": shown, "name": result["name"], **error}
