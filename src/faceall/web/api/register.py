"""The route that registers photos from files of a form or from URLs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from flask import Blueprint, request
from werkzeug.datastructures import FileStorage

from faceall.errors import FaceallError
from faceall.gallery import person_in_name
from faceall.gallery.people.names import validate_name
from faceall.web.api.inputs import (
    checked_urls,
    choice,
    files_in,
    flag,
    json_object,
    name_of,
    read_file,
    text_in,
    urls_in,
)
from faceall.web.errors import describe, refused
from faceall.web.refusal import RefusedError
from faceall.web.serializers import Json
from faceall.web.services import services
from faceall.web.work.jobs import Item, Job

NameSource = Literal["folders", "files", "none"]
_SOURCES: tuple[NameSource, ...] = ("folders", "files")


def add_routes(blueprint: Blueprint) -> None:
    """Add the route /register."""
    blueprint.post("/register")(register)


def register() -> Json | tuple[Json, int]:
    """Register the photos of a form or at URLs; returns at once, or with `wait=true` after the last one."""
    wait = flag(request.args, "wait")
    job = _register_form() if request.mimetype == "multipart/form-data" else _register_json()
    if wait:
        job.wait()
        return {"job": job.record()}
    return {"job": {"id": job.id, "total": job.total, "state": job.state}}, 202


def _register_form() -> Job:
    files = files_in("files")
    urls = [url for url in request.form.getlist("urls") if url]
    person = _person(request.form.get("person") or None)
    unnamed = flag(request.form, "unnamed")
    if not files and not urls:
        raise refused("the form has no photos: send files in the field 'files', or URLs in the field 'urls'")
    if request.form.getlist("urls"):
        checked_urls(request.form.getlist("urls"), services().options.max_urls)
    services().jobs.check_capacity(len(files) + len(urls))
    source = choice(request.form, "names_from", _SOURCES)
    named = [(name_of(file), file) for file in files]
    items = file_items(named, person=person, names_from="none" if unnamed else source)
    return submit([*items, *url_items(urls, person=person)])


def _register_json() -> Job:
    fields = json_object("urls", "person", needed=("urls",))
    urls = urls_in(fields, services().options.max_urls)
    person = _person(text_in(fields, "person", optional=True))
    return submit(url_items(urls, person=person))


def _person(name: str | None) -> str | None:
    return None if name is None else validate_name(name)


def file_items(files: Iterable[tuple[str, FileStorage]], *, person: str | None, names_from: NameSource) -> list[Item]:
    """Check and save files for a registration.

    Parameters
    ----------
    files : iterable of (name, file)
        Of the form.
    person : str, optional
        The name of the person.
    names_from : {"folders", "files", "none"}
        Where it comes from otherwise: the folders in the file's name, these or the name of the file itself, or nowhere;
        "none" leaves all faces without a name.

    Raises
    ------
    RefusedError
        413 if there are too many files.
    """
    chosen = list(files)
    max_files = services().options.max_files
    if len(chosen) > max_files:
        raise refused(f"the form has {len(chosen):,} files, expected at most {max_files:,}", 413)
    items: list[Item] = []
    for name, file in chosen:
        owner = None if names_from == "none" else person or person_in_name(name, files=names_from == "files")
        items.append(_file_item(name, file, owner, reassign=person is not None))
    return items


def _file_item(name: str, file: FileStorage, owner: str | None, *, reassign: bool) -> Item:
    shared = services()
    try:
        data = read_file(file, shared.options.max_file_bytes)
        upload = shared.uploads.save(data, name, shared.decoding.check(data))
        return Item(name, upload, person=owner, reassign=reassign)
    except FaceallError as error:
        return Item(name, error=describe(error, shared.gallery.place)[1])


def url_items(urls: Iterable[str], *, person: str | None) -> list[Item]:
    """Return the photos at URLs for a registration; without a person their faces have no name."""
    return [Item(url, url=url, person=person, reassign=person is not None) for url in urls]


def submit(items: list[Item]) -> Job:
    """Queue photos for registration; their uploads are removed if they are refused.

    Raises
    ------
    RefusedError
        503 if too many photos are waiting.
    """
    try:
        return services().jobs.submit(items)
    except RefusedError:
        for item in items:
            if item.upload is not None:
                services().uploads.release(item.upload, keep=False)
        raise
