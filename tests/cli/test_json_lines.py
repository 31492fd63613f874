"""The JSON lines of the commands, validated against the schemas in docs/reference/json."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
from cli_runs import Run
from json_schemas import AVAILABLE, read_schemas, validate_lines
from test_help import LEAVES

from faceall.convert.parity.report import Criteria, measure
from faceall.evaluate.gallery_decisions import SearchCalibration
from faceall.images import write_image
from faceall.train.options import DistillationOptions
from faceall.train.run_folder import RunFolder
from faceall.types import Image
from faceall_cli.commands.models.convert import convert

sys.path.append(str(Path(__file__).parents[1] / "video"))

DESCRIBED = (
    "align",
    "calibrate",
    "classifier-apply",
    "classifier-train",
    "convert",
    "evaluate",
    "gallery-import",
    "models-info",
    "serve",
    "status",
    "train",
)
pytestmark = pytest.mark.skipif(not AVAILABLE, reason="needs jsonschema and the source tree")


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return read_schemas()


@pytest.fixture
def validated(run: Run):
    """Run a command with --json; return the lines, each validated against the command's schema."""

    def check(*arguments: str | Path, exit_code: int = 0) -> list[dict[str, Any]]:
        lines = validate_lines(run(*arguments, "--json", exit_code=exit_code).stdout)
        assert lines
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


def test_lines_have_no_other_fields(schemas: dict[str, Any]) -> None:
    """Every field that a command prints is described in its schema."""
    names = set(schemas) - {"line.schema.json", "common.schema.json"}
    assert [name for name in sorted(names) if schemas[name].get("additionalProperties") is not False] == []


def test_objects_in_lines_have_no_other_fields(schemas: dict[str, Any]) -> None:
    """Objects at any depth say which fields they have, and lists what they hold."""
    assert [place for name in sorted(schemas) for place in _open_parts(schemas[name], name)] == []


def test_open_parts_are_found() -> None:
    """The check above sees an open object in a list, and a list of anything."""
    holder = {"type": "object", "additionalProperties": False}
    fields = {"many": {"type": "array", "items": {"type": "object"}}, "any": {"type": ["array", "null"]}}
    assert [*_open_parts({**holder, "properties": fields}, "x")] == ["x/many", "x/any"]


def _open_parts(part: dict[str, Any], place: str) -> Iterator[str]:
    """Name the objects and lists of a schema that may hold anything; `oneOf` only tells closed lines apart."""
    kinds = part.get("type", "object" if "properties" in part else ())
    if ("object" in kinds and "additionalProperties" not in part) or ("array" in kinds and "items" not in part):
        yield place
    for name, field in {**part.get("properties", {}), **part.get("$defs", {})}.items():
        yield from _open_parts(field, f"{place}/{name}")
    below = [*part.get("anyOf", ()), part.get("items"), part.get("additionalProperties")]
    for option in below:
        if isinstance(option, dict):
            yield from _open_parts(option, place)


@pytest.mark.parametrize("command", DESCRIBED)
def test_fields_are_described(schemas: dict[str, Any], command: str) -> None:
    """Every field says what it is, objects in lists included."""
    assert [*_undescribed(schemas, schemas[f"{command}.schema.json"]["properties"])] == []


def test_undescribed_fields_are_found(schemas: dict[str, Any]) -> None:
    """The check above sees fields in objects and in lists, and does not take a reference for a description."""
    plain = {"type": "object", "properties": {"inner": {"type": "integer"}}, "description": "An object"}
    fields = {
        "one": plain,
        "many": {"type": "array", "items": plain, "description": "A list"},
        "bare": {"type": "null"},
    }
    assert [*_undescribed(schemas, fields)] == ["inner", "inner", "bare"]


def _undescribed(schemas: dict[str, Any], fields: dict[str, Any]) -> Iterator[str]:
    """The names of the fields without a description, at any depth."""
    for name, field in fields.items():
        options = [field, *field.get("anyOf", ()), *([field["items"]] if "items" in field else ())]
        options += [
            schemas["common.schema.json"]["$defs"][o["$ref"].rpartition("/")[2]] for o in options if "$ref" in o
        ]
        if name not in ("version", "command") and not any("description" in option for option in options):
            yield name
        for option in options:
            yield from _undescribed(schemas, option.get("properties", {}))


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


@pytest.mark.parametrize(
    ("target", "needs"),
    [
        ("caffe", None),
        ("onnx", None),
        ("savedmodel", None),
        ("coreml", "coremltools"),
        ("ios", "coremltools"),
        ("coreai", "coreai"),
    ],
)
def test_conversions_to_every_format(validated, tmp_path: Path, target: str, needs: str | None) -> None:
    """The line of convert fits its schema for each format; a package says what became of its files."""
    if needs is not None:
        pytest.importorskip(needs, reason=f"needs {needs}")
    (model, *_) = validated("models", "list")
    suffix = {"coreml": ".mlpackage", "coreai": ".aimodel", "onnx": ".onnx"}.get(target, "")
    command = ("convert", model["path"], "--to", target, "-o", tmp_path / f"made{suffix}")
    (line,) = validated(*command)
    assert {step["passed"] for step in line["steps"]} == {True}
    assert Path(line["report"]).is_file()
    assert Path(line["path"]).exists()
    assert ("parity" in line) == (target != "ios")
    if target == "ios":
        (again,) = validated(*command)
        assert (line["status"], again["status"]) == ("written", "refreshed")


def test_every_format_is_validated() -> None:
    """The test above knows all formats of `convert --to`."""
    (option,) = (one for one in convert.params if one.name == "target")
    (mark,) = test_conversions_to_every_format.pytestmark
    assert isinstance(option.type, click.Choice)
    assert {target for target, _ in mark.args[1]} == set(option.type.choices)


