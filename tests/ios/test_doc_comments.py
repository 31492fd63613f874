"""Every public symbol of the Swift package has a documentation comment."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from faceall.convert.targets.ios import template_folder

SOURCES = template_folder() / "FaceAll" / "Sources"
FILES = sorted(SOURCES.rglob("*.swift"))
PUBLIC = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:nonisolated|final|static|indirect)\s+)*public\b(?!\s+extension)"
)
ATTRIBUTE = re.compile(r"^\s*@\w+(?:\([^)]*\))?$")
OPENS = re.compile(r"^(\s*)(?:public\s+)(enum|protocol)\s+\w+")
MEMBER = {"enum": re.compile(r"^\s*case\s+\w"), "protocol": re.compile(r"^\s*(?:static\s+)?(?:func|var|init)\b")}


def undocumented(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number and text of the lines that declare a public symbol without a comment above it."""
    lines = text.splitlines()
    around: tuple[str, str] | None = None  # the indentation and kind of the enum or protocol that a line is in
    for number, line in enumerate(lines):
        if around and line == f"{around[0]}}}":
            around = None
        is_member = around is not None and MEMBER[around[1]].match(line) and _indent(line) == len(around[0]) + 4
        if PUBLIC.match(line) or is_member:
            above = number - 1
            while above >= 0 and ATTRIBUTE.match(lines[above]):
                above -= 1
            if above < 0 or not lines[above].lstrip().startswith("///"):
                yield number + 1, line.strip()
        if opened := OPENS.match(line):
            around = opened[1], opened[2]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


@pytest.mark.parametrize("path", FILES, ids=[path.relative_to(SOURCES).as_posix() for path in FILES])
def test_every_public_symbol_has_a_comment(path: object) -> None:
    """Types, cases, properties, functions and initialisers, also those that a protocol requires."""
    assert list(undocumented(path.read_text(encoding="utf-8"))) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("public struct A {\n    public let b: Int\n}\n", [1, 2]),
        ("/// A.\npublic enum A {\n    case b\n    /// C.\n    case c\n}\n", [3]),
        ("/// A.\n@available(iOS 27.0, macOS 27.0, *)\npublic struct A {}\n", []),
        ("/// A.\npublic protocol A {\n    var b: Int { get }\n    /// C.\n    func c()\n}\n", [3]),
        ("/// A.\npublic final class A {\n    @discardableResult\n    public func b() -> Int { 1 }\n}\n", [4]),
        ("struct A {\n    func b() {\n        switch c {\n        case d: break\n        }\n    }\n}\n", []),
        ("public extension A {}\n", []),
    ],
)
def test_a_missing_comment_is_noticed(text: str, lines: list[int]) -> None:
    """The search finds what it has to find, and nothing else."""
    assert [number for number, _ in undocumented(text)] == lines
