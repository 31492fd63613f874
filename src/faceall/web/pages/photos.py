"""The pages of photos."""

from __future__ import annotations

from flask import Response, request, url_for

from faceall.web.api.inputs import id_of, whole
from faceall.web.errors import refused
from faceall.web.pages import paging
from faceall.web.pages.context import known_names, render, shown_name, texts
from faceall.web.services import services


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
        names=known_names(),
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


def photos() -> Response:
    """List the photos that show all of some people (`with`), optionally of some days."""
    shared = services()
    people = [shared.gallery.people.get(id_of(text, "with")) for text in request.args.getlist("with")]
    since, until = request.args.get("since", ""), request.args.get("until", "")
    number, offset = paging.page_number(paging.PEOPLE_PER_PAGE)
    found = shared.gallery.photos.search(
        people=[one.id for one in people],
        since=since or None,
        until=until or None,
        limit=paging.PEOPLE_PER_PAGE,
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
        **paging.page_values(number, found.total, paging.PEOPLE_PER_PAGE),
    )
