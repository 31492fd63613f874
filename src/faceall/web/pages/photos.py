"""The pages of photos: one photo or video with its faces, and photos by who is on them and when they were made."""

from __future__ import annotations

from typing import Any

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from faceall.errors import ArgumentError, UnknownPersonError
from faceall.gallery import Page, Person, StoredPhoto
from faceall.web.api.inputs import day, id_of, whole
from faceall.web.errors import describe, refused
from faceall.web.pages import paging
from faceall.web.pages.context import render, shown_name, texts
from faceall.web.pages.results import problem_text
from faceall.web.serializers import Json
from faceall.web.services import services

_SIDES = ("with", "without")


def photo(photo_id: int) -> Response:
    """Show a photo with its faces, or the frame of a video with the faces on it; `face` is marked."""
    shown = services().serializer.photo(services().gallery.photos.get(photo_id))
    face = whole(request.args, "face")
    marked = next((one for one in shown["faces"] if one["id"] == face), None)
    if face is not None and marked is None:
        raise refused(f"the photo {photo_id} has no face {face}", 404)
    person = whole(request.args, "person")
    for number, one in enumerate(shown["faces"]):
        one.update(label=shown_name(texts(), one["person"]) if one["person"] else "?", strong=True, number=number)
    return render(
        "photo.html",
        "people",
        photo=shown,
        marked=marked,
        frame=_frame(shown, marked),
        person=services().gallery.people.get(person) if person is not None else None,
        neighbours=_neighbours(photo_id, person),
    )


def _frame(shown: Json, marked: Json | None) -> Json:
    """Return what the image of a page shows: all faces of a photo, or those on one frame of a video."""
    if shown["source"] == "photo" or not shown["faces"]:
        return {"faces": shown["faces"], "face": None, "seconds": None}
    first = marked or min(shown["faces"], key=lambda one: one["seconds"] or 0.0)
    faces = [one for one in shown["faces"] if one["seconds"] == first["seconds"]]
    return {"faces": faces, "face": first["id"], "seconds": first["seconds"]}


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


def photos() -> Response:
    """List the photos that show all people of `with` and no one of `without`, optionally of some days.

    `with_name` and `without_name` add a person by name, for forms.
    """
    shared = services()
    chosen = {side: [_person(id_of(text, side)) for text in request.args.getlist(side)] for side in _SIDES}
    query: dict[str, Any] = {name: day(request.args, name) for name in ("since", "until")}
    problem = ""
    try:
        if added := _added():
            ids: dict[str, Any] = {side: [*(one.id for one in chosen[side]), *added[side]] for side in _SIDES}
            return redirect(url_for("pages.photos", **ids, **query))
        found = _search(chosen, query)
    except (UnknownPersonError, ArgumentError) as error:
        problem = problem_text(texts(), describe(error, shared.gallery.place)[1])
        found = Page((), 0)
    number, _ = paging.page_number(paging.PEOPLE_PER_PAGE)
    return render(
        "photos.html",
        "people",
        status=400 if problem else 200,
        problem=problem,
        photos=[shared.serializer.photo(one) for one in found.items],
        chosen={side: [_chip(one, side) for one in people] for side, people in chosen.items()},
        total=found.total,
        **{name: value or "" for name, value in query.items()},
        **paging.page_values(number, found.total, paging.PEOPLE_PER_PAGE),
    )


def _person(person_id: int) -> Person:
    return services().gallery.people.get(person_id)


def _added() -> dict[str, list[int]]:
    """Return the ids of the people whose names were entered; empty if none was."""
    names = {side: request.args.get(f"{side}_name", "").strip() for side in _SIDES}
    if not any(names.values()):
        return {}
    people = services().gallery.people
    return {side: [people.get(name).id] if name else [] for side, name in names.items()}


def _search(chosen: dict[str, list[Person]], query: dict[str, Any]) -> Page[StoredPhoto]:
    _, offset = paging.page_number(paging.PEOPLE_PER_PAGE)
    people, without = ([one.id for one in chosen[side]] for side in _SIDES)
    return services().gallery.photos.search(
        people=people, without=without, limit=paging.PEOPLE_PER_PAGE, offset=offset, **query
    )


def _chip(person: Person, side: str) -> Json:
    """Return a chosen person, with the address of the page without the choice."""
    kept: dict[str, Any] = {key: values for key, values in request.args.lists() if key != "page"}
    kept[side] = [text for text in kept[side] if text != str(person.id)]
    return {
        "id": person.id,
        "name": shown_name(texts(), services().serializer.person(person)),
        "remove": url_for("pages.photos", **kept),
    }
