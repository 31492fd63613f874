"""Photos into the gallery: read ahead, detect in batches, embed across photos, commit in groups.

A result is handed out only after the transaction that holds its faces has been committed, so what has been reported
survives whatever happens next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from threading import Event

import numpy as np

from faceall.analysis.analyser import Analyser
from faceall.gallery.records import PhotoResult, Sighting
from faceall.gallery.registration.batch_analysis import Job, Looker, Timings, batches, describe
from faceall.gallery.registration.filing import (
    file_known_photo,
    file_new_photo,
    file_photo_back,
    forget_displaced,
    known_photo,
)
from faceall.gallery.registration.naming import Candidate
from faceall.gallery.registration.reader import Arrival, Reader
from faceall.gallery.registration.workers import Workers
from faceall.gallery.store import Store
from faceall.types import Faces

Progress = Callable[[int, int], None]
"""Called with the number of files that are done and the number of all."""

COMMIT_SECONDS = 0.5
COMMIT_FILES = 256
FLUSH_SECONDS = 2.0  # after which faces do not wait any longer for a full batch
_READERS = 2


class Registration(Iterator[PhotoResult]):
    """A running registration: iterate over it to make it happen; every file gets one result, in order.

    total    the number of files
    timings  where the time went
    """

    def __init__(
        self,
        store: Store,
        analyser: Analyser,
        candidates: Sequence[Candidate],
        *,
        refile: bool = False,
        strict: bool = False,
        agree: Callable[[], None] = lambda: None,
        first: Sequence[PhotoResult] = (),
        workers: Workers | None = None,
        progress: Progress | None = None,
        stop: Event | None = None,
    ) -> None:
        self.total = len(candidates) + len(first)
        self.timings = Timings()
        self._store, self._analyser, self._candidates = store, analyser, candidates
        self._refile, self._strict, self._agree, self._first = refile, strict, agree, first
        self._workers, self._progress, self._stop = workers, progress, stop or Event()
        self._reader = Reader(store, refile=refile)
        store.photos.refresh()
        self._agreed = False
        self._looker = Looker(analyser, self.timings, agree=self._agree_once, known=self._faces_aside)
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
            yield from self._tell(self._first)
            committed = time.monotonic()
            for _ in self._look_here(readers) if self._workers is None else self._let_look(self._workers):
                waited = time.monotonic() - committed
                self._looker.embed(everything=waited >= FLUSH_SECONDS)
                if waited >= COMMIT_SECONDS or len(self._looker.jobs) >= COMMIT_FILES:
                    results = self._commit()
                    committed = time.monotonic() if results else committed
                    yield from self._tell(results)
            self._looker.embed(everything=True)
            yield from self._tell(self._finish())
        except (KeyboardInterrupt, GeneratorExit):
            self._commit()
            raise
        finally:
            readers.shutdown(wait=False, cancel_futures=True)

    def _tell(self, results: Sequence[PhotoResult]) -> Iterator[PhotoResult]:
        self._done += len(results)
        if self._progress and results:
            self._progress(self._done, self.total)
        yield from results

    def _look_here(self, readers: Executor) -> Iterator[None]:
        """Read and look at the files in this process, batch by batch."""
        arrivals = self._reader.read_ahead(self._candidates, readers)
        for batch in batches(arrivals, self.timings, self._stop.is_set):
            self._looker.look(batch)
            yield

    def _let_look(self, workers: Workers) -> Iterator[None]:
        """Have the files that are not settled read and looked at by workers; they come back in order."""
        with closing(workers.look(self._settled(), self._analyser)) as looks:
            for arrival, findings in looks:
                self._looker.jobs.append(Job(arrival, found=findings))
                yield

    def _settled(self) -> Iterator[Candidate | Arrival]:
        """Each candidate: as an arrival where there is nothing to read; ends early when it is told to stop."""
        for candidate in self._candidates:
            if self._stop.is_set():
                return
            arrival = self._reader.settled(candidate)
            if arrival is None:
                self._agree_once()
            yield arrival or candidate

    def _faces_aside(self, job: Job) -> Faces:
        """The faces of a photo that are aside: it is not looked at for others, as those are known or were removed."""
        assert job.arrival.sighting is not None
        waiting = self._store.photos.waiting(job.arrival.sighting.digest)
        job.waiting = tuple(one.id for one in waiting)
        return Faces.of([one.face for one in waiting])

    def _agree_once(self) -> None:
        """Before the first face: refuse a gallery of another model."""
        if not self._agreed:
            self._agree()
            self._agreed = True

    def _commit(self) -> list[PhotoResult]:
        """File everything that is finished, in order, in one transaction."""
        ready: list[Job] = []
        for job in self._looker.jobs:
            if not job.ready:
                break
            ready.append(job)
        with self.timings.measure("storage"):
            if any(job.arrival.result is None for job in ready):
                with self._store.changing():
                    results = [self._file(job) for job in ready]
            else:
                results = [self._file(job) for job in ready]
        for _ in ready:
            self._looker.jobs.popleft()
        return results

    def _finish(self) -> list[PhotoResult]:
        """File the rest; photos whose files got other content go now, unless there may be more files to come."""
        results = self._commit()
        if not self._stop.is_set():
            with self.timings.measure("storage"):
                forget_displaced(self._store)
        return results

    def _file(self, job: Job) -> PhotoResult:
        """One file into the database: what another process has done meanwhile counts."""
        arrival = job.arrival
        if arrival.result is not None:
            return arrival.result
        assert arrival.sighting is not None
        filed = self._file_if_known(arrival.sighting)
        if filed:
            return filed
        if arrival.known:
            return self._look_again(arrival)
        return self._file_new(arrival.sighting, job)

    def _file_if_known(self, sighting: Sighting) -> PhotoResult | None:
        known = known_photo(self._store, sighting.digest)
        return file_known_photo(self._store, sighting, known, refile=self._refile) if known else None

    def _look_again(self, arrival: Arrival) -> PhotoResult:
        """A photo that was known when it was read and has been removed since."""
        again = self._reader.read(arrival.candidate, decode_known=True)
        if again.result is not None:
            return again.result
        assert again.sighting is not None
        filed = self._file_if_known(again.sighting)  # the file may have changed too
        if filed:
            return filed
        job = Job(replace(again, image=None))
        if again.image is not None:
            self._agree_once()
            faces = self._faces_aside(job)
            if not len(faces):
                (faces,) = self._analyser.detector.detect_batch([again.image])
            describe(job, again.image, faces)
            if len(faces):
                job.vectors = list(
                    self._analyser.embedder.embed_crops(self._analyser.embedder.crop(again.image, faces))
                )
        return self._file_new(again.sighting, job)

    def _file_new(self, sighting: Sighting, job: Job) -> PhotoResult:
        waiting = tuple(one.id for one in self._store.photos.waiting(sighting.digest))
        if job.arrival.state == "ok" and waiting != job.waiting:  # another process has put them aside, or taken them up
            return self._look_again(job.arrival)
        if job.waiting:
            back = file_photo_back(self._store, sighting, waiting, np.stack(job.vectors), refile=self._refile)
            return back or self._look_again(job.arrival)
        return file_new_photo(self._store, sighting, job.findings(), strict=self._strict)
