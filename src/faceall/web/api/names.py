"""Routes that propose names for registered photos and give them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from faceall.gallery import NameProposal
from faceall.web.api.inputs import ids_in, json_object
from faceall.web.errors import refused
from faceall.web.serializers import Json
from faceall.web.services import services

_SHOWN = 4  # faces of a proposal that a page shows


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes under /names."""
    blueprint.post("/names/proposals")(propose)
    blueprint.post("/names")(give)


def propose() -> Json:
    """Propose names for registered photos from the names of their folders and files; nothing is changed."""
    ids = ids_in(json_object("photos", needed=("photos",)), "photos")
    return {"proposals": [_proposal(one) for one in services().gallery.photos.propose_names(ids, named=_file_name)]}


def give() -> Json:
    """Assign faces to people by name, all as one change."""
    given = json_object("names", needed=("names",))["names"]
    if not isinstance(given, list) or not given or not all(isinstance(one, dict) for one in given):
        raise refused("names must be a list of at least one object with name and faces")
    names = [(_name(one), ids_in(one, "faces")) for one in given]
    return {"faces": services().gallery.faces.assign_many(names)}


def _name(values: dict[str, Any]) -> str:
    strange = sorted(set(values) - {"name", "faces"})
    if strange or not isinstance(values.get("name"), str):
        raise refused("each entry of names must have name (a string) and faces (a list of ids) and nothing else")
    return str(values["name"])


def _file_name(path: Any) -> str:
    return services().serializer.photo_of(0, path)["name"]  # type: ignore[no-any-return]


def _proposal(one: NameProposal) -> Json:
    return {
        "name": one.name,
        "source": one.source,
        "person": one.person,
        "faces": list(one.faces),
        "agreeing": one.agreement.agreeing,
        "shown": list(one.faces[:_SHOWN]),
        "known": one.known,
    }
