"""`Uploads`: uploaded files, kept in the gallery's folder as long as their photo is registered.

A file is stored at `uploads/<its SHA-256>/<its name>`, so files of equal names do not collide and the original name can
be read from the path.
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
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from faceall.errors import FaceallError, UnknownFaceError
from faceall.files import make_folder, replaced_file
from faceall.gallery import Candidate, Gallery, KnownContent, StoredPhoto
from faceall.gallery.people.removal import UPLOAD, UPLOADS
from faceall.web.refusal import RefusedError
from faceall.web.security.decoding import CheckedImage
from faceall.web.work.file_names import MAX_NAME_LENGTH, from_parts, to_parts

_LOCK_FILE = ".server"


@dataclass(frozen=True)
class Upload:
    """A saved upload.

    Attributes
    ----------
    path : Path
        Of the file.
    digest : str
        SHA-256 of the file, hexadecimal.
    image : CheckedImage
        Number of pixels and metadata of the image.
    """

    path: Path
    digest: str
    image: CheckedImage

    def candidate(self, person: str | None) -> Candidate:
        """Return the file for a registration, with the digest and the metadata that are known already."""
        content = KnownContent(bytes.fromhex(self.digest), self.image.metadata)
        return Candidate(self.path, person, content=content)


class Uploads:
    """The uploaded files of one gallery; thread-safe.

    Parameters
    ----------
    gallery : Gallery
        An open gallery.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._folder = gallery.folder / UPLOADS
        self._lock = threading.Lock()
        self._pending: Counter[str] = Counter()  # digests of uploads that are being registered
        self._lock_file: IO[bytes] | None = None

    def save(self, data: bytes, name: str, image: CheckedImage) -> Upload:
        """Write a file atomically; `release` has to follow.

        Parameters
        ----------
        data : bytes
            The image file.
        name : str
            Its name, with any characters.
        image : CheckedImage
            Number of pixels and metadata of the image.

        Raises
        ------
        RefusedError
            400 if the name is too long.
        FaceallError
            If the file cannot be written.
        """
        if len(name) > MAX_NAME_LENGTH:
            text = f"the name of a photo has {len(name):,} characters, expected at most {MAX_NAME_LENGTH:,}"
            raise RefusedError(text, status=400, code="bad_request")
        digest = hashlib.sha256(data).hexdigest()
        path = self._folder.joinpath(digest, *to_parts(name))
        with self._lock:
            self._pending[digest] += 1
        try:
            self._write(path, data)
        except OSError as error:
            self._finished(digest)
            raise FaceallError(f"the upload cannot be saved on the server ({error.strerror})") from error
        return Upload(path, digest, image)

    def _write(self, path: Path, data: bytes) -> None:
        """Write the file unless it exists; an existing file has the same content."""
        with ExitStack() as writing:
            with self._lock:  # so that no other thread removes the folder
                if path.is_file() and path.stat().st_size == len(data):
                    return
                self._folder.mkdir(exist_ok=True)  # without parents: the gallery may have been removed
                make_folder(path.parent)
                file = writing.enter_context(replaced_file(path, internal=True))
            file.write(data)

    def release(self, upload: Upload, *, keep: bool) -> StoredPhoto | None:
        """End the registration of an upload and return its photo in the gallery.

        Parameters
        ----------
        upload : Upload
            From `save`.
        keep : bool
            False removes the file and its entry in the gallery, if it shows no registered face.

        Returns
        -------
        StoredPhoto or None
            None if the gallery does not know the file.
        """
        photo = self._gallery.photos.at(upload.path)
        self._finished(upload.digest)
        with self._lock:
            if upload.digest not in self._pending and not (keep and photo):
                if photo is not None and not photo.faces and all(self.owns(seen) for seen in photo.paths):
                    with contextlib.suppress(UnknownFaceError):  # removed by another process
                        self._gallery.photos.remove(photo.photo_id)
                self._remove_unregistered(upload.digest)
        return photo

    def _finished(self, digest: str) -> None:
        with self._lock:
            self._pending -= Counter((digest,))  # drops it at zero

    def remove(self, paths: Iterable[Path]) -> int:
        """Remove the uploads among the files of removed photos; returns how many are gone.

        The gallery removes them itself, unless it was moved after they were registered.
        """
        current = {found for path in paths if (found := self.current_path(path)) is not None}
        with self._lock:
            for digest in {self._digest_of(path) for path in current} - set(self._pending):
                self._remove_unregistered(digest)
        return sum(not path.exists() for path in current)

    def lock(self) -> bool:
        """Lock the uploads against other servers until `close`; returns whether that succeeded.

        On systems without file locks (Windows) it always succeeds.

        Raises
        ------
        FaceallError
            If the folder cannot be written.
        """
        try:
            import fcntl
        except ImportError:
            return True
        try:
            self._folder.mkdir(exist_ok=True)
            file = (self._folder / _LOCK_FILE).open("ab")
        except OSError as error:
            raise FaceallError(f"{self._folder}: cannot be written ({error.strerror})") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._lock_file = file
        return True

    def close(self) -> None:
        """Release the lock."""
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def remove_orphans(self) -> int:
        """Remove uploads without a photo, for example after a crash; returns the number of files.

        Call it only after `lock`: uploads that another server is registering would be removed.
        """
        try:
            digests = [name for name in os.listdir(self._folder) if UPLOAD.fullmatch(name)]
        except FileNotFoundError:
            return 0
        removed = 0
        for digest in digests:
            with self._lock:
                if digest not in self._pending:
                    removed += self._remove_unregistered(digest)
        return removed

    def _remove_unregistered(self, digest: str) -> int:
        """Remove an upload that the gallery does not know (the lock is held); returns the number of files."""
        if self._gallery.photos.with_digest(bytes.fromhex(digest)) is not None:
            return 0
        folder = self._folder / digest
        count = sum(len(names) for _, _, names in os.walk(folder))
        shutil.rmtree(folder, ignore_errors=True)
        return count

    def owns(self, path: Path) -> bool:
        """Return whether a path is that of an upload."""
        return self.current_path(path) is not None

    def current_path(self, path: Path) -> Path | None:
        """Return the path of an upload in the gallery's present folder; None for other files."""
        parts = path.parts
        for number in range(len(parts) - 2, 0, -1):
            if parts[number - 1] == UPLOADS and UPLOAD.fullmatch(parts[number]):
                return self._folder.joinpath(*parts[number:])
        return None

    def name_of(self, path: Path) -> str:
        """Return the name of a photo's file: the original name of an upload, else the file name."""
        current = self.current_path(path)
        name = path.name if current is None else from_parts(current.relative_to(self._folder).parts[1:])
        return name.encode("utf-8", "replace").decode("utf-8")

    def _digest_of(self, current: Path) -> str:
        return current.relative_to(self._folder).parts[0]
