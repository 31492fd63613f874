"""API results prepared for the templates: with translated names and texts, and addresses of pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for

from faceall.errors import FaceallError
from faceall.gallery.people.clustering.clusters import DEFAULT_LIMIT
from faceall.web.pages.context import shown_name
from faceall.web.pages.texts import Texts
from faceall.web.serializers import Json
from faceall.web.services import services

_MAX_DISTANCE = 4.0
_LEVELS = (  # factors of the match threshold
    (0.7, "search.level_very_strict"),
    (0.85, "search.level_strict"),
    (1.0, "search.level_balanced"),
    (1.12, "search.level_lenient"),
    (1.25, "search.level_very_lenient"),
)
_CERTAINTY = (  # up to these factors of the match threshold
    (0.7, "search.certain", "good"),
    (1.0, "search.likely", "good"),
    (1.12, "search.possible", "warn"),
    (float("inf"), "search.unlikely", ""),
)
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
    """Return the error or the notes of a photo; duplicates are described in English only."""
    if _WORSE.get(result["status"]) == "bad":
        return problem_text(words, result["error"])
    said = [result["message"]] if result["status"] == "duplicate" and words.language == "en" else []
    return "; ".join([*said, *(note_text(words, note) for note in result.get("notes", []))])


def note_text(words: Texts, note: Mapping[str, Any]) -> str:
    """Return a note on a photo in the language of the page."""
    return words(f"notes.{note['kind']}", name=note["name"] or "")


def problem_text(words: Texts, error: Mapping[str, Any]) -> str:
    """Return the text of an error: the server's English message; in other languages after the text of its code."""
    key = f"problems.{error['code']}"
    message = str(error["message"])
    if words.language == "en" or not words.has(key):
        return message[:1].upper() + message[1:]
    return words("script.detail", known=words(key), message=message)


def searched(words: Texts, found: Json) -> Json:
    """Split the matches of each face of a search by the threshold."""
    usual = usual_distance(found)
    faces = [_answered(words, face, usual) for face in found["faces"]]
    first = next((number for number, face in enumerate(faces) if face["strong"]), 0)
    return {**found, "faces": faces, "first": first}


def usual_distance(found: Json) -> float:
    """Return the squared distance up to which a match is the same person by default."""
    return float(found["threshold"]["distance"]) if found["threshold"] else DEFAULT_LIMIT


def strictness_levels(usual: float) -> list[tuple[float, str]]:
    """Return the squared distance and the text key of each strictness, the strictest first."""
    return [(min(_MAX_DISTANCE, usual * factor), key) for factor, key in _LEVELS]


def _answered(words: Texts, face: Json, usual: float) -> Json:
    matches = [_match(words, match, usual) for match in face["matches"]]
    strong = [match for match in matches if match["distance"] <= usual]
    label = strong[0]["name"] if strong and strong[0]["person"] else words("search.no_match_label")
    nearest = matches[0] if matches else None
    return {**face, "strong": strong, "weaker": matches[len(strong) :], "nearest": nearest, "label": label}


def _match(words: Texts, match: Json, usual: float) -> Json:
    """Return a match in one form for faces and people."""
    by_person = "best" in match
    face = match["faces"][0] if by_person else match["face"]
    photo = _photo_of(face) if by_person else match["photo"]
    person = match["person"]
    marked = photo and url_for("pages.photo", photo_id=photo["id"], face=face)
    distance = match["best"] if by_person else match["distance"]
    certainty, tone = next((key, tone) for factor, key, tone in _CERTAINTY if distance <= usual * factor)
    return {
        "certainty": words(certainty),
        "tone": tone,
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
