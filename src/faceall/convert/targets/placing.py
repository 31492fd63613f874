"""Put a written model or report in its place, with the promise of `faceall.files`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faceall import files
from faceall.errors import ConvertError


@contextmanager
def placing(path: Path, suffix: str = ".part") -> Iterator[Path]:
    """Yield an unused path beside `path`; what the block writes there replaces `path` at the end of the block.

    Parameters
    ----------
    path : Path
        The target. Missing parent folders are created.
    suffix : str
        How the yielded path ends. Some readers recognise a format by it.

    Yields
    ------
    Path
        Where the block writes a file or a folder. After an exception it is removed, and `path` is unchanged.

    Raises
    ------
    ConvertError
        If it cannot be written there.
    """
    try:
        files.make_folder(path.parent)
        with files.replacing(path, suffix=suffix) as draft:
            yield draft
    except OSError as error:
        raise ConvertError(f"{path}: cannot be written ({error.strerror or error})") from error


def copy_made(made: Path, draft: Path) -> None:
    """Copy the file or folder that a worker made to `draft`, with modes that every program can read."""
    shutil.copytree(made, draft) if made.is_dir() else shutil.copyfile(made, draft)
    for part in (draft, *draft.rglob("*")):
        part.chmod(0o755 if part.is_dir() else 0o644)
