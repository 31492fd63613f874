"""Write files and the entries of folders to the disk itself."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def sync_file(path: Path) -> None:
    """Write the contents of one file to the disk itself.

    Raises
    ------
    OSError
        The file is absent or the disk fails.
    """
    with path.open("rb" if os.name == "posix" else "rb+") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Write the entries of one folder to the disk itself, where the system can: renames in it become durable.

    Raises
    ------
    OSError
        The folder is absent or the disk fails.
    """
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems without it sync entries by themselves
            raise
    finally:
        os.close(handle)


def sync_tree(path: Path) -> None:
    """Write a file, or a folder with everything below it, to the disk itself.

    Raises
    ------
    OSError
        A part is absent or the disk fails.
    """
    if path.is_file():
        sync_file(path)
        return
    for folder, _, names in os.walk(path):
        for name in names:
            if not (file := Path(folder, name)).is_symlink():
                sync_file(file)
        sync_folder(Path(folder))
