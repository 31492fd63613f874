"""Photos into the gallery: read ahead, detect in batches, embed across photos, commit in groups.

A result is handed out only after the transaction that holds its faces has been committed, so what has been reported
survives whatever happens next.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event

import numpy as np

from faceall.gallery import aside
from faceall.gallery.analysis import Analyser, chief_face, make_thumbnail
from faceall.gallery.lookalikes import Lookalikes, Print, print_of
from faceall.gallery.naming import Candidate
from faceall.gallery.photos import (
    Findings,
    PhotoResult,
    Sighting,
    faces_in,
    file_known_photo,
    file_new_photo,
    file_photo_back,
    forget_displaced,
    photo_of,
)
from faceall.gallery.quality import notes_on
from faceall.gallery.reading import Arrival, Reader
from faceall.index import FaceIndex
from faceall.types import Faces, Float32Array, Image

Progress = Callable[[int, int], None]
"""Called with the number of files that are done and the number of all."""

COMMIT_SECONDS = 0.5
COMMIT_FILES = 256
FLUSH_SECONDS = 2.0  # after which faces do not wait any longer for a full batch
_DETECT_FILES = 16
_DETECT_PIXELS = 4_000_000
_EMBED_FACES = 16
_READERS = 2


@dataclass
class Timings:
    """Seconds by stage; reading runs beside the others, so there it is only what they had to wait for it."""

    reading: float = 0.0
    detection: float = 0.0
    embedding: float = 0.0
    storage: float = 0.0

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, stage, getattr(self, stage) + time.perf_counter() - start)


@dataclass(eq=False)
class _Job:
    """An arrival on its way to the database; `waiting` are the rows of its faces where these are aside."""

    arrival: Arrival
    waiting: tuple[int, ...] = ()
    faces: Faces = field(default_factory=Faces.empty)
    chief: int | None = None
    shape: tuple[int, ...] | None = None
    thumbnails: tuple[bytes, ...] = ()
    notes: tuple[str, ...] = ()
    print: Print | None = None
    vectors: list[Float32Array] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether every face has its vector."""
        return len(self.vectors) == len(self.faces)

    def findings(self) -> Findings:
        """What was found."""
        return Findings(
            state=self.arrival.state,
            message=self.arrival.message,
            width=self.shape[1] if self.shape else None,
            height=self.shape[0] if self.shape else None,
            faces=self.faces,
            chief=self.chief,
            thumbnails=self.thumbnails,
            vectors=np.stack(self.vectors) if self.vectors else np.zeros((0, 1), np.float32),
            notes=self.notes,
            print=self.print,
        )


