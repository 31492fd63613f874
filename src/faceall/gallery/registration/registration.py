"""Register photos: scan ahead, detect in batches, embed across photos, commit in groups.

A result is yielded only after the transaction that holds its faces has been committed, so what has been reported
survives a crash.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from threading import Event

from faceall.analysis import Note
from faceall.gallery.context import Context
from faceall.gallery.metadata.matching import name_faces
from faceall.gallery.naming import Candidate, names_two_people
from faceall.gallery.records import FileInfo, PhotoResult, UpcomingFile
from faceall.gallery.registration.automatic_workers import workers_for
from faceall.gallery.registration.batch_analysis import BatchAnalyzer, Timings, batches
from faceall.gallery.registration.commits import Commits
from faceall.gallery.registration.folder_names import FolderName, FolderNames
from faceall.gallery.registration.options import RegistrationOptions, Workers
from faceall.gallery.registration.scan import Scanner
from faceall.gallery.registration.scanned_file import ScannedFile
from faceall.gallery.registration.storing import (
    forget_displaced,
    known_photo,
    restore_stale_faces,
    store_known_photo,
    store_new_photo,
)
from faceall.types import Faces

COMMIT_SECONDS = 0.5
COMMIT_FILES = 256
FLUSH_SECONDS = 2.0  # after which faces no longer wait for a full batch
_READERS = 2


class Registration(Iterator[PhotoResult]):
    """A running registration: iterate over it to run it; every file gives one result, in order.

    Attributes
    ----------
    total : int
        The number of files.
    skipped : tuple of (Path, str)
        The files and folders that are not photos, and what they are.
    timings : Timings
        The seconds per stage.
    names_in_metadata : Counter of str
        How many faces got each name from the metadata of photos.
    folder_names : list of FolderName
        What became of the names that folders suggested; complete after the last result.
    joint_folders : list of Path
        Folders of new photos without a name that join the names of two people, such as "Ada and Bob".
    """

    def __init__(
        self,
        context: Context,
        candidates: Sequence[Candidate],
        options: RegistrationOptions,
        *,
        errors: Sequence[PhotoResult] = (),
        skipped: Sequence[tuple[Path, str]] = (),
    ) -> None:
        self.total = len(candidates) + len(errors)
        self.skipped = tuple(skipped)
        self.timings = Timings()
        self.folder_names: list[FolderName] = []
        self.joint_folders: list[Path] = []
        self.names_in_metadata: Counter[str] = Counter()
        self._context, self._store, self._analyser = context, context.store, context.analyser
        self._candidates, self._options, self._errors = candidates, options, errors
        self._stop = options.stop or Event()
        self._scanner = Scanner(context.store, reassign=options.reassign, reduction=context.analyser.reduction)
        context.store.photos.refresh()
        self._model_checked = False
        self._batch = BatchAnalyzer(
            context.analyser, self.timings, check_model=self._check_model, stale_faces=self._stale_faces
        )
        self._names = FolderNames(context.store, candidates)
        self._commits = Commits(self._store_group, background=context.store.waits_for_server)
        self._done = 0
        self._results = self._run()

    def __next__(self) -> PhotoResult:
        return next(self._results)

    def close(self) -> None:
        """Stop here; what is finished is committed."""
        self._results.close()  # type: ignore[attr-defined]

    def _run(self) -> Iterator[PhotoResult]:
        readers = ThreadPoolExecutor(_READERS, "faceall-read")
        try:
            yield from self._report(self._errors)
            if self._names.interrupted:
                self._check_model()
            if self._options.reassign == "all" and not self._stop.is_set():
                self._scanner.take_names_off(self._candidates)
            workers = self._workers()
            committed = time.monotonic()
            for _ in self._analyse_here(readers) if workers is None else self._analyse_by(workers):
                waited = time.monotonic() - committed
                self._batch.embed(everything=waited >= FLUSH_SECONDS)
                if waited >= COMMIT_SECONDS or len(self._batch.files) >= COMMIT_FILES:
                    ready = self._ready()
                    committed = time.monotonic() if ready else committed
                    yield from self._report(self._commits.add(ready))
                yield from self._report(self._commits.stored())
            self._batch.embed(everything=True)
            results = self._commit()
            self._finish()
            yield from self._report(results)
        except (KeyboardInterrupt, GeneratorExit):
            self._commit()
            raise
        finally:
            self._commits.close()
            readers.shutdown(wait=False, cancel_futures=True)

    def _workers(self) -> Workers | None:
        """Return the workers that were given, or those that make this registration faster."""
        if self._options.workers == "auto":
            return workers_for(self._candidates, self._scanner, self._analyser)
        return self._options.workers

    def _report(self, results: Sequence[PhotoResult]) -> Iterator[PhotoResult]:
        self._done += len(results)
        if self._options.progress and results:
            self._options.progress(self._done, self.total)
        yield from results

    def _analyse_here(self, readers: Executor) -> Iterator[None]:
        """Scan and analyse the files in this process, batch by batch."""
        files = self._scanner.scan_ahead(self._candidates, readers)
        yield from self._batch.analyse_all(batches(files, self.timings, self._stop.is_set))

    def _analyse_by(self, workers: Workers) -> Iterator[None]:
        """Let workers scan and analyse the files that need it; they come back in order."""
        with closing(workers.analyse(self._looked_up(), self._analyser)) as files:
            for file in files:
                self._batch.files.append(file)
                yield

    def _looked_up(self) -> Iterator[ScannedFile]:
        """Look up each candidate: with its result if it need not be read; ends early when it is stopped."""
        for file in self._scanner.look_up(self._candidates):
            if self._stop.is_set():
                return
            if file.result is None:
                self._check_model()
            yield file

    def _stale_faces(self, file: ScannedFile) -> Faces:
        """Return the stale faces of a photo; it is not searched for others, as these are known or were removed."""
        assert file.info is not None
        stale = self._store.photos.pending(file.info.digest)
        file.stale = tuple(one.id for one in stale)
        return Faces.of([one.face for one in stale])

    def _check_model(self) -> None:
        """Before the first face: refuse a gallery of another model."""
        if not self._model_checked:
            self._context.require_same_model()
            self._model_checked = True

    def _ready(self) -> list[ScannedFile]:
        """Take the files that are finished, in order."""
        files = self._batch.files
        ready: list[ScannedFile] = []
        while files and not files[0].pending:
            ready.append(files.popleft())
        return ready

    def _commit(self) -> list[PhotoResult]:
        """Store everything that is finished."""
        return [*self._commits.add(self._ready()), *self._commits.finish()]

    def _store_group(self, ready: list[ScannedFile]) -> list[PhotoResult]:
        """Store files in order, in one transaction; if that fails they are waiting again."""
        try:
            with self.timings.measure("storage"), ExitStack() as stack:
                if any(file.result is None for file in ready):
                    stack.enter_context(self._store.changing())
                    self._store.photos.read_ahead([_upcoming(file) for file in ready if file.result is None])
                results = [self._store_one(file) for file in ready]
                named = [found for pair in zip(ready, results, strict=True) if (found := _named_by_folder(*pair))]
                if named:
                    self._names.add(named)
        except BaseException:
            self._batch.files.extendleft(reversed(ready))
            raise
        return [self._undecided(file, result) for file, result in zip(ready, results, strict=True)]

    def _undecided(self, file: ScannedFile, result: PhotoResult) -> PhotoResult:
        """Mark a name that came from a folder, as the faces are checked at the end; note folders of two people."""
        if result.person is None and result.status in ("added", "changed"):
            self._note_joint(result.path.parent)
        return result if _named_by_folder(file, result) is None else replace(result, undecided=True)

    def decided(self, result: PhotoResult) -> PhotoResult:
        """Return a result with the person that its photo has after the registration has ended."""
        left = result.undecided and result.path in self._names.refused
        return replace(result, person=None if left else result.person, undecided=False)

    def _note_joint(self, folder: Path) -> None:
        if folder not in self.joint_folders and names_two_people(folder.name):
            self.joint_folders.append(folder)

    def _finish(self) -> None:
        """Check folder names; forget displaced photos unless more files may follow."""
        with self.timings.measure("storage"):
            self.folder_names = self._names.check(self._threshold())
            if not self._stop.is_set():
                forget_displaced(self._store)

    def _threshold(self) -> float | None:
        """Return the distance up to which faces match, if a model was needed."""
        threshold = self._context.pair_threshold if self._model_checked else None
        return None if threshold is None else threshold.distance

    def _store_one(self, file: ScannedFile) -> PhotoResult:
        """Store one file, taking into account what another process has done meanwhile."""
        if file.result is not None:
            return file.result
        assert file.info is not None
        result = self._store_if_known(file, file.info)
        if result is None:
            result = self._scan_again(file) if file.known else self._store_new(file, file.info)
        names = file.names.regions or file.names.problems
        return self._named(file, result) if names and (result.usable or result.status == "no-face") else result

    def _named(self, file: ScannedFile, result: PhotoResult) -> PhotoResult:
        """Give the names in the metadata of a file to its faces without a name; note what names no face."""
        assert file.info is not None
        named = name_faces(self._store, file.info.digest, file.names.regions)
        self.names_in_metadata.update(named.names)
        missing = (f"no face was found where the metadata name {name}" for name in named.unmatched)
        notes = (*result.notes, *(Note("metadata", text) for text in (*file.names.problems, *missing)))
        return replace(result, person=named.primary or result.person, notes=notes)

    def _store_if_known(self, file: ScannedFile, info: FileInfo) -> PhotoResult | None:
        known = known_photo(self._store, info.digest)
        if known is None:
            return None
        return store_known_photo(self._store, info, file.candidate.person, known, reassign=self._options.reassign)

    def _scan_again(self, file: ScannedFile) -> PhotoResult:
        """Scan a photo that was known when it was read and has been removed since."""
        again = self._scanner.scan(file.candidate, decode_known=True)
        if again.result is not None:
            return again.result
        assert again.info is not None
        result = self._store_if_known(again, again.info)  # the file may have changed too
        if result:
            return result
        if again.image is not None:
            self._check_model()
            self._analyse_alone(again)
        return self._store_new(again, again.info)

    def _analyse_alone(self, file: ScannedFile) -> None:
        alone = BatchAnalyzer(self._analyser, self.timings, stale_faces=self._stale_faces)
        alone.analyse([file])
        alone.embed(everything=True)

    def _store_new(self, file: ScannedFile, info: FileInfo) -> PhotoResult:
        stale = tuple(one.id for one in self._store.photos.pending(info.digest))
        if file.state == "ok" and stale != file.stale:  # another process has made faces stale or restored them
            return self._scan_again(file)
        if file.stale:
            assert file.analysis is not None
            vectors, reassign = file.analysis.vectors, self._options.reassign
            return restore_stale_faces(self._store, file, info, stale, vectors, reassign=reassign) or self._scan_again(
                file
            )
        return store_new_photo(self._store, file, info, strict=self._options.strict)


def _named_by_folder(file: ScannedFile, result: PhotoResult) -> tuple[Path, str, Path] | None:
    """Return the folder, the name and the path of a new photo that was named after its folder, otherwise None."""
    folder, name = file.candidate.folder, result.person
    new = result.status in ("added", "changed")
    return (folder, name, result.path) if new and folder is not None and name is not None else None


def _upcoming(file: ScannedFile) -> UpcomingFile:
    """Return what the store is going to be asked about a file."""
    assert file.info is not None
    found = file.analysis
    vector = None if found is None or found.primary is None else found.vectors[found.primary]
    return UpcomingFile(file.info.path, file.info.digest, file.candidate.person, vector)
