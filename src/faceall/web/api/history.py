"""Routes of the history of people, the bin and suggestions."""

from __future__ import annotations

from flask import Blueprint, g, request

from faceall.gallery import Change, Suggestion, act_as, describe_change
from faceall.web.api.inputs import id_in, json_object, page, text_in, whole
from faceall.web.api.receipts import receipt_of
from faceall.web.errors import refused
from faceall.web.serializers import Json
from faceall.web.services import services

_MOST_SUGGESTIONS = 100


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes under /history, /bin and /suggestions; name the client in changes of people."""
    blueprint.before_app_request(name_author)
    blueprint.get("/history")(list_changes)
    blueprint.post("/history/undo")(undo)
    blueprint.post("/people/<int:person_id>/discard")(discard)
    blueprint.get("/bin")(list_bin)
    blueprint.post("/bin/restore")(restore)
    blueprint.post("/bin/erase")(erase)
    blueprint.get("/suggestions")(list_suggestions)
    blueprint.post("/suggestions/answer")(answer)


def name_author() -> None:
    """Record changes of this request under the name of its API key."""
    key = g.get("key")
    act_as("web" if key is None else f"web: {key}")


def list_changes() -> Json:
    """List changes of people, the last one first."""
    limit, offset = page()
    found = services().gallery.people.history(limit=limit, offset=offset)
    return {"changes": [change_record(one) for one in found.items], "total": found.total}


def undo() -> Json:
    """Undo a change, by default the last one; returns the change that did it."""
    fields = json_object("change")
    return change_record(services().gallery.people.undo(id_in(fields, "change") if "change" in fields else None))


def discard(person_id: int) -> Json:
    """Move a person with all faces to the bin; returns the change, which can be undone."""
    people = services().gallery.people
    people.discard(person_id)
    return change_record(people.history(limit=1).items[0])


def list_bin() -> Json:
    """List the deleted people in the bin."""
    people = services().gallery.people
    return {"days": people.bin_days, "people": [vars(one) for one in people.bin()]}


def restore() -> Json:
    """Bring a person back from the bin."""
    name = text_in(json_object("person", needed=("person",)), "person")
    return change_record(services().gallery.people.restore(name or ""))


def erase() -> Json:
    """Erase a person in the bin for good; returns a receipt."""
    name = text_in(json_object("person", needed=("person",)), "person") or ""
    removal = services().gallery.people.erase([name])
    return receipt_of({"kind": "person", "id": 0, "name": name}, removal)


def list_suggestions() -> Json:
    """List pairs that may be one person, and faces that may belong to someone else; the most effective ones first."""
    limit = whole(request.args, "limit", 20, low=1, high=_MOST_SUGGESTIONS)
    return {"suggestions": [_suggestion(one) for one in services().gallery.people.suggestions(limit=limit or 20)]}


def answer() -> Json:
    """Answer a suggestion; returns the change that can be undone, null for a skip."""
    fields = json_object("id", "answer", needed=("id", "answer"))
    people = services().gallery.people
    said = text_in(fields, "answer")
    if said not in ("yes", "no", "skip"):
        raise refused("answer must be yes, no or skip")
    people.answer(text_in(fields, "id") or "", said)  # type: ignore[arg-type]
    return {"change": None if said == "skip" else change_record(people.history(limit=1).items[0])}


def change_record(change: Change) -> Json:
    """Return a change with its text."""
    return {
        "id": change.id,
        "kind": change.kind,
        "made": change.made,
        "author": change.author,
        "text": describe_change(change),
        "undone": change.undone,
        "undoable": change.undoable and change.undone is None,
    }


def _suggestion(one: Suggestion) -> Json:
    sides = zip(("subject", "target"), (one.subject, one.target), one.faces, one.names, one.counts, strict=True)
    gallery = services().gallery
    shown = {}
    for side, node, face, name, count in sides:
        person = gallery.people.get(node[1]) if node[0] == "p" else None
        shown[side] = {
            "person": None if person is None else services().serializer.person(person),
            "name": name,
            "face": face if person is None or person.cover is None or one.within else person.cover,
            "faces": count,
        }
    return {
        "id": one.id,
        "effect": one.effect,
        "certainty": one.certainty,
        "distance": one.distance,
        "within": one.within,
        **shown,
    }
