"""Create and remove folders as a whole."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from faceall.files.drafts import draft_path
from faceall.files.guards import refuse_gallery
from faceall.files.syncing import sync_folder, sync_tree


@contextmanager
def new_folder(path: Path, *, mode: int = 0o777) -> Iterator[Path]:
    """Yield an empty folder that becomes `path` at the end of the block.

    Parameters
    ----------
    path : Path
        The target: absent or an empty folder.
    mode : int
        Permissions of the new folder, less the process's umask.

    Yields
    ------
    Path
        Where the block writes. After an exception it is removed.

    Raises
    ------
    FileExistsError
        Something is at `path`, or appeared there in the meantime. It is unchanged.
    OSError
        The folder cannot be written.
    """
    _require_free(path)
    refuse_gallery(path)
    make_folder(path.parent)
    draft = draft_path(path)
    try:
        draft.mkdir(mode=mode)
        yield draft
        sync_tree(draft)
        _require_free(path)
        with suppress(FileNotFoundError):
            path.rmdir()  # fails where a file has appeared in it
        draft.rename(path)
    finally:
        with suppress(OSError):
            remove_path(draft)
    sync_folder(path.parent)


def make_folder(path: Path, *, mode: int = 0o777) -> None:
    """Create a folder and its missing parents, and sync the folders that hold them.

    Parameters
    ----------
    path : Path
        The folder. Nothing happens where it is there.
    mode : int
        Permissions of `path`, less the process's umask.

    Raises
    ------
    OSError
        The folder cannot be created.
    """
    missing = []
    for folder in (path, *path.parents):
        if folder.is_dir():
            break
        missing.append(folder)
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def remove_path(path: Path) -> None:
    """Remove a file, a link or a folder with its contents; nothing happens where nothing is there.

    Raises
    ------
    OSError
        A part cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Remove a folder with its contents: under its name it is gone at once, or not at all.

    Raises
    ------
    OSError
        The folder cannot be renamed, or a part cannot be removed; the rest then has a hidden name.
    """
    old = path.rename(draft_path(path, ".old"))
    sync_folder(path.parent)
    shutil.rmtree(old)


def _require_free(path: Path) -> None:
    """Raise FileExistsError unless `path` is absent or an empty folder."""
    if os.path.lexists(path) and (path.is_symlink() or not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(errno.EEXIST, "is there already", str(path))
