"""The click group that turns errors into one line and an exit code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from faceall.errors import FaceallError
from faceall_cli.console import shown

MISTAKE = 1
INTERRUPTED = 130


class FaceallGroup(click.Group):
    """A group whose commands exit with 0 (success), 1 (an error or nothing usable) or 130 (Ctrl-C).

    A FaceallError becomes one line on stderr; a bug keeps its traceback.
    """

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
        _never_fail_to_print()
        try:
            sys.exit(super().main(args, prog_name, standalone_mode=False, **options))
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(MISTAKE)
        except click.ClickException as error:
            _complain(_one_line(error))
            sys.exit(MISTAKE)
        except (click.Abort, KeyboardInterrupt):
            _complain("interrupted")
            sys.exit(INTERRUPTED)
        except FaceallError as error:
            _complain(str(error))
            sys.exit(MISTAKE)


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


def _never_fail_to_print() -> None:
    """Print characters that the terminal lacks as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # a stream that a caller replaced
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
