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
    "FaceAllCoreAI": r"canImport\((CoreAI|CoreML)\)",
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
        assert imports <= {"Foundation", "Darwin", "Glibc"}, path.name


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


def example_sources() -> dict[str, str]:
    """Name -> the text of each source of the example app."""
    folder = template_folder() / "Example" / "Sources"
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.swift"))}


def test_the_app_has_no_network() -> None:
    """Its only entitlement protects its files; no source, and no module of the package, uses a network."""
    example = template_folder() / "Example"
    (name,) = re.findall(r"CODE_SIGN_ENTITLEMENTS: (\S+)", (example / "project.yml").read_text(encoding="utf-8"))
    entitlements = plistlib.loads((example / name).read_bytes())
    assert entitlements == {"com.apple.developer.default-data-protection": "NSFileProtectionComplete"}
    assert "NSAppTransportSecurity" not in (example / "Info.plist").read_text(encoding="utf-8")
    network = re.compile(r"\b(URLSession|URLRequest|NWConnection|WKWebView|CFSocket|import Network|import WebKit)\b")
    for path in FILES:
        if "Tests" not in path.parts:
            assert network.findall(path.read_text(encoding="utf-8")) == [], path.name


@pytest.mark.parametrize(
    ("file", "calls"),
    [
        ("FacesModel.swift", ["PackageModels.load", "recogniser.enrol(captures", "recogniser.identify(frame)"]),
        ("FacesModel.swift", ["tracker.update", "track.identity.decide", "reviewQueue", "decide(atFPIR:", "$0.undo("]),
        (
            "FacesModel.swift",
            ["AESGallerySealing", "KeychainKey", "$0.hide(people:", "gallery.set(note:", "set(cover:"],
        ),
        (
            "ContentView.swift",
            ["NamesOverlay(faces: faces.faces", "EnrolView", "PeopleView", "ReviewView", "SettingsView"],
        ),
        ("PeopleView.swift", ["faces.undo(", "faces.remove(", "faces.merge(", "faces.rename(", "faces.hide("]),
        ("ReviewView.swift", ["same: false", "same: true", "faces.hideFace("]),
        ("SettingsView.swift", ["$faces.strictness"]),
    ],
)
def test_the_app_has_its_features(file: str, calls: list[str]) -> None:
    """Enrol, live names, people with undo, review, strictness, details: each is wired to the package."""
    text = example_sources()[file]
    assert [call for call in calls if call not in text] == []


def test_what_has_no_text_has_a_label_for_voiceover() -> None:
    """Every image is labelled or hidden; so is a text field, whose placeholder disappears, and the camera's picture."""
    for name, text in example_sources().items():
        for match in re.finditer(r"\b(Image\(systemName|Thumbnail\(jpeg: (?!image)|CameraPreview\(session)", text):
            following = text[match.start() : match.start() + 220]
            assert ".accessibility" in following, f"{name}: {following[:60]}"
        fields = len(re.findall(r"\bTextField\(", text))
        assert fields <= len(re.findall(r"\.accessibilityLabel\(", text)) + text.count(".textContentType("), name


def test_every_target_has_its_folder() -> None:
    """Package.swift names the folders that are there."""
    package = template_folder() / "FaceAll"
    text = (package / "Package.swift").read_text(encoding="utf-8")
    targets = re.findall(r"\.target\(name: \"(\w+)\"", text)
    assert set(targets) == {path.name for path in (package / "Sources").iterdir() if path.is_dir()}
    assert "swift-tools-version:6.0" in text