class Registration(Iterator[PhotoResult]):
    """A running registration: iterate over it to make it happen; every file gets one result, in order.

    total    the number of files
    timings  where the time went
    """

    def __init__(
        self,
        index: FaceIndex,
        analyser: Analyser,
        candidates: Sequence[Candidate],
        *,
        refile: bool = False,
        strict: bool = False,
        agree: Callable[[], None] = lambda: None,
        first: Sequence[PhotoResult] = (),
        progress: Progress | None = None,
        stop: Event | None = None,
    ) -> None:
        self.total = len(candidates) + len(first)
        self.timings = Timings()
        self._index, self._analyser, self._candidates = index, analyser, candidates
        self._refile, self._strict, self._agree, self._first = refile, strict, agree, first
        self._progress, self._stop = progress, stop or Event()
        self._reader = Reader(index, refile=refile)
        self._lookalikes = Lookalikes()
        self._agreed = False
        self._jobs: deque[_Job] = deque()
        self._crops: list[tuple[_Job, Image]] = []
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
            for batch in self._batches(self._reader.read_ahead(self._candidates, readers)):
                self._detect(batch)
                waited = time.monotonic() - committed
                self._embed(everything=waited >= FLUSH_SECONDS)
                if waited >= COMMIT_SECONDS or len(self._jobs) >= COMMIT_FILES:
                    results = self._commit()
                    committed = time.monotonic() if results else committed
                    yield from self._tell(results)
            self._embed(everything=True)
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

    def _batches(self, arrivals: Iterator[Arrival]) -> Iterator[list[Arrival]]:
        """Arrivals in groups that fit the detector; ends early when it is told to stop."""
        batch: list[Arrival] = []
        pixels = 0
        while not self._stop.is_set():
            with self.timings.measure("reading"):
                arrival = next(arrivals, None)
            if arrival is None:
                break
            batch.append(arrival)
            pixels += 0 if arrival.image is None else arrival.image.shape[0] * arrival.image.shape[1]
            if pixels >= _DETECT_PIXELS or len(batch) >= _DETECT_FILES:
                yield batch
                batch, pixels = [], 0
        yield batch

    def _detect(self, batch: list[Arrival]) -> None:
        """Find the faces of a batch and cut them out; the pictures are let go."""
        jobs = [_Job(replace(arrival, image=None)) for arrival in batch]
        shown = [(job, arrival.image) for job, arrival in zip(jobs, batch, strict=True) if arrival.image is not None]
        if shown:
            self._agree_once()
            known = [self._faces_aside(job) for job, _ in shown]
            with self.timings.measure("detection"):
                new = [image for (_, image), faces in zip(shown, known, strict=True) if not len(faces)]
                found = iter(self._analyser.detector.detect_batch(new) if new else ())
            with self.timings.measure("embedding"):
                for (job, image), faces in zip(shown, known, strict=True):
                    self._cut_out(job, image, faces if len(faces) else next(found))
        self._jobs.extend(jobs)

    def _faces_aside(self, job: _Job) -> Faces:
        """The faces of a photo that are aside: it is not looked at for others, as those are known or were removed."""
        assert job.arrival.sighting is not None
        with self._index.reading() as connection:
            waiting = aside.waiting_for(connection, job.arrival.sighting.digest)
        job.waiting = tuple(one.id for one in waiting)
        return faces_in([one.place for one in waiting])

    def _agree_once(self) -> None:
        """Before the first face: refuse a gallery of another model."""
        if not self._agreed:
            self._agree()
            self._agreed = True

    def _cut_out(self, job: _Job, image: Image, faces: Faces) -> None:
        _describe(job, image, faces)
        if len(faces):
            self._crops += [(job, crop) for crop in self._analyser.embedder.crop(image, faces)]

    def _embed(self, *, everything: bool) -> None:
        """Embed full batches of faces, whichever photos they are of; at the end the rest too.

        Not beside detection: both use all cores, and together they are slower.
        """
        while len(self._crops) >= _EMBED_FACES or (everything and self._crops):
            batch = self._crops[:_EMBED_FACES]
            with self.timings.measure("embedding"):
                vectors = self._analyser.embedder.embed_crops(np.stack([crop for _, crop in batch]))
            for (job, _), vector in zip(batch, vectors, strict=True):
                job.vectors.append(vector)
            self._crops = self._crops[_EMBED_FACES:]

    def _commit(self) -> list[PhotoResult]:
        """File everything that is finished, in order, in one transaction."""
        ready: list[_Job] = []
        for job in self._jobs:
            if not job.ready:
                break
            ready.append(job)
        with self.timings.measure("storage"):
            if any(job.arrival.result is None for job in ready):
                with self._index.transaction():
                    results = [self._file(job) for job in ready]
            else:
                results = [self._file(job) for job in ready]
        for _ in ready:
            self._jobs.popleft()
        return results

    def _finish(self) -> list[PhotoResult]:
        """File the rest; photos whose files got other content go now, unless there may be more files to come."""
        results = self._commit()
        if not self._stop.is_set():
            with self.timings.measure("storage"):
                forget_displaced(self._index)
        return results

    def _file(self, job: _Job) -> PhotoResult:
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
        with self._index.reading() as connection:
            known = photo_of(connection, sighting.digest)
        return file_known_photo(self._index, sighting, known, refile=self._refile) if known else None

    def _look_again(self, arrival: Arrival) -> PhotoResult:
        """A photo that was known when it was read and has been removed since."""
        again = self._reader.read(arrival.candidate, decode_known=True)
        if again.result is not None:
            return again.result
        assert again.sighting is not None
        filed = self._file_if_known(again.sighting)  # the file may have changed too
        if filed:
            return filed
        job = _Job(replace(again, image=None))
        if again.image is not None:
            self._agree_once()
            faces = self._faces_aside(job)
            if not len(faces):
                (faces,) = self._analyser.detector.detect_batch([again.image])
            _describe(job, again.image, faces)
            if len(faces):
                job.vectors = list(
                    self._analyser.embedder.embed_crops(self._analyser.embedder.crop(again.image, faces))
                )
        return self._file_new(again.sighting, job)

    def _file_new(self, sighting: Sighting, job: _Job) -> PhotoResult:
        with self._index.reading() as connection:
            waiting = tuple(one.id for one in aside.waiting_for(connection, sighting.digest))
        if job.arrival.state == "ok" and waiting != job.waiting:  # another process has put them aside, or taken them up
            return self._look_again(job.arrival)
        if job.waiting:
            back = file_photo_back(self._index, sighting, waiting, np.stack(job.vectors), refile=self._refile)
            return back or self._look_again(job.arrival)
        return file_new_photo(self._index, sighting, job.findings(), self._lookalikes, strict=self._strict)


def _describe(job: _Job, image: Image, faces: Faces) -> None:
    """Note what is kept of a picture besides the vectors."""
    job.faces, job.shape = faces, image.shape
    job.chief = chief_face(faces, image.shape) if len(faces) else None
    job.thumbnails = tuple(make_thumbnail(image, face) for face in faces)
    if job.chief is not None:
        job.notes, job.print = notes_on(image, faces[job.chief]), print_of(image)
