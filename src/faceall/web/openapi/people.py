"""The operations of people: lists, changes, history, bin and suggestions."""

from __future__ import annotations

from faceall.web.api.people import SORTS
from faceall.web.openapi.operations import CHANGES, PAGE, in_path, in_query, operation
from faceall.web.openapi.schemas import COUNT, DAY, FLAG, ID, NAME, TEXT, Schema, many, maybe, record, ref


def people_paths() -> Schema:
    """Return the operations of people."""
    person = [in_path("person_id", 1)]
    which = [in_query("unnamed", _one_of("all", "only", "none")), in_query("hidden", FLAG), in_query("q", TEXT)]
    return {
        "/api/v1/people": {
            "get": operation(
                "List people", ref("People"), parameters=[*which, in_query("sort", _one_of(*SORTS)), *PAGE]
            )
        },
        "/api/v1/people/ids": {
            "get": operation("List the ids of people", record(people=many(ID)), parameters=[*which])
        },
        "/api/v1/people/initials": {
            "get": operation(
                "List the initials of people and the place of the first person of each",
                record(initials=many(record(letter=TEXT, offset=COUNT))),
                parameters=[*which],
            )
        },
        **_person_paths(person),
        **_bulk_paths(),
    }


def _person_paths(person: list[Schema]) -> Schema:
    """Return the operations on one person."""
    rename = operation("Rename a person", ref("Person"), parameters=person, body=record(name=NAME), errors=CHANGES)
    merge = operation(
        "Merge a person into another one", ref("Person"), parameters=person, body=record(into=ID), errors=CHANGES
    )
    split = operation(
        "Move faces to another person or a new cluster",
        ref("Person"),
        parameters=person,
        body=record({"to": maybe(NAME)}, faces=many(ID, minItems=1)),
        errors=CHANGES,
    )
    return {
        "/api/v1/people/{person_id}/details": _details(person),
        "/api/v1/people/{person_id}": {
            "get": operation("Get a person", ref("Person"), parameters=person),
            "patch": rename,
            "delete": operation("Remove a person and all their faces", ref("Removal"), parameters=person),
        },
        "/api/v1/people/{person_id}/similar": {
            "get": operation(
                "List the most similar people",
                ref("SimilarPeople"),
                parameters=[
                    *person,
                    in_query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 12}),
                ],
            )
        },
        "/api/v1/people/{person_id}/merge": {"post": merge},
        "/api/v1/people/{person_id}/split": {"post": split},
        "/api/v1/people/{person_id}/unassign": {
            "post": operation("Remove the name from all faces of a person", record(faces=COUNT), parameters=person)
        },
    }


def _one_of(*values: str) -> Schema:
    """Return the schema of a choice; the first value is the default."""
    return {"type": "string", "enum": list(values), "default": values[0]}


def _bulk_paths() -> Schema:
    """Return the operations that change several people as one change."""
    some = record(people=many(ID, minItems=1))
    return {
        "/api/v1/people/merge": {
            "post": operation(
                "Merge people into another one, as one change",
                ref("Person"),
                body=record(people=many(ID, minItems=1), into=ID),
                errors=CHANGES,
            )
        },
        "/api/v1/people/unname": {
            "post": operation("Remove the names of people", record(faces=COUNT), body=some, errors=CHANGES)
        },
        "/api/v1/people/hide": {"post": operation("Hide people", record(people=COUNT), body=some, errors=CHANGES)},
        "/api/v1/people/show": {
            "post": operation("Show hidden people again", record(people=COUNT), body=some, errors=CHANGES)
        },
    }


def _details(person: list[Schema]) -> Schema:
    note: Schema = {"type": "string", "pattern": r"^[^\x00]{0,2000}$"}
    return {
        "get": operation("Get the details of a person", ref("Details"), parameters=person),
        "patch": operation(
            "Set details of a person",
            ref("Details"),
            parameters=person,
            body=record({"note": maybe(note), "born": maybe(DAY), "cover": maybe(ID)}),
            example={"note": "Ada's sister", "born": "1990-05-17"},
            errors=CHANGES,
        ),
    }


def history_paths() -> Schema:
    """Return the operations of the history, the bin and suggestions."""
    change = ref("Change")
    who = record(person=TEXT)
    suggestion: Schema = {"type": "string", "pattern": "^[fp][0-9]{1,18}-[fp][0-9]{1,18}$"}
    answer = record(id=suggestion, answer={"type": "string", "enum": ["yes", "no", "skip"]})
    most = in_query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20})
    return {
        "/api/v1/history": {"get": operation("List the changes of people", ref("Changes"), parameters=[*PAGE])},
        "/api/v1/history/undo": {
            "post": operation("Undo a change", change, body=record({"change": ID}), errors=CHANGES)
        },
        "/api/v1/people/{person_id}/discard": {
            "post": operation("Move a person to the bin", change, parameters=[in_path("person_id", 1)], errors=(409,))
        },
        "/api/v1/bin": {"get": operation("List the bin", ref("Bin"))},
        "/api/v1/bin/restore": {"post": operation("Restore a person", change, body=who, errors=CHANGES)},
        "/api/v1/bin/erase": {"post": operation("Erase a person for good", ref("Removal"), body=who, errors=CHANGES)},
        "/api/v1/suggestions": {
            "get": operation("List pairs that may be the same person", ref("Suggestions"), parameters=[most])
        },
        "/api/v1/suggestions/answer": {
            "post": operation("Answer a suggestion", record(change=maybe(change)), body=answer, errors=CHANGES)
        },
    }
