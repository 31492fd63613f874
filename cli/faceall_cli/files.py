"""Write the output files of commands."""

from __future__ import annotations

from pathlib import Path

import click

from faceall.files import write_file


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically.

    Raises
    ------
    click.ClickException
        The file cannot be written; the old one is unchanged.
    """
    try:
        write_file(path, content)
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written ({error.strerror})") from error
