"""`Uploads`: pictures that came over the network, kept in the gallery's folder as long as their photo is.

A picture lies at `uploads/<its SHA-256>/<its name>`. Equal names of other pictures never meet, and the gallery's own
table of files tells what each one was called.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from faceall.errors import FaceallError, UnknownFaceError
from faceall.files import make_folder, replaced_file
from faceall.gallery import Gallery, StoredPhoto
from faceall.gallery.people.removal import UPLOAD, UPLOADS
from faceall.web.pages.names import LONGEST, from_parts, to_parts
from faceall.web.refusal import RefusedError

_CLAIM = ".server"


class Uploads:
    """The pictures of one gallery's uploads. Safe to call from several threads."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._folder = gallery.folder / UPLOADS
        self._lock = threading.Lock()
        self._pending: Counter[str] = Counter()  # digests of pictures that are on their way into the gallery
        self._claim: IO[bytes] | None = None

    def take(self, data: bytes, name: str) -> Path:
        """Write a picture so that a crash leaves it whole or not at all; `release` has to follow.

        name     what it is called, whatever characters that has
        returns  where it lies

        Raises RefusedError for a name that is too long, FaceallError where it cannot be written.
        """
        if len(name) > LONGEST:
            text = f"the name of a picture has {len(name):,} characters, expected at most {LONGEST:,}"
            raise RefusedError(text, status=400, code="bad_request")
        digest = hashlib.sha256(data).hexdigest()
        path = self._folder.joinpath(digest, *to_parts(name))
        with self._lock:
            self._pending[digest] += 1
        try:
            self._write(path, data)
        except OSError as error:
            self._done_with(digest)
            raise FaceallError(f"a picture cannot be kept on the server ({error.strerror})") from error
        return path

    def _write(self, path: Path, data: bytes) -> None:
        """Write the file unless it is there; what is there already has the same content."""
        with ExitStack() as writing:
            with self._lock:  # no other thread removes the folder before the draft is in it
                if path.is_file() and path.stat().st_size == len(data):
                    return
                self._folder.mkdir(exist_ok=True)  # but no new folder for a gallery that has gone
                make_folder(path.parent)
                file = writing.enter_context(replaced_file(path))
            file.write(data)

    def release(self, path: Path, *, keep: bool) -> StoredPhoto | None:
        """The photo that a taken picture is in the gallery now.

        keep  False: it is of no use, so that the gallery forgets it, and the file goes
        """
        digest = self._digest_of(path)
        photo = self._gallery.photo_seen_at(path)
        self._done_with(digest)
        with self._lock:
            if digest not in self._pending and not (keep and photo):
                if photo is not None and not photo.faces and all(self.owns(seen) for seen in photo.paths):
                    with contextlib.suppress(UnknownFaceError):  # another process has removed it just now
                        self._gallery.delete_photo(photo.photo_id)
                self._forget(digest)
        return photo

    def _done_with(self, digest: str) -> None:
        with self._lock:
            self._pending -= Counter((digest,))  # drops it at zero

    def remove(self, paths: Iterable[Path]) -> int:
        """Remove the uploads among the files of photos that the gallery has forgotten; returns how many are gone.

        The gallery removes them itself, but not where they lay elsewhere when they were registered.
        """
        places = {place for path in paths if (place := self.place_of(path)) is not None}
        with self._lock:
            for digest in {self._digest_of(place) for place in places} - set(self._pending):
                self._forget(digest)
        return sum(not place.exists() for place in places)

    def claim(self) -> bool:
        """Whether no other server has uploads on their way here; then that holds until `close`.

        Where the system has no such locks (Windows) the answer is yes.
        """
        try:
            import fcntl
        except ImportError:
            return True
        try:
            self._folder.mkdir(exist_ok=True)
            claim = (self._folder / _CLAIM).open("ab")
        except OSError as error:
            raise FaceallError(f"{self._folder}: cannot be written ({error.strerror})") from error
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            claim.close()
            return False
        self._claim = claim
        return True

    def close(self) -> None:
        """Let another server claim the uploads."""
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def sweep(self) -> int:
        """Remove pictures that never became a photo, as after a crash, and those whose photo is gone.

        Only for who has claimed the uploads: those on another server's way would go, too. Returns how many files went.
        """
        try:
            digests = [name for name in os.listdir(self._folder) if UPLOAD.fullmatch(name)]
        except FileNotFoundError:
            return 0
        removed = 0
        for digest in digests:
            with self._lock:
                if digest not in self._pending:
                    removed += self._forget(digest)
        return removed

    def _forget(self, digest: str) -> int:
        """Remove a picture that the gallery does not know (the lock is held); returns how many files went."""
        if self._gallery.photo_with(bytes.fromhex(digest)) is not None:
            return 0
        folder = self._folder / digest
        count = sum(len(names) for _, _, names in os.walk(folder))
        shutil.rmtree(folder, ignore_errors=True)
        return count

    def owns(self, path: Path) -> bool:
        """Whether a path is that of an upload."""
        return self.place_of(path) is not None

    def place_of(self, path: Path) -> Path | None:
        """Where an upload lies now, although the gallery may have been somewhere else then; None for other files."""
        parts = path.parts
        for number in range(len(parts) - 2, 0, -1):
            if parts[number - 1] == UPLOADS and UPLOAD.fullmatch(parts[number]):
                return self._folder.joinpath(*parts[number:])
        return None

    def name_of(self, path: Path) -> str:
        """What a photo's file is called: an upload as it was when it came, another as on the disk."""
        place = self.place_of(path)
        name = path.name if place is None else from_parts(place.relative_to(self._folder).parts[1:])
        return name.encode("utf-8", "replace").decode("utf-8")

    def _digest_of(self, path: Path) -> str:
        place = self.place_of(path)
        assert place is not None
        return place.relative_to(self._folder).parts[0]
