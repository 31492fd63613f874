"""What is not read and where nothing is written: special files, galleries."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

GALLERY_MARK = "faces.db"
"""The file by which a folder is known as a gallery."""

GALLERY_UPLOADS = "uploads"
"""The folder of a gallery that keeps uploaded photos."""


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading; a named pipe or device in its place could block or never end.

    Parameters
    ----------
    path : path-like
        The file. It is opened without blocking and checked afterwards, so that it cannot be exchanged in between.

    Returns
    -------
    BinaryIO

    Raises
    ------
    OSError
        The file cannot be opened (FileNotFoundError, IsADirectoryError, ...) or is not a regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder", os.fspath(path))
    raise OSError(errno.EINVAL, "is not a regular file", os.fspath(path))


def refuse_gallery(path: Path) -> None:
    """Refuse an output path that is a gallery or inside one, where it could replace stored faces.

    Parameters
    ----------
    path : Path
        The target.

    Raises
    ------
    PermissionError
        The target is a gallery's folder, in it, or among its uploads.
    """
    places = [path, path.parent]
    places += [above.parent for above in path.absolute().parents if above.name == GALLERY_UPLOADS]
    if any((place / GALLERY_MARK).exists() for place in places):
        raise PermissionError(errno.EPERM, "it is inside a gallery, which is not an output folder", str(path))
