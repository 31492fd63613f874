"""The help of every command."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cli_runs import Run

import faceall
from faceall_cli.main import main

ROOT = Path(__file__).parents[2]


def walk(command: click.Command, name: str = "faceall") -> Iterator[tuple[str, click.Command]]:
    """Yield every command and group with its full name."""
    yield name, command
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from walk(child, f"{name} {child.name}")


COMMANDS = dict(walk(main))
LEAVES = {name: command for name, command in COMMANDS.items() if not isinstance(command, click.Group)}


def test_all_commands_are_there() -> None:
    """The top-level commands are the expected ones."""
    wanted = {"register", "search", "detect", "embed", "compare", "people", "remove", "status"}
    wanted |= {
        "models",
        "convert",
        "doctor",
        "align",
        "evaluate",
        "calibrate",
        "classifier",
        "train",
        "cluster",
        "tag",
        "export-faces",
        "video",
        "watch",
        "gallery",
        "index",
        "serve",
        "photos",
    }
    assert set(main.commands) == wanted


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_help(name: str) -> None:
    """Every command and every option has a help text in sentences."""
    command = COMMANDS[name]
    assert command.help
    assert command.get_short_help_str(200).endswith((".", "?"))
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.endswith((".", "above.")), parameter.name


@pytest.mark.parametrize("name", LEAVES)
def test_command_takes_the_common_options(name: str) -> None:
    """Every command has --json, --quiet and -v."""
    options = {option for parameter in LEAVES[name].params for option in parameter.opts}
    assert {"--json", "--quiet", "-q", "--verbose", "-v"} <= options


def test_reference_has_every_command() -> None:
    """The reference page of the command line is generated from the program and has every command."""
    pytest.importorskip("mkdocs_click", reason="needs mkdocs-click, which makes the page")
    import markdown

    page = ROOT / "docs" / "reference" / "cli.md"
    if not page.exists():
        pytest.skip("needs the source tree: docs is absent")
    html = markdown.markdown(page.read_text(encoding="utf-8"), extensions=["attr_list", "mkdocs-click"])
    headings = set(re.findall(r"<h\d[^>]*>(faceall[^<]*)</h\d>", html))
    assert headings == set(COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    """`faceall --help` loads neither NumPy nor OpenCV nor an engine."""
    program = (
        "import sys; from faceall_cli.main import main\n"
        "try: main(['--help'], prog_name='faceall')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'numpy', 'cv2', 'openvino', 'PIL', 'hnswlib', 'google.protobuf', 'sqlite3', 'tqdm'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "register" in done.stdout


def test_version(run: Run) -> None:
    """--version prints the package's version."""
    assert run("--version").stdout.split()[-1] == faceall.__version__
