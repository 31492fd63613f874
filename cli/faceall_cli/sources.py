"""The files that a command works on: arguments, lists of paths, the standard input, and only what is new."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from faceall_cli.options import PhotosPath

STDIN = "-"
_LARGEST = 1 << 29  # bytes of what is piped into a command
_LONGEST_LIST = 1 << 26  # bytes of a list of paths
_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}


class Since(click.ParamType):  # type: ignore[type-arg]  # generic only in new versions of click
    """A moment: a date, a date with a time, or so many hours, days or weeks ago; seconds since 1970."""

    name = "moment"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """Parse the moment, in local time."""
        if isinstance(value, float):
            return value
        text = str(value)
        if text[:-1].isdecimal() and text[-1] in _UNITS:
            return time.time() - int(text[:-1]) * _UNITS[text[-1]]
        try:
            return datetime.fromisoformat(text).timestamp()
        except ValueError:
            expected = "2026-05-31, 2026-05-31T18:00, 12h, 7d or 4w"
            raise click.BadParameter(f"'{text}' is no moment; expected {expected}", context, parameter) from None


def sources_argument(
    name: str, metavar: str, *, with_since: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the files as arguments, --files-from and --since; the command gets all as `name`, a tuple of Path.

    A command with another --since has none for files.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def collected(*arguments: Any, files_from: str | None, **options: Any) -> Any:
            since = options.pop("since") if with_since else None
            paths = options[name] + (() if files_from is None else _listed(files_from))
            if not paths and files_from is None:
                raise click.UsageError(f"Missing argument '{metavar}'.", click.get_current_context())
            options[name] = paths if since is None else _newer(paths, since)
            return command(*arguments, **options)

        argument = click.argument(name, nargs=-1, metavar=metavar, type=PhotosPath(path_type=Path))
        files_option = click.option(
            "--files-from",
            metavar="FILE",
            help="Also the paths in FILE, one per line or separated by NUL; - is the standard input.",
        )
        if not with_since:
            return argument(files_option(collected))
        since_option = click.option(
            "--since",
            type=Since(),
            metavar="WHEN",
            help="Only files that changed since then: 2026-05-31, 2026-05-31T18:00, 12h, 7d or 4w.",
        )
        return argument(files_option(since_option(collected)))

    return decorate


def read_stdin() -> bytes:
    """Return what is piped into the command."""
    return _read(sys.stdin.buffer, "standard input", _LARGEST)


def _read(file: BinaryIO, name: str, most: int) -> bytes:
    """Read a file or a pipe that may not end."""
    content = file.read(most + 1)
    if len(content) > most:
        raise click.ClickException(f"{name}: has more than {most >> 20:,} MB")
    return content


def _listed(source: str) -> tuple[Path, ...]:
    """Return the paths in a list."""
    try:
        if source == STDIN:
            content = _read(sys.stdin.buffer, "standard input", _LONGEST_LIST)
        else:
            with open(source, "rb") as file:
                content = _read(file, source, _LONGEST_LIST)
    except OSError as error:
        raise click.ClickException(f"{source}: cannot be read ({error.strerror})") from error
    lines = content.split(b"\0") if b"\0" in content else content.splitlines()
    return tuple(Path(line.decode(errors="surrogateescape")) for line in lines if line.strip())


def _newer(paths: tuple[Path, ...], since: float) -> tuple[Path, ...]:
    """Return the files at the paths and in their folders that changed since a moment; keep what cannot be read."""
    from faceall.images import find_images

    kept: list[Path] = []
    for path in paths:
        if not path.is_dir():
            kept += [path] if not path.exists() or path.stat().st_mtime >= since else []
            continue
        kept += [file for file in find_images(path, on_error=lambda error: None) if file.stat().st_mtime >= since]
    return tuple(kept)
