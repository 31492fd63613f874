"""The click group that turns errors into one line and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from faceall.errors import FaceallError
from faceall_cli.console import error_text, shown

MISTAKE = 1
INTERRUPTED = 130
_STDERR = 2


OTHER_WORDS = {
    "add": "To register photos: faceall register PHOTOS",
    "analyze": "To find faces: faceall detect IMG; to find people: faceall search IMG",
    "backup": "To copy a gallery: faceall index backup DIR",
    "delete": "To remove photos or faces: faceall remove; people: faceall people remove",
    "enroll": "To register photos: faceall register PHOTOS",
    "enrol": "To register photos: faceall register PHOTOS",
    "export": "To export a gallery: faceall gallery export; a model: faceall convert",
    "extract": "To find faces: faceall detect IMG; to cut them out: faceall align",
    "find": "To find people: faceall search IMG",
    "group": "To group unnamed faces: faceall cluster",
    "identify": "To find people: faceall search IMG",
    "import": "To register photos: faceall register; a bundle: faceall gallery import; a model: faceall models import",
    "info": "To show the gallery: faceall status; a model: faceall models info",
    "install": "To install a model: faceall models import FILE",
    "list": "To list people: faceall people list; models: faceall models list",
    "ls": "To list people: faceall people list; models: faceall models list",
    "match": "To find people: faceall search IMG; to compare two images: faceall compare A B",
    "recognize": "To find people: faceall search IMG",
    "rename": "To rename a person: faceall people rename OLD NEW",
    "represent": "To compute vectors: faceall embed IMG -o FILE.npy",
    "rm": "To remove photos or faces: faceall remove; people: faceall people remove",
    "scan": "To register photos: faceall register PHOTOS",
    "server": "To run the web app: faceall serve",
    "stats": "To show the gallery: faceall status; its index: faceall index stats",
    "stream": "To analyse images as they come, pipe their paths: faceall search --files-from -",
    "verify": "To compare two images: faceall compare A B; to check a gallery: faceall index verify",
    "web": "To run the web app: faceall serve",
}
"""Words of other tools, and the commands that do the same."""


class FaceallGroup(click.Group):
    """A group whose commands exit with 0 (success), 1 (an error or nothing usable) or 130 (Ctrl-C).

    A FaceallError becomes one line on stderr; a bug keeps its traceback.
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for a word of another tool, name the command that does it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = OTHER_WORDS.get(args[0].lower())
            if hint is None or ctx.parent is not None:
                raise
            raise click.UsageError(f"No such command '{args[0]}'. {hint}", ctx) from error

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line; with `standalone_mode` the process exits with the exit code."""
        options = {"complete_var": complete_var, "windows_expand_args": windows_expand_args, **extra}
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False, **options)
        _open_closed_streams()
        _never_fail_to_print()
        given = sys.argv[1:] if args is None else list(args)
        as_json = "--json" in given[: given.index("--") if "--" in given else None]
        try:
            _require_current_folder()
            sys.exit(super().main(args, prog_name, standalone_mode=False, **options))
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(MISTAKE)
        except click.ClickException as error:
            _report(error, _one_line(error), as_json, _command_in(self, given))
            sys.exit(MISTAKE)
        except (click.Abort, KeyboardInterrupt):
            _complain("interrupted")
            sys.exit(INTERRUPTED)
        except FaceallError as error:
            _report(error, str(error), as_json, _command_in(self, given))
            sys.exit(MISTAKE)


def _command_in(group: click.Group, words: Sequence[str]) -> str | None:
    """Return the command that a command line names, as "people list"; None if it names none."""
    names: list[str] = []
    command: click.Command = group
    for word in words:
        if not isinstance(command, click.Group) or word not in command.commands:
            break
        names.append(word)
        command = command.commands[word]
    return " ".join(names) or None


def _report(error: Exception, message: str, as_json: bool, command: str | None) -> None:
    """Print an error on stderr, and with --json as a line of JSON on stdout."""
    _complain(message)
    if as_json:
        click.echo(error_text(command, type(error).__name__, message))


def _one_line(error: click.ClickException) -> str:
    """Format a usage error with its command and where to look."""
    message = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    command = context.command_path
    return f"{command.partition(' ')[2] + ': ' if ' ' in command else ''}{message} (see {command} --help)"


def _complain(text: str) -> None:
    click.echo(f"faceall: {shown(text)}", err=True)


def _open_closed_streams() -> None:
    """Open closed standard streams as empty ones, so that no other file gets their numbers."""
    closed = [name for name in ("stdin", "stdout", "stderr") if getattr(sys, name) is None]
    if not closed:
        return
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)
    for name in closed:
        setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115


def _require_current_folder() -> None:
    """Raise FaceallError if the current folder was removed: relative paths mean nothing then."""
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise FaceallError("the current folder no longer exists; change to another one") from error


def _never_fail_to_print() -> None:
    """Print characters that the terminal lacks as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # a stream that a caller replaced
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
