"""Write a file or folder beside its target, then put it in place."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from faceall.files.drafts import draft_file, draft_path
from faceall.files.folders import remove_path
from faceall.files.guards import refuse_gallery
from faceall.files.syncing import sync_folder, sync_tree

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


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
    with draft_file(path, mode=mode) as (draft, file):
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(draft, path)
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
        _rename(draft, path)
        sync_folder(path.parent)
    finally:
        with suppress(OSError):
            remove_path(draft)


def put_in_place(source: Path, target: Path, *, internal: bool = False) -> None:
    """Move a complete file or folder to its target, replacing what is there.

    Parameters
    ----------
    source : Path
        The file or folder, on the file system of the target.
    target : Path
        Where it belongs. Its parent has to exist. Only a folder replaces a folder; the old one is removed last.
    internal : bool
        The target belongs to faceall's own data, which may lie in a gallery.

    Raises
    ------
    OSError
        The target cannot be replaced, or lies in a gallery. It is unchanged.
    """
    if not internal:
        refuse_gallery(target)
    sync_tree(source)
    if source.is_dir():
        _rename(source, target)
    else:
        os.replace(source, target)
    sync_folder(target.parent)


def _rename(draft: Path, target: Path) -> None:
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
