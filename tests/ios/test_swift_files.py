"""The Swift sources: every file parses, and Core keeps to Foundation."""

from __future__ import annotations

import plistlib
import re
from pathlib import Path
from typing import Any

import pytest

from faceall.convert.targets.ios import template_folder

FILES = sorted(template_folder().rglob("*.swift"))
APPLE = {
    "FaceAllCoreML": r"canImport\((CoreML|CoreVideo|CoreImage)\)",
    "FaceAllStorage": r"canImport\(CryptoKit\)",
    "FaceAllVision": r"canImport\(Vision\)",
}


def _errors(node: Any) -> list[Any]:
    """Nodes that the grammar could not make sense of."""
    if node.type == "ERROR" or node.is_missing:
        return [node]
    return [error for child in node.children if node.has_error for error in _errors(child)]


@pytest.fixture(scope="module")
def parser() -> Any:
    """A parser of Swift."""
    tree_sitter = pytest.importorskip("tree_sitter", reason="needs tree-sitter to parse Swift")
    grammar = pytest.importorskip("tree_sitter_swift", reason="needs tree-sitter-swift to parse Swift")
    return tree_sitter.Parser(tree_sitter.Language(grammar.language()))


@pytest.mark.parametrize("path", FILES, ids=[path.relative_to(template_folder()).as_posix() for path in FILES])
def test_every_file_parses(parser: Any, path: Path) -> None:
    """No file holds what Swift's grammar does not know."""
    tree = parser.parse(path.read_bytes())
    assert [(error.start_point, error.text[:60]) for error in _errors(tree.root_node)] == []


def test_the_parser_notices_an_error(parser: Any) -> None:
    """A missing brace is an error."""
    assert _errors(parser.parse(b"func f() { let x = [1, 2").root_node)


def test_core_needs_foundation_alone() -> None:
    """Nothing in Core is of one system only."""
    core = [path for path in FILES if "Sources/FaceAllCore/" in path.as_posix()]
    assert len(core) > 10
    for path in core:
        imports = set(re.findall(r"^\s*import (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        assert imports - {"Darwin", "Glibc"} == {"Foundation"}, path.name


@pytest.mark.parametrize("room", APPLE)
def test_what_is_apples_stands_behind_a_condition(room: str) -> None:
    """A file that imports a framework of Apple's compiles to nothing elsewhere."""
    for path in (path for path in FILES if f"Sources/{room}/" in path.as_posix()):
        text = path.read_text(encoding="utf-8")
        imports = set(re.findall(r"^import (\w+)", text, re.MULTILINE)) - {"FaceAllCore", "Foundation"}
        assert not imports or re.match(rf"#if {APPLE[room]}", text), path.name


def test_the_app_says_why_it_needs_the_camera() -> None:
    """Info.plist and the project's description say the same."""
    example = template_folder() / "Example"
    purpose = plistlib.loads((example / "Info.plist").read_bytes())["NSCameraUsageDescription"]
    assert purpose in (example / "project.yml").read_text(encoding="utf-8")


def test_every_target_has_its_folder() -> None:
    """Package.swift names the folders that are there."""
    package = template_folder() / "FaceAll"
    text = (package / "Package.swift").read_text(encoding="utf-8")
    targets = re.findall(r"\.target\(name: \"(\w+)\"", text)
    assert set(targets) == {path.name for path in (package / "Sources").iterdir() if path.is_dir()}
    assert "swift-tools-version:6.0" in text
