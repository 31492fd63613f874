"""Validation of the fields of a bundle."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import numpy as np

from faceall.types import Float32Array

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_LARGEST_NUMBER = 1e9
_UNIT = 1e-3  # how far from 1 the length of a vector may be


class FlawError(Exception):
    """A field does not follow the format; the reader adds the name of the file."""


def expect(fits: bool, name: str, value: object, expected: object) -> None:
    """Raise `FlawError` with the actual and the expected value of a field unless it `fits`."""
    if not fits:
        shown = repr(value)
        raise FlawError(f"{name} is {shown if len(shown) <= 80 else shown[:77] + '...'}, expected {expected}")


def times(values: dict[str, Any]) -> tuple[str, str]:
    """Return the fields `created` and `changed`, in seconds of UTC."""
    expected = "a time like 2026-01-31T12:00:00Z"
    return matching(values, "created", TIME, expected), matching(values, "changed", TIME, expected)


def matching(values: dict[str, Any], name: str, pattern: re.Pattern[str], expected: str) -> str:
    """Return a text field that matches a pattern."""
    value = values.get(name)
    expect(isinstance(value, str) and pattern.fullmatch(value) is not None, name, value, expected)
    return str(value)


def text(values: dict[str, Any], name: str, limit: int) -> str:
    """Return a text field of at most `limit` bytes that is not blank."""
    value = values.get(name)
    fits = isinstance(value, str) and value.strip() != "" and "\0" not in value
    expect(fits and len(str(value).encode("utf-8", "replace")) <= limit, name, value, f"a text of 1 to {limit} bytes")
    text = str(value)
    expect(text == text.encode("utf-8", "replace").decode(), name, value, "a text of valid characters")
    return text


def is_date(value: Any) -> bool:
    """Return whether a value is a date in the form YYYY-MM-DD."""
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def numbers(values: Any, count: int, name: str) -> tuple[float, ...]:
    """Return a list of `count` finite numbers as a tuple."""
    fits = isinstance(values, list) and len(values) == count and all(map(is_number, values))
    expect(fits, name, values, f"{count} numbers")
    return tuple(map(float, values))


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number below 1e9 in size."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _LARGEST_NUMBER  # neither NaN nor infinity is


def is_whole(value: Any, most: int) -> bool:
    """Return whether a value is a whole number from 1 to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def check_vectors(vectors: Float32Array) -> None:
    """Refuse rows of (n, dimension) that are not finite or not of unit length.

    Raises
    ------
    FlawError
        If a vector is not finite or not of unit length.
    """
    if not np.isfinite(vectors).all():
        raise FlawError("holds a number that is not finite")
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    wrong = np.flatnonzero(np.abs(lengths - 1) > _UNIT)
    if len(wrong):
        raise FlawError(f"vector {wrong[0]} has length {lengths[wrong[0]]:.4f}, expected 1")
