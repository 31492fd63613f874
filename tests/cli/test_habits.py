"""Conventions of command-line tools: familiar words, file lists, standard input, confirmation of removals."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import click
import pytest
from cli_runs import Run, records
from click.testing import CliRunner
from test_help import COMMANDS

from faceall_cli import options
from faceall_cli.group import OTHER_WORDS
from faceall_cli.main import main


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_80_columns(name: str) -> None:
    """No line of any help is wider than 80 columns."""
    done = CliRunner().invoke(main, [*name.split()[1:], "--help"], prog_name="faceall", terminal_width=80)
    assert [line for line in done.output.splitlines() if len(line) > 80] == []


def test_words_of_other_tools() -> None:
    """Each suggestion for an unknown command names commands that exist; `add` suggests `register`."""
    for word, hint in OTHER_WORDS.items():
        assert word not in main.commands
        assert any(f"{command}" in hint for command in COMMANDS if command != "faceall"), word
    done = CliRunner().invoke(main, ["add"], prog_name="faceall")
    assert "faceall register" in done.output


def test_files_from_a_list_and_from_stdin(run: Run, portraits: Path, environment: dict[str, str]) -> None:
    """--files-from reads paths separated by line ends or NUL; - as an image reads standard input."""
    photo = portraits / "Eileen" / "1.png"
    (portraits / "list.txt").write_bytes(os.fsencode(photo) + b"\0")
    (line,) = records(run("detect", "--files-from", portraits / "list.txt", "--json").stdout)
    assert line["path"] == str(photo)
    for arguments, given in ((["--files-from", "-"], os.fsencode(photo) + b"\n"), (["-"], photo.read_bytes())):
        done = CliRunner().invoke(main, ["detect", "--json", *arguments], input=given, env=environment)
        assert len(records(done.stdout)[0]["faces"]) == 1
    assert "Missing argument" in run("detect", exit_code=1).output


def test_since_leaves_out_older_files(run: Run, portraits: Path) -> None:
    """--since accepts a date or an age; older files are not read."""
    old = portraits / "Mirror" / "1.png"
    os.utime(old, (time.time() - 10 * 86400,) * 2)
    found = records(run("detect", portraits, "--since", "7d", "--json").stdout)
    assert str(old) not in {line["path"] for line in found}
    assert len(found) == 2
    assert "is no moment" in run("detect", portraits, "--since", "soon", exit_code=1).output


def test_removal_asks_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a removal asks for confirmation; with --yes or in scripts it does not."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "confirm", lambda *_, **__: False)
    with pytest.raises(click.ClickException, match="nothing was removed"):
        options.confirm("remove Ada", yes=False)
    options.confirm("remove Ada", yes=True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    options.confirm("remove Ada", yes=False)


def test_questions_count_what_would_be_removed(run: Run, portraits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question counts photos, faces and people; without a yes nothing is removed."""
    run("register", portraits, "--names-from", "folders")
    asked: list[str] = []
    monkeypatch.setattr(options, "sys", type("Terminal", (), {"stdin": type("In", (), {"isatty": lambda: True})}))
    monkeypatch.setattr(click, "confirm", lambda question, **_: asked.append(question))
    run("remove", portraits, exit_code=1)
    run("people", "remove", "Eileen", exit_code=1)
    assert "permanently: 3 photos and " in asked[0]
    assert "Eileen with" in asked[1]
    assert " on " in asked[1]
    assert json.loads(run("status", "--json").stdout)["photo_count"] == 3


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    """The completion script of a shell is printed, and it completes commands."""
    done = CliRunner().invoke(main, [], prog_name="faceall", env={"_FACEALL_COMPLETE": f"{shell}_source"})
    assert "_FACEALL_COMPLETE" in done.output
    words = {"COMP_WORDS": "faceall regi", "COMP_CWORD": "1" if shell != "fish" else "regi"}
    done = CliRunner().invoke(main, [], prog_name="faceall", env={"_FACEALL_COMPLETE": f"{shell}_complete", **words})
    assert "register" in done.output
