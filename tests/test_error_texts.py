"""What an error says is for people: no code reads it, except where a library says nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from places import ROOT

BORDERS = {
    "src/faceall/convert/sources/openvino/worker.py": "OpenVINO raises RuntimeError for everything",
    "src/faceall/gallery/milvus/client.py": "milvus-lite and gRPC give no codes",
    "src/faceall/index/graph/graph.py": "hnswlib raises RuntimeError for everything",
    "src/faceall/index/storage/connection.py": "Python 3.10 gives no codes of SQLite's errors",
}
"""Modules that own a library, in one function each."""

_READING = ("startswith", "endswith", "removeprefix", "removesuffix", "replace", "partition", "find", "index")


def _is_text(node: ast.AST) -> bool:
    """Whether an expression is `str(error)` or `error.args[0]`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str" and node.args:
        return isinstance(node.args[0], ast.Name) and node.args[0].id in ("error", "exc", "err", "e", "exception")
    return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "args"


def reads_error_text(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that search the text of an error or take it apart."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.Module):
            continue
        texts = {
            target.id
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and _is_text(node.value)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
                read = node.comparators[0]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _READING:
                read = node.func.value
            else:
                continue
            if _is_text(read) or (isinstance(read, ast.Name) and read.id in texts):
                yield node.lineno


@pytest.mark.parametrize(
    "line", ["'a' in str(error)", "str(error).startswith('a')", "text = str(error); x = 'a' not in text"]
)
def test_reading_is_recognised(line: str) -> None:
    """Searching counts; showing the text, on one line or cut, does not."""
    assert list(reads_error_text(ast.parse(line)))
    assert not list(reads_error_text(ast.parse("' '.join(str(error).split())[:200]; message = str(error)")))


def test_no_code_reads_the_text_of_an_error() -> None:
    """A typed error or an attribute says what is wrong; only the borders of some libraries read texts."""
    modules = [*(ROOT / "src").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]
    if not modules:
        pytest.skip("needs the source tree")
    found = {
        path.relative_to(ROOT).as_posix(): lines
        for path in modules
        if (lines := sorted(set(reads_error_text(ast.parse(path.read_text(encoding="utf-8"))))))
    }
    assert found.keys() == BORDERS.keys(), found
