"""A function takes at most seven parameters; what is more is gathered in a dataclass of options."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import faceall
import faceall_cli

LIMIT = 7
ROOTS = (Path(faceall.__file__).parent, Path(faceall_cli.__file__).parent)
ALLOWED = {
    # The public face: a caller gives one or two of these options by name. They are gathered in dataclasses at once.
    "faceall/gallery/gallery.py: Gallery.register": "NameOptions, RegistrationOptions",
    "faceall/gallery/gallery.py: Gallery.iter_register": "NameOptions, RegistrationOptions",
    "faceall/index/face_index.py: FaceIndex.__init__": "three say what the vectors are, three how the files are opened",
    "faceall/install/importing.py: import_model": "three are dataclasses of the conversion that it contains",
}
"""Function -> why it may take more."""


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the names of the parameters of a function, without self and cls."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    names += [one.arg for one in (given.vararg, given.kwarg) if one is not None]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function below a node with its name, methods as CLASS.METHOD."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{child.name}", child
        name = f"{prefix}{child.name}." if isinstance(child, ast.ClassDef) else prefix
        yield from functions(child, name)


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a function is a command of click: its parameters are the options of the command line."""
    return any(".command(" in ast.unparse(decorator) for decorator in function.decorator_list)


def wide(source: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions of a module that take more than the limit."""
    found = functions(ast.parse(source))
    return {name: one for name, one in found if len(parameters(one)) > LIMIT and not is_command(one)}


def all_wide() -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return those of all modules, as FILE: FUNCTION."""
    return {
        f"{path.relative_to(root.parent).as_posix()}: {name}": function
        for root in ROOTS
        for path in sorted(root.rglob("*.py"))
        for name, function in wide(path.read_text(encoding="utf-8")).items()
    }


def test_only_listed_functions_take_more_than_seven_parameters() -> None:
    """The functions above the limit are those of the list: none is missing, and none has become narrower."""
    assert all_wide().keys() == ALLOWED.keys()


@pytest.mark.parametrize("name", ALLOWED)
def test_their_options_have_to_be_named(name: str) -> None:
    """At most three of their arguments can be given by position."""
    given = all_wide()[name].args
    assert len([one for one in (*given.posonlyargs, *given.args) if one.arg != "self"]) <= 3


def test_a_wide_function_is_found() -> None:
    """Keyword-only parameters and ** count, self does not, and a command may have any number."""
    source = "class A:\n  def f(self, a, b, /, c, *d, e, g, {more}**h): ..."
    assert wide(source.format(more="")) == {}
    assert wide(source.format(more="i, ")).keys() == {"A.f"}
    command = "@click.command()\ndef f(a, b, c, d, e, g, h, i): ..."
    assert wide(command) == {}
    assert wide(command.partition("\n")[2]).keys() == {"f"}
