"""Keep a gallery up to date with folders: register new, changed and moved photos as they appear.

Every change triggers a registration of the folder it lies in, so what is reported is the same as that of a registration
by hand, is committed before it is reported, and is caught up with after a crash by the first pass. After this pass, the
photos that are still without a file were deleted while nothing was watched.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Protocol

from faceall.errors import FaceallError
from faceall.gallery.missing_photos import doubtful_folders, existing_folder
from faceall.gallery.naming import NamesFrom, refuse_urls
from faceall.gallery.records import PhotoResult, StoredPhoto

SECONDS = 10.0  # between looks, without events
_DEBOUNCE = 1600  # milliseconds within which changes are handled together
_CHECK = 200  # milliseconds between looks at `stop` and at the folders themselves, and before the first pass
_ABSENT = 1.0  # seconds between looks for folders that are gone, while there is no other
_GONE = "the folder is gone; it is watched again when it returns"
_DOUBTFUL = "is the drive connected? Photos that were in this folder are not reported as removed"
_OF_FOLDERS = frozenset(("named", "left-unnamed"))
_QUIET = frozenset(("unchanged", "duplicate", "no-face", "unreadable", "too-large"))


class Registers(Protocol):
    """A gallery that photos can be registered in."""

    def iter_register(self, paths: Path, /, *, names_from: NamesFrom, stop: Event | None) -> Iterator[PhotoResult]:
        """Register photos; the last results say what became of the names that folders suggest."""

    def photos_without_file(self, folder: Path) -> list[StoredPhoto]:
        """Return the photos that were registered below a folder, and of which no file is found now."""


def watch_folders(
    gallery: Registers,
    folders: Sequence[Path],
    *,
    names_from: NamesFrom = "auto",
    poll: float | None = None,
    stop: Event | None = None,
) -> Iterator[PhotoResult]:
    """Register the photos of folders, and then each one that appears, until `stop` is set.

    Parameters
    ----------
    gallery : Gallery
        Is filled.
    folders : sequence of Path
        Existing folders.
    names_from : str
        As for `Gallery.register`.
    poll : float, optional
        Look every so many seconds instead of waiting for events, which network file systems lack. Also used, with 10
        seconds, if the package watchfiles is not installed.
    stop : threading.Event, optional
        Ends the iteration.

    Yields
    ------
    PhotoResult
        What changed, each after it was committed; a file that is gone has the status "removed". The faces of photos
        that are gone are kept, so a drive that is disconnected loses nothing. Photos that were gone before have this
        status too, each time watching starts; those in an empty folder do not, and the folder is "unreadable". A folder
        that is gone itself is also "unreadable" and is watched again when it returns.

    Raises
    ------
    FaceallError
        A path is not a folder, or is a URL; or the system cannot watch so many folders.
    """
    refuse_urls(folders)
    roots = [Path(os.path.abspath(folder)) for folder in folders]
    for root in roots:
        if not root.is_dir():
            raise FaceallError(f"{root}: is not a folder; watch takes folders, register takes files")
    ended = stop or Event()
    seen: dict[Path, dict[Path, str]] = {root: {} for root in roots}
    gone: set[Path] = set()
    unchecked = set(roots)
    for changed in _changes(roots, poll, ended):
        lost: set[Path] = set()
        moved: set[Path] = set()
        for root in changed:
            if ended.is_set():
                return
            if root.is_dir():
                gone.discard(root)
                lost |= yield from _pass(gallery, root, seen, moved, names_from, ended)
            elif root not in gone:
                gone.add(root)
                yield PhotoResult(root, "unreadable", message=_GONE, missing=True)
        for path in moved:
            for files in seen.values():
                files.pop(path, None)
        for root in sorted(unchecked.intersection(changed)):
            if not ended.is_set() and (before := (yield from _lost_before(gallery, root))) is not None:
                unchecked.remove(root)
                lost |= before
        yield from (PhotoResult(path, "removed") for path in sorted(lost - moved) if not os.path.lexists(path))


def events_available() -> bool:
    """Return whether folders can be watched by events of the file system instead of by looking again and again."""
    return _listener() is not None


def _pass(
    gallery: Registers,
    root: Path,
    seen: dict[Path, dict[Path, str]],
    moved: set[Path],
    names_from: NamesFrom,
    stop: Event,
) -> Generator[PhotoResult, None, set[Path]]:
    """Register a folder; yield what is new or different since the last pass, and return what was not found again.

    Where moved photos were before is added to `moved`.
    """
    before = seen[root]
    now: dict[Path, str] = {}
    for result in gallery.iter_register(root, names_from=names_from, stop=stop):
        if result.missing and not root.is_dir():  # that the folder is gone is reported once, for all of it
            continue
        if result.status in _OF_FOLDERS:
            yield result
            continue
        now[result.path] = result.status
        if result.moved_from is not None:
            moved.add(result.moved_from)
        if result.status not in _QUIET or (result.status != "unchanged" and before.get(result.path) is None):
            yield result
    if stop.is_set() or not root.is_dir():  # a folder that is gone keeps its photos, for when it returns
        return set()
    seen[root] = now
    return set(before) - set(now)


def _lost_before(gallery: Registers, root: Path) -> Generator[PhotoResult, None, set[Path] | None]:
    """Return the files of photos that were gone before the folder was watched; None if it is gone itself.

    Folders whose photos may be on a drive that is not connected are yielded instead of these.
    """
    photos = gallery.photos_without_file(root)
    if not root.is_dir():  # asked after the files were looked for: a drive may be disconnected meanwhile
        return None
    doubtful = doubtful_folders(photos)
    for folder, reason in doubtful.items():
        yield PhotoResult(folder, "unreadable", message=f"{reason}; {_DOUBTFUL}", missing=True)
    certain = [photo for photo in photos if doubtful.keys().isdisjoint(map(existing_folder, photo.paths))]
    return {path for photo in certain for path in photo.paths if root in path.parents}


def _changes(roots: Sequence[Path], poll: float | None, stop: Event) -> Iterator[list[Path]]:
    """Yield the folders to register: all of them first, then those with changes, or all every `poll` seconds.

    Events are collected before the folders are yielded first: a photo that is created during a pass leads to another.
    When a folder disappears, is replaced or returns, collecting starts again, with a look at all folders.
    """
    listen = _listener() if poll is None else None
    if listen is None:
        if not stop.is_set():
            yield list(roots)
        while not stop.wait(poll or SECONDS):
            yield list(roots)
        return
    while not stop.is_set():
        identities = [_identity(root) for root in roots]
        present = [root for root, identity in zip(roots, identities, strict=True) if identity]
        with closing(listen(present, stop)) as changes:
            if next(changes, None) is None:  # it is stopped
                return
            yield list(roots)
            for paths in changes:
                changed = [root for root in roots if any(root == path or root in path.parents for path in paths)]
                if changed:
                    yield changed
                if identities != [_identity(root) for root in roots]:
                    break


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what distinguishes a folder from another that takes its place; None if it is gone."""
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def _listener() -> Callable[[Sequence[Path], Event], Generator[list[Path], None, None]] | None:
    """Return a function that collects events of the file system; None without watchfiles.

    Its first result comes when events are collected. Events between two results are in the later one; results may be
    empty.
    """
    try:
        from watchfiles import watch
    except ImportError:
        return None

    def listen(roots: Sequence[Path], stop: Event) -> Generator[list[Path], None, None]:
        while not roots:
            yield []
            if stop.wait(_ABSENT):
                return
        try:
            for changes in watch(
                *roots, watch_filter=None, stop_event=stop, debounce=_DEBOUNCE, rust_timeout=_CHECK,
                yield_on_timeout=True, raise_interrupt=False, ignore_permission_denied=True,
            ):  # fmt: skip
                yield [Path(path) for _, path in changes]
        except FileNotFoundError:  # a folder disappeared meanwhile
            yield []
        except (OSError, RuntimeError) as error:
            raise FaceallError(f"cannot watch for changes: {error}; use --poll SECONDS") from error

    return listen
