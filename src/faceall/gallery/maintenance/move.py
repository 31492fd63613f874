"""Move a gallery from a folder to Milvus or back: copy whole photos, then compare both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Event

from faceall.arguments import checked
from faceall.errors import FaceallError, IndexFileError
from faceall.gallery.addresses import is_address
from faceall.gallery.maintenance.uploads import copy_upload, remove_all_uploads, remove_copies, uploads_of
from faceall.gallery.opening import open_store
from faceall.gallery.store import Store
from faceall.gallery.store.transfer import Summing, Sums, fingerprint_of

Progress = Callable[[int, int], None]

_SETTINGS = ("calibration", "tagging")
_MARK = "move"
_BATCH = 64  # photos that are copied or compared together


@dataclass(frozen=True)
class Move:
    """The result of a move.

    Parameters
    ----------
    source, target : str
        The previous and the current place of the gallery, without credentials.
    copied : int
        Photos that this run has copied.
    there : int
        Photos that an earlier run had copied.
    finished : bool
        False if the run was stopped; the next run continues.
    sums : Sums or None
        Counts and checksums, the same on both sides; None if the run was stopped.
    removed : bool
        Whether the source was removed.
    uploads : int
        Uploaded files that this run has copied.
    """

    source: str
    target: str
    copied: int
    there: int
    finished: bool
    sums: Sums | None
    removed: bool = False
    uploads: int = 0


@checked
def move_gallery(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    remove_source: bool = False,
    progress: Progress | None = None,
    stop: Event | None = None,
) -> Move:
    """Copy a gallery to another place and compare both; an interrupted run can be continued.

    Faces and people keep their ids; photos get new ones. Uploaded files in the source's folder on this machine are
    copied to that of the target, and removed with the source.

    Parameters
    ----------
    source, target : str or path
        Folders or addresses; the target is new, empty, or the result of an interrupted run.
    remove_source : bool
        Remove the source after the comparison.
    progress : callable, optional
        Called with the number of finished photos and of all photos.
    stop : Event, optional
        Set it to end early.

    Returns
    -------
    Move
        What was copied and compared.

    Raises
    ------
    FaceallError
        The target holds another gallery, or both differ at the end, for example because another process has changed
        the source; nothing is removed then.
    """
    if _key(source) == _key(target):
        raise FaceallError(f"{_key(source)} cannot be moved to itself")
    halt = stop or Event()
    origin = open_store(source, read_only=True)
    if remove_source:
        origin.close(save=False)
        origin = open_store(source)  # to lock out writers at the end
    try:
        goal = open_store(target)
        try:
            return _Mover(origin, goal, progress, halt).run(remove_source=remove_source)
        finally:
            goal.close()
    finally:
        origin.close(save=False)


def _key(place: str | os.PathLike[str]) -> str:
    return str(place) if is_address(place) else os.path.abspath(place)


class _Mover:
    """One run of a move."""

    def __init__(self, source: Store, target: Store, progress: Progress | None, stop: Event) -> None:
        self._source, self._target, self._progress, self._stop = source, target, progress, stop
        self._copied = self._there = self._uploads = 0

    def run(self, *, remove_source: bool) -> Move:
        """Copy what is missing or differs, remove what the source does not have, compare."""
        self._claim()
        self._target.transfer.put_people(self._source.transfer.people())
        digests = self._source.transfer.digests()
        extra = set(self._target.transfer.digests()) - set(digests)
        for group in _groups(sorted(extra), _BATCH):
            self._target.transfer.remove_photos(group)
        if extra:
            remove_copies(self._target.folder, (digest.hex() for digest in extra))
        if not self.copy(digests) or not self._copy_uploads(digests):
            return self._result(None)
        self.finish()
        sums = self._compared()
        if remove_source:
            self._source.transfer.destroy(self._conclude)
        else:
            self._target.put_setting(_MARK, None)
        return self._result(sums, removed=remove_source)

    def _conclude(self) -> None:
        """Compare again, while no other process can write to the source; raise IndexFileError if both differ.

        Uploads are removed from the source before its records, so that an interrupted removal can be repeated.
        """
        self._compared()
        for digest in self._known_uploads(self._source.transfer.digests()):
            self._uploads += copy_upload(self._source.folder, self._target.folder, digest)
        self._target.put_setting(_MARK, None)
        remove_all_uploads(self._source.folder)

    def _copy_uploads(self, digests: Sequence[bytes]) -> bool:
        """Copy the uploaded files of some photos; False if the run was stopped."""
        for digest in self._known_uploads(digests):
            if self._stop.is_set():
                return False
            self._uploads += copy_upload(self._source.folder, self._target.folder, digest)
        return True

    def _known_uploads(self, digests: Sequence[bytes]) -> list[str]:
        """Return the SHA-256 of the uploads of some photos; others are left from interrupted registrations."""
        known = {digest.hex() for digest in digests}
        return [digest for digest in uploads_of(self._source.folder) if digest in known]

    def _result(self, sums: Sums | None, *, removed: bool = False) -> Move:
        done = sums is not None
        return Move(self._source.name, self._target.name, self._copied, self._there, done, sums, removed, self._uploads)

    def _claim(self) -> None:
        """Make sure that the target is empty or holds a part of the same source."""
        known = self._target.setting(_MARK)
        if known is None and self._target.transfer.digests() and not self._same():
            raise IndexFileError(f"{self._target.name}: holds another gallery already; choose a new place")
        if known is not None and known != self._source.name:
            raise IndexFileError(
                f"{self._target.name}: holds a part of {known}, whose move was interrupted; continue that move, or"
                " choose a new place"
            )
        self._target.put_setting(_MARK, self._source.name)
        if self._source.dimension is not None:
            self._target.adopt(model=self._source.model, dimension=self._source.dimension)

    def _same(self) -> bool:
        """Return whether the target equals the source, as after a finished move."""
        here, there = self._source.transfer.digests(), self._target.transfer.digests()
        return set(here) == set(there) and sums_of(self._source) == sums_of(self._target)

    def copy(self, digests: Sequence[bytes]) -> bool:
        """Copy those of some photos that are missing or differ in the target; False if the run was stopped."""
        for done, group in enumerate(_groups(digests, _BATCH)):
            if self._stop.is_set():
                return False
            here = self._source.transfer.photos(group)
            there = {photo.digest: fingerprint_of(photo) for photo in self._target.transfer.photos(group)}
            new = [photo for photo in here if there.get(photo.digest) != fingerprint_of(photo)]
            if new:
                self._target.transfer.put_photos(new)
            self._copied += len(new)
            self._there += len(here) - len(new)
            if self._progress:
                self._progress(min((done + 1) * _BATCH, len(digests)), len(digests))
        return True

    def finish(self) -> None:
        """Copy people, settings and everything else that belongs to no photo."""
        self._target.transfer.put_people(self._source.transfer.people())
        for key in _SETTINGS:
            self._target.put_setting(key, self._source.setting(key))
        self._target.transfer.put_kept(self._source.transfer.kept())
        self._target.transfer.put_judgements(self._source.transfer.judgements())
        self._target.journal.add_imported(self._source.journal.exported())

    def _compared(self) -> Sums:
        """Return the sums of the source; raise IndexFileError if those of the target differ."""
        here, there = sums_of(self._source), sums_of(self._target)
        differing = [name for name, value in vars(here).items() if value != getattr(there, name)]
        if self._source.transfer.judgements() != self._target.transfer.judgements():
            differing.append("judgements")
        if differing:
            raise IndexFileError(
                f"{self._target.name} differs from {self._source.name} in {', '.join(differing)}: was it changed"
                " in the meantime? Run the move again; the source is untouched"
            )
        return here


def copy_gallery(source: Store, target: Store, digests: Sequence[bytes] | None = None) -> None:
    """Copy a gallery, or the photos with these SHA-256, into an empty store; faces and people keep their ids."""
    if source.dimension is not None:
        target.adopt(model=source.model, dimension=source.dimension)
    mover = _Mover(source, target, None, Event())
    target.transfer.put_people(source.transfer.people())
    mover.copy(source.transfer.digests() if digests is None else digests)
    mover.finish()


def sums_of(store: Store) -> Sums:
    """Return counts and checksums of a whole gallery; this reads everything."""
    summing = Summing(store.transfer.people())
    for group in _groups(store.transfer.digests(), _BATCH):
        for photo in store.transfer.photos(group):
            summing.add(photo)
    return summing.result()


def _groups(values: Sequence[bytes], size: int) -> Iterator[list[bytes]]:
    rest = iter(values)
    while group := list(islice(rest, size)):
        yield group
