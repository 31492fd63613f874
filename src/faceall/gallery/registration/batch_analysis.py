"""Detect faces in batches of images and embed them across photos; uses no database."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from faceall.analysis import Analyser, Note, make_thumbnail, notes_on, primary_face
from faceall.gallery.records import Analysis
from faceall.gallery.registration.near_duplicates import print_of
from faceall.gallery.registration.scan import ScannedFile
from faceall.types import Faces, Image

DETECT_FILES = 16
_DETECT_PIXELS = 4_000_000
_EMBED_FACES = 16


@dataclass
class Timings:
    """Seconds per stage; reading runs in parallel, so only the time spent waiting for it counts."""

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


class BatchAnalyzer:
    """Analyses scanned files; the ones it has seen are in `files`, in order.

    Parameters
    ----------
    analyser : Analyser
        Finds and embeds faces.
    timings : Timings
        Is given the time spent.
    check_model : callable, optional
        Called before each batch that has images.
    stale_faces : callable, optional
        Returns the stale faces of a photo; a photo with some is not searched for others.
    """

    def __init__(
        self,
        analyser: Analyser,
        timings: Timings,
        *,
        check_model: Callable[[], None] = lambda: None,
        stale_faces: Callable[[ScannedFile], Faces] = lambda file: Faces.empty(),
    ) -> None:
        self.files: deque[ScannedFile] = deque()
        self._analyser, self._timings = analyser, timings
        self._check_model, self._stale_faces = check_model, stale_faces
        self._crops: list[tuple[ScannedFile, int, Image]] = []

    def analyse(self, batch: list[ScannedFile]) -> None:
        """Find the faces of a batch and cut them out; the images are released."""
        shown = [(file, file.image) for file in batch if file.image is not None]
        if shown:
            self._check_model()
            stale = [self._stale_faces(file) for file, _ in shown]
            with self._timings.measure("detection"):
                new = [image for (_, image), faces in zip(shown, stale, strict=True) if not len(faces)]
                found = iter(self._analyser.detector.detect_batch(new) if new else ())
            with self._timings.measure("embedding"):
                for (file, image), faces in zip(shown, stale, strict=True):
                    self._cut_out(file, image, faces if len(faces) else next(found))
        self.files.extend(batch)

    def _cut_out(self, file: ScannedFile, image: Image, faces: Faces) -> None:
        describe(file, image, faces, self._analyser.embedder.size)
        if len(faces):
            crops = self._analyser.embedder.crop(image, faces)
            self._crops += [(file, number, crop) for number, crop in enumerate(crops)]

    def embed(self, *, everything: bool) -> None:
        """Embed full batches of faces, across photos; with `everything` the rest too.

        Not in parallel with detection: both use all cores, and together they are slower.
        """
        while len(self._crops) >= _EMBED_FACES or (everything and self._crops):
            batch = self._crops[:_EMBED_FACES]
            with self._timings.measure("embedding"):
                vectors = self._analyser.embedder.embed_crops(np.stack([crop for _, _, crop in batch]))
            for (file, number, _), vector in zip(batch, vectors, strict=True):
                assert file.analysis is not None
                file.analysis.vectors[number] = vector
                file.pending -= 1
            self._crops = self._crops[_EMBED_FACES:]


def batches(
    files: Iterator[ScannedFile], timings: Timings, stopped: Callable[[], bool] = lambda: False
) -> Iterator[list[ScannedFile]]:
    """Group files into batches that fit the detector; end early when `stopped` returns True."""
    batch: list[ScannedFile] = []
    pixels = 0
    while not stopped():
        with timings.measure("reading"):
            file = next(files, None)
        if file is None:
            break
        batch.append(file)
        pixels += 0 if file.image is None else file.image.shape[0] * file.image.shape[1]
        if pixels >= _DETECT_PIXELS or len(batch) >= DETECT_FILES:
            yield batch
            batch, pixels = [], 0
    yield batch


def describe(file: ScannedFile, image: Image, faces: Faces, dimension: int) -> None:
    """Replace the image of a file by the analysis of its faces, without their vectors."""
    primary = primary_face(faces, image.shape) if len(faces) else None
    notes = () if primary is None else notes_on(image, faces[primary])
    if file.truncated:
        notes = (*notes, Note("truncated", "the end of the file is missing"))
    file.analysis = Analysis(
        width=image.shape[1],
        height=image.shape[0],
        faces=faces,
        primary=primary,
        thumbnails=tuple(make_thumbnail(image, face) for face in faces),
        vectors=np.zeros((len(faces), dimension), np.float32),
        notes=() if primary is None else notes,
        print=None if primary is None else print_of(image),
    )
    file.image, file.pending = None, len(faces)
