"""Validation of JSON lines against the schemas in docs/reference/json."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs" / "reference" / "json"
AVAILABLE = FOLDER.is_dir() and all(map(importlib.util.find_spec, ("jsonschema", "referencing")))
"""Whether lines can be validated: the source tree and jsonschema are there."""


@functools.cache
def read_schemas() -> dict[str, Any]:
    """Read all schemas, by file name."""
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.schema.json")}


@functools.cache
def _validator(name: str) -> Any:
    """Return the validator of one schema, which may refer to the others."""
    jsonschema, referencing = importlib.import_module("jsonschema"), importlib.import_module("referencing")
    schemas = read_schemas()
    resources = [(other, referencing.Resource.from_contents(schema)) for other, schema in schemas.items()]
    return jsonschema.Draft202012Validator(schemas[name], registry=referencing.Registry().with_resources(resources))


def schema_of(line: dict[str, Any]) -> str:
    """Return the file name of the schema of a line; the commands of training share one."""
    if "error" in line:
        return "error.schema.json"
    command = line["command"]
    return f"{'train' if command.startswith('train ') else command.replace(' ', '-')}.schema.json"


def validate_lines(text: str) -> list[dict[str, Any]]:
    """Validate the JSON lines of a command and return them."""
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        _validator(schema_of(line)).validate(line)
    return lines
