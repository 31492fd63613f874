"""The JSON lines of all commands: one form for all, described by the schemas in docs/reference/json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faceall.convert import ParityReport

VERSION = 1
"""Version of the form; a change that breaks readers raises it. It stands in every line."""

_COUNTS = {"faces": "face_count", "photos": "photo_count", "people": "person_count", "files": "file_count"}
"""The plural is always a list; a number of them has a name of its own."""

_THRESHOLD = dict.fromkeys(
    ("distance", "false_accept_rate", "origin", "possible", "fpir", "person_count", "interval"),
)
"""The fields of every threshold; those that do not apply are null."""


def as_line(command: str | None, values: dict[str, Any]) -> dict[str, Any]:
    """Return a record as it is printed: with the version and the command, and names that mean one thing."""
    return {"version": VERSION, "command": command, **_uniform(values)}


def error_line(command: str | None, kind: str, message: str, path: str | None = None) -> dict[str, Any]:
    """Return an error as a record; `path` is the file that it concerns, if it is one."""
    where = {} if path is None else {"path": path}
    return {"version": VERSION, "command": command, **where, "error": {"type": kind, "message": message}}


def threshold_of(distance: float, origin: str, false_accept_rate: float | None = None) -> dict[str, Any]:
    """Return a threshold as all commands print it."""
    return {"distance": distance, "false_accept_rate": false_accept_rate, "origin": origin}


def parity_of(report: ParityReport) -> dict[str, Any]:
    """Return the comparison of two steps of a conversion as all commands print it."""
    values = report.to_json()
    return {"threshold_value" if key == "threshold" else key: value for key, value in values.items()}


def _uniform(value: Any) -> Any:
    """Rename counts, and thresholds that are plain numbers, and complete threshold objects, at any depth."""
    if isinstance(value, dict):
        renamed = {_name(key, entry): _uniform(entry) for key, entry in value.items()}
        if isinstance(renamed.get("threshold"), dict):
            renamed["threshold"] = {**_THRESHOLD, **renamed["threshold"]}
        return renamed
    if isinstance(value, list | tuple):
        return [_uniform(entry) for entry in value]
    return value


def _name(key: str, value: object) -> str:
    """Return the name of a value in a record."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if key in _COUNTS and (isinstance(value, int) and is_number):
        return _COUNTS[key]
    return "threshold_value" if key == "threshold" and is_number else key
