"""Helpers that the tests of the command line share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from click.testing import Result

Run = Callable[..., Result]


def records(text: str) -> list[dict[str, Any]]:
    """Parse JSON lines; leave out errors and the fields that every line has (version, command)."""
    lines = [line for line in map(json.loads, text.splitlines()) if "error" not in line]
    return [{name: value for name, value in line.items() if name not in ("version", "command")} for line in lines]