def test_commands_on_classifiers(validated, portraits: Path, tmp_path: Path) -> None:
    """classifier train and apply."""
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    file = tmp_path / "people.npz"
    validated("classifier", "train", file, "--folder", portraits, "--min-faces", "1")
    (line,) = validated("classifier", "apply", file, portraits / "Mirror" / "1.png")
    assert line["person"] == "Mirror"


def test_commands_on_thresholds(validated, portraits: Path, astronaut: Image) -> None:
    """calibrate; a threshold has the same fields in each command, null if they do not apply."""
    validated("calibrate", exit_code=1)  # no gallery
    (portraits / "Pale").mkdir()
    write_image(portraits / "Pale" / "1.png", astronaut // 2 + 90)
    validated("register", portraits, "--names-from", "folders")
    (line,) = validated("calibrate", "--false-accept-rate", "0.4")
    (status,) = validated("status")
    assert status["threshold"] == line["threshold"]
    assert set(line["threshold"]) > {"fpir", "possible", "interval"}
    assert validated("calibrate", "--forget")[0]["forgotten"] is True
    validated("calibrate", exit_code=1)  # too few people for an FPIR


def test_calibration_of_searches_is_a_line(validated, portraits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """calibrate prints the threshold for an FPIR with its interval, whether or not the FNIR is known."""
    validated("register", portraits, "--names-from", "folders")
    found = SearchCalibration(0.05, 1.1, (1.0, 1.2), 0.25, (0.1, 0.4), 20, 40, False)
    for result in (found, replace(found, fnir=None, fnir_interval=None, extrapolated=True)):
        monkeypatch.setattr("faceall.evaluate.calibrate_searches", lambda *_, result=result, **__: result)
        (line,) = validated("calibrate", "--fpir", "0.05", "--dry-run")
        assert (line["threshold"]["fpir"], line["threshold"]["interval"], line["stored"]) == (0.05, [1.0, 1.2], False)
        assert line["fnir"] == result.fnir


def test_commands_on_keys(validated) -> None:
    """serve creates, lists and revokes keys."""
    pytest.importorskip("flask", reason="needs Flask")
    validated("serve", "--create-key", "--label", "Anna")
    (key,) = validated("serve", "--list-keys")
    assert key["label"] == "Anna"
    (revoked,) = validated("serve", "--revoke-key", key["id"])
    assert revoked["id"] == key["id"]


def test_commands_of_training(validated, portraits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """align, train prepare and show; resume and export print what a finished training left."""
    photos = validated("align", portraits, tmp_path / "crops", "--workers", "1")
    assert all(Path(line["path"]).is_file() for line in photos)
    assert all(Path(crop["path"]).is_file() for line in photos for crop in line["crops"])
    validated("train", "prepare", tmp_path / "crops", tmp_path / "shard", "--teacher", "tiny")
    run = RunFolder(tmp_path / "run")
    run.begin({"kind": "distillation", "options": DistillationOptions().to_json(), "data": []})
    monkeypatch.setattr("faceall.train.resume_run", lambda *_, **__: None)
    assert set(validated("train", "resume", run.path, tmp_path / "shard")[0]) == {"version", "command", "path"}
    run.record({"step": 200, "loss": 0.5, "rate": 1e-3, "images_per_second": 80.0, "cosine": 0.6})
    (line,) = validated("train", "show", run.path)
    assert (line["path"], line["step"]) == (str(run.path), 200)
    assert validated("train", "resume", run.path, tmp_path / "shard")[0]["cosine"] == 0.6
    report = measure(np.eye(3), np.eye(3), Criteria(), reference="net", engine="NumPy")
    done = SimpleNamespace(report=report, manifest=SimpleNamespace(name="student"))
    monkeypatch.setattr("faceall.train.export_run", lambda *_, **__: done)
    (line,) = validated("train", "export", run.path, tmp_path / "model")
    assert line["parity"]["passed"] is True


def test_commands_of_evaluation(validated, astronaut: Image, tmp_path: Path) -> None:
    """evaluate on searches, compared with its own report; the tests of evaluate validate its lines on pairs."""
    for person in range(14):
        (tmp_path / "people" / f"p{person}").mkdir(parents=True)
        for number in range(2 if person < 4 else 1):
            light = np.clip(astronaut[:300, 100:400] * (0.5 + 0.03 * person + 0.01 * number), 0, 255).astype(np.uint8)
            write_image(tmp_path / "people" / f"p{person}" / f"{number}.png", light)
    arguments = ("evaluate", tmp_path / "people", "--protocol", "open-set", "--people", 4, "--repeat", 2)
    (line,) = validated(*arguments, "--out", tmp_path / "report")
    assert (line["protocol"], line["person_count"]) == ("open-set", 4)
    (line,) = validated(*arguments, "--compare", tmp_path / "report")
    assert line["comparisons"][0]["unit"] == "search"


def test_errors_are_lines(validated, tmp_path: Path) -> None:
    """Failures, usage errors and unreadable files print an error line on stdout."""
    (broken := tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    (line,) = validated("search", broken, exit_code=1)
    assert "no gallery" in line["error"]["message"]
    assert line["command"] == "search"
    assert validated("people", "list", "--option", exit_code=1)[0]["command"] == "people list"
    assert validated("nothing", exit_code=1)[0]["command"] is None
    (line,) = validated("compare", broken, exit_code=1)
    assert line["command"] == "compare"
    first, *_ = validated("detect", broken, exit_code=1)
    assert first["path"] == str(broken)
