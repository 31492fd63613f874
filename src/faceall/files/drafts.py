"""Hidden names beside a target, for content that is not complete yet."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_LONGEST_STEM = 48
"""Characters of the target's name in a draft's name: with it, no name exceeds 255 bytes in UTF-8."""


def draft_path(path: Path, suffix: str = ".part") -> Path:
    """Return an unused hidden path beside `path`, in the same folder and thus on the same file system.

    Parameters
    ----------
    path : Path
        The target.
    suffix : str
        How the name ends. Some libraries choose a format by it.

    Returns
    -------
    Path
        ``.NAME.TOKEN`` and the suffix, with NAME cut where it is long.
    """
    return path.with_name(f".{path.name[:_LONGEST_STEM]}.{secrets.token_hex(4)}{suffix}")


@contextmanager
def draft_file(path: Path, *, mode: int = 0o666) -> Iterator[tuple[Path, BinaryIO]]:
    """Open a new hidden file beside `path`; at the end it is removed unless it has been renamed.

    Parameters
    ----------
    path : Path
        The target. Its folder has to exist.
    mode : int
        Permissions of the new file, less the process's umask.

    Yields
    ------
    (Path, BinaryIO)
        The hidden path, and the file, open for reading and writing.

    Raises
    ------
    OSError
        The file cannot be created.
    """
    draft = draft_path(path)
    try:
        with open(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode), "w+b") as file:
            yield draft, file
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
