"""The options that commands share, as decorators."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from faceall_cli.console import Console

Command = TypeVar("Command", bound=Callable[..., Any])

_OUTPUT = (
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line."),
    click.option("-q", "--quiet", is_flag=True, help="No progress and no remarks, only results and errors."),
    click.option("-v", "--verbose", is_flag=True, help="Tell more."),
)


class PhotosPath(click.Path):
    """A path that is not empty: a script's unset variable does not mean the current folder."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if os.fspath(value) == "":
            self.fail("an empty path names no photos; write . for the current folder", parameter, context)
        return super().convert(value, parameter, context)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--json, --quiet and --verbose; the command gets them as its first argument, a Console."""

    @functools.wraps(command)
    def with_console(*, as_json: bool, quiet: bool, verbose: bool, **others: Any) -> Any:
        return command(Console(as_json=as_json, quiet=quiet, verbose=verbose), **others)

    for option in reversed(_OUTPUT):
        with_console = option(with_console)
    return with_console


class GalleryPlace(click.Path):
    """A folder, or an address in Milvus, which stays a text."""

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        from faceall.gallery.addresses import is_address

        return value if is_address(value) else super().convert(value, parameter, context)


def gallery_option(command: Command) -> Command:
    """--gallery, a folder or an address, as `gallery`; None means the default."""
    return click.option(
        "--gallery",
        type=GalleryPlace(),
        metavar="DIR",
        help="The gallery's folder, or milvus://HOST:PORT/NAME. Default: FACEALL_GALLERY, else in your data directory.",
    )(command)


def images_argument(command: Command) -> Command:
    """IMG..., pictures and folders of pictures, as `images`."""
    return click.argument(
        "images", nargs=-1, required=True, metavar="IMG...", type=PhotosPath(path_type=Path, dir_okay=True)
    )(command)


def model_option(command: Command) -> Command:
    """--model, an embedder, as `model`; None means the default."""
    return click.option(
        "--model",
        metavar="NAME",
        help="The embedder: the name of an installed model or a model folder. Default: the first that is installed.",
    )(command)
