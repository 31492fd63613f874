"""Parse JSON bodies within limits."""

from __future__ import annotations

import json
import math
from typing import Any

from faceall.web.refusal import RefusedError, too_large

JSON_BYTES = 1 << 20
JSON_DEPTH = 20


def parse_json(body: bytes, *, max_bytes: int = JSON_BYTES, max_depth: int = JSON_DEPTH) -> Any:
    """Parse a JSON body. NaN, Infinity and numbers beyond float64 are refused.

    Raises
    ------
    RefusedError
        413 if it is too large, 400 if it is nested too deeply or is not JSON.
    """
    if len(body) > max_bytes:
        raise too_large(f"the JSON body has {len(body):,} bytes, the limit is {max_bytes:,}")
    if _depth(body) > max_depth:
        raise _bad(f"the JSON body is nested deeper than {max_depth} levels")
    try:
        return json.loads(body, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and numbers of thousands of digits too
        raise _bad("the body is not valid JSON") from error


def _depth(body: bytes) -> int:
    """Return the nesting depth of brackets outside strings."""
    depth = deepest = 0
    quoted = escaped = False
    for letter in body:
        if quoted:
            quoted = escaped or letter != 0x22
            escaped = letter == 0x5C and not escaped
        elif letter == 0x22:
            quoted = True
        elif letter in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in b"]}":
            depth -= 1
    return deepest


def _no_constant(text: str) -> float:
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _bad(text: str) -> RefusedError:
    return RefusedError(text, status=400, code="bad_request")
