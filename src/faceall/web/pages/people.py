"""The pages of people."""

from __future__ import annotations

from flask import Response, request, url_for

from faceall.gallery import Page, StoredFace, StoredPhoto
from faceall.web.api.inputs import choice, whole
from faceall.web.api.people import SORTS
from faceall.web.pages import paging
from faceall.web.pages.context import render
from faceall.web.serializers import Json
from faceall.web.services import services

_NAMED: dict[str, bool | None] = {"all": None, "only": False, "none": True, "hidden": None}


def people() -> Response:
    """List people by name, then groups without a name and faces without a person, or those who are hidden."""
    query, which = request.args.get("q", "").strip(), choice(request.args, "unnamed", tuple(_NAMED))
    gallery = services().gallery
    sort = choice(request.args, "sort", SORTS)
    number, offset = paging.page_number(paging.PEOPLE_PER_PAGE)
    chosen: Json = {"text": query or None, "named": _NAMED[which], "hidden": which == "hidden"}
    found = gallery.people.page(**chosen, sort=sort, limit=paging.PEOPLE_PER_PAGE, offset=offset)
    many = sort == "name" and found.total > paging.PEOPLE_PER_PAGE
    faces = which in ("only", "hidden") and number == 1 and not query
    return render(
        "people.html",
        "people",
        people=[services().serializer.person(person) for person in found.items],
        unassigned=gallery.faces.page(unassigned=True, limit=0).total,
        **(_loose_faces(hidden=which == "hidden") if faces else {"unassigned_faces": [], "more_faces": None}),
        query=query,
        unnamed=which,
        sort=sort,
        sorts=SORTS,
        initials=gallery.people.initials(**chosen) if many else [],
        total=found.total,
        per_page=paging.PEOPLE_PER_PAGE,
        **paging.page_values(number, found.total, paging.PEOPLE_PER_PAGE),
    )


def _loose_faces(*, hidden: bool) -> Json:
    """Return faces without a person, or hidden ones, the largest first, and the address of the next page of them."""
    number = whole(request.args, "faces", 1, low=1, high=10_000_000) or 1
    found = services().gallery.faces.page(
        unassigned=not hidden,
        hidden=hidden,
        sort="size",
        limit=paging.PEOPLE_PER_PAGE,
        offset=(number - 1) * paging.PEOPLE_PER_PAGE,
    )
    which = "hidden" if hidden else "only"
    more = number * paging.PEOPLE_PER_PAGE < found.total
    return {
        "unassigned_faces": [services().serializer.face(face) for face in found.items],
        "more_faces": url_for("pages.people", unnamed=which, faces=number + 1) if more else None,
    }


def person(person_id: int) -> Response:
    """Show a person with their faces, those that fit the others worst first on request, or with their photos."""
    shared = services()
    shown = shared.serializer.person(shared.gallery.people.get(person_id))
    show = choice(request.args, "show", ("faces", "photos", "fit"))
    number, offset = paging.page_number(paging.FACES_PER_PAGE)
    if show == "fit":
        worst = shared.gallery.people.fit(person_id)
        chosen = [shared.gallery.faces.get(key) for key, _ in worst[offset : offset + paging.FACES_PER_PAGE]]
        found: Page[StoredFace] | Page[StoredPhoto] = Page(tuple(chosen), len(worst))
    elif show == "photos":
        found = shared.gallery.photos.page(person=person_id, limit=paging.FACES_PER_PAGE, offset=offset)
    else:
        found = shared.gallery.faces.page(person=person_id, limit=paging.FACES_PER_PAGE, offset=offset)
    return render(
        "person.html",
        "people",
        person=shown,
        details=shared.gallery.people.details(person_id),
        faces=[shared.serializer.face(one) for one in found.items if isinstance(one, StoredFace)],
        photos=[shared.serializer.photo(one) for one in found.items if isinstance(one, StoredPhoto)],
        show=show,
        by_photo=show == "photos",
        **paging.page_values(number, found.total, paging.FACES_PER_PAGE),
    )
