"""Every promise in docs/explanation/durability.md has its tests."""

from __future__ import annotations

import ast
import re

import pytest

from places import ROOT

DOCUMENT = ROOT / "docs" / "explanation" / "durability.md"
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", DOCUMENT.read_text())))


def test_document_names_tests() -> None:
    """The file was read, and every mention of a test has the form that is checked."""
    text = DOCUMENT.read_text()
    assert len(NAMED) > 30
    assert text.count("::") == len(re.findall(r"`tests/[\w/]+\.py::\w+`", text))


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_named_test_exists(path: str, name: str) -> None:
    """It is a test function of that file, and says in a sentence what it proves."""
    tree = ast.parse((ROOT / path).read_text())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert found, f"{path} has no test {name}"
    assert ast.get_docstring(found[0])
