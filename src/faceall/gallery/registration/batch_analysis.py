"""The half of a registration that looks at pictures: detect in batches, embed across photos; asks no database."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from faceall.analysis.analyser import Analyser, make_thumbnail, primary_face
from faceall.analysis.quality import notes_on
from faceall.gallery.records import Findings
from faceall.gallery.registration.near_duplicates import Print, print_of
from faceall.gallery.registration.reader import Arrival
from faceall.types import Faces, Float32Array, Image

DETECT_FILES = 16
_DETECT_PIXELS = 4_000_000
_EMBED_FACES = 16


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
class Job:
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
    found: Findings | None = None

    @property
    def ready(self) -> bool:
        """Whether every face has its vector."""
        return len(self.vectors) == len(self.faces)

    def findings(self) -> Findings:
        """What was found, here or by a worker."""
        return self.found or Findings(
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


class Looker:
    """Looks at the pictures of arrivals; what it has seen waits in `jobs`, in order.

    analyser  what finds and embeds faces
    timings   gets the time that goes into it
    agree     called before each batch that has pictures
    known     the faces of a photo that are known already, so that it is not looked at for others
    """

    def __init__(
        self,
        analyser: Analyser,
        timings: Timings,
        *,
        agree: Callable[[], None] = lambda: None,
        known: Callable[[Job], Faces] = lambda job: Faces.empty(),
    ) -> None:
        self.jobs: deque[Job] = deque()
        self._analyser, self._timings, self._agree, self._known = analyser, timings, agree, known
        self._crops: list[tuple[Job, Image]] = []

    def look(self, batch: list[Arrival]) -> None:
        """Find the faces of a batch and cut them out; the pictures are let go."""
        jobs = [Job(replace(arrival, image=None)) for arrival in batch]
        shown = [(job, arrival.image) for job, arrival in zip(jobs, batch, strict=True) if arrival.image is not None]
        if shown:
            self._agree()
            known = [self._known(job) for job, _ in shown]
            with self._timings.measure("detection"):
                new = [image for (_, image), faces in zip(shown, known, strict=True) if not len(faces)]
                found = iter(self._analyser.detector.detect_batch(new) if new else ())
            with self._timings.measure("embedding"):
                for (job, image), faces in zip(shown, known, strict=True):
                    self._cut_out(job, image, faces if len(faces) else next(found))
        self.jobs.extend(jobs)

    def _cut_out(self, job: Job, image: Image, faces: Faces) -> None:
        describe(job, image, faces)
        if len(faces):
            self._crops += [(job, crop) for crop in self._analyser.embedder.crop(image, faces)]

    def embed(self, *, everything: bool) -> None:
        """Embed full batches of faces, whichever photos they are of; at the end the rest too.

        Not beside detection: both use all cores, and together they are slower.
        """
        while len(self._crops) >= _EMBED_FACES or (everything and self._crops):
            batch = self._crops[:_EMBED_FACES]
            with self._timings.measure("embedding"):
                vectors = self._analyser.embedder.embed_crops(np.stack([crop for _, crop in batch]))
            for (job, _), vector in zip(batch, vectors, strict=True):
                job.vectors.append(vector)
            self._crops = self._crops[_EMBED_FACES:]


def batches(
    arrivals: Iterator[Arrival], timings: Timings, stopped: Callable[[], bool] = lambda: False
) -> Iterator[list[Arrival]]:
    """Arrivals in groups that fit the detector; ends early when it is told to stop."""
    batch: list[Arrival] = []
    pixels = 0
    while not stopped():
        with timings.measure("reading"):
            arrival = next(arrivals, None)
        if arrival is None:
            break
        batch.append(arrival)
        pixels += 0 if arrival.image is None else arrival.image.shape[0] * arrival.image.shape[1]
        if pixels >= _DETECT_PIXELS or len(batch) >= DETECT_FILES:
            yield batch
            batch, pixels = [], 0
    yield batch


def describe(job: Job, image: Image, faces: Faces) -> None:
    """Note what is kept of a picture besides the vectors."""
    job.faces, job.shape = faces, image.shape
    job.chief = primary_face(faces, image.shape) if len(faces) else None
    job.thumbnails = tuple(make_thumbnail(image, face) for face in faces)
    if job.chief is not None:
        job.notes, job.print = notes_on(image, faces[job.chief]), print_of(image)
