"""Routes that list, rename, merge, split and remove people."""

from __future__ import annotations

from flask import Blueprint, request

from faceall.gallery.people.listing import PageSort
from faceall.web.api.inputs import choice, flag, id_in, ids_in, json_object, page, text_in, whole
from faceall.web.api.receipts import receipt_of
from faceall.web.errors import refused
from faceall.web.serializers import Json
from faceall.web.services import services

_MOST_SIMILAR = 100
_NAMED = {"all": None, "only": False, "none": True}

SORTS: tuple[PageSort, ...] = ("name", "photos", "newest")
"""The orders of a list of people; the first one is the default."""


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes under /people."""
    blueprint.get("/people")(list_people)
    blueprint.get("/people/ids")(list_ids)
    blueprint.get("/people/initials")(list_initials)
    blueprint.get("/people/<int:person_id>")(show)
    blueprint.patch("/people/<int:person_id>")(rename)
    blueprint.post("/people/<int:person_id>/merge")(merge)
    blueprint.post("/people/<int:person_id>/split")(split)
    blueprint.post("/people/<int:person_id>/unassign")(unassign)
    blueprint.delete("/people/<int:person_id>")(remove)
    blueprint.get("/people/<int:person_id>/similar")(similar)
    blueprint.post("/people/merge")(merge_many)
    blueprint.post("/people/unname")(unname)
    blueprint.post("/people/hide")(hide)
    blueprint.post("/people/show")(show_again)
    blueprint.get("/people/<int:person_id>/details")(details)
    blueprint.patch("/people/<int:person_id>/details")(set_details)


def list_people() -> Json:
    """List people; `unnamed` chooses clusters, `hidden` those who are hidden, `q` is a part of the name."""
    limit, offset = page()
    sort = choice(request.args, "sort", SORTS)
    found = services().gallery.people.page(**_chosen(), sort=sort, limit=limit, offset=offset)
    return {"people": [services().serializer.person(person) for person in found.items], "total": found.total}


def list_ids() -> Json:
    """List the ids of all people that `list_people` lists."""
    return {"people": services().gallery.people.ids(**_chosen())}


def list_initials() -> Json:
    """List the initials of the people that `list_people` lists by name, with the place of the first person of each."""
    found = services().gallery.people.initials(**_chosen())
    return {"initials": [{"letter": letter, "offset": offset} for letter, offset in found]}


def _chosen() -> Json:
    """Return which people the query asks for."""
    named = _NAMED[choice(request.args, "unnamed", ("all", "only", "none"))]
    return {"text": request.args.get("q"), "named": named, "hidden": flag(request.args, "hidden")}


def show(person_id: int) -> Json:
    """Return a person."""
    return services().serializer.person(services().gallery.people.get(person_id))


def rename(person_id: int) -> Json:
    """Rename a person, or name a cluster; the name must not be in use."""
    name = text_in(json_object("name", needed=("name",)), "name")
    services().gallery.people.rename(person_id, name or "")
    return show(person_id)


def merge(person_id: int) -> Json:
    """Merge a person into another one; returns the latter."""
    into = id_in(json_object("into", needed=("into",)), "into")
    if into == person_id:
        raise refused("a person cannot be merged with themselves", 409)
    services().gallery.people.merge(person_id, into)
    return show(into)


def split(person_id: int) -> Json:
    """Move faces of a person to another one, or to a new cluster; returns their new person."""
    fields = json_object("faces", "to", needed=("faces",))
    faces, to = ids_in(fields, "faces"), text_in(fields, "to", optional=True)
    gallery = services().gallery
    gallery.people.get(person_id)
    for face in faces:
        if gallery.faces.get(face).person_id != person_id:
            raise refused(f"face {face} does not belong to this person", 409)
    gallery.people.split(person_id, faces, to=to)
    target = gallery.faces.get(faces[0]).person_id
    if target is None:
        raise refused(f"face {faces[0]} was changed at the same time; try again", 409)
    return show(target)


def merge_many() -> Json:
    """Merge people into another one as one change; returns the latter."""
    fields = json_object("people", "into", needed=("people", "into"))
    into = id_in(fields, "into")
    people = [person for person in ids_in(fields, "people") if person != into]
    if not people:
        raise refused("a person cannot be merged with themselves", 409)
    services().gallery.people.merge(people, into)
    return show(into)


def similar(person_id: int) -> Json:
    """List the people who are most similar to a person, the most similar first."""
    limit = whole(request.args, "limit", 12, low=1, high=_MOST_SIMILAR)
    found = services().gallery.people.similar(person_id, limit=limit or 12)
    people = [{**services().serializer.person(one), "distance": round(distance, 6)} for one, distance in found]
    return {"people": people}


def unassign(person_id: int) -> Json:
    """Remove the name from all faces of a person; the faces stay in the gallery."""
    return {"faces": services().gallery.people.unname(person_id)}


def unname() -> Json:
    """Remove the names of people as one change; their faces stay in the gallery."""
    return {"faces": services().gallery.people.unname(ids_in(json_object("people", needed=("people",)), "people"))}


def hide() -> Json:
    """Hide people: they are not listed and not suggested, but still found."""
    return {"people": services().gallery.people.hide(ids_in(json_object("people", needed=("people",)), "people"))}


def show_again() -> Json:
    """Show hidden people again."""
    return {"people": services().gallery.people.show(ids_in(json_object("people", needed=("people",)), "people"))}


def details(person_id: int) -> Json:
    """Return the note, birth date and cover of a person, and whether the person is hidden."""
    return vars(services().gallery.people.details(person_id))


def set_details(person_id: int) -> Json:
    """Set the note, birth date or cover of a person; null removes it, an absent field stays."""
    fields = json_object("note", "born", "cover")
    given = {name: text_in(fields, name, optional=True) or "" for name in ("note", "born") if name in fields}
    cover = None
    if "cover" in fields:
        cover = -1 if fields["cover"] is None else id_in(fields, "cover")
    people = services().gallery.people
    return vars(people.set_details(person_id, note=given.get("note"), born=given.get("born"), cover=cover))


def remove(person_id: int) -> Json:
    """Remove a person and all their faces permanently; returns a receipt."""
    gallery = services().gallery
    name = gallery.people.get(person_id).name
    return receipt_of({"kind": "person", "id": person_id, "name": name}, gallery.people.remove(person_id))
