"""Options that commands share, as decorators."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from faceall_cli.console import Console

Command = TypeVar("Command", bound=Callable[..., Any])

_OUTPUT = (
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line."),
    click.option("-q", "--quiet", is_flag=True, help="Print only results and errors."),
    click.option("-v", "--verbose", is_flag=True, help="Print more."),
)


class PhotosPath(click.Path):
    """A path that is not empty, so that an unset variable of a script does not mean the current folder."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Refuse an empty path."""
        if os.fspath(value) == "":
            self.fail("the path is empty; write . for the current folder", parameter, context)
        return super().convert(value, parameter, context)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json, --quiet and --verbose; the command gets a Console as its first argument."""

    @functools.wraps(command)
    def with_console(*, as_json: bool, quiet: bool, verbose: bool, **others: Any) -> Any:
        return command(Console(as_json=as_json, quiet=quiet, verbose=verbose), **others)

    for option in reversed(_OUTPUT):
        with_console = option(with_console)
    return with_console


class GalleryPlace(click.Path):
    """A folder, or an address in Milvus, which stays a string."""

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Return a Path, or an address as it is."""
        from faceall.gallery.addresses import is_address

        return value if is_address(value) else super().convert(value, parameter, context)


def gallery_option(command: Command) -> Command:
    """Add --gallery, a folder or an address, as `gallery`; None means the default."""
    return click.option(
        "--gallery",
        type=GalleryPlace(),
        metavar="DIR",
        help="Folder of the gallery, or milvus://HOST:PORT/NAME. Default: FACEALL_GALLERY, else your data directory.",
    )(command)


def min_face_option(command: Command) -> Command:
    """Add --min-face, the side of the smallest face in pixels, as `min_face`; None lets it follow the photo."""
    return click.option(
        "--min-face",
        type=click.IntRange(min=12),
        metavar="PIXELS",
        help="Smallest face. Default: 20, or 1/60 of the shorter side in photos where that is more.",
    )(command)


def detector_option(command: Command) -> Command:
    """--detector, the name of a detector, as `detector`; None means the default."""
    return click.option(
        "--detector",
        metavar="NAME",
        help="Face detector: mtcnn or an installed one such as yunet. Default: the gallery's, for new ones mtcnn.",
    )(command)


def model_option(command: Command) -> Command:
    """Add --model, an embedder, as `model`; None means the default."""
    return click.option(
        "--model",
        metavar="NAME",
        help="Embedder: the name of an installed model, or a model folder. Default: the first installed one.",
    )(command)


def yes_option(command: Command) -> Command:
    """Add --yes as `yes`, for commands that remove something."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask; needed only on a terminal.")(command)


def confirm(what: str | Callable[[], str], yes: bool) -> None:
    """Ask on a terminal whether to go on; in scripts, where stdin is none, go on without asking."""
    if yes or not sys.stdin.isatty():
        return
    if not click.confirm(f"{what if isinstance(what, str) else what()}: go on?", err=True):
        raise click.ClickException("nothing was removed")


def make_embedder(model: str | None) -> Any:
    """Return the embedder with a name; None, for the default of the gallery, without a name."""
    if model is None:
        return None
    from faceall.embed import Embedder

    return Embedder(model)
