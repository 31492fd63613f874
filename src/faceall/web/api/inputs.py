"""Checked input of requests: query fields, form fields, JSON bodies and files.

All functions raise `RefusedError` with status 400 and the expected form of the value, unless they say otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from flask import request
from werkzeug.datastructures import FileStorage

from faceall.web.errors import refused
from faceall.web.refusal import too_large
from faceall.web.security.json_bodies import parse_json
from faceall.web.work.file_names import DEFAULT_NAME, as_sent

LARGEST = (1 << 63) - 1
"""The largest id."""

MAX_PAGE_SIZE = 500

_WHOLE = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?")
Choice = TypeVar("Choice", bound=str)


def whole(
    values: Mapping[str, str], name: str, default: int | None = None, *, low: int = 0, high: int = LARGEST
) -> int | None:
    """Return an integer of the query or form; `default` if it is absent.

    Raises
    ------
    RefusedError
        If it is not an integer within the limits.
    """
    text = values.get(name)
    if text is None:
        return default
    if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
        raise refused(f"{name} is {text[:40]!r}, expected an integer from {low} to {high}")
    return int(text)


def id_of(text: str, name: str) -> int:
    """Return an id from the text of a field that may occur several times."""
    return whole({name: text}, name) or 0


def number(values: Mapping[str, str], name: str, *, low: float, high: float) -> float | None:
    """Return a number of the query or form; None if it is absent.

    Raises
    ------
    RefusedError
        If it is not a number within the limits.
    """
    text = values.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or not low <= float(text) <= high:
        raise refused(f"{name} is {text[:40]!r}, expected a number from {low:g} to {high:g}")
    return float(text)


def choice(values: Mapping[str, str], name: str, known: tuple[Choice, ...]) -> Choice:
    """Return one of the known values; the first if the field is absent.

    Raises
    ------
    RefusedError
        If it is not a known value.
    """
    text = values.get(name, known[0])
    for word in known:
        if text == word:
            return word
    raise refused(f"{name} is {text[:40]!r}, expected one of {', '.join(known)}")


def flag(values: Mapping[str, str], name: str) -> bool:
    """Return a field that is `true` or `false`; False if it is absent."""
    return choice(values, name, ("false", "true")) == "true"


def page() -> tuple[int, int]:
    """Return `limit` and `offset` of the query."""
    limit = whole(request.args, "limit", 100, low=1, high=MAX_PAGE_SIZE)
    offset = whole(request.args, "offset", 0)
    assert limit is not None
    assert offset is not None
    return limit, offset


def day(values: Mapping[str, str], name: str) -> str | None:
    """Return a day of the query or form, YYYY-MM-DD; None if it is absent or empty. The gallery checks it."""
    return values.get(name) or None


def json_object(*known: str, needed: Iterable[str] = (), any_type: bool = False) -> dict[str, Any]:
    """Return the JSON object of the body.

    Parameters
    ----------
    *known : str
        Allowed fields.
    needed : iterable of str
        Required fields.
    any_type : bool
        Whether to ignore the content type.

    Raises
    ------
    RefusedError
        415 for another content type, 413 for a body that is too large, 400 for unknown or missing fields.
    """
    if not any_type and request.mimetype != "application/json":
        raise refused("the body must be JSON (Content-Type: application/json)", 415)
    value = parse_json(request.get_data())
    if not isinstance(value, dict):
        raise refused("the body must be a JSON object")
    strange = sorted(set(value) - set(known))
    if strange:
        raise refused(f"unknown field {strange[0][:40]!r}; known fields: {', '.join(known)}")
    missing = sorted(set(needed) - set(value))
    if missing:
        raise refused(f"missing field {missing[0]!r}")
    return value


def text_in(values: Mapping[str, Any], name: str, *, optional: bool = False) -> str | None:
    """Return a string of a JSON object; with `optional` it may be null or absent.

    Raises
    ------
    RefusedError
        If it is not a string.
    """
    value = values.get(name)
    if isinstance(value, str) or (optional and value is None):
        return value
    raise refused(f"{name} must be a string{' or null' if optional else ''}")


def ids_in(values: Mapping[str, Any], name: str) -> list[int]:
    """Return a list of at least one id of a JSON object.

    Raises
    ------
    RefusedError
        If it is not a list of ids, or is empty.
    """
    found = values.get(name)
    if not isinstance(found, list) or not found or not all(map(_is_id, found)):
        raise refused(f"{name} must be a list of at least one id")
    return [int(value) for value in found]


def id_in(values: Mapping[str, Any], name: str) -> int:
    """Return an id of a JSON object.

    Raises
    ------
    RefusedError
        If it is not an integer from 0.
    """
    value = values.get(name)
    if not _is_id(value):
        raise refused(f"{name} must be an id (an integer from 0)")
    return int(value)  # type: ignore[arg-type]


def number_in(values: Mapping[str, Any], name: str) -> float | None:
    """Return a number of a JSON object; None if it is null or absent.

    Raises
    ------
    RefusedError
        If it is not a number.
    """
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise refused(f"{name} must be a number or null")
    return float(value)


def urls_in(values: Mapping[str, Any], max_urls: int) -> list[str]:
    """Return the list `urls` of a JSON object.

    Raises
    ------
    RefusedError
        If it is not a list of strings, or has too many.
    """
    urls = values.get("urls")
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise refused("urls must be a list of strings")
    return checked_urls(urls, max_urls)


def checked_urls(urls: list[str], max_urls: int) -> list[str]:
    """Check the number of URLs.

    Raises
    ------
    RefusedError
        If there are none or too many.
    """
    if not 1 <= len(urls) <= max_urls:
        raise refused(f"urls has {len(urls):,} entries, expected 1 to {max_urls}")
    return urls


def form_only() -> None:
    """Check that the body is a multipart form.

    Raises
    ------
    RefusedError
        With status 415, if it is not.
    """
    if request.mimetype != "multipart/form-data":
        raise refused("the body must be a form with files (Content-Type: multipart/form-data)", 415)


def only_file(name: str, max_bytes: int) -> bytes:
    """Return the bytes of the only file in a field.

    Raises
    ------
    RefusedError
        If there is not exactly one file, or (status 413) it is too large.
    """
    files = files_in(name)
    if len(files) != 1:
        raise refused(f"the field {name[:100]!r} has {len(files)} files, expected one")
    return read_file(files[0], max_bytes)


def files_in(name: str) -> list[FileStorage]:
    """Return the files in a field.

    Raises
    ------
    RefusedError
        If the field is text.
    """
    if name in request.form:
        raise refused(f"the field {name[:100]!r} is text, expected a file (with curl: -F {name[:100]}=@photo.jpg)")
    return request.files.getlist(name)


def read_file(file: FileStorage, max_bytes: int) -> bytes:
    """Return the bytes of an uploaded file.

    Raises
    ------
    RefusedError
        With status 413, if there are too many bytes.
    """
    data = file.stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise too_large(f"the file has more than {max_bytes:,} bytes, which is the limit")
    return data


def name_of(file: FileStorage) -> str:
    """Return the name of an uploaded file on the client's computer."""
    return as_sent(file.filename or "") or DEFAULT_NAME


def _is_id(value: object) -> bool:
    """Return whether a JSON value is a valid id; 7.0 is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= LARGEST and value == int(value)
