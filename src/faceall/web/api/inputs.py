"""What a request says, checked: query fields, form fields, JSON bodies and pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from flask import request
from werkzeug.datastructures import FileStorage

from faceall.web.errors import refused
from faceall.web.pages.names import NAMELESS, as_sent
from faceall.web.security.limits import parse_json, too_large

LARGEST = (1 << 63) - 1
"""The largest number that a row can have."""

LONGEST_PAGE = 500

_WHOLE = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?")
Choice = TypeVar("Choice", bound=str)


def whole(
    values: Mapping[str, str], name: str, default: int | None = None, *, low: int = 0, high: int = LARGEST
) -> int | None:
    """A whole number of the query or form; `default` where it is not given. Raises RefusedError (400)."""
    text = values.get(name)
    if text is None:
        return default
    if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
        raise refused(f"{name} is {text[:40]!r}, expected a whole number from {low} to {high}")
    return int(text)


def number(values: Mapping[str, str], name: str, *, low: float, high: float) -> float | None:
    """A number of the query or form; None where it is not given. Raises RefusedError (400)."""
    text = values.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or not low <= float(text) <= high:
        raise refused(f"{name} is {text[:40]!r}, expected a number from {low:g} to {high:g}")
    return float(text)


def choice(values: Mapping[str, str], name: str, known: tuple[Choice, ...]) -> Choice:
    """One of some words; the first where none is given. Raises RefusedError (400)."""
    text = values.get(name, known[0])
    for word in known:
        if text == word:
            return word
    raise refused(f"{name} is {text[:40]!r}, expected one of {', '.join(known)}")


def flag(values: Mapping[str, str], name: str) -> bool:
    """`true` or `false`; false where it is not given. Raises RefusedError (400)."""
    return choice(values, name, ("false", "true")) == "true"


def page() -> tuple[int, int]:
    """`limit` and `offset` of the query."""
    limit = whole(request.args, "limit", 100, low=1, high=LONGEST_PAGE)
    offset = whole(request.args, "offset", 0)
    assert limit is not None
    assert offset is not None
    return limit, offset


def json_object(*known: str, needed: Iterable[str] = (), any_type: bool = False) -> dict[str, Any]:
    """The JSON object of the body. Raises RefusedError: 415 of another kind, 400 for other fields than those known.

    any_type  whatever the content type says
    """
    if not any_type and request.mimetype != "application/json":
        raise refused("the body has to be JSON (Content-Type: application/json)", 415)
    value = parse_json(request.get_data())
    if not isinstance(value, dict):
        raise refused("the body is JSON, but no object")
    strange = sorted(set(value) - set(known))
    if strange:
        raise refused(f"the field {strange[0][:40]!r} is not known; known are {', '.join(known)}")
    missing = sorted(set(needed) - set(value))
    if missing:
        raise refused(f"the field {missing[0]!r} is missing")
    return value


def text_in(values: Mapping[str, Any], name: str, *, optional: bool = False) -> str | None:
    """A text in a JSON object; with `optional` it may be null or absent. Raises RefusedError (400)."""
    value = values.get(name)
    if isinstance(value, str) or (optional and value is None):
        return value
    raise refused(f"{name} has to be a text{' or null' if optional else ''}")


def ids_in(values: Mapping[str, Any], name: str) -> list[int]:
    """A list of ids in a JSON object, at least one. Raises RefusedError (400)."""
    found = values.get(name)
    if not isinstance(found, list) or not found or not all(map(_is_id, found)):
        raise refused(f"{name} has to be a list of ids, at least one")
    return [int(value) for value in found]


def id_in(values: Mapping[str, Any], name: str) -> int:
    """An id in a JSON object. Raises RefusedError (400)."""
    value = values.get(name)
    if not _is_id(value):
        raise refused(f"{name} has to be an id, a whole number from 0")
    return int(value)  # type: ignore[arg-type]


def number_in(values: Mapping[str, Any], name: str) -> float | None:
    """A number in a JSON object; None where it is null or absent. Raises RefusedError (400)."""
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise refused(f"{name} has to be a number or null")
    return float(value)


def urls_in(values: Mapping[str, Any], most: int) -> list[str]:
    """The list `urls` of a JSON object. Raises RefusedError (400)."""
    urls = values.get("urls")
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise refused("urls has to be a list of texts")
    return checked_urls(urls, most)


def checked_urls(urls: list[str], most: int) -> list[str]:
    """URLs, at least one and not too many. Raises RefusedError (400)."""
    if not 1 <= len(urls) <= most:
        raise refused(f"urls has {len(urls):,} entries, expected 1 to {most}")
    return urls


def form_only() -> None:
    """Refuse a body that is no multipart form. Raises RefusedError (415)."""
    if request.mimetype != "multipart/form-data":
        raise refused("the body has to be a form with files (Content-Type: multipart/form-data)", 415)


def only_file(name: str, most_bytes: int) -> bytes:
    """The bytes of the one file in a field. Raises RefusedError: 400, or 413 for one that is too large."""
    files = files_in(name)
    if len(files) != 1:
        raise refused(f"the form has {len(files)} files in the field {name[:100]!r}, expected one")
    return read_file(files[0], most_bytes)


def files_in(name: str) -> list[FileStorage]:
    """The files in a field. Raises RefusedError (400) where a text stands there."""
    if name in request.form:
        raise refused(f"the field {name[:100]!r} holds a text, expected a file (with curl: -F {name[:100]}=@photo.jpg)")
    return request.files.getlist(name)


def read_file(file: FileStorage, most_bytes: int) -> bytes:
    """The bytes of an uploaded file. Raises RefusedError (413) for more than so many."""
    data = file.stream.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise too_large(f"the picture has more than {most_bytes:,} bytes, which is the cap")
    return data


def name_of(file: FileStorage) -> str:
    """What an uploaded file is called on the computer that it came from."""
    return as_sent(file.filename or "") or NAMELESS


def _is_id(value: object) -> bool:
    """Whether a JSON value is a whole number that a row can have; 7.0 is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= LARGEST and value == int(value)
