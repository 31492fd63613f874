"""The JSON lines of the commands, validated against the schemas in docs/reference/json."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Run
from test_help import LEAVES

from faceall.types import Image

sys.path.append(str(Path(__file__).parents[1] / "video"))

jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
referencing = pytest.importorskip("referencing", reason="needs jsonschema")

FOLDER = Path(__file__).parents[2] / "docs" / "reference" / "json"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the source tree: docs is absent")


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return {path.name: json.loads(path.read_text()) for path in FOLDER.glob("*.schema.json")}


@pytest.fixture
def validated(run: Run, schemas: dict[str, Any]):
    """Run a command with --json; return the lines, each validated against the command's schema."""
    resources = [(name, referencing.Resource.from_contents(schema)) for name, schema in schemas.items()]
    registry = referencing.Registry().with_resources(resources)

    def check(*arguments: str | Path, exit_code: int = 0) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in run(*arguments, "--json", exit_code=exit_code).stdout.splitlines()]
        assert lines
        for line in lines:
            name = "error" if "error" in line else line["command"].replace(" ", "-")
            schema = schemas[f"{name}.schema.json"]
            jsonschema.Draft202012Validator(schema, registry=registry).validate(line)
        return lines

    return check


def test_every_command_has_a_schema(schemas: dict[str, Any]) -> None:
    """Each command has a schema file (training commands share one), listed in line.schema.json."""
    commands = {name.partition(" ")[2] for name in LEAVES}
    files = {command.replace(" ", "-") for command in commands if not command.startswith("train")} | {"train"}
    assert {f"{name}.schema.json" for name in files} <= set(schemas)
    listed = {branch["$ref"] for branch in schemas["line.schema.json"]["anyOf"]}
    assert listed == set(schemas) - {"line.schema.json", "common.schema.json"}


@pytest.mark.parametrize("field", ["path", "faces", "threshold"])
def test_fields_of_many_commands_have_one_shape(schemas: dict[str, Any], field: str) -> None:
    """Paths, faces and thresholds have the same schema in every command."""
    shared = {"$ref": f"common.schema.json#/$defs/{field}"}
    seen = 0
    for name, schema in schemas.items():
        for properties in _properties(schema):
            if field in properties and "common" not in name:
                shape = properties[field]
                options = shape.get("anyOf", [shape])
                is_list = field == "faces" and shape.get("type") == "array"
                assert shared in options or is_list, name
                assert all(option in (shared, {"type": "null"}) for option in options) or is_list, name
                seen += 1
    assert seen > 3


def _properties(schema: Any) -> Iterator[dict[str, Any]]:
    """Return the properties that a schema defines for a line."""
    for part in (schema, *schema.get("oneOf", ()), *schema.get("anyOf", ())):
        if "properties" in part:
            yield part["properties"]


def test_commands_on_images(validated, portraits: Path, tmp_path: Path) -> None:
    """The lines of detect, embed and compare fit their schemas."""
    photo = portraits / "Eileen" / "1.png"
    (line,) = validated("detect", photo)
    assert (line["path"], len(line["faces"])) == (str(photo), 1)
    validated("embed", photo, "-o", tmp_path / "vectors.npy")
    validated("compare", photo, photo)


def test_commands_on_a_gallery(validated, portraits: Path, tmp_path: Path) -> None:
    """The lines of registering, searching, correcting, maintaining and removing fit their schemas."""
    photo = portraits / "Eileen" / "1.png"
    registered = validated("register", portraits, "--names-from", "folders")
    assert {line["version"] for line in registered} == {1}
    (found,) = validated("search", photo)
    assert found["command"] == "search"
    validated("search", photo, "--by", "person")
    (face, *_) = validated("people", "list", "Eileen")
    for command in (
        ("status",),
        ("people", "list"),
        ("people", "rename", "Eileen", "Ada"),
        ("people", "name", face["face_id"], "Bo"),
        ("people", "split", "Bo", face["face_id"]),
        ("people", "unassign", face["face_id"]),
        ("people", "unname", "Mirror"),
        ("cluster",),
        ("index", "verify"),
        ("index", "stats"),
        ("index", "compact"),
        ("index", "backup", tmp_path / "backup"),
        ("index", "export", tmp_path / "export"),
        ("index", "import", tmp_path / "export"),
        ("index", "migrate"),
        ("index", "repair"),
        ("gallery", "export", tmp_path / "all.faceall"),
        ("gallery", "import", tmp_path / "all.faceall"),
        ("register", photo, "--person", "Eve"),
        ("register", portraits / "Mirror", "--person", "Max"),
        ("people", "merge", "Eve", "Max"),
        ("people", "remove", "Max"),
        ("remove", portraits / "wall.png"),
    ):
        validated(*command)


def test_commands_on_people(validated, portraits: Path) -> None:
    """The lines of history, bin, hiding, details, suggestions and photo search fit their schemas."""
    validated("register", portraits, "--names-from", "folders")
    for command in (
        ("people", "hide", "Eileen"),
        ("people", "show", "Eileen"),
        ("people", "details", "Eileen", "--note", "a pilot"),
        ("photos", "--with", "Eileen"),
        ("people", "history"),
        ("people", "discard", "Eileen"),
        ("people", "bin"),
        ("people", "restore", "Eileen"),
        ("people", "rename", "Eileen", "Ada"),
        ("people", "undo"),
        ("people", "discard", "Mirror"),
        ("people", "erase", "--all"),
    ):
        validated(*command)


def test_lines_of_galleries_have_no_other_fields(schemas: dict[str, Any]) -> None:
    """Every field that a command prints is described in its schema."""
    names = [
        name for name in schemas if name.startswith(("people-", "index-", "photos", "register", "search", "remove"))
    ]
    assert len(names) > 25
    assert [name for name in names if schemas[name].get("additionalProperties") is not False] == []


def test_commands_on_videos(validated, portraits: Path, astronaut: Image, tmp_path: Path) -> None:
    """The lines of video fit its schema, with and without registering."""
    from videos import write_video

    validated("register", portraits, "--names-from", "folders")
    video = write_video(tmp_path / "clip.mp4", [astronaut] * 8)
    (found,) = validated("video", video)
    assert (found["from"], found["to"], found["person"]) == (0.0, 0.5, None)  # the tiny model has no threshold
    validated("video", video, "--register", "--thumbnails", tmp_path / "faces")
    assert (tmp_path / "faces" / "clip-contact-sheet.jpg").is_file()


def test_commands_on_models(validated, tmp_path: Path) -> None:
    """The lines of models, convert and doctor fit their schemas."""
    (model, *_) = validated("models", "list")
    validated("models", "info")
    validated("models", "verify")
    validated("convert", model["path"], "--to", "onnx", "-o", tmp_path / "tiny.onnx")
    validated("doctor")


def test_errors_are_lines(validated, tmp_path: Path) -> None:
    """Failures, usage errors and unreadable files print an error line on stdout."""
    (broken := tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    (line,) = validated("search", broken, exit_code=1)
    assert "no gallery" in line["error"]["message"]
    (line,) = validated("compare", broken, exit_code=1)
    assert line["command"] == "compare"
    first, *_ = validated("detect", broken, exit_code=1)
    assert first["path"] == str(broken)
