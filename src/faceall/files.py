"""Write files and folders so that a crash leaves the old content or the new, never a part of either.

Every function keeps one promise: the new content is written beside its target under a hidden name, synced to the disk
and renamed; the parent folder is synced last. What stood at the target stays there until the new content is complete.
Failures are reported as `OSError`; callers translate it into the error of their own layer.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

__all__ = [
    "draft_path",
    "make_folder",
    "new_folder",
    "open_regular",
    "refuse_gallery",
    "remove_path",
    "replaced_file",
    "replacing",
    "sync_file",
    "sync_folder",
    "sync_tree",
    "write_file",
]

_LONGEST_STEM = 48
"""Characters of the target's name in a draft's name: with it, no name exceeds 255 bytes in UTF-8."""

GALLERY_MARK = "faces.db"
"""The file by which a folder is known as a gallery."""

GALLERY_UPLOADS = "uploads"
"""The folder of a gallery that keeps uploaded photos."""

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


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


def write_file(path: Path, content: bytes | str, *, mode: int = 0o666, internal: bool = False) -> None:
    """Write a whole file, replacing one that is there.

    Parameters
    ----------
    path : Path
        The target. Its folder has to exist.
    content : bytes or str
        The new content; text is encoded as UTF-8.
    mode : int
        Permissions of the new file, less the process's umask.
    internal : bool
        The file belongs to faceall's own data, which may lie in a gallery.

    Raises
    ------
    OSError
        The file cannot be written, or lies in a gallery. The old file is unchanged.
    """
    with replaced_file(path, mode=mode, internal=internal) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replaced_file(path: Path, *, mode: int = 0o666, internal: bool = False) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` at the end of the block.

    Parameters
    ----------
    path : Path
        The target. Its folder has to exist.
    mode : int
        Permissions of the new file, less the process's umask.
    internal : bool
        The file belongs to faceall's own data, which may lie in a gallery.

    Yields
    ------
    BinaryIO
        The new file, open for reading and writing. After an exception it is removed and `path` is unchanged.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    if not internal:
        refuse_gallery(path)
    draft = draft_path(path)
    try:
        with open(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode), "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def replacing(path: Path, *, suffix: str = ".part", internal: bool = False) -> Iterator[Path]:
    """Yield a free path; the file or folder written there takes the place of `path` at the end of the block.

    Parameters
    ----------
    path : Path
        The target, a file or a folder. Its parent has to exist.
    suffix : str
        How the yielded name ends.
    internal : bool
        The target belongs to faceall's own data, which may lie in a gallery.

    Yields
    ------
    Path
        Where the block writes. After an exception it is removed and `path` is unchanged.

    Raises
    ------
    OSError
        The target cannot be written or replaced.
    """
    if not internal:
        refuse_gallery(path)
    draft = draft_path(path, suffix)
    try:
        yield draft
        sync_tree(draft)
        _put(draft, path)
    finally:
        with suppress(OSError):
            remove_path(draft)


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


def _require_free(path: Path) -> None:
    """Raise FileExistsError unless `path` is absent or an empty folder."""
    if os.path.lexists(path) and (path.is_symlink() or not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(errno.EEXIST, "is there already", str(path))


def _put(draft: Path, target: Path) -> None:
    """Rename `draft` to `target`; a folder that is replaced is removed last."""
    if not (draft.is_dir() or target.is_dir()):
        os.replace(draft, target)
    elif not os.path.lexists(target):
        draft.rename(target)
    elif _exchange(draft, target):
        sync_folder(target.parent)
        remove_path(draft)
    else:
        _swap(draft, target)
    sync_folder(target.parent)


def _swap(draft: Path, target: Path) -> None:
    """Put `draft` in the place of a folder on systems that cannot exchange two names at once."""
    old = draft_path(target, ".old")
    target.rename(old)
    try:
        draft.rename(target)
    except OSError:
        old.rename(target)
        raise
    sync_folder(target.parent)
    with suppress(OSError):
        remove_path(old)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one step (Linux); False where the system or the file system cannot."""
    rename = _renameat2()
    return rename is not None and not rename(
        _AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE
    )


@cache
def _renameat2() -> Any:
    """Return the C library's renameat2, or None."""
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), "renameat2", None)
