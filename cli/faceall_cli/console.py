"""Output of the commands: data on stdout, remarks and progress on stderr."""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from faceall.characters import invisible, is_control
from faceall_cli.records import as_line, error_line

_DELAY = 1.0  # seconds before a progress bar appears


class Bar:
    """A progress bar on stderr, or none."""

    def __init__(self, bar: Any = None) -> None:
        self._bar = bar

    def step(self) -> None:
        """Advance by one."""
        if self._bar is not None:
            self._bar.update()

    def move_to(self, done: int, total: int | None) -> None:
        """Set the number of finished items and the total."""
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)


@dataclass
class Console:
    """Print according to --json, --quiet and --verbose."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    _bar: Any = None

    def record(self, values: dict[str, Any]) -> None:
        """Print a JSON object on one line of stdout; only with --json."""
        if self.as_json:
            self._print(_as_json(as_line(command_name(), values)))

    def error(self, message: str, path: str | os.PathLike[str] | None = None) -> None:
        """Report an error that does not end the command, on stderr and with --json on stdout; `path` is its file."""
        self.complain(f"faceall: {shown(message)}")
        if self.as_json:
            where = None if path is None else os.fspath(path)
            self._print(_as_json(error_line(command_name(), "ItemError", message, where)))

    def line(self, text: str = "") -> None:
        """Print one line on stdout; only without --json."""
        if not self.as_json:
            self._print(text)

    def table(self, rows: Iterable[Sequence[str]], *, indent: str = "", right: frozenset[int] = frozenset()) -> None:
        """Print rows as aligned columns; the columns with the numbers `right` are aligned right."""
        cells = [[shown(cell) for cell in row] for row in rows]
        widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
        room = _terminal_width()
        for row in cells:
            padded = [
                " " * (width - _width(cell)) + cell if number in right else cell + " " * (width - _width(cell))
                for number, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            self.line(_cut((indent + "  ".join(padded)).rstrip(), room))

    def styled(self, text: str, colour: str) -> str:
        """Return a text in a colour if stdout is a terminal and NO_COLOR is not set."""
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
        return text if plain else click.style(text, fg=colour)

    def remark(self, text: str) -> None:
        """Print one line on stderr, unless --quiet."""
        if not self.quiet:
            self.complain(text)

    def complain(self, text: str) -> None:
        """Print one line on stderr."""
        if self._bar is None:
            click.echo(text, err=True)
        else:
            self._bar.write(text, file=sys.stderr)

    @contextmanager
    def progress(self, total: int, what: str) -> Iterator[Bar]:
        """Show a progress bar on stderr after a second; none with --quiet or if stderr is not a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield Bar()
            return
        from tqdm import tqdm

        with tqdm(
            total=total or None, unit=f" {what}", unit_scale=what == "bytes", delay=_DELAY, leave=False
        ) as self._bar:
            try:
                yield Bar(self._bar)
            finally:
                self._bar = None

    def _print(self, text: str) -> None:
        try:
            if self._bar is None:
                click.echo(text)
            else:
                self._bar.write(text, file=sys.stdout)
            sys.stdout.flush()  # so that the reader of a pipe sees every result at once
        except BrokenPipeError:
            raise
        except OSError as error:
            raise click.ClickException(f"the standard output cannot be written ({error.strerror})") from error


def command_name() -> str | None:
    """Return the running command without the program's name, as "people list"."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.command_path.partition(" ")[2] or None


def error_text(command: str | None, kind: str, message: str) -> str:
    """Format an error that ended a command as a line of JSON."""
    return _as_json(error_line(command, kind, message))


def _terminal_width() -> int | None:
    """Return the columns of the terminal, None if stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _cut(text: str, room: int | None) -> str:
    """Cut a line that is wider than the terminal at its end."""
    if room is None or _width(text) <= room:
        return text
    while text and _width(text) > room - 1:
        text = text[:-1]
    return text + "\N{HORIZONTAL ELLIPSIS}"


def shown(text: str | os.PathLike[str]) -> str:
    """Escape control, direction and invisible characters and undecodable bytes, so that a text shows what it is."""
    readable = os.fspath(text).encode("utf-8", "backslashreplace").decode("utf-8")
    if readable.isascii() and readable.isprintable():
        return readable
    hidden = invisible(readable)
    return "".join(
        character.encode("unicode_escape").decode() if place in hidden or is_control(character) else character
        for place, character in enumerate(readable)
    )


def short_path(path: str | os.PathLike[str]) -> str:
    """Return a path as it would be typed here: relative if that is shorter."""
    whole = os.path.abspath(path)
    relative = os.path.relpath(whole)
    return shown(relative if len(relative) < len(whole) else whole)


def rounded(values: Iterable[float], digits: int = 2) -> list[float]:
    """Round numbers."""
    return [round(float(value), digits) for value in values]


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """Format a number with its noun: 1 face, 2 faces."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def _as_json(values: dict[str, Any]) -> str:
    """Format one line of JSON; non-ASCII characters are kept if the output is UTF-8."""
    text = json.dumps(values, ensure_ascii=False)
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    if encoding == "utf8" and not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    return json.dumps(values)


def _width(text: str) -> int:
    """Count terminal columns: two for wide East Asian characters, none for combining accents."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
