"""The operations that search, compare and cluster."""

from __future__ import annotations

from faceall.web.openapi.operations import CHANGES, IMAGES, operation
from faceall.web.openapi.schemas import DAY_OR_NONE, FLAG, ID, IMAGE, Schema, many, maybe, record, ref

_LIMITS = {"type": "number", "minimum": 0, "maximum": 4}


def search_paths(max_matches: int) -> Schema:
    """Return the operations of search, compare and cluster."""
    search = {
        "type": "object",
        "properties": {
            "file": IMAGE,
            "k": {"type": "integer", "minimum": 1, "maximum": max_matches, "default": 5},
            "threshold": _LIMITS,
            "by": {"type": "string", "enum": ["face", "person"], "default": "face"},
            "people": {**many(ID), "description": "search among these people only; the field may occur several times"},
            "since": {**DAY_OR_NONE, "description": "search photos from this day on only"},
            "until": {**DAY_OR_NONE, "description": "search photos up to this day only"},
        },
        "required": ["file"],
    }
    compare = {
        "type": "object",
        "properties": {"first": IMAGE, "second": IMAGE},
        "required": ["first", "second"],
    }
    cluster = operation(
        "Cluster the faces without a person",
        ref("Clustering"),
        body=record({"threshold": maybe({"type": "number", "exclusiveMinimum": 0, "maximum": 4}), "known": FLAG}),
        errors=CHANGES,
    )
    cluster["requestBody"]["required"] = False
    form = "multipart/form-data"
    return {
        "/api/v1/search": {
            "post": operation("Search with an image", ref("Found"), body=search, kind=form, errors=IMAGES)
        },
        "/api/v1/compare": {
            "post": operation(
                "Compare the primary faces of two images",
                ref("Comparison"),
                body=compare,
                kind=form,
                errors=(*IMAGES, 422),
            )
        },
        "/api/v1/cluster": {"post": cluster},
    }
