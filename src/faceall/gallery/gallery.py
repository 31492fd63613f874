"""`Gallery`: photos go in, and a picture finds who is on it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import TracebackType

from faceall.analysis.analyser import Analyser, FaceDetector, FaceEmbedder
from faceall.errors import FaceallError, ImageError
from faceall.gallery.changes import Changes
from faceall.gallery.contents import Contents
from faceall.gallery.opening import default_place, open_store
from faceall.gallery.people.folders import write_folders
from faceall.gallery.people.names import checked_name
from faceall.gallery.records import GalleryStatus, PhotoResult
from faceall.gallery.registration.naming import Candidate, find_candidates
from faceall.gallery.registration.registration import Progress, Registration
from faceall.gallery.registration.workers import Workers
from faceall.gallery.upkeep import Upkeep


class Gallery(Contents, Changes, Upkeep):
    """Photos, the faces on them, and the people these belong to; in one folder or in Milvus, safe at every moment.

    A photo that was reported as registered survives a crash. The gallery keeps vectors and small thumbnails, so it
    works without the photos themselves. Several processes may use one gallery at once. Open it with `Gallery.open`.
    """

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        detector: FaceDetector | None = None,
        embedder: FaceEmbedder | None = None,
        read_only: bool = False,
    ) -> Gallery:
        """Open the gallery in a folder or in Milvus, or make one there.

        path       the folder, or an address: milvus://HOST:PORT/NAME, milvuss://... (TLS), milvus-lite:///PATH.db; by
                   default FACEALL_GALLERY, else "gallery" in the user's data folder
        detector   by default a `Detector`, made when the first picture is looked at
        embedder   by default an `Embedder`, likewise
        read_only  never write; the gallery has to be there

        Raises IndexFileError (cannot be made, reached or used), IndexDamagedError, IndexNewerError, IndexBusyError, or
        MissingDependencyError (Milvus without pymilvus).
        """
        store = open_store(default_place() if path is None else path, read_only=read_only)
        return cls(store, Analyser(detector, embedder, remembered=lambda: store.model))

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def place(self) -> str:
        """Where it lies, as messages say it: a folder, or an address without credentials."""
        return self._store.name

    @property
    def folder(self) -> Path:
        """Where its files lie; of a gallery in Milvus, those that this machine keeps besides."""
        return self._store.folder

    def status(self) -> GalleryStatus:
        """Count what it holds, and the files that are no longer where they were seen."""
        return self._store.status()

    def problems(self) -> list[str]:
        """What is wrong with its records, a line each; none in a sound gallery. Reads everything."""
        return self._store.problems()

    # -- photos in --------------------------------------------------------------------------------------------------

    def register(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        person: str | None = None,
        unnamed: bool = False,
        strict: bool = False,
        workers: Workers | None = None,
        progress: Progress | None = None,
        stop: Event | None = None,
    ) -> Registration:
        """Take up photos: iterate over what this returns, a `PhotoResult` per file, each committed before it comes.

        paths     files, and folders that are searched at any depth
        person    whose photos these are. By default a photo below a given folder belongs to the person that its own
                  folder is called after; one directly in a given folder, or given itself, is called after its file's
                  name without the number (the folder's name, where the file's says nothing: 1.jpg, IMG_0042.jpg)
        unnamed   the paths say nothing about who it is: faces that are new belong to nobody
        strict    take up no photo whose chief face is poor: small, blurred, turned away or cut by the edge
        workers   processes that look at the photos, here or on other machines; by default this process does
        progress  called now and then with the number of files done and of all
        stop      set it to end early; what is finished is kept and reported

        Of several faces the chief one (large and central) belongs to the person. The others are stored too and found
        by `search`, filed under nobody. Files that have not changed since the last time cost next to nothing.

        Raises, while iterating, IndexMismatchError if another model made the gallery, ModelNotFoundError if none is
        installed, IndexBusyError if others write for too long.
        """
        given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        if not all(map(os.fspath, given)):
            raise FaceallError("an empty path names no photos; write . for the current folder")
        trouble: list[PhotoResult] = []

        def note(error: ImageError) -> None:
            name, _, reason = str(error).rpartition(": ")
            trouble.append(PhotoResult(Path(name), "unreadable", message=reason))

        candidates = find_candidates(given, known=[found.name for found in self.people()], on_error=note)
        if person is not None:
            name = checked_name(person)
            candidates = [replace(candidate, person=name) for candidate in candidates]
        elif unnamed:
            candidates = [replace(candidate, person=None) for candidate in candidates]
        return self._registration(
            candidates, person is not None, strict=strict, first=trouble, workers=workers, progress=progress, stop=stop
        )

    def register_candidates(self, candidates: Iterable[Candidate], *, refile: bool = False) -> Registration:
        """Take up files as `register` does, each with a person of its own, or nobody.

        refile  file the chief face of a known photo under its candidate's person, whoever it belonged to
        """
        tidy = [
            replace(candidate, person=None if candidate.person is None else checked_name(candidate.person))
            for candidate in candidates
        ]
        return self._registration(tidy, refile)

    def _registration(
        self,
        candidates: Sequence[Candidate],
        refile: bool,
        *,
        strict: bool = False,
        first: Sequence[PhotoResult] = (),
        workers: Workers | None = None,
        progress: Progress | None = None,
        stop: Event | None = None,
    ) -> Registration:
        return Registration(
            self._store,
            self._analyser,
            candidates,
            refile=refile,
            strict=strict,
            agree=self._agree,
            first=first,
            workers=workers,
            progress=progress,
            stop=stop,
        )

    # -- photos out, and the end ------------------------------------------------------------------------------------

    def write_folders(self, directory: str | os.PathLike[str], *, photos: bool = False) -> int:
        """Write every face into a folder per person or cluster, and one per face that is alone.

        directory  a new or empty folder
        photos     copies of the whole photos, where they are still there, rather than thumbnails
        returns    how many folders that made

        Raises FaceallError.
        """
        return write_folders(self.faces(), Path(directory), thumbnail=self.thumbnail, photos=photos)

    def warm_up(self) -> None:
        """Load the models now rather than at the first picture."""
        self._analyser.warm_up()

    def close(self) -> None:
        """Release the files or the connection; a second call does nothing."""
        self._store.close()

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.close(save=error is None)
