"""API results prepared for the templates: with translated names and texts, and addresses of pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for

from faceall.errors import FaceallError
from faceall.gallery import Change, describe_change
from faceall.gallery.people.clustering.clusters import DEFAULT_LIMIT
from faceall.web.pages.context import shown_name
from faceall.web.pages.texts import Texts
from faceall.web.serializers import Json
from faceall.web.services import services

_RANKS = {"match": 0, "possible": 1, "unknown": 2}
_DECISIONS = {"match": "search.match", "possible": "search.possible", "unknown": "search.unknown"}
_TONES = {"match": "good", "possible": "warn", "unknown": ""}
_POSSIBLE = 1.12  # times the threshold, where there are no decisions
LEVELS = ("search.level_strict", "search.level_balanced", "search.level_lenient")
"""Text keys of the strictness levels: matches, also possible matches, also unknown people."""

BALANCED = 1
_WORSE = {"no-face": "warn", "refused": "warn", "unreadable": "bad", "too-large": "bad", "failed": "bad"}


def registered(words: Texts, result: Json) -> Json:
    """Add the translated outcome, its tone, the people and remarks to the result of a registration."""
    status = result["status"]
    people = {face["person"]["id"]: face["person"] for face in result["faces"] if face["person"]}
    return {
        **result,
        "outcome": words(f"outcome.{status}" if words.has(f"outcome.{status}") else "outcome.registered"),
        "tone": _WORSE.get(status, "good"),
        "people": [{**person, "name": shown_name(words, person)} for person in people.values()],
        "remark": _remark(words, result),
    }


def _remark(words: Texts, result: Json) -> str:
    """Return the error or the notes of a photo."""
    if _WORSE.get(result["status"]) == "bad":
        return problem_text(words, result["error"])
    said = [_said(words, result["message"])] if result["status"] == "duplicate" else []
    return "; ".join([*said, *(note_text(words, note) for note in result.get("notes", []))])


def _said(words: Texts, message: str) -> str:
    return message if words.language == "en" else words.remark(message) or message


def note_text(words: Texts, note: Mapping[str, Any]) -> str:
    """Return a note on a photo in the language of the page."""
    return words(f"notes.{note['kind']}", name=note["name"] or "")


def problem_text(words: Texts, error: Mapping[str, Any]) -> str:
    """Return the text of an error: the server's message, translated if it is known, else after the text of its code."""
    key = f"problems.{error['code']}"
    message = str(error["message"])
    if words.language == "en" or not words.has(key):
        return message[:1].upper() + message[1:]
    return words.remark(message) or words("script.detail", known=words(key), message=message)


def change_text(words: Texts, change: Change) -> str:
    """Return what a change did, in the language of the page: its kind, the people and the number of faces."""
    if words.language == "en":
        return describe_change(change)
    named = [change.details.get(key) for key in ("old", "person", "people", "first", "second", "into", "to", "new")]
    people = [name for one in named if one for name in (one if isinstance(one, list) else [one])]
    faces = change.details.get("faces")
    parts = [*map(str, people), *([words.count("common.faces", faces)] if isinstance(faces, int) else [])]
    kind = words(f"changes.{change.kind}") if words.has(f"changes.{change.kind}") else change.kind
    return words("history.change", kind=kind, what="、".join(parts)) if parts else kind


def searched(words: Texts, found: Json) -> Json:
    """Sort the matches of each face of a search by decision and distance."""
    usual = usual_distance(found)
    faces = [_answered(words, face, usual) for face in found["faces"]]
    first = next((number for number, face in enumerate(faces) if face["strong"]), 0)
    return {**found, "faces": faces, "first": first}


def usual_distance(found: Json) -> float:
    """Return the squared distance up to which a match is the same person by default."""
    return float(found["threshold"]["distance"]) if found["threshold"] else DEFAULT_LIMIT


def _answered(words: Texts, face: Json, usual: float) -> Json:
    matches = sorted(
        (_match(words, match, usual) for match in face["matches"]), key=lambda one: (one["rank"], one["distance"])
    )
    strong = [match for match in matches if match["rank"] <= BALANCED]
    best = strong[0] if strong else None
    label = words("search.no_match_label") if best is None else best["name"] + ("?" if best["rank"] else "")
    nearest = matches[0] if matches else None
    return {**face, "strong": strong, "weaker": matches[len(strong) :], "nearest": nearest, "label": label}


def _decision(match: Json, distance: float, usual: float) -> str:
    """Return the decision of the search; without one it follows from the distance."""
    if match["decision"] is not None:
        return str(match["decision"])
    return "match" if distance <= usual else "possible" if distance <= usual * _POSSIBLE else "unknown"


def _match(words: Texts, match: Json, usual: float) -> Json:
    """Return a match in one form for faces and people."""
    by_person = "best" in match
    face = match["faces"][0] if by_person else match["face"]
    photo = _photo_of(face) if by_person else match["photo"]
    person = match["person"]
    marked = photo and url_for("pages.photo", photo_id=photo["id"], face=face)
    distance = match["best"] if by_person else match["distance"]
    decision = _decision(match, distance, usual)
    return {
        "decision": words(_DECISIONS[decision]),
        "rank": _RANKS[decision],
        "tone": _TONES[decision],
        "face": face,
        "photo": photo,
        "person": person,
        "name": shown_name(words, person),
        "distance": distance,
        "mean": match["mean"] if by_person and match["count"] > 1 else None,
        "similarity": match["similarity"],
        "link": url_for("pages.person", person_id=person["id"]) if by_person and person else marked,
    }


def _photo_of(face: int) -> Json | None:
    """Return the photo of a face; None if it was removed meanwhile."""
    try:
        stored = services().gallery.faces.get(face)
    except FaceallError:
        return None
    return services().serializer.photo_of(stored.photo_id, stored.path)
