"""Public functions say in their docstrings what they raise.

A function says so in a section "Raises" or in a sentence that begins with "Raise" and names the exception.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import faceall

SOURCES = Path(faceall.__file__).parent


def public_functions(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the public functions and methods of a module with their names."""
    for child in node.body:
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from public_functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef) and (not child.name.startswith("_") or child.name == "__call__"):
            yield prefix + child.name, child


def raised(function: ast.FunctionDef) -> set[str]:
    """Return the names of the exception classes that a function raises in its own statements."""
    names, remaining = set(), list[ast.AST](function.body)
    while remaining:
        node = remaining.pop()
        if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            names.add(node.exc.func.id)
        remaining.extend(ast.iter_child_nodes(node))
    return {name for name in names if name[0].isupper()}


def undocumented(source: str) -> list[str]:
    """Return the public functions of a module that raise an exception without saying so."""
    found = []
    for name, function in public_functions(ast.parse(source)):
        text = ast.get_docstring(function) or ""
        says = "Raises\n------" in text or any(word in text for word in ("Raise ", "Raises "))
        missing = [] if says else sorted(raised(function))
        found += [f"line {function.lineno}: {name} raises {', '.join(missing)}"] * bool(missing)
    return found


def modules() -> list[Path]:
    """Return the public modules of the library; the routes of the web app are described by OpenAPI instead."""
    found = (path.relative_to(SOURCES) for path in sorted(SOURCES.rglob("*.py")))
    return [path for path in found if path.parts[0] != "web" and not any(p.startswith("_") for p in path.parts)]


@pytest.mark.parametrize("module", modules(), ids=str)
def test_public_functions_say_what_they_raise(module: Path) -> None:
    """Every exception that a public function raises by name is in its docstring."""
    assert undocumented((SOURCES / module).read_text(encoding="utf-8")) == []


def test_finds_what_is_not_said() -> None:
    """A function that raises in its own statements and is silent about it is found, nested functions are not."""
    source = '''
def silent(x):
    """Return x."""
    if x:
        raise ValueError("x")
    return x

def outer():
    """Return a function."""
    def inner():
        raise ValueError("x")
    return inner

def open_about_it(x):
    """Return x.

    Raises
    ------
    ValueError
        If it is true.
    """
    raise ValueError("x")

class Box:
    """A box."""

    def empty(self):
        """Empty the box."""
        raise KeyError("box")
'''
    assert undocumented(source) == [
        "line 2: silent raises ValueError",
        "line 27: Box.empty raises KeyError",
    ]
